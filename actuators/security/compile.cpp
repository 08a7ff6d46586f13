#include "actuators/security/compile.hpp"

#include <map>

#include "actuators/security/default_profile.hpp"
#include "actuators/security/landlock_abi.hpp"

namespace nucleus::security {

namespace {

// Rights add up along a path, so the root's right to execute holds here too; it is the mounts' noexec that takes it
// back. Writing is for /proc/self/oom_score_adj and its like: what is not of the own processes is read-only or masked.
constexpr std::uint64_t kProcAccess = kReadAccess | kWriteFile | kTruncate;
constexpr std::uint64_t kDeviceAccess = kReadAccess | kWriteFile | kTruncate | kIoctlDev;

bool IsBelow(std::string_view path, std::string_view top) {
  return path == top || (path.starts_with(top) && path[top.size()] == '/');
}

// What a mount allows beyond reading; none: the rule of the root is enough.
std::uint64_t AccessOf(const MountOp& op) {
  if (op.type != MountOp::Type::kBind && op.type != MountOp::Type::kFilesystem) return 0;
  if (op.fstype == "proc") return kProcAccess;
  if (op.fstype == "devpts") return kDeviceAccess;
  if (op.fstype == "sysfs" || op.fstype == "cgroup2") return 0;
  if (op.target == "/dev") return kReadAccess;
  if (op.type == MountOp::Type::kBind && IsBelow(op.target, "/dev")) return kDeviceAccess & ~kReadDir;
  if ((op.flags & kMountReadOnly) != 0) return 0;
  return kWriteAccess;
}

}  // namespace

Landlock DefaultLandlock(std::span<const MountOp> mounts, bool production) {
  Landlock landlock;
  landlock.enabled = true;
  landlock.required = production;
  landlock.min_abi = production ? kMinAbiProduction : 1;
  landlock.handled_fs = kAllFs;
  landlock.scoped = kScopeAbstractSocket | kScopeSignal;
  std::map<std::string, std::uint64_t> rules{{"/", kReadAccess | kExecute}};
  for (const MountOp& op : mounts) {
    if (const std::uint64_t access = AccessOf(op); access != 0) rules[op.target] = access;
  }
  for (const auto& [path, access] : rules) landlock.rules.push_back({path, access});
  return landlock;
}

Result<Security> CompileSecurity(const SecurityInput& input) {
  if (input.service == nullptr) return Fail(ErrorCode::kInternal, "compile security", "", "no service");
  Security security;
  security.capabilities = {};  // none in any set, bounding set included
  const auto program = DefaultProfile();
  security.seccomp.assign(program.begin(), program.end());
  security.landlock = DefaultLandlock(input.mounts, input.service->mode == spec::ServiceMode::kProduction);
  return security;
}

}  // namespace nucleus::security
