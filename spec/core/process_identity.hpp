// Who a process is: a pid alone may be somebody else's by now.
#pragma once

#include <cstdint>
#include <string>

namespace nucleus {

struct ProcessIdentity {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat, clock ticks since boot
  std::string boot_id;
  std::uint64_t cgroup_id = 0;  // inode of the cgroup directory
  bool operator==(const ProcessIdentity&) const = default;
};

}  // namespace nucleus
