// Any text in the place of /proc/PID/status, uid_map and mountinfo: answered or refused, and compared with a launch
// without falling over. Mounts that say they are their own ancestors among it.
#include <cstdlib>

#include "actuators/process/posture.hpp"

namespace {

nucleus::MountOp Op(nucleus::MountOp::Type type, std::string target, bool recursive) {
  nucleus::MountOp op;
  op.type = type;
  op.target = std::move(target);
  op.recursive = recursive;
  op.flags = nucleus::kMountNoSuid;
  return op;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Launch launch;
  launch.mounts = {Op(MountOp::Type::kRootBind, "", true), Op(MountOp::Type::kFilesystem, "/proc", false),
                   Op(MountOp::Type::kMask, "/proc/kcore", false)};
  launch.user_namespace.enabled = true;
  process::Posture posture;
  if (const auto status = process::ParsePosture(text)) posture = *status;
  posture.uid_map = process::ParseIdMap(text);
  if (posture.uid_map && posture.uid_map->size() > size) std::abort();
  if (const auto limit = process::ParseLimit(text, 8)) posture.rlimits = {*limit};
  launch.rlimits = {{8, 1, 1}};
  if (const auto mounts = sys::ParseMountinfo(text)) posture.mounts = *mounts;
  const auto checks = process::Compare(posture, {.launch = launch});
  // A line for every mount that is there, and for the two that must be.
  if (posture.mounts && checks.size() < posture.mounts->size()) std::abort();
  return 0;
}
