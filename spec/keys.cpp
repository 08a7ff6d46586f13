#include "spec/keys.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "spec/codecs.hpp"
#include "spec/core/sorted_table.hpp"
#include "spec/core/text.hpp"
#include "spec/table.hpp"

namespace nucleus::spec {

namespace {

template <class>
struct MemberOf;
template <class Owner_, class Field_>
struct MemberOf<Field_ Owner_::*> {
  using Owner = Owner_;
  using Field = Field_;
};

template <class Codec>
std::string SchemaOf() {
  if constexpr (requires { Codec::kWords; }) {
    std::string words;
    for (const auto word : Codec::kWords) words += (words.empty() ? "\"" : ",\"") + std::string(word) + "\"";
    return R"({"enum":[)" + words + "]}";
  } else if constexpr (requires { Codec::kMin; }) {
    std::string bounds = R"({"type":"integer","minimum":)" + std::to_string(Codec::kMin);
    if (Codec::kMax <= INT64_MAX) bounds += R"(,"maximum":)" + std::to_string(Codec::kMax);
    return R"({"anyOf":[)" + bounds + R"(},{"type":"string","pattern":"^[0-9]+$"}]})";
  } else {
    return std::string(Codec::kSchema);
  }
}

// ToCompactJson(Codec::Write(value)), without the values in between where the form is that of the type itself.
template <class Codec>
void AppendField(const typename Codec::T& value, std::string& json) {
  using T = typename Codec::T;
  const auto separate = [&json](bool& first) {
    if (!std::exchange(first, false)) json += ',';
  };
  if constexpr (requires { Codec::kWords; }) {
    AppendJsonString(json, Codec::kWords[static_cast<std::size_t>(value)]);
  } else if constexpr (std::is_same_v<T, bool>) {
    json += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, std::string>) {
    AppendJsonString(json, value);
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    json += '[';
    for (bool first = true; const auto& item : value) {
      separate(first);
      AppendJsonString(json, item);
    }
    json += ']';
  } else if constexpr (std::is_same_v<T, StringMap>) {
    json += '{';
    for (bool first = true; const auto& [name, text] : value) {
      separate(first);
      AppendJsonString(json, name);
      json += ':';
      AppendJsonString(json, text);
    }
    json += '}';
  } else {
    AppendCompactJson(json, Codec::Write(value));
  }
}

// How a field that has a value of its own is written, in both ways: value() gives it, or null where it is the default.
template <class Codec, auto kValueOf>
constexpr void Writes(KeySpec& spec) {
  spec.write = [](const void* resource) -> std::optional<Value> {
    const auto* value = kValueOf(resource);
    return value == nullptr ? std::nullopt : std::optional(Codec::Write(static_cast<typename Codec::T>(*value)));
  };
  spec.append = [](const void* resource, std::string& json) {
    const auto* value = kValueOf(resource);
    if (value == nullptr) return false;
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(*value)>, typename Codec::T>) {
      AppendField<Codec>(*value, json);
    } else {
      AppendField<Codec>(static_cast<typename Codec::T>(*value), json);
    }
    return true;
  };
}

constexpr Scope ScopeFor(const Network*) {
  return Scope::kNetwork;
}
constexpr Scope ScopeFor(const Volume*) {
  return Scope::kVolume;
}
constexpr Scope ScopeFor(const Service*) {
  return Scope::kService;
}

// A key that is a member of its resource.
template <auto kMember, class Codec>
constexpr KeySpec Key(std::string_view name, std::string_view summary) {
  using Owner = typename MemberOf<decltype(kMember)>::Owner;
  using Field = typename MemberOf<decltype(kMember)>::Field;
  KeySpec spec;
  spec.info = {name, ScopeFor(static_cast<const Owner*>(nullptr)), Codec::kType, summary, true};
  spec.schema = SchemaOf<Codec>;
  spec.read = [](const Value& value, std::string_view key, Reader& reader, void* resource) {
    auto read = Codec::Read(value, key, reader);
    if (!read) return;
    if constexpr (std::is_arithmetic_v<Field>) {
      static_cast<Owner*>(resource)->*kMember = static_cast<Field>(*read);
    } else if constexpr (std::is_same_v<Field, decltype(read)>) {
      static_cast<Owner*>(resource)->*kMember = std::move(read);
    } else {
      static_cast<Owner*>(resource)->*kMember = *std::move(read);
    }
  };
  Writes<Codec, [](const void* resource) {
    const Field& field = static_cast<const Owner*>(resource)->*kMember;
    static const Field standard = Owner().*kMember;
    const bool is_default = field == standard;
    if constexpr (requires { field.has_value(); }) {
      return is_default ? nullptr : &*field;
    } else {
      return is_default ? nullptr : &field;
    }
  }>(spec);
  return spec;
}

// The group may stand with the user, UserGroup. Read before `group`.
void ReadUser(const Value& value, std::string_view key, Reader& reader, void* resource) {
  Service& service = *static_cast<Service*>(resource);
  const std::string_view text = value.type == Value::Type::kString ? std::string_view(value.text) : "";
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) {
    if (auto user = Id::Read(value, key, reader)) service.user = {*std::move(user), ""};
    return;
  }
  if (colon == 0 || colon + 1 == text.size() || colon != text.rfind(':'))
    return reader.Wrong(key, value, "neither USER nor USER:GROUP");
  auto owner = UserGroup::Read(value, key, reader);
  if (!owner) return;
  service.user = *std::move(owner);
  service.places.insert_or_assign("group", value.place);
}

