// From a service to the list of operations that builds its root file system (state/parts/launch.hpp).
//
// Looks at the host's directories, the rootfs and the volumes; changes nothing. Every target in the result is without
// symbolic links at the time of compiling, and the list passed ValidateTree(). Three shapes of root:
//   no rootfs             a tmpfs with the host's programs, read-only, and a small /etc of its own (agent mode)
//   a rootfs, complete    the rootfs itself, read-only
//   a rootfs, incomplete  a read-only overlay: a skeleton of the missing mount points above the rootfs
// Links of a rootfs are followed inside it only. Where it has something else at the place of a mount point (a link, a
// file, a FIFO at /proc, /dev or /etc/resolv.conf), the skeleton's own directory or file takes that place.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "actuators/mounts/host_root.hpp"
#include "actuators/mounts/sources.hpp"
#include "attest/walk.hpp"
#include "spec/core/names.hpp"
#include "spec/types.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::mounts {

// What was found of paths that were looked at already, by how they are given.
using Verdicts = std::map<std::tuple<std::string, bool, bool>, Result<Source>>;

struct MountsInput {
  const spec::Service* service = nullptr;
  std::map<std::string, std::string> volume_paths;  // named volume -> host path
  std::string service_dir;                          // hosts, resolv.conf and hostname are in it
  std::map<std::string, std::string> staged;        // destination -> the staged copy that is mounted instead
  std::map<std::string, std::string> credentials;   // name -> host path
  Directories directories;
  Person workload;
  // In a user namespace, its own or ours:
  bool id_mapped = false;                // owners on the host are to be seen inside as they are
  bool has_terminal_group = true;        // group 5 is there, which terminals belong to
  bool machines_sysfs = false;           // the network namespace is none of its own, so sysfs can only be the machine's
  attest::WalkOptions walk;              // of a bound context
  std::string machines_cgroups;          // likewise without a cgroup namespace: where cgroup2 is mounted on the machine
  const HostShape* host = nullptr;       // what the machine has, where somebody has looked already; outlives the call
  const DeniedPlaces* denied = nullptr;  // likewise
  // Nothing: it is started now. Else it will be, and is asked whether it could: nothing is written and no tree is gone
  // through, and a host path for which this is true may be missing still, or be something else.
  std::function<bool(const std::string& path)> may_come;
  Verdicts* verdicts = nullptr;  // with may_come, of whoever asks for several; outlives the call
  // With may_come: what the rootfs or the machine has is not looked at, so that only what is wrong on every one is.
  bool any_root = false;
};

// The trail of an error begins with the key that it is about, and the item where it is a list: "volumes /data".
Result<std::vector<MountOp>> CompileMounts(const MountsInput& input);

}  // namespace nucleus::mounts
