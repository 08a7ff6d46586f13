#include "actuators/sys/secret.hpp"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace nucleus::sys {

Result<Secret> Secret::Read(const Fd& file, const std::string& path) {
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return FailSys("stat", path);
  if (!S_ISREG(st.st_mode)) return Fail(ErrorCode::kInvalid, "read secret", path, "not a regular file");
  if (st.st_size > static_cast<off_t>(kLargestSecret))
    return Fail(ErrorCode::kInvalid, "read secret", path, "larger than 1M");
  constexpr const char* kWhat = "memory for a secret";
  Secret secret;
  void* at = ::mmap(nullptr, kLargestSecret, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return FailSys("mmap", kWhat);
  secret.at_ = static_cast<char*>(at);
  ::madvise(at, kLargestSecret, MADV_DONTDUMP);
  if (::mlock(at, kLargestSecret) != 0) return FailSys("mlock", kWhat);
  for (ssize_t got = 1; got > 0 && secret.size_ < kLargestSecret; secret.size_ += static_cast<std::size_t>(got)) {
    got = ::read(file.get(), secret.at_ + secret.size_, kLargestSecret - secret.size_);
    if (got < 0) return FailSys("read", path);
  }
  return secret;
}

Secret::Secret(Secret&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}

Secret::~Secret() {
  if (at_ == nullptr) return;
  ::explicit_bzero(at_, size_);
  ::munmap(at_, kLargestSecret);
}

}  // namespace nucleus::sys
