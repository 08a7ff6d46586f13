// The parts of a root that every container has: /proc, /sys, /dev, the temporary directories, and what is masked or
// read-only in them. Pure. The lists and their reasons are in docs/security.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/units.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::mounts {

struct StandardInput {
  bool production = false;
  Bytes memory = 0;  // the service's limit, 0: none; what is on tmpfs counts against it
  std::uint32_t uid = 0, gid = 0;
  bool has_terminal_group = true;
  bool machines_sysfs = false;
  std::string machines_cgroups = {};  // "": a cgroup2 of its own namespace
};

// In an order in which they can be mounted.
std::vector<MountOp> StandardMounts(const StandardInput& input);
// Once all mounts are in place: device links, masks, and read-only parts of a /proc that is not read-only as a whole.
std::vector<MountOp> StandardFinish(const StandardInput& input);

std::span<const std::string_view> MaskedPaths();
std::span<const std::string_view> ReadOnlyPaths();
std::span<const std::string_view> DeviceNodes();

MountOp TmpfsOp(std::string target, Bytes size, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                std::uint64_t flags);

}  // namespace nucleus::mounts
