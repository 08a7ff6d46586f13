#include "cli/launch_inputs.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "actuators/sys/caller_ids.hpp"
#include "actuators/sys/cgroupfs.hpp"

namespace nucleus::cli {

namespace {

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

}  // namespace

Result<security::OwnIds> IdsAtApply() {
  if (::geteuid() == 0) return security::ReadOwnIds();
  auto ids = TRY(sys::IdsOfCaller(::geteuid(), ::getegid()));
  return security::OwnIds{std::move(ids.uids), std::move(ids.gids)};
}

Result<Workload> WorkloadOf(const spec::Service& service, const security::OwnIds& own) {
  Workload workload{.own = own, .account = {}};
  spec::Service who = service;
  who.user = security::DefaultUser(service, own);
  workload.account = TRY(security::ResolveAccount(who));
  return workload;
}

Result<Users> UsersOf(const spec::Service& service, const Workload& workload, const std::optional<sys::IdSpan>& range) {
  const auto& [own, account] = workload;
  Users users{.space = TRY_IN("userns", security::MapUsers(service, own, range)), .nested = !sys::IsWhole(own.uids)};
  TRY_IN("user", security::CheckMapped(account.identity, users.space, own));
  constexpr std::uint32_t kTerminals = 5;
  users.has_terminal_group =
      security::CheckMapped({account.identity.uid, kTerminals, {}}, users.space, own).has_value();
  return users;
}

Result<mounts::MountsInput> MountsInputOf(const ProcessWanted& wanted, const Workload& workload, const Users& users,
                                          const Directories& directories) {
  mounts::MountsInput input;
  input.service = wanted.service.get();
  input.service_dir = wanted.directory;
  input.volume_paths = wanted.volume_paths;
  input.workload = PersonOf(workload.account);
  TRY(ShapeMounts(*wanted.service, users, input));
  input.directories = directories;
  return input;
}

Result<std::map<std::string, std::string>> CredentialsOf(const spec::Service& service) {
  std::map<std::string, std::string> paths;
  if (service.systemd_credentials.empty()) return paths;
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory != '/') {
    return Fail(Error::Of(ErrorCode::kNotFound, "give", "systemd credentials",
                          directory == nullptr ? "CREDENTIALS_DIRECTORY is not set"
                                               : "CREDENTIALS_DIRECTORY is no absolute path")
                    .In("systemd_credentials")
                    .Hint("a systemd unit sets it, with LoadCredential= or SetCredential="));
  }
  for (const auto& credential : service.systemd_credentials) {
    const std::string path = std::string(directory) + "/" + credential.source;
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
      return Fail(Error::Of(ErrorCode::kNotFound, "give", "systemd credential " + credential.source,
                            "the calling unit has none of that name")
                      .In("systemd_credentials " + credential.destination)
                      .Hint("LoadCredential=" + credential.source + ":PATH in the unit gives it one"));
    }
    paths.emplace(credential.source, path);
  }
  return paths;
}

}  // namespace nucleus::cli
