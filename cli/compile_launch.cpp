#include "cli/compile_launch.hpp"

#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "actuators/mounts/compile.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/security/compile.hpp"
#include "actuators/security/identity.hpp"
#include "actuators/security/user_map.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_claim.hpp"
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

// systemd.exec(5), "Credentials": files of the unit that calls us.
Result<std::map<std::string, std::string>> CredentialsOf(const spec::Service& service) {
  std::map<std::string, std::string> paths;
  if (service.systemd_credentials.empty()) return paths;
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory != '/') {
    return Fail(Error::Of(ErrorCode::kNotFound, "give", "systemd credentials",
                          directory == nullptr ? "CREDENTIALS_DIRECTORY is not set"
                                               : "CREDENTIALS_DIRECTORY is no absolute path")
                    .Hint("a systemd unit sets it, with LoadCredential= or SetCredential="));
  }
  for (const auto& credential : service.systemd_credentials) {
    const std::string path = std::string(directory) + "/" + credential.source;
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
      return Fail(Error::Of(ErrorCode::kNotFound, "give", "systemd credential " + credential.source,
                            "the calling unit has none of that name")
                      .Hint("LoadCredential=" + credential.source + ":PATH in the unit gives it one"));
    }
    paths.emplace(credential.source, path);
  }
  return paths;
}

// The user namespace it has, and what follows for its mounts from that or from the one that we are in.
struct Users {
  UserNamespace space;
  bool nested = false;
  bool has_terminal_group = true;
};
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

Result<Users> CompileUsers(const spec::Service& service, const security::OwnIds& own, const Identity& identity,
                           const Directories& directories) {
  std::optional<sys::IdSpan> range;
  if (const auto need = security::NeedOf(service, own)) {
    const auto lent = TRY(LentIds(need->machines));
    range = TRY(sys::ClaimRange(need->from, need->count, directories.UserRanges(), lent));
  }
  Users users{.space = TRY(security::MapUsers(service, own, range)), .nested = !sys::IsWhole(own.uids)};
  TRY(security::CheckMapped(identity, users.space, own));
  constexpr std::uint32_t kTerminals = 5;
  users.has_terminal_group = security::CheckMapped({identity.uid, kTerminals, {}}, users.space, own).has_value();
  return users;
}

// The mounts of kernel file systems that show a namespace need power over it, which a user namespace does not have over
// the machine's.
Result<> ShapeMounts(const spec::Service& service, const Users& users, mounts::MountsInput& input) {
  const bool user_namespace = users.space.enabled || users.nested;
  input.id_mapped = users.space.enabled && !users.nested;
  input.has_terminal_group = users.has_terminal_group;
  input.machines_sysfs = user_namespace && service.network == spec::NetworkKind::kHost;
  if (user_namespace && service.disable_cgroup_namespace) input.machines_cgroups = TRY(sys::FindCgroupRoot()).mount;
  return {};
}

mounts::Person PersonOf(const security::Account& account) {
  return {.uid = account.identity.uid,
          .gid = account.identity.gid,
          .name = account.name,
          .home = account.home,
          .shell = account.shell,
          .groups = account.group_names};
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
  spec::Service who = service;
  who.user = security::DefaultUser(service, own);
  const security::Account account = TRY(security::ResolveAccount(who));
  const Users users = TRY_IN("users", CompileUsers(service, own, account.identity, directories));
  const bool production = service.mode == spec::ServiceMode::kProduction;

  Launch launch;
  launch.project = key.project;
  launch.address = key.address.Text();
  launch.id = TRY(RandomDigits(kIdDigits));
  if (IsCalledById(key) || process::IsHeld(wanted.directory))
    launch.id.replace(0, kShortIdDigits, UnitDigits(key.project));
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

  mounts::MountsInput input;
  input.service = &service;
  input.service_dir = wanted.directory;
  input.volume_paths = wanted.volume_paths;
  input.workload = PersonOf(account);
  TRY(ShapeMounts(service, users, input));
  input.directories = directories;
  input.walk = walk;
  for (const auto& [destination, digest] : wanted.files)
    input.staged.emplace(destination, process::StagedFile(wanted.directory, destination));
  input.credentials = TRY(CredentialsOf(service));
  launch.mounts = TRY_IN("mounts", mounts::CompileMounts(input));
  const Policies policies = TRY_IN("policies", CompilePolicies(service, directories.SeccompCache()));
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
