#include <algorithm>
#include <array>
#include <ranges>
#include <set>

#include "spec/net.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

// What has to be on the machine as a directory or a file; empty: nothing was named.
void CheckKind(Place place, std::string_view key, const std::string& path, Outside::PathKind wanted, Reader& reader) {
  if (path.empty() || !reader.outside().path_kind) return;
  const auto kind = reader.outside().path_kind(path);
  if (kind == wanted) return;
  const std::string what = wanted == Outside::PathKind::kFile ? "file" : "directory";
  reader.Report(place, std::string(key) + ": " +
                           (kind == Outside::PathKind::kAbsent ? "there is no " + what + " " + Shown(path)
                                                               : Shown(path) + " is no " + what));
}

void ValidateIsolation(const Service& service, Reader& reader) {
  if (service.mode == ServiceMode::kProduction) {
    const bool flags = reader.for_flags();
    const std::string who = flags ? "" : service.name + ": ";
    const std::string why = std::string(" is required in production (") +
                            (flags ? "--service-mode agent" : "service_mode = \"agent\"") + " does without)";
    if (!IsGiven(service, "rootfs") && service.rootfs.empty()) {
      reader.Report(PlaceOf(service, ""), who + (flags ? "--rootfs" : "a rootfs") + why);
    }
    if (!IsGiven(service, "memory") && !service.memory) {
      reader.Report(PlaceOf(service, ""), who + (flags ? "--memory" : "a memory limit") + why);
    }
  }
  if (service.memory == 0) reader.Report(PlaceOf(service, "memory"), "memory: nothing runs in no memory");
  if (service.memory_high == 0)
    reader.Report(PlaceOf(service, "memory_high"), "memory_high: nothing runs in no memory");
  CheckKind(PlaceOf(service, "rootfs"), "rootfs", service.rootfs, Outside::PathKind::kDirectory, reader);
  if (service.memory && service.memory_high && *service.memory_high > *service.memory) {
    reader.Report(PlaceOf(service, "memory_high"), "memory_high: is above memory, and so without effect");
  }
}

}  // namespace

std::string Spelled(std::string_view key, std::string_view value, const Reader& reader) {
  if (!reader.for_flags()) return std::string(key) + " = " + std::string(value);
  std::string flag(key);
  std::ranges::replace(flag, '_', '-');
  return "--" + flag + (value == "true" ? "" : " " + std::string(value.substr(1, value.size() - 2)));
}

namespace {

// What weakens the isolation: needs its permission in agent mode, and is refused in production.
void ValidateWeakening(const Service& service, Reader& reader) {
  const bool production = service.mode == ServiceMode::kProduction;
  const bool host = service.network == NetworkKind::kHost;
  const bool trace = service.seccomp_mode == SeccompMode::kTrace;
  struct Weakening {
    bool asked;
    std::string_view key, value;
  };
  for (const auto& [asked, key, value] :
       {Weakening{service.allow_degraded_security, "allow_degraded_security", "true"},
        Weakening{service.allow_chroot_fallback, "allow_chroot_fallback", "true"},
        Weakening{service.allow_checkpoint, "allow_checkpoint", "true"},
        Weakening{service.allow_host_network, "allow_host_network", "true"}, Weakening{host, "network", "\"host\""},
        Weakening{trace, "seccomp_mode", "\"trace\""}}) {
    if (!production || !asked) continue;
    reader.Report(PlaceOf(service, key), std::string(key) + ": production refuses " + Spelled(key, value, reader));
  }
  if (!production && host && !service.allow_host_network) {
    reader.Report(PlaceOf(service, "network"), "network: the host's network is not isolated: " +
                                                   Spelled("allow_host_network", "true", reader) + " permits it");
  }
  if (service.trust_level == TrustLevel::kUntrusted && (production || !service.allow_degraded_security)) {
    reader.Report(PlaceOf(service, "trust_level"),
                  "trust_level: an untrusted program needs gVisor, which is not supported yet" +
                      (production ? std::string()
                                  : "; " + Spelled("allow_degraded_security", "true", reader) +
                                        " runs it on this kernel all the same"));
  }
  if (trace != !service.seccomp_log.empty()) {
    reader.Report(PlaceOf(service, trace ? "seccomp_mode" : "seccomp_log"),
                  trace ? "seccomp_mode: a trace needs a file to go to, seccomp_log"
                        : "seccomp_log: nothing is recorded without " + Spelled("seccomp_mode", "\"trace\"", reader));
  }
  if (service.allow_checkpoint && !service.landlock_policy.empty()) {
    reader.Report(PlaceOf(service, "landlock_policy"),
                  "landlock_policy: " + Spelled("allow_checkpoint", "true", reader) + " goes without Landlock");
  }
  for (const auto& [given, key] : {std::pair(!service.seccomp_profile.empty(), "seccomp_profile"),
                                   std::pair(!service.seccomp_allow.empty(), "seccomp_allow"),
                                   std::pair(service.seccomp_log_denied, "seccomp_log_denied")}) {
    if (trace && given)
      reader.Report(PlaceOf(service, key), std::string(key) + ": a trace lets every call through: leave it out");
  }
}

}  // namespace