void ReadGroup(const Value& value, std::string_view key, Reader& reader, void* resource) {
  std::string& group = static_cast<Service*>(resource)->user.group;
  if (!group.empty()) return reader.Wrong(key, value, "the user has group '" + Shown(group) + "' with it already");
  if (auto id = Id::Read(value, key, reader)) group = *std::move(id);
}

// The user or the group of a service: two keys, one member, each written by itself.
template <auto kMember>
constexpr KeySpec OwnerField(std::string_view name, std::string_view type, decltype(KeySpec::read) read,
                             std::string_view summary) {
  KeySpec spec;
  spec.info = {name, Scope::kService, type, summary, true};
  spec.schema = SchemaOf<Id>;
  spec.read = read;
  Writes<Id, [](const void* resource) {
    const std::string& id = static_cast<const Service*>(resource)->user.*kMember;
    return id.empty() ? nullptr : &id;
  }>(spec);
  return spec;
}

// A setting of the health check. Read after health_check, which makes it; without one, validation says so.
template <auto kMember, class Codec>
constexpr KeySpec HealthField(std::string_view name, std::string_view summary) {
  using Field = typename MemberOf<decltype(kMember)>::Field;
  KeySpec spec;
  spec.info = {name, Scope::kService, Codec::kType, summary, true};
  spec.schema = SchemaOf<Codec>;
  spec.read = [](const Value& value, std::string_view key, Reader& reader, void* resource) {
    const auto read = Codec::Read(value, key, reader);
    auto& health = static_cast<Service*>(resource)->health;
    if (read && health) (*health).*kMember = static_cast<Field>(*read);
  };
  Writes<Codec, [](const void* resource) -> const Field* {
    const auto& health = static_cast<const Service*>(resource)->health;
    static const Field standard = HealthCheck().*kMember;
    return !health || (*health).*kMember == standard ? nullptr : &((*health).*kMember);
  }>(spec);
  return spec;
}

constexpr KeySpec ProbeField(std::string_view name, std::string_view summary) {
  KeySpec spec;
  spec.info = {name, Scope::kService, HealthProbe::kType, summary, true};
  spec.schema = SchemaOf<HealthProbe>;
  spec.read = [](const Value& value, std::string_view key, Reader& reader, void* resource) {
    auto probe = HealthProbe::Read(value, key, reader);
    if (probe) static_cast<Service*>(resource)->health.emplace().probe = *std::move(probe);
  };
  Writes<HealthProbe, [](const void* resource) -> const Probe* {
    const auto& health = static_cast<const Service*>(resource)->health;
    return health ? &health->probe : nullptr;
  }>(spec);
  return spec;
}

