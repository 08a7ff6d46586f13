// The desired state as typed values: what a file (or several) says after parsing, includes, variables and defaults.
//
// Every resource keeps, for each key it was given, the place that key came from, so that a plan can say which line
// causes a step. Equality and digests are over meaning: places take no part in them.
// Values only; no I/O. Sizes in bytes, times in milliseconds, CPUs in thousandths.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "spec/core/address.hpp"
#include "spec/core/hash.hpp"
#include "spec/core/units.hpp"

namespace nucleus::spec {

// A place in a file. file indexes Topology::files; line and column count from 1; line 0: nowhere.
struct Place {
  std::uint32_t file = 0;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// key -> where its value was written ("" is the resource itself).
using Places = std::map<std::string, Place, std::less<>>;

// IPv4 in host byte order. The text forms are parsed in net.hpp.
struct Ipv4 {
  std::uint32_t value = 0;
  auto operator<=>(const Ipv4&) const = default;
};
struct Ipv4Net {
  Ipv4 base;  // host bits are zero
  std::uint8_t prefix = 0;
  auto operator<=>(const Ipv4Net&) const = default;
};
// IPv6 in network byte order; never an IPv4 address mapped into it.
struct Ipv6 {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Ipv6&) const = default;
};
struct Ipv6Net {
  Ipv6 base;  // host bits are zero
  std::uint8_t prefix = 0;
  auto operator<=>(const Ipv6Net&) const = default;
};
using IpAddress = std::variant<Ipv4, Ipv6>;
using IpNet = std::variant<Ipv4Net, Ipv6Net>;

// A numeric id, or a name to be looked up in the container's own passwd or group file. "": not given.
// Numbers are 0 .. 2^32-2.
struct Owner {
  std::string user;
  std::string group;
  bool operator==(const Owner&) const = default;
};

struct Network {
  std::string name;
  std::optional<Ipv4Net> subnet;  // none: one is chosen and remembered
  std::optional<Ipv4> gateway;    // none: the first address of the subnet
  // None: IPv4 alone. Each address on it follows from the IPv4 one: as far from the base as that is from its own.
  std::optional<Ipv6Net> subnet6;
  bool internal = false;  // no way out
  std::uint32_t mtu = 0;  // 0: 1500
  Places places;
};

enum class VolumeType { kPersistent, kEphemeral };

struct Volume {
  std::string name;
  VolumeType type = VolumeType::kPersistent;
  std::string path;  // persistent: absolute
  Owner owner;
  std::optional<std::uint32_t> mode;  // none: 0755 when it is made
  Bytes size = 0;                     // ephemeral; 0: half of the memory, tmpfs(5)
  bool protect = false;
  Places places;
};

enum class ServiceType { kService, kJob };
enum class ServiceMode { kAgent, kProduction };
enum class RestartPolicy { kNo, kOnFailure, kAlways };
enum class Condition { kStarted, kHealthy, kCompleted };
enum class OnUnhealthy { kRestart, kStop, kNone };
enum class Protocol { kTcp, kUdp };

struct PortForward {
  std::optional<IpAddress> host_ip;  // none: every address of the host; 0.0.0.0 and ::, every one of that family
  std::uint16_t host_port = 0;
  std::uint16_t container_port = 0;
  Protocol protocol = Protocol::kTcp;
  auto operator<=>(const PortForward&) const = default;
};

// A mount of a named volume of the topology (volume not empty) or of a host path (source not empty).
struct VolumeMount {
  std::string volume;
  std::string source;
  std::string destination;
  bool read_only = false;
  bool no_exec = false;
  auto operator<=>(const VolumeMount&) const = default;
};

struct TmpfsMount {
  std::string destination;
  Bytes size = 0;
  auto operator<=>(const TmpfsMount&) const = default;
};

// A file given in memory. source: a host path, or the name of a credential of systemd.
struct SecretMount {
  std::string source;
  std::string destination;
  auto operator<=>(const SecretMount&) const = default;
};

enum class ContextMode { kCopy, kBind };

enum class NetworkKind { kNone, kHost, kBridge };
// What translates addresses of a bridge. kAuto: the kernel, where there is the power to ask it. kUserspace: whichever
// of the programs after it is installed.
enum class NatBackend { kAuto, kKernel, kUserspace, kSlirp4netns, kPasta };
constexpr bool IsUserspace(NatBackend backend) {
  return backend >= NatBackend::kUserspace;
}
enum class TrustLevel { kTrusted, kUntrusted };
enum class SeccompMode { kEnforce, kTrace };
enum class Lockdown { kIntegrity, kConfidentiality };  // kernel_lockdown(7)
// Which ids a user namespace has, besides the plain way: the caller is root inside, and subordinate ids follow it.
enum class UserMap {
  kKeepId,  // the caller's id is the same inside
  kAuto,    // subordinate ids only, of a range that no other container has
  kNomap,   // subordinate ids only: the caller's id is nobody inside
};

struct IoLimit {
  std::string device;  // "8:0" or a path of a block device
  std::optional<Bytes> read_bps, write_bps;
  std::optional<std::uint64_t> read_iops, write_iops;
  bool operator==(const IoLimit&) const = default;
};

struct Dependency {
  std::string service;
  Condition condition = Condition::kStarted;
  bool restart = false;  // restart this service when that one is restarted or replaced
  bool operator==(const Dependency&) const = default;
};

struct CommandProbe {
  std::vector<std::string> argv;  // a string in the file becomes {"/bin/sh", "-c", text}
  bool operator==(const CommandProbe&) const = default;
};
struct TcpProbe {
  std::uint16_t port = 0;
  bool operator==(const TcpProbe&) const = default;
};
struct HttpProbe {
  std::uint16_t port = 80;
  std::string path = "/";
  bool operator==(const HttpProbe&) const = default;
};

struct HealthCheck {
  std::variant<CommandProbe, TcpProbe, HttpProbe> probe;
  Duration interval{30'000};
  Duration timeout{5'000};
  Duration start_period{0};
  std::uint32_t retries = 3;
  OnUnhealthy on_unhealthy = OnUnhealthy::kRestart;
  bool operator==(const HealthCheck&) const = default;
};

// A program that is told the state of the container on its standard input, config.md of the OCI runtime specification,
// "POSIX-platform Hooks".
struct Hook {
  std::string path;               // absolute; on the host, of startContainer inside the container
  std::vector<std::string> args;  // with the zeroth; none: the path
  std::vector<std::string> env;   // "NAME=value"; there is nothing else in its environment
  Duration timeout{30'000};       // then it is killed, and has failed
  bool operator==(const Hook&) const = default;
};

// By the moment at which they run, each list in its order.
struct Hooks {
  std::vector<Hook> create_runtime, create_container, start_container, poststart, poststop;
  bool operator==(const Hooks&) const = default;
};

struct Service {
  std::string name;
  ServiceType type = ServiceType::kService;
  ServiceMode mode = ServiceMode::kProduction;

  std::string rootfs;  // absolute; "": the host's /usr and its like (agent mode)
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;  // env_file is merged in, environment wins
  std::vector<std::string> env_files;
  std::string workdir;
  std::string hostname;  // "": the service's name
  Owner user;            // user and group keys
  std::vector<std::string> additional_groups;

  std::optional<Bytes> memory;
  std::optional<Bytes> memory_high;
  std::optional<Bytes> memory_swap;  // 0: no swap
  std::optional<std::uint32_t> milli_cpus;
  std::optional<std::uint32_t> cpu_weight;
  std::optional<std::uint64_t> pids;
  std::vector<IoLimit> io_limits;
  std::optional<Bytes> memlock;

  // Files on the host; the digests of their contents are in `inputs`. "": the default policy.
  std::string seccomp_profile, caps_policy, landlock_policy;
  // What the files must be, "sha256:HEX" or HEX. "": not said.
  std::string seccomp_profile_sha256, caps_policy_sha256, landlock_policy_sha256;
  std::vector<std::string> seccomp_allow;  // calls allowed besides those of the profile
  SeccompMode seccomp_mode = SeccompMode::kEnforce;
  std::string seccomp_log;  // absolute; where kTrace writes to
  bool seccomp_log_denied = false;

  TrustLevel trust_level = TrustLevel::kTrusted;
  std::optional<Lockdown> require_kernel_lockdown;
  bool allow_degraded_security = false;
  bool allow_chroot_fallback = false;
  bool allow_loader_variables = false;
  bool allow_checkpoint = false;
  bool time_namespace = false;
  bool disable_cgroup_namespace = false;
  bool rootless = false;
  std::optional<UserMap> userns;  // none: no user namespace, or the plain way where rootless

  std::optional<NetworkKind> network;  // none: bridge where there are networks, else none
  bool allow_host_network = false;

  std::vector<std::string> networks;
  std::vector<PortForward> port_forwards;
  std::vector<IpAddress> dns;
  std::optional<Ipv4> address;  // on the first of its networks; none: one is chosen and remembered
  NatBackend nat_backend = NatBackend::kAuto;
  // Where it may send to, besides its name servers and back to who asked it. None: wherever its networks lead, in
  // production to its own networks only. Empty: nowhere.
  std::optional<std::vector<IpNet>> egress_allow;
  std::vector<std::uint16_t> egress_tcp_ports, egress_udp_ports;  // there; none of both: every port and protocol
  std::vector<std::string> egress_domains;  // besides: what these names stand for, in small letters, without a last dot
  std::vector<VolumeMount> volumes;
  std::vector<TmpfsMount> tmpfs;

  std::string context;  // absolute; "": none
  ContextMode context_mode = ContextMode::kCopy;
  std::vector<std::string> context_include, context_exclude;  // patterns, in their order
  bool verify_context_integrity = false;
  bool verify_rootfs_attestation = false;
  std::vector<SecretMount> secrets, systemd_credentials;

  std::optional<HealthCheck> health;
  // How it is found out that it is ready; at most one. None: once it is executed.
  bool sd_notify = false;
  std::optional<std::uint16_t> readiness_tcp;         // once this port answers inside
  std::vector<std::string> readiness_exec;            // once this ends with 0; empty: none
  RestartPolicy restart = RestartPolicy::kOnFailure;  // jobs: no
  std::vector<Dependency> depends_on;
  bool protect = false;
  int stop_signal = 15;
  Duration stop_timeout{10'000};
  int reload_signal = 0;  // sent when a file mounted read-only has changed its contents; 0: restart instead
  bool init = false;      // agent mode: mini-init as PID 1; production always has it
  bool tty = false;       // a terminal of its own, in the place of pipes
  Hooks hooks;
  std::map<std::string, std::string> labels;

  // Digests of the contents that keys point at (key or "volumes:/dest" -> digest), made when the file was read.
  std::map<std::string, Digest> inputs;
  Places places;
};

struct Topology {
  std::string name;
  bool single_container = false;  // written as [container]
  std::map<std::string, Network> networks;
  std::map<std::string, Volume> volumes;
  std::map<std::string, Service> services;
  std::vector<std::string> files;  // as named by the user, for messages
  Places places;
};

}  // namespace nucleus::spec
