#include "actuators/security/compile.hpp"

#include <map>

#include "actuators/security/default_profile.hpp"
#include "actuators/security/landlock_abi.hpp"
#include "actuators/security/security_names.hpp"

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

// What a program is started with, it has by the rules of execve(2): root the bounding set, others the ambient one;
// capabilities(7), "Transformation of capabilities during execve()". A policy that says otherwise would not hold.
Result<> CheckKept(const CapabilitySets& sets, const Identity& identity) {
  const bool root = identity.uid == 0;
  const std::uint64_t held = root ? sets.bounding | sets.inheritable : sets.ambient;
  if (sets.permitted == held && sets.effective == held) return {};
  std::string names;
  for (const auto& name : CapabilityNames((sets.permitted | sets.effective) ^ held)) names += " " + name;
  return Fail(Error::Of(ErrorCode::kInvalid, "use", "capability policy",
                        "a program of user " + std::to_string(identity.uid) + " is started with exactly those of " +
                            (root ? "[bounding]" : "[ambient]") + "; the policy differs in" + names)
                  .In("caps_policy")
                  .Hint(root ? "keep the same in [permitted], [effective] and [bounding], or leave the first two out"
                             : "keep them in [ambient]"));
}

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
  // By default none in any set, bounding set included.
  if (input.capabilities != nullptr) {
    security.capabilities = *input.capabilities;
    TRY(CheckKept(security.capabilities, input.identity));
  }
  const auto program = input.seccomp.empty() ? DefaultProfile() : input.seccomp;
  security.seccomp.assign(program.begin(), program.end());
  security.seccomp_flags = input.seccomp_flags;
  security.seccomp_own = !input.seccomp.empty();
  security.seccomp_trace = input.service->seccomp_mode == spec::SeccompMode::kTrace;
  security.seccomp_log = input.service->seccomp_log;
  security.seccomp_log_denied = input.service->seccomp_log_denied;
  const bool production = input.service->mode == spec::ServiceMode::kProduction;
  // It is neither seen nor restored by what checkpoints (docs/decisions/0028).
  if (input.service->allow_checkpoint) return security;
  security.landlock = input.landlock != nullptr ? *input.landlock : DefaultLandlock(input.mounts, production);
  return security;
}

}  // namespace nucleus::security
