// What is mounted: /proc/PID/mountinfo, proc_pid_mountinfo(5). The parser is pure and trusts nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::sys {

struct MountEntry {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::string root;         // the directory of the file system that is the root of this mount
  std::string mount_point;  // relative to the root directory of the process
  std::string options;      // of the mount: "rw,nosuid,relatime"
  std::string propagation;  // optional fields, blank between them: "shared:7 master:2"; "" is private
  std::string fstype;
  std::string source;
  std::string super_options;  // of the file system
  bool operator==(const MountEntry&) const = default;

  // Whether an option stands alone or with a value in `options`: HasOption("ro").
  [[nodiscard]] bool HasOption(std::string_view option) const;
};

// Octal escapes (\040 and the like) are undone. kInvalid names the line that is not as the manual says.
Result<std::vector<MountEntry>> ParseMountinfo(std::string_view text);

// In the order of the kernel: a later mount on the same point hides the earlier ones.
Result<std::vector<MountEntry>> ReadMountinfo(const std::string& path = "/proc/self/mountinfo");
// The same, one by one, as long as `more` says so: what comes after is not even written by the kernel, which takes
// longer for a thousand mounts than a process for its start.
Result<> ForEachMount(const std::function<bool(MountEntry&&)>& more, const std::string& path = "/proc/self/mountinfo");

}  // namespace nucleus::sys
