// Contents that are nobody else's business, in memory that is on no swap, in no core dump, and zeroed before it goes;
// mlock(2), madvise(2).
#pragma once

#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

inline constexpr std::size_t kLargestSecret = 1 << 20;

class Secret {
 public:
  // The whole of a regular file that is open for reading. path: for messages. kInvalid: it is none, or too large.
  static Result<Secret> Read(const Fd& file, const std::string& path);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&&) = delete;
  ~Secret();

  [[nodiscard]] std::string_view view() const { return {at_, size_}; }

 private:
  Secret() = default;
  char* at_ = nullptr;  // kLargestSecret bytes
  std::size_t size_ = 0;
};

}  // namespace nucleus::sys
