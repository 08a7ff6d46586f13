// What is at a path of the new root before anything is mounted on it: a rootfs directory, or a root that nucleus makes.
// Reads only. Links are followed inside the root and never out of it; openat2(2), RESOLVE_IN_ROOT.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::mounts {

struct Entry {
  enum class Kind : std::uint8_t { kAbsent, kDirectory, kFile, kOther };  // kOther: a link, FIFO, device, ...
  Kind kind = Kind::kAbsent;
  std::uint32_t mode = 0755, uid = 0, gid = 0;
};

class Base {
 public:
  virtual ~Base() = default;
  // Where a path leads, if it leads to a directory: without links, inside the root.
  [[nodiscard]] virtual std::optional<std::string> Directory(const std::string& path) const = 0;
  // What is at a path whose parent has no links; the last component is not followed.
  [[nodiscard]] virtual Entry Look(const std::string& path) const = 0;
};

class Rootfs final : public Base {
 public:
  static Result<std::unique_ptr<Rootfs>> Open(const std::string& path);
  [[nodiscard]] std::optional<std::string> Directory(const std::string& path) const override;
  [[nodiscard]] Entry Look(const std::string& path) const override;

 private:
  Rootfs(sys::Fd root, std::string real) : root_(std::move(root)), real_(std::move(real)) {}
  sys::Fd root_;
  std::string real_;  // without links, as /proc/self/fd shows it
};

// A root of nucleus' own, empty but for links at its top: "/bin" -> "/usr/bin".
class EmptyRoot final : public Base {
 public:
  explicit EmptyRoot(std::map<std::string, std::string> links) : links_(std::move(links)) {}
  [[nodiscard]] std::optional<std::string> Directory(const std::string& path) const override;
  [[nodiscard]] Entry Look(const std::string& path) const override;

 private:
  std::map<std::string, std::string> links_;
};

}  // namespace nucleus::mounts
