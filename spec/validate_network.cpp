#include <algorithm>
#include <tuple>

#include "spec/net.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

void ValidateSubnet(const Network& network, std::size_t members, const std::vector<Ipv4Net>& routes, Reader& reader) {
  const Place place = PlaceOf(network, "subnet");
  if (network.subnet->prefix < 8 || network.subnet->prefix > 30) {
    reader.Report(place, "subnet: " + Format(*network.subnet) + " is not between /8 and /30");
    return;
  }
  // Network, gateway and broadcast are taken.
  const std::uint64_t room = (1ULL << (32 - network.subnet->prefix)) - 3;
  if (members > room) {
    reader.Report(place, "subnet: " + Format(*network.subnet) + " has room for " + std::to_string(room) +
                             " services, and " + std::to_string(members) + " are on it");
  }
  for (const auto& route : routes) {
    if (!Overlap(*network.subnet, route)) continue;
    reader.Report(place, "subnet: " + Format(*network.subnet) + " overlaps " + Format(route) +
                             ", which this machine reaches already");
    return;
  }
}

// Every address of the IPv4 subnet has its counterpart. A subnet that is chosen is a /24.
void ValidateSubnet6(const Network& network, Reader& reader) {
  constexpr int kChosen = 24;
  constexpr std::uint32_t kLeastMtu = 1280;  // RFC 8200
  if (network.mtu != 0 && network.mtu < kLeastMtu) {
    reader.Report(PlaceOf(network, "mtu"), "mtu: IPv6 (subnet6) needs " + std::to_string(kLeastMtu) + " at least");
  }
  const int host_bits = 32 - (network.subnet ? network.subnet->prefix : kChosen);
  const auto& subnet = *network.subnet6;
  if (subnet.prefix >= 8 && subnet.prefix + host_bits <= 128 && !IsLinkLocal(subnet.base) &&
      subnet.base.bytes[0] != 0 && subnet.base.bytes[0] != 0xff)
    return;
  reader.Report(PlaceOf(network, "subnet6"),
                "subnet6: " + Format(subnet) +
                    (subnet.prefix + host_bits > 128
                         ? " has no room for the counterparts of the IPv4 addresses; it may be a /" +
                               std::to_string(128 - host_bits) + " at most"
                         : std::string(" is none that a network can have; write for example fd00:42::/64")));
}

void ValidateGateway(const Network& network, Reader& reader) {
  const Place place = PlaceOf(network, "gateway");
  if (!network.subnet) {
    reader.Report(place, "gateway: needs a subnet");
  } else if (!Contains(*network.subnet, *network.gateway) || *network.gateway == network.subnet->base ||
             *network.gateway == Broadcast(*network.subnet)) {
    reader.Report(place, "gateway: " + Format(*network.gateway) + " is not an address of " + Format(*network.subnet));
  }
}

void ValidateOverlaps(const Topology& topology, Reader& reader) {
  std::vector<const Network*> sorted;
  for (const auto& [name, network] : topology.networks) {
    if (network.subnet) sorted.push_back(&network);
  }
  // Sorted by address, larger ones first: a subnet overlaps one before it when it overlaps the one that reaches
  // furthest.
  std::ranges::stable_sort(sorted, [](const Network* a, const Network* b) {
    return std::tuple(a->subnet->base, a->subnet->prefix) < std::tuple(b->subnet->base, b->subnet->prefix);
  });
  const Network* furthest = nullptr;
  for (const Network* network : sorted) {
    if (furthest == nullptr || !Overlap(*furthest->subnet, *network->subnet)) {
      furthest = network;
      continue;
    }
    // The one that is further down in the file is told of the other.
    const Place a = PlaceOf(*furthest, "subnet");
    const Place b = PlaceOf(*network, "subnet");
    const bool in_order = std::tuple(a.file, a.line, a.column) < std::tuple(b.file, b.line, b.column);
    const Network& one = in_order ? *furthest : *network;
    const Network& other = in_order ? *network : *furthest;
    reader.Report(PlaceOf(other, "subnet"), "subnet: " + Format(*other.subnet) + " overlaps that of '" + one.name +
                                                "' at " + reader.PlaceText(PlaceOf(one, "subnet")));
  }
}

