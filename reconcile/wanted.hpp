// From typed resources to what every part of them should be. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reconcile/allocate.hpp"
#include "spec/core/names.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::reconcile {

// The parts of a kind of resource, in the order in which they are made.
std::span<const Part> PartsOf(Kind kind);
// The one that stands for the resource where a single part has to.
Part MainPart(Kind kind);

// One of the two topologies, desired or applied, with its leases. Everything it is given outlives it. Once made it only
// answers, so several threads may ask.
class Side {
 public:
  // kind: what its services are called by, kContainer for those started by hand.
  Side(const spec::Topology& topology, const Leases& leases, const Host& host, const Directories& directories,
       Kind kind = Kind::kService);

  // None where the resource has no such part here: a firewall without networks, a cgroup on a machine without cgroup2.
  // The Wanted of a process points at the service of this topology; OwnService() makes it independent.
  [[nodiscard]] std::optional<FirewallWanted> Firewall() const;
  [[nodiscard]] BridgeWanted Bridge(const spec::Network& network) const;
  [[nodiscard]] DirectoryWanted Directory(const spec::Volume& volume) const;
  [[nodiscard]] std::optional<CgroupWanted> Cgroup(const spec::Service& service) const;
  [[nodiscard]] NetnsWanted Netns(const spec::Service& service) const;
  [[nodiscard]] NamesWanted Names(const spec::Service& service) const;
  // Without digests: of one that no other is compared with.
  [[nodiscard]] ProcessWanted Process(const spec::Service& service) const;
  [[nodiscard]] ProcessWanted Process(const spec::Service& service, const spec::Fields& fields) const;
  [[nodiscard]] std::optional<Wanted> Of(const spec::Service& service, const spec::Fields& fields, Part part) const;

  // Whether Of() has such a part.
  [[nodiscard]] bool Has(const spec::Service& service, Part part) const;

  // Keys of limits that this machine cannot hold.
  [[nodiscard]] std::vector<std::string> Unheld(const spec::Service& service) const;
  [[nodiscard]] bool HasCgroups() const;

  [[nodiscard]] const spec::Topology& topology() const { return *topology_; }

 private:
  // What the services on a network have in common.
  struct Joined {
    const spec::Network* network = nullptr;
    std::optional<spec::Ipv4Net> subnet;
    std::optional<spec::Ipv6Net> subnet6;
    std::string bridge;
    struct Lines {
      std::size_t begin = 0, end = 0;
    };
    std::string hosts;                                 // a line for every service on it, and address of that
    std::unordered_map<std::string_view, Lines> told;  // by service: its own of them
  };
  // The counterpart of an address on a network that has IPv6.
  static std::optional<Ipv6At> V6Of(const Joined& joined, spec::Ipv4 address);
  [[nodiscard]] const Joined* JoinedTo(std::string_view network) const;
  [[nodiscard]] std::optional<spec::Ipv4> AddressOf(const spec::Service& service, std::string_view network) const;
  [[nodiscard]] Address AddressOf(const spec::Service& service) const { return {kind_, service.name}; }
  [[nodiscard]] std::string PathOf(const spec::Volume& volume) const;
  // Its way out is a program's, in the place of links to its networks.
  [[nodiscard]] bool InUserspace(const spec::Service& service) const;
  // One of its networks does.
  [[nodiscard]] bool HasIpv6(const spec::Service& service) const;
  [[nodiscard]] std::optional<NetworkHelp> Help(const spec::Service& service) const;

  const spec::Topology* topology_;
  const Host* host_;
  const Directories* directories_;
  Kind kind_;
  std::unordered_map<Attached, spec::Ipv4, Attached::Hash> addresses_;  // the leases
  std::unordered_map<std::string_view, Joined> networks_;
};

// Whether rules say where a service may send to: those it was given, or those that production has by itself.
bool HasEgressRules(const spec::Service& service);

// Errors: a volume whose owner is given by name, which only the container's own files could resolve.
Result<> CheckVolumes(const spec::Topology& topology);

// A process part that no longer depends on the life of a topology.
void OwnService(Wanted& wanted);

}  // namespace nucleus::reconcile