// A key that is known and checked, and whose effect is not there yet. working: values that change nothing.
template <class Codec>
constexpr KeySpec Later(Scope scope, std::string_view name, std::string_view summary, std::string_view working = "") {
  KeySpec spec;
  spec.info = {name, scope, Codec::kType, summary, false};
  spec.schema = SchemaOf<Codec>;
  spec.working = working;
  spec.read = [](const Value& value, std::string_view key, Reader& reader, void* /*resource*/) {
    const auto before = reader.errors();
    const auto read = Codec::Read(value, key, reader);
    if (!read || reader.errors() != before) return;
    const auto* self = FindKeySpec(Scope::kService, key);
    if (self == nullptr || self->info.supported) self = FindKeySpec(Scope::kNetwork, key);
    const std::string written = ToCompactJson(Codec::Write(*read));
    for (std::string_view rest = self->working; !rest.empty();) {
      const auto word = rest.substr(0, rest.find(' '));
      if (word == written) return;
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
    reader.Report(value.place,
                  std::string(key) + ": not supported yet; " +
                      (self->working.empty() ? std::string("leave the key out")
                                             : "leave the key out, or write " + std::string(self->working)));
  };
  return spec;
}

constexpr KeySpec TopologyKey(std::string_view name, std::string_view type, std::string_view summary) {
  KeySpec spec;
  spec.info = {name, Scope::kTopology, type, summary, true};
  return spec;
}

template <std::size_t kCount>
using Words = std::array<std::string_view, kCount>;
constexpr Words<2> kVolumeTypeWords{"persistent", "ephemeral"};
constexpr Words<2> kServiceTypeWords{"service", "job"};
constexpr Words<2> kServiceModeWords{"agent", "production"};
constexpr Words<3> kRestartWords{"no", "on-failure", "always"};
constexpr Words<3> kUnhealthyWords{"restart", "stop", "none"};
constexpr Words<3> kNetworkWords{"none", "host", "bridge"};
constexpr Words<5> kNatWords{"auto", "kernel", "userspace", "slirp4netns", "pasta"};
constexpr Words<2> kRuntimeWords{"native", "gvisor"};
constexpr Words<2> kTrustWords{"trusted", "untrusted"};
constexpr Words<3> kPlatformWords{"systrap", "kvm", "ptrace"};
constexpr Words<2> kContextWords{"copy", "bind"};
constexpr Words<2> kSeccompWords{"enforce", "trace"};
constexpr Words<2> kLockdownWords{"integrity", "confidentiality"};
constexpr Words<3> kUsernsWords{"keep-id", "auto", "nomap"};
enum class AnyWord : std::uint8_t {};

constexpr auto kService = Scope::kService;

constexpr auto kKeys = std::to_array<KeySpec>({
    TopologyKey("name", "name", "Name of the topology; without one, the file's name."),
    TopologyKey("include", "list of paths", "Files merged below this one: what this file says wins."),
    TopologyKey("defaults", "table", "Keys given to every service that does not set them."),
    TopologyKey("networks", "table of tables", "The networks, by name."),
    TopologyKey("volumes", "table of tables", "The volumes, by name."),
    TopologyKey("services", "table of tables", "The services, by name."),
    TopologyKey("container", "table", "A single container: a topology with one service."),

    Key<&Network::subnet, Subnet>("subnet", "Addresses of the network; without one, a free subnet is chosen."),
    Key<&Network::gateway, Ip4>("gateway", "The host's address on it; without one, the first of the subnet."),
    Key<&Network::internal, Flag>(
        "internal", "Without a way out: its services reach each other, and what this machine itself listens on."),
    Key<&Network::mtu, Number<576, 65535>>("mtu", "Largest packet in bytes; without one, 1500."),
    Key<&Network::subnet6, Subnet6>(
        "subnet6", "IPv6 addresses of the network; each follows from the IPv4 one. Without it, IPv4 alone."),

    Key<&Volume::type, Word<kVolumeTypeWords, VolumeType>>(
        "volume_type", "Whether the volume is a directory that stays, or a tmpfs that goes with the topology."),
    Key<&Volume::path, HostPath>("path", "Directory of a persistent volume; made where it is missing."),
    Key<&Volume::owner, UserGroup>("owner", "Owner of its top directory."),
    Key<&Volume::mode, Mode>("mode", "Permissions of its top directory; without them, 0755."),
    Key<&Volume::size, Size>("size", "Limit of an ephemeral volume; without one, half of the memory."),
    Key<&Volume::protect, Flag>("protect", "Plans that would destroy or replace it are refused."),

    Key<&Service::type, Word<kServiceTypeWords, ServiceType>>(
        "type", "Whether it stays up, or is a job that runs once for each change of its inputs."),
    Key<&Service::mode, Word<kServiceModeWords, ServiceMode>>(
        "service_mode", "How strict its isolation is; production requires a rootfs and a memory limit."),
    Key<&Service::rootfs, HostPath>("rootfs", "Directory that becomes its root, read-only."),
    Key<&Service::command, Command>("command", "Program and arguments."),
    Key<&Service::environment, Environment>("environment", "Environment variables; they win over those of env_file."),
    Key<&Service::env_files, HostPaths>("env_file", "Files of NAME=value lines; later files win."),
    Key<&Service::workdir, ContainerPath>("workdir",
                                          "Working directory; without one, /context where there is one, else /."),
    Key<&Service::hostname, Hostname>("hostname", "Host name inside; without one, the name of the service."),
    OwnerField<&Owner::user>(
        "user", "id or name, or \"user:group\"", ReadUser,
        "User the workload runs as, perhaps with its group; without one, root without capabilities."),
    OwnerField<&Owner::group>("group", Id::kType, ReadGroup,
                              "Group the workload runs as; without one, the user's in the container's passwd file, or "
                              "of a number the same number."),
    Key<&Service::additional_groups, Ids>("additional_groups", "Its supplementary groups, exactly."),

    Key<&Service::memory, Size>("memory", "Memory limit: beyond it the workload is killed."),
    Key<&Service::memory_high, Size>("memory_high", "Memory beyond which the workload is slowed down and reclaimed."),
    Key<&Service::memory_swap, Size>("memory_swap", "Swap limit; 0: none."),
    Key<&Service::milli_cpus, Cpus>("cpus", "Processor time limit in CPUs."),
    Key<&Service::cpu_weight, Number<1, 10000>>("cpu_weight", "Share of processor time under contention."),
    Key<&Service::pids, Number<1, 4194304>>("pids", "Limit of processes and threads."),
    Key<&Service::io_limits, IoLimits>("io_limits", "Limits of reads and writes, by block device."),
    Key<&Service::memlock, Size>("memlock", "Memory that each process may lock."),

    Key<&Service::networks, Names>("networks", "Networks of the topology it is on; without one, loopback only."),
    Key<&Service::port_forwards, Ports>("port_forwards", "Ports of the host that lead to it."),
    Key<&Service::dns, Ips>("dns", "Name servers."),
    Key<&Service::volumes, Mounts>("volumes", "Volumes and host paths mounted into it."),
    Key<&Service::tmpfs, Tmpfs>("tmpfs", "Empty memory-backed directories."),

    ProbeField("health_check", "How its health is found out: a command, or { tcp = PORT }, or { http = PORT }."),
    HealthField<&HealthCheck::interval, Time>("health_interval", "Time between two checks; without one, 30s."),
    HealthField<&HealthCheck::timeout, Time>("health_timeout", "Time a check may take; without one, 5s."),
    HealthField<&HealthCheck::retries, Number<1, 1000>>("health_retries",
                                                        "Failures in a row that make it unhealthy; without one, 3."),
    HealthField<&HealthCheck::start_period, Time>("health_start_period",
                                                  "Time after the start in which failures do not count."),
    HealthField<&HealthCheck::on_unhealthy, Word<kUnhealthyWords, OnUnhealthy>>(
        "on_unhealthy", "What happens once it is unhealthy: restart (the default), stop or none."),
    Key<&Service::sd_notify, Flag>(
        "sd_notify", "Ready once it says so by sd_notify(3), to the socket that NOTIFY_SOCKET names inside."),
    Key<&Service::readiness_tcp, Number<1, 65535>>("readiness_tcp", "Ready once this port answers inside."),
    Key<&Service::readiness_exec, ShellCommand>("readiness_exec", "Ready once this command succeeds inside."),
    Key<&Service::restart, Word<kRestartWords, RestartPolicy>>(
        "restart",
        "When it is started again after an exit, with back-off: always, on-failure (the default) or no; a job never "
        "is."),
    Key<&Service::depends_on, Dependencies>("depends_on", "Services that come first, and what is waited for."),
    Key<&Service::protect, Flag>("protect", "Plans that would destroy or replace it are refused."),
    Key<&Service::stop_signal, Signal>("stop_signal", "Signal that asks it to stop; without one, SIGTERM."),
    Key<&Service::stop_timeout, Time>("stop_timeout", "Time until it is killed; without one, 10s."),
    Key<&Service::reload_signal, Signal>(
        "reload_signal", "Signal sent when a file mounted read-only has changed, instead of a restart."),
    Key<&Service::init, Flag>("init", "A small init as PID 1 in agent mode; production always has it."),
    Key<&Service::hooks, OciHooks>(
        "hooks",
        "OCI hooks, each { path, args, env, timeout }: createRuntime, createContainer, startContainer, poststart, "
        "poststop."),
    Key<&Service::labels, Labels>("labels", "Words of your own, shown by inspect."),

    Later<Word<kRuntimeWords, AnyWord>>(kService, "runtime", "What runs it.", R"("native")"),
    Key<&Service::trust_level, Word<kTrustWords, TrustLevel>>(
        "trust_level", "How far its program is trusted: untrusted demands gVisor, or allow_degraded_security."),
    Later<Word<kPlatformWords, AnyWord>>(kService, "gvisor_platform", "How gVisor intercepts system calls."),
    Key<&Service::network, Word<kNetworkWords, NetworkKind>>(
        "network", "Kind of network: none, host, or bridge, which is that of its networks."),
    Key<&Service::allow_host_network, Flag>("allow_host_network", "Permit network = \"host\", in agent mode."),
    Key<&Service::nat_backend, Word<kNatWords, NatBackend>>(
        "nat_backend",
        "What translates addresses: auto (the default), kernel, or a program in user space: userspace, or which of "
        "slirp4netns and pasta."),
    Key<&Service::address, Ip4>("address", "Its address on the first of its networks; without one, a free one."),
    Key<&Service::egress_allow, Subnets>(
        "egress_allow",
        "Networks it may send to; an empty list: only to its name servers. Without it, everything its networks lead "
        "to, in production only those networks themselves."),
    Key<&Service::egress_tcp_ports, PortNumbers>(
        "egress_tcp_ports",
        "TCP ports of egress_allow and egress_domains; without these and those of UDP, every port and protocol."),
    Key<&Service::egress_udp_ports, PortNumbers>("egress_udp_ports", "UDP ports of egress_allow and egress_domains."),
    Key<&Service::egress_domains, Domains>(
        "egress_domains", "Names it may send to, by the same ports: the addresses that its name servers say."),
    Key<&Service::context, HostPath>(
        "context", "Directory given to it as /context, read-only, without version control, keys and credentials."),
    Key<&Service::context_mode, Word<kContextWords, ContextMode>>(
        "context_mode", "How the context gets there: copy (the default), as it is at the start, or bind."),
    Key<&Service::context_include, Strings>("context_include", "Patterns of the context that are not left out."),
    Key<&Service::context_exclude, Strings>("context_exclude", "Patterns of the context that are left out."),
    Key<&Service::verify_context_integrity, Flag>("verify_context_integrity",
                                                  "Compare a copied context with its source before the start."),
    Key<&Service::secrets, Secrets>(
        "secrets",
        "Files given to it in memory, for its user only; never swapped where root starts it on Linux 6.4 or newer."),
    Key<&Service::systemd_credentials, Credentials>(
        "systemd_credentials", "Credentials of the calling systemd unit, given to it as secrets are."),
    Key<&Service::seccomp_profile, PolicyFile>("seccomp_profile",
                                               "Seccomp profile in the OCI format; without one, nucleus' own policy."),
    Key<&Service::seccomp_profile_sha256, Sha>("seccomp_profile_sha256", "Digest the profile must have."),
    Key<&Service::seccomp_mode, Word<kSeccompWords, SeccompMode>>(
        "seccomp_mode", "enforce (the default), or trace: allow every call and record it in seccomp_log; agent mode."),
    Key<&Service::seccomp_log, HostPath>("seccomp_log", "File the recorded calls go to."),
    Key<&Service::seccomp_log_denied, Flag>("seccomp_log_denied",
                                            "Count denied calls by program, and name them in the log and at the end."),
    Key<&Service::seccomp_allow, Strings>(
        "seccomp_allow", "System calls allowed besides those of the profile, or of nucleus' own policy."),
    Key<&Service::caps_policy, PolicyFile>("caps_policy",
                                           "Capability policy, a TOML file; without one, no capabilities."),
    Key<&Service::caps_policy_sha256, Sha>("caps_policy_sha256", "Digest the capability policy must have."),
    Key<&Service::landlock_policy, PolicyFile>(
        "landlock_policy", "Landlock policy, a TOML file; without one, rules that follow the mounts."),
    Key<&Service::landlock_policy_sha256, Sha>("landlock_policy_sha256", "Digest the Landlock policy must have."),
    Key<&Service::verify_rootfs_attestation, Flag>(
        "verify_rootfs_attestation", "Start only where the rootfs is what its manifest says (`nucleus rootfs seal`)."),
    Key<&Service::require_kernel_lockdown, Word<kLockdownWords, Lockdown>>(
        "require_kernel_lockdown", "Start only where the kernel is locked down so far."),
    Key<&Service::allow_degraded_security, Flag>(
        "allow_degraded_security", "Go on, with a warning, without a protection that cannot be had; agent mode."),
    Key<&Service::allow_chroot_fallback, Flag>("allow_chroot_fallback",
                                               "Use chroot, with a warning, where pivot_root fails; agent mode."),
    Key<&Service::allow_loader_variables, Flag>(
        "allow_loader_variables", "Permit environment variables that lead the dynamic loader (LD_PRELOAD, ...)."),
    Key<&Service::allow_checkpoint, Flag>(
        "allow_checkpoint", "Go without Landlock, so that `nucleus checkpoint` can be used on it; agent mode."),
    Key<&Service::time_namespace, Flag>("time_namespace", "A time namespace of its own."),
    Key<&Service::disable_cgroup_namespace, Flag>("disable_cgroup_namespace",
                                                  "Show it the host's tree of control groups, read-only."),
    Key<&Service::rootless, Flag>("rootless", "Run it in a user namespace; ordinary users always do."),
    Key<&Service::userns, Word<kUsernsWords, UserMap>>(
        "userns", "Ids of the user namespace: keep-id, auto or nomap; without one, the caller is root inside."),
    Key<&Service::tty, Flag>("tty", "A terminal of its own, where nobody types; the log has what it gives."),
    Later<Flag>(kService, "detach", "Return at once; services always run in the background.", "true"),
});

constexpr auto kAliases = std::to_array<KeyAlias>({
    {Scope::kVolume, "type", "volume_type"},
    {kService, "env", "environment"},
    {kService, "volume", "volumes"},
    {kService, "publish", "port_forwards"},
    {kService, "swap", "memory_swap"},
    {kService, "io_limit", "io_limits"},
    {kService, "additional_group", "additional_groups"},
    {kService, "health_cmd", "health_check"},
    {kService, "secret", "secrets"},
    {kService, "systemd_credential", "systemd_credentials"},
    {kService, "egress_tcp_port", "egress_tcp_ports"},
    {kService, "egress_udp_port", "egress_udp_ports"},
    {kService, "egress_domain", "egress_domains"},
});

}  // namespace

std::span<const KeySpec> KeySpecs() {
  return kKeys;
}
std::span<const KeyAlias> KeyAliases() {
  return kAliases;
}

const KeySpec* FindKeySpec(Scope scope, std::string_view name) {
  using ByName = decltype([](const KeySpec& key) { return std::pair(key.info.scope, key.info.name); });
  return SortedTable<kKeys, ByName>::Find({scope, name});
}

std::string_view CanonicalKey(Scope scope, std::string_view name) {
  for (const auto& alias : kAliases) {
    if (alias.scope == scope && alias.alias == name) return alias.key;
  }
  return name;
}

std::span<const KeyInfo> Keys() {
  static constexpr auto kInfos = [] {
    std::array<KeyInfo, kKeys.size()> infos{};
    for (std::size_t i = 0; i < infos.size(); ++i) infos[i] = kKeys[i].info;
    return infos;
  }();
  return kInfos;
}

const KeyInfo* FindKey(Scope scope, std::string_view name) {
  const auto* spec = FindKeySpec(scope, name);
  return spec == nullptr ? nullptr : &spec->info;
}

}  // namespace nucleus::spec
