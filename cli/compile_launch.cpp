#include "cli/compile_launch.hpp"

#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "actuators/mounts/compile.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/security/compile.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_claim.hpp"
#include "cli/launch_inputs.hpp"
#include "cli/machine_checks.hpp"
#include "cli/policies.hpp"

namespace nucleus::cli {

namespace {

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What the service says wins over what its account says, and that over the defaults.
std::vector<std::string> EnvironmentOf(const spec::Service& service, const security::Account& account) {
  std::map<std::string, std::string> environment = service.environment;
  for (auto& [name, value] : security::AccountEnvironment(account)) environment.try_emplace(name, value);
  if (service.sd_notify) environment.insert_or_assign("NOTIFY_SOCKET", std::string(kNotifyInside));
  environment.try_emplace("PATH", kDefaultPath);
  environment.try_emplace("container", "nucleus");  // systemd's container interface: programs that care look for it
  std::vector<std::string> out;
  for (const auto& [name, value] : environment) out.push_back(name + "=" + value);
  return out;
}

std::vector<Rlimit> LimitsOf(const spec::Service& service) {
  std::vector<Rlimit> limits;
  if (service.memlock) limits.push_back({RLIMIT_MEMLOCK, *service.memlock, *service.memlock});
  return limits;
}

// Where the machine has no cgroup2, or none that may be written, there is no cgroup part and nothing to join.
Result<std::string> CgroupDirectory(const std::string& project, const ProcessWanted& wanted,
                                    const std::optional<sys::CgroupRoot>& groups) {
  if (wanted.cgroup.empty()) return std::string();
  const auto root = groups ? Result<sys::CgroupRoot>(*groups) : cgroup::RootOf(project);
  if (!root && root.error().code == ErrorCode::kUnsupported) return std::string();
  if (!root) return Fail(root.error());
  return root->writable ? root->base + "/" + wanted.cgroup : std::string();
}

// Those of /etc/subuid and /etc/subgid, which no container of root's may have.
Result<std::vector<sys::IdSpan>> LentIds(bool any) {
  std::vector<sys::IdSpan> lent;
  for (const auto* file : {"/etc/subuid", "/etc/subgid"}) {
    const auto text = any ? TRY(sys::ReadFileIfThere(file)) : std::nullopt;
    const auto spans = sys::ParseAllSubordinate(text.value_or(""));
    lent.insert(lent.end(), spans.begin(), spans.end());
  }
  return lent;
}

// Ids that nobody else has, where it needs such.
Result<std::optional<sys::IdSpan>> ClaimIds(const spec::Service& service, const security::OwnIds& own,
                                            const Directories& directories) {
  const auto need = security::NeedOf(service, own);
  if (!need) return std::nullopt;
  const auto lent = TRY(LentIds(need->machines));
  return TRY(sys::ClaimRange(need->from, need->count, directories.UserRanges(), lent));
}

// One that nobody gave a name is called as its id begins, and found by both.
bool IsCalledById(const PartKey& key) {
  const std::string& name = key.address.name;
  return (key.address.kind == Kind::kContainer || key.project == name) && name.size() == kShortIdDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<Launch> Compile(const Directories& directories, const PartKey& key, const ProcessWanted& wanted,
                       const attest::WalkOptions& walk, const std::optional<sys::CgroupRoot>& groups) {
  const spec::Service& service = *wanted.service;
  // Again, for what is started from a saved plan or an earlier revision.
  TRY_IN("require_kernel_lockdown", CheckLockdown(service));
  const security::OwnIds own = TRY(security::ReadOwnIds());
  const Workload workload = TRY(WorkloadOf(service, own));
  const security::Account& account = workload.account;
  const auto range = TRY_IN("userns", ClaimIds(service, workload.own, directories));
  const Users users = TRY(UsersOf(service, workload, range));
  const bool production = service.mode == spec::ServiceMode::kProduction;

  Launch launch;
  launch.project = key.project;
  launch.address = key.address.Text();
  launch.id = TRY(RandomDigits(kIdDigits));
  if (IsCalledById(key) || process::IsHeld(wanted.directory))
    launch.id.replace(0, kShortIdDigits,
                      UnitDigits(key.address.kind == Kind::kContainer ? key.address.name : key.project));
  launch.digest = wanted.digest;
  launch.argv = service.command;
  launch.env = EnvironmentOf(service, account);
  const std::string start = service.context.empty() ? "/" : "/context";
  launch.workdir = service.workdir.empty() ? start : service.workdir;
  launch.hostname = service.hostname.empty() ? service.name : service.hostname;
  launch.identity = account.identity;
  launch.rlimits = LimitsOf(service);
  launch.cgroup = TRY(CgroupDirectory(key.project, wanted, groups));
  launch.netns = wanted.netns;
  launch.host_network = service.network == spec::NetworkKind::kHost;
  launch.host_cgroups = service.disable_cgroup_namespace;
  launch.time_namespace = service.time_namespace;
  launch.user_namespace = users.space;

  mounts::MountsInput input = TRY(MountsInputOf(wanted, workload, users, directories));
  input.walk = walk;
  for (const auto& [destination, digest] : wanted.files)
    input.staged.emplace(destination, process::StagedFile(wanted.directory, destination));
  input.credentials = TRY(CredentialsOf(service));
  launch.mounts = TRY(mounts::CompileMounts(input));
  const Policies policies = TRY_IN("policies", CompilePolicies(service, directories.SeccompCache()));
  if (policies.capabilities && !users.space.enabled && !process::IsHeld(wanted.directory))
    TRY(CheckHeldByUs(service, *policies.capabilities));
  launch.security = TRY_IN(
      "security", security::CompileSecurity({.service = &service,
                                             .mounts = launch.mounts,
                                             .identity = account.identity,
                                             .capabilities = policies.capabilities ? &*policies.capabilities : nullptr,
                                             .landlock = policies.landlock ? &*policies.landlock : nullptr,
                                             .seccomp = policies.seccomp,
                                             .seccomp_flags = policies.seccomp_flags}));

  launch.security.seccomp_trace = service.seccomp_mode == spec::SeccompMode::kTrace;
  launch.security.seccomp_log = service.seccomp_log;
  launch.security.seccomp_log_denied = service.seccomp_log_denied;
  launch.init = service.init || production;
  launch.terminal = service.tty;
  launch.notify = service.sd_notify;
  launch.job = service.type == spec::ServiceType::kJob;
  launch.production = production;
  launch.mount_audit = production;
  launch.chroot_fallback = service.allow_chroot_fallback;
  launch.degraded = service.allow_degraded_security;
  launch.hooks = service.hooks;
  launch.policy = process::PolicyOf(wanted);
  return launch;
}

}  // namespace

Result<std::string> RandomDigits(std::size_t count) {
  std::string bytes(count, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return FailSys("getrandom", "container id");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (char& byte : bytes) byte = kDigits[static_cast<unsigned char>(byte) & 15];
  return bytes;
}

process::Compiler LaunchCompiler(const Directories& directories, const attest::WalkOptions& walk,
                                 const std::optional<sys::CgroupRoot>& groups) {
  return [directories, walk, groups](const PartKey& key, const ProcessWanted& wanted) -> Result<Launch> {
    return TRY_IN(key.Text(), Compile(directories, key, wanted, walk, groups));
  };
}

}  // namespace nucleus::cli
