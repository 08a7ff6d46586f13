// For tests: a directory that goes with its owner.
#pragma once

#include <cstdlib>
#include <string>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = "/tmp/nucleus-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() { (void)RemoveTree(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

}  // namespace nucleus::sys
