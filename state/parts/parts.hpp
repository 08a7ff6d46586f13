// The vocabulary that planner, executor and actuators share: what a part should be (Wanted), and what the kernel says
// it is (Observation). Plain values, no I/O.
//
// A Wanted is typed: the actuator of the part reads it. An Observation is a list of named facts. ExpectedFacts(wanted)
// gives the facts that a perfect Apply would be observed to have, so that the planner compares without knowing what a
// cgroup or a veth is: a fact that is missing, different or too many is drift, and its name says what drifted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "spec/core/address.hpp"
#include "spec/types.hpp"
#include "state/parts/named_facts.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus {

// name -> value, both in the kernel's own terms where it has one: "memory.max" -> "536870912".
using Facts = NamedFacts;

enum class Presence : std::uint8_t {
  kAbsent,
  kPresent,
  kUnreadable,  // the kernel would not say (permissions): prints as `?`, never as unchanged
};

struct Observation {
  Presence presence = Presence::kAbsent;
  Facts facts;         // compared
  Facts notes;         // told to people, never compared: "pid", "health", "last_output"
  std::string detail;  // why it is unreadable
  bool operator==(const Observation&) const = default;
};

using Observations = std::map<PartKey, Observation>;

// ---- what each part should be ----

// An IPv6 address on a link; none where a network is IPv4 alone.
struct Ipv6At {
  spec::Ipv6 address;
  std::uint8_t prefix = 64;
  bool operator==(const Ipv6At&) const = default;
};

// network: a bridge with the gateway's address.
struct BridgeWanted {
  std::string link;  // names.hpp
  std::string alias;
  spec::Ipv4 gateway;
  std::uint8_t prefix = 24;
  std::uint32_t mtu = 1500;
  std::optional<Ipv6At> v6 = std::nullopt;
};

// topology: nftables. Isolation between networks, masquerading for those with a way out, published ports; and who a
// packet may say it is from.
struct FirewallWanted {
  struct Net {
    std::string network;
    std::string link;
    spec::Ipv4Net subnet;
    bool internal = false;
    std::optional<spec::Ipv6Net> subnet6 = std::nullopt;
  };
  struct Forward {
    std::string service;
    spec::PortForward port;
    spec::Ipv4 to;     // the service's address
    std::string link;  // the bridge behind which it is
    std::optional<spec::Ipv6> to6 = std::nullopt;
  };
  struct Port {
    std::string link;  // host end of a service's veth
    spec::Ipv4 address;
    std::optional<spec::Ipv6> address6 = std::nullopt;
  };
  std::string table;
  std::string comment;
  std::vector<Net> networks;      // sorted by name
  std::vector<Forward> forwards;  // sorted
  std::vector<Port> ports;        // whose sources are checked: spoof_model.hpp
};

// volume: a directory made component by component, or a tmpfs pinned under the runtime directory.
struct DirectoryWanted {
  spec::VolumeType type = spec::VolumeType::kPersistent;
  std::string path;  // where the contents are: the volume's own path, or Directories::VolumeMount
  std::optional<std::uint32_t> uid, gid;
  std::optional<std::uint32_t> mode;  // none: kDefaultVolumeMode when it is made
  Bytes size = 0;
};

struct CgroupWanted {
  std::string path;  // relative, names.hpp
  std::string owner_tag;
  Facts limits;  // interface file -> value, as the kernel prints it: "memory.max", "cpu.max", "pids.max", "io.max:8:0"
  std::vector<std::string> unavailable;  // limits asked for that this machine has no controller for (agent mode)
};

// What may leave a network namespace, as rules inside of it: egress_model.hpp. Answers and loopback always may.
struct EgressWanted {
  struct Allowed {
    spec::IpNet to;
    std::optional<spec::IpAddress> except;  // the host's own address there; of the same family
    bool every_port = false;                // whatever the ports are
  };
  std::vector<spec::IpAddress> resolvers;  // DNS to these
  std::vector<Allowed> allowed;
  std::vector<std::uint16_t> tcp_ports, udp_ports;  // none of both: every port and protocol
  bool v6 = false;                                  // there is IPv6, whose neighbours are found by ICMP
  std::vector<std::string> domains;                 // what these stand for is allowed too
  bool domains_must_resolve = false;                // at the start: production
  bool may_lack = false;                            // go on, with a warning, where the rules cannot be had
};