namespace {

// Of what setuid programs are not given, those that ordinary programs are not given either.
constexpr std::array<std::string_view, 9> kLoaderVariables{"LD_*",         "GLIBC_TUNABLES", "GCONV_PATH",
                                                           "GETCONF_DIR",  "HOSTALIASES",    "LOCPATH",
                                                           "MALLOC_TRACE", "NLSPATH",        "RESOLV_HOST_CONF"};
constexpr std::array<std::string_view, 3> kKernelsDirectories{"/proc", "/sys", "/dev"};

}  // namespace

bool LeadsTheLoader(std::string_view variable) {
  return std::ranges::any_of(kLoaderVariables, [variable](std::string_view name) {
    return name.ends_with('*') ? variable.starts_with(name.substr(0, name.size() - 1)) : variable == name;
  });
}
std::span<const std::string_view> LoaderVariables() {
  return kLoaderVariables;
}
std::span<const std::string_view> ReservedDestinations() {
  return kKernelsDirectories;
}

namespace {

void ValidateEnvironment(const Service& service, Reader& reader) {
  if (service.allow_loader_variables) return;
  for (const auto& [name, value] : service.environment) {
    if (!LeadsTheLoader(name)) continue;
    reader.Report(PlaceOfItem(service, "environment", name),
                  "environment: " + Shown(name) + " leads the dynamic loader: " +
                      Spelled("allow_loader_variables", "true", reader) + " permits it");
  }
}

void ValidateReadiness(const Service& service, Reader& reader) {
  std::vector<std::string_view> ways;
  if (service.sd_notify) ways.emplace_back("sd_notify");
  if (service.readiness_tcp) ways.emplace_back("readiness_tcp");
  if (!service.readiness_exec.empty()) ways.emplace_back("readiness_exec");
  if (ways.empty()) return;
  const Place place = PlaceOf(service, ways.back());
  if (ways.size() > 1) {
    reader.Report(place, std::string(ways.back()) + ": " + std::string(ways.front()) +
                             " says already how it becomes ready: give one of them");
  }
  if (service.type == ServiceType::kJob)
    reader.Report(place, std::string(ways.back()) + ": a job is waited for to complete, not to be ready");
}

void ValidateSupervision(const Service& service, Reader& reader) {
  constexpr std::array<std::string_view, 5> kSettings{"health_interval", "health_timeout", "health_retries",
                                                      "health_start_period", "on_unhealthy"};
  const bool job = service.type == ServiceType::kJob;
  for (const auto key : kSettings) {
    if (!service.health && IsGiven(service, key) && !IsGiven(service, "health_check"))
      reader.Report(PlaceOf(service, key), std::string(key) + ": there is no health_check");
  }
  if (job && service.health) reader.Report(PlaceOf(service, "health_check"), "health_check: a job has no health");
  if (job && service.restart != RestartPolicy::kNo) {
    reader.Report(PlaceOf(service, "restart"), "restart: a job is not restarted; apply runs it again where it failed");
  }
  ValidateReadiness(service, reader);
  if (service.health && service.health->interval.count() == 0) {
    reader.Report(PlaceOf(service, "health_interval"), "health_interval: must be longer than nothing");
  }
  if (service.health && service.health->timeout.count() == 0) {
    reader.Report(PlaceOf(service, "health_timeout"), "health_timeout: must be longer than nothing");
  }
}

void ValidateMembership(const Service& service, const Topology& topology, Reader& reader) {
  std::set<std::string_view> seen;
  for (const auto& name : service.networks) {
    const Place place = PlaceOfItem(service, "networks", name);
    if (!topology.networks.contains(name)) {
      reader.Report(place, "networks: there is no network '" + Shown(name) + "'" +
                               reader.Suggestion(name, std::views::keys(topology.networks)));
    }
    if (!seen.insert(name).second) reader.Report(place, "networks: '" + name + "' is given twice");
  }
}

// The host's address on the first network of a service, where an address may be chosen on it.
void ValidateAddress(const Service& service, const Topology& topology, Reader& reader) {
  const auto found = topology.networks.find(service.networks.front());
  if (!service.address || found == topology.networks.end()) return;
  const Network& network = found->second;
  const Place place = PlaceOf(service, "address");
  if (!network.subnet) {
    reader.Report(place, "address: network '" + network.name + "' has no subnet of its own; give it one");
    return;
  }
  const Ipv4 gateway = network.gateway.value_or(Ipv4{network.subnet->base.value + 1});
  if (!Contains(*network.subnet, *service.address) || *service.address == network.subnet->base ||
      *service.address == Broadcast(*network.subnet)) {
    reader.Report(place, "address: " + Format(*service.address) + " is not an address of " + Format(*network.subnet) +
                             ", network '" + network.name + "'");
  } else if (*service.address == gateway) {
    reader.Report(place, "address: " + Format(gateway) + " is the host's on network '" + network.name + "'");
  }
}

// What is said in IPv6 needs a network that has it. What is started by hand has it where something asks for it.
void ValidateIpv6(const Service& service, const Topology& topology, Reader& reader) {
  bool has = reader.for_flags();
  for (const auto& name : service.networks) {
    const auto found = topology.networks.find(name);
    if (found == topology.networks.end()) return;
    has = has || found->second.subnet6;
  }
  const auto first = topology.networks.find(service.networks.front());
  const bool first_has = reader.for_flags() || first->second.subnet6;
  constexpr std::string_view kNone = "; no network of the service has IPv6 (subnet6)";
  for (const auto& forward : service.port_forwards) {
    if (!forward.host_ip || !IsV6(*forward.host_ip)) continue;
    const Place place = PlaceOfItem(service, "port_forwards", Format(forward));
    if (IsLoopback(*forward.host_ip) && !IsUserspace(service.nat_backend)) {
      reader.Report(place, "port_forwards: " + Format(forward) +
                               ": the kernel translates nothing that is sent from ::1; publish on 127.0.0.1, or on " +
                               "another address of this machine");
    } else if (!first_has) {
      reader.Report(place, "port_forwards: " + Format(forward) + ": network '" + service.networks.front() +
                               "' has no IPv6 (subnet6)");
    }
  }
  if (has) return;
  for (const auto& server : service.dns) {
    if (IsV6(server))
      reader.Report(PlaceOfItem(service, "dns", Format(server)), "dns: " + Format(server) + std::string(kNone));
  }
}

// A service whose way out is a program's is on no network of its topology: what only a network gives, it has not.
void ValidateUserspace(const Service& service, const Topology& topology, Reader& reader) {
  constexpr std::string_view kWhy = ": nat_backend = \"userspace\" ";
  if (service.address)
    reader.Report(PlaceOf(service, "address"), "address" + std::string(kWhy) + "has the same address everywhere");
  for (const auto& name : service.networks) {
    const auto found = topology.networks.find(name);
    if (found == topology.networks.end() || !found->second.internal) continue;
    reader.Report(PlaceOfItem(service, "networks", name),
                  "networks" + std::string(kWhy) + "is a way out, which '" + name + "' (internal) must not have");
  }
  if (service.nat_backend != NatBackend::kSlirp4netns) return;
  for (const auto& forward : service.port_forwards) {
    if (!forward.host_ip || !IsV6(*forward.host_ip)) continue;
    reader.Report(PlaceOfItem(service, "port_forwards", Format(forward)),
                  "port_forwards: " + Format(forward) +
                      ": slirp4netns publishes on IPv4 addresses alone; nat_backend = \"pasta\" does on either");
  }
}

// What is said of a network, where the service is on one; and what has to be said there.
void ValidateNetworking(const Service& service, const Topology& topology, Reader& reader) {
  const bool flags = reader.for_flags();
  if (service.networks.empty()) {
    if (IsGiven(service, "networks")) return;
    for (const std::string_view key :
         {"port_forwards", "address", "egress_allow", "egress_domains", "egress_tcp_ports", "egress_udp_ports"}) {
      if (!IsGiven(service, key)) continue;
      reader.Report(PlaceOf(service, key),
                    std::string(key) + ": " + (flags ? "needs --network bridge" : "the service is on no network"));
    }
    // In a file they may be meant for others as well. A machine whose network is shared has name servers.
    for (const std::string_view key : {"nat_backend", "dns"}) {
      const bool meant = key == "dns" && service.network == NetworkKind::kHost;
      if (flags && !meant && IsGiven(service, key))
        reader.Report(PlaceOf(service, key), std::string(key) + ": needs --network bridge");
    }
    return;
  }
  for (const std::string_view key : {"egress_tcp_ports", "egress_udp_ports"}) {
    if (!IsGiven(service, key) || service.egress_allow || IsGiven(service, "egress_allow")) continue;
    if (!service.egress_domains.empty() || IsGiven(service, "egress_domains")) continue;
    reader.Report(PlaceOf(service, key), std::string(key) + ": nothing says of which networks; " +
                                             (flags ? "give --egress-allow too" : "write egress_allow too"));
  }
  if (!service.egress_domains.empty() && service.dns.empty() && service.mode == ServiceMode::kProduction &&
      !IsGiven(service, "dns") && !flags) {
    reader.Report(PlaceOf(service, "egress_domains"), "egress_domains: nobody says what they stand for; write dns too");
  }
  if (flags && service.mode == ServiceMode::kProduction && service.dns.empty() && !IsGiven(service, "dns")) {
    reader.Report(PlaceOf(service, ""),
                  "--dns is required with --network bridge in production; agent mode has public name servers");
  }
  ValidateAddress(service, topology, reader);
  ValidateIpv6(service, topology, reader);
  if (IsUserspace(service.nat_backend) && !flags) ValidateUserspace(service, topology, reader);
}

// What is said of a context or a manifest where there is none.
void ValidateFiles(const Service& service, Reader& reader) {
  constexpr std::array<std::string_view, 4> kOfContext{"context_mode", "context_include", "context_exclude",
                                                       "verify_context_integrity"};
  for (const auto key : kOfContext) {
    if (service.context.empty() && IsGiven(service, key) && !IsGiven(service, "context"))
      reader.Report(PlaceOf(service, key), std::string(key) + ": there is no context");
  }
  CheckKind(PlaceOf(service, "context"), "context", service.context, Outside::PathKind::kDirectory, reader);
  if (service.verify_context_integrity && service.context_mode == ContextMode::kBind) {
    reader.Report(PlaceOf(service, "verify_context_integrity"),
                  "verify_context_integrity: a bound context is its source itself; there is something to compare with "
                  "context_mode = \"copy\"");
  }
  if (service.verify_rootfs_attestation && service.rootfs.empty() && !IsGiven(service, "rootfs")) {
    reader.Report(PlaceOf(service, "verify_rootfs_attestation"), "verify_rootfs_attestation: there is no rootfs");
  }
  for (const auto& secret : service.secrets)
    CheckKind(PlaceOfItem(service, "secrets", secret.destination), "secrets", secret.source, Outside::PathKind::kFile,
              reader);
}

void ValidateDevices(const Service& service, Reader& reader) {
  std::set<std::string_view> seen;
  for (const auto& limit : service.io_limits) {
    if (seen.insert(limit.device).second) continue;
    reader.Report(PlaceOfItem(service, "io_limits", limit.device), "io_limits: '" + limit.device + "' is given twice");
  }
}

// ---- mounts ----

struct Destination {
  std::string path;
  std::string_view key;
  bool file = false;  // nothing can be below it
};

bool Below(std::string_view path, std::string_view above) {
  return path == above || (path.starts_with(above) && path[above.size()] == '/');
}

void ValidateDestination(const Destination& destination, const Service& service, Reader& reader) {
  const Place place = PlaceOfItem(service, destination.key, destination.path);
  const std::string what = std::string(destination.key) + ": '" + Shown(destination.path) + "'";
  if (destination.path == "/") {
    reader.Report(place, what + " is the root, which rootfs is for");
    return;
  }
  for (const auto kernel : kKernelsDirectories) {
    if (Below(destination.path, kernel) && destination.path != "/dev/shm") {
      reader.Report(place, what + " would cover " + std::string(kernel) + ", which is the kernel's");
    }
  }
}

// Sorted by path: what is below one follows it, with others between only where a name continues it.
void ValidateNesting(const std::vector<Destination>& destinations, const Service& service, Reader& reader) {
  for (auto above = destinations.begin(); above != destinations.end(); ++above) {
    if (!above->file) continue;
    for (auto below = above + 1; below != destinations.end() && below->path.starts_with(above->path); ++below) {
      if (below->path == above->path || !Below(below->path, above->path)) continue;
      reader.Report(PlaceOfItem(service, below->key, below->path), std::string(below->key) + ": '" +
                                                                       Shown(below->path) + "' is below '" +
                                                                       Shown(above->path) + "', which is a secret");
    }
  }
}

void ValidateSource(const VolumeMount& mount, const Service& service, const Topology& topology, Reader& reader) {
  const Place place = PlaceOfItem(service, "volumes", mount.destination);
  if (!mount.volume.empty() && !topology.volumes.contains(mount.volume)) {
    const auto suggestion = reader.Suggestion(mount.volume, std::views::keys(topology.volumes));
    reader.Report(place, "volumes: there is no volume '" + Shown(mount.volume) + "'" +
                             (suggestion.empty() ? "; a host path begins with / or ./" : suggestion));
  }
  if (!mount.source.empty() && reader.outside().path_kind &&
      reader.outside().path_kind(mount.source) == Outside::PathKind::kAbsent) {
    reader.Report(place, "volumes: there is no '" + Shown(mount.source) + "' on this machine");
  }
}

}  // namespace

