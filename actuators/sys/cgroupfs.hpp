// Where the cgroup2 hierarchy is and which part of it is ours. Found through mountinfo, unless the
// whole of it is at one of the two usual places.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/mountinfo.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

struct CgroupRoot {
  std::string mount;                     // where cgroup2 is mounted
  std::string base;                      // the directory below which nucleus may make its own: the mount's root for
                                         // root, the delegated subtree otherwise
  std::vector<std::string> controllers;  // that can be enabled for children of base
  bool writable = false;
};

// kUnsupported where no cgroup2 file system is mounted.
Result<CgroupRoot> FindCgroupRoot();

// The cgroup2 mount to use among those of a mountinfo: one that shows the whole hierarchy before one that shows a part.
std::optional<MountEntry> ChooseCgroupMount(const std::vector<MountEntry>& mounts);

// The absolute directory that a process is in, from the text of its /proc/PID/cgroup (cgroups(7): the line "0::/path").
// None where no cgroup2 is mounted, or where the directory lies outside of what is mounted here or has been removed.
Result<std::optional<std::string>> CgroupDirectory(std::string_view proc_cgroup);
std::optional<std::string> CgroupDirectory(std::string_view proc_cgroup, const MountEntry& mount);

// "memory cpu\n" -> {"memory", "cpu"}
std::vector<std::string> SplitWords(std::string_view text);

}  // namespace nucleus::sys