struct NetnsWanted {
  struct Attachment {
    std::string network;
    std::string bridge;     // host link name
    std::string host_link;  // veth end on the host
    std::string link;       // inside, where nothing else has the name: eth0, eth1, ...
    spec::Ipv4 address;
    std::uint8_t prefix = 24;
    std::optional<spec::Ipv4> gateway;  // default route; the first attachment that has a way out carries it
    std::uint32_t mtu = 1500;
    std::optional<Ipv6At> v6 = std::nullopt;
    std::optional<spec::Ipv6> gateway6 = std::nullopt;  // the same, of the first that has IPv6 and a way out
  };
  std::string pin;                      // path of the nsfs bind mount
  std::string alias;                    // for the host ends
  std::vector<Attachment> attachments;  // none: loopback only
  std::optional<EgressWanted> egress;   // none: whatever its networks lead to
  bool userspace = false;               // the way out is the link of a program, which comes and goes with the process
  bool userspace_v6 = false;            // and has IPv6
  bool nested = false;                  // in a user namespace, which has not every group
  bool routes_itself = false;           // it may have capabilities there: rules and tables besides main are its affair
};

// service: the files bind mounted over /etc/hosts, /etc/resolv.conf, /etc/hostname. Rewritten in place.
struct NamesWanted {
  std::string directory;
  std::string hosts;
  std::string resolv_conf;
  std::string hostname;
};

// service: the supervisor and the workload. `digest` is over everything whose change needs a new process.
struct ProcessWanted {
  std::shared_ptr<const spec::Service> service;
  std::string directory;                            // Directories::ServiceDir
  std::string cgroup;                               // relative, names.hpp
  std::string netns;                                // pin
  std::map<std::string, std::string> volume_paths;  // named volume -> host path
  Digest digest;
  Digest policy_digest;                      // over supervision settings, which change live
  std::map<std::string, std::string> files;  // config files staged: destination -> contents digest
  std::optional<NetworkHelp> network{};      // none: the kernel does all of it
};

using Wanted =
    std::variant<BridgeWanted, FirewallWanted, DirectoryWanted, CgroupWanted, NetnsWanted, NamesWanted, ProcessWanted>;

// The facts a part would have after a perfect Apply. Names and values are documented at each actuator's probe.
Facts ExpectedFacts(const Wanted& wanted);
Facts ExpectedFacts(const BridgeWanted& wanted);     // link, alias, address, mtu, up
Facts ExpectedFacts(const FirewallWanted& wanted);   // see actuators/netns/firewall_facts.hpp for the rule facts
Facts ExpectedFacts(const DirectoryWanted& wanted);  // type, uid, gid, mode, size
Facts ExpectedFacts(const CgroupWanted& wanted);     // owner, and one per limit
Facts ExpectedFacts(const NetnsWanted& wanted);      // lo, and per link: bridge, address, up, mtu; default route
Facts ExpectedFacts(const NamesWanted& wanted);      // digests of the three files
Facts ExpectedFacts(const ProcessWanted& wanted);    // state=running, digest, policy, frozen=0, cgroup, namespace

inline constexpr std::string_view kMountedFact =
    "mounted ";  // of a process: that a name file or a volume it has is none any more
inline constexpr std::string_view kPinnedNamespace = "as pinned";  // of a process: it is in the one of its service

// What an actuator's probe is asked: the parts of one project that somebody believes in. The answer also has every
// other part of the same kind that carries the project's tags, so that orphans are found.
struct ProbeRequest {
  std::string project;
  std::map<PartKey, Wanted> parts;
  bool only_asked = false;  // the search for orphans may be left out
};

// What the machine can do, found once per command.
struct Host {
  std::vector<std::string> controllers;  // of the cgroup2 subtree we may use: "memory", "cpu", "pids", "io"
  bool cgroup_usable = false;            // a cgroup2 hierarchy that we may write
  std::string boot_id;
  std::uint64_t memory = 0;           // bytes
  std::vector<spec::Ipv4Net> routes;  // subnets reached over links that are not ours
  std::vector<spec::Ipv6Net> routes6;
  bool privileged = false;  // effective CAP_SYS_ADMIN and CAP_NET_ADMIN
  // An ordinary user's machine, in a user namespace: what is published comes by a program in user space, told apart by
  // its port alone.
  bool nested = false;
};

}  // namespace nucleus