void ValidateService(const Service& service, const Topology& topology, Reader& reader) {
  if (service.command.empty() && !IsGiven(service, "command")) {
    reader.Report(PlaceOf(service, ""), service.name + ": a command is required");
  }
  ValidateIsolation(service, reader);
  ValidateWeakening(service, reader);
  ValidateEnvironment(service, reader);
  ValidateSupervision(service, reader);
  ValidateMembership(service, topology, reader);
  ValidateNetworking(service, topology, reader);
  ValidateDevices(service, reader);
  ValidateFiles(service, reader);
}

void ValidateMounts(const Service& service, const Topology& topology, Reader& reader) {
  std::vector<Destination> destinations;
  if (!service.context.empty()) destinations.push_back({"/context", "context"});
  for (const auto& mount : service.volumes) {
    ValidateSource(mount, service, topology, reader);
    destinations.push_back({mount.destination, "volumes"});
  }
  for (const auto& mount : service.tmpfs) destinations.push_back({mount.destination, "tmpfs"});
  for (const auto& secret : service.secrets) destinations.push_back({secret.destination, "secrets", true});
  for (const auto& secret : service.systemd_credentials)
    destinations.push_back({secret.destination, "systemd_credentials", true});
  for (const auto& destination : destinations) ValidateDestination(destination, service, reader);
  std::ranges::stable_sort(destinations, {}, &Destination::path);
  for (std::size_t i = 1; i < destinations.size(); ++i) {
    if (destinations[i].path != destinations[i - 1].path) continue;
    reader.Report(PlaceOfItem(service, destinations[i].key, destinations[i].path),
                  std::string(destinations[i].key) + ": two mounts on '" + Shown(destinations[i].path) + "'");
  }
  ValidateNesting(destinations, service, reader);
}

}  // namespace nucleus::spec