// Few networks have one.
void ValidateOverlaps6(const Topology& topology, Reader& reader) {
  std::vector<const Network*> seen;
  for (const auto& [name, network] : topology.networks) {
    if (!network.subnet6) continue;
    seen.push_back(&network);
  }
  std::ranges::stable_sort(seen, {}, [](const Network* network) { return network->subnet6->base; });
  // Of what lies before it by address, the one that reaches furthest is the one to meet.
  const Network* furthest = nullptr;
  for (const Network* network : seen) {
    if (furthest == nullptr || !Overlap(*furthest->subnet6, *network->subnet6)) {
      furthest = network;
      continue;
    }
    reader.Report(PlaceOf(*network, "subnet6"), "subnet6: " + Format(*network->subnet6) + " overlaps that of '" +
                                                    furthest->name + "' at " +
                                                    reader.PlaceText(PlaceOf(*furthest, "subnet6")));
  }
}

}  // namespace

void TakenAddresses::Add(const Service& service, Reader& reader) {
  if (!service.address || service.networks.empty()) return;
  const auto [other, fresh] = taken_.try_emplace(*service.address, &service);
  if (fresh) return;
  reader.Report(PlaceOf(service, "address"), "address: " + Format(*service.address) + " is that of '" +
                                                 other->second->name + "' at " +
                                                 reader.PlaceText(PlaceOf(*other->second, "address")));
}

void ValidateNetworks(const Topology& topology, Members members, Reader& reader) {
  const auto routes = reader.outside().host_routes && !topology.networks.empty() ? reader.outside().host_routes()
                                                                                 : std::vector<Ipv4Net>();
  for (const auto& [name, network] : topology.networks) {
    if (network.subnet) ValidateSubnet(network, members[name], routes, reader);
    if (network.gateway) ValidateGateway(network, reader);
    if (network.subnet6) ValidateSubnet6(network, reader);
  }
  ValidateOverlaps(topology, reader);
  ValidateOverlaps6(topology, reader);
}

const TakenPorts::Taken* TakenPorts::Holders::Of(const std::optional<IpAddress>& address) const {
  const auto found = by_address.find(address);
  return found == by_address.end() ? nullptr : &found->second;
}

const TakenPorts::Taken* TakenPorts::Holders::InTheWayOf(const PortForward& forward) const {
  if (by_address.empty()) return nullptr;
  if (const Taken* same = Of(forward.host_ip)) return same;
  if (const Taken* all = Of(std::nullopt)) return all;
  if (!forward.host_ip) return &first;
  const bool v6 = IsV6(*forward.host_ip);
  if (const Taken* all_of_family = Of(v6 ? IpAddress(Ipv6{}) : IpAddress(Ipv4{}))) return all_of_family;
  const auto family = by_family.find(v6);
  return IsUnspecified(*forward.host_ip) && family != by_family.end() ? &family->second : nullptr;
}

void TakenPorts::Add(const Service& service, Reader& reader) {
  for (const auto& forward : service.port_forwards) {
    auto& holders = ports_[{forward.protocol, forward.host_port}];
    if (const Taken* other = holders.InTheWayOf(forward)) {
      reader.Report(PlaceOfItem(service, "port_forwards", Format(forward)),
                    "port_forwards: " + Format(forward) + " clashes with " + Format(*other->forward) + " of '" +
                        other->service->name + "' at " +
                        reader.PlaceText(PlaceOfItem(*other->service, "port_forwards", Format(*other->forward))));
      continue;
    }
    const Taken self{&forward, &service};
    if (holders.by_address.empty()) holders.first = self;
    holders.by_address.emplace(forward.host_ip, self);
    if (forward.host_ip) holders.by_family.emplace(IsV6(*forward.host_ip), self);
  }
}

}  // namespace nucleus::spec
