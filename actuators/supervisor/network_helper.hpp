// The program that helps with a service's network, as its supervisor sees it: started, told to read its file again,
// listened to, ended. state/parts/network_order.hpp, docs/decisions/0021.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

class NetworkHelper {
 public:
  static Result<std::unique_ptr<NetworkHelper>> Start(const std::string& program, const std::string& directory);
  NetworkHelper(const NetworkHelper&) = delete;
  NetworkHelper& operator=(const NetworkHelper&) = delete;
  ~NetworkHelper();  // ends it

  [[nodiscard]] const sys::Fd& output() const { return output_; }  // readable: it has said something, or ended
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Whole lines of what it has said since.
  std::vector<std::string> Read();
  [[nodiscard]] bool ended() const { return ended_; }  // as of the last Read()
  void Reload();

 private:
  NetworkHelper() = default;

  pid_t pid_ = 0;
  sys::Fd process_, output_;
  std::string half_;  // a line
  bool ended_ = false;
};

}  // namespace nucleus::process
