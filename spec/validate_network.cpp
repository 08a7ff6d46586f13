#include <algorithm>

#include "spec/net.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

void ValidateSubnet(const Network& network, std::size_t members, Reader& reader) {
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
  for (const auto& route : reader.outside().host_routes()) {
    if (!Overlap(*network.subnet, route)) continue;
    reader.Report(place, "subnet: " + Format(*network.subnet) + " overlaps " + Format(route) +
                             ", which this machine reaches already");
    return;
  }
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
  for (auto one = topology.networks.begin(); one != topology.networks.end(); ++one) {
    for (auto other = std::next(one); other != topology.networks.end(); ++other) {
      if (!one->second.subnet || !other->second.subnet || !Overlap(*one->second.subnet, *other->second.subnet))
        continue;
      reader.Report(PlaceOf(other->second, "subnet"), "subnet: " + Format(*other->second.subnet) +
                                                          " overlaps that of '" + one->first + "' at " +
                                                          reader.PlaceText(PlaceOf(one->second, "subnet")));
    }
  }
}

bool Clash(const PortForward& a, const PortForward& b) {
  return a.protocol == b.protocol && a.host_port == b.host_port &&
         (!a.host_ip || !b.host_ip || *a.host_ip == *b.host_ip);
}

}  // namespace

void ValidateNetworks(const Topology& topology, Reader& reader) {
  for (const auto& [name, network] : topology.networks) {
    const auto members = std::ranges::count_if(topology.services, [&name = name](const auto& service) {
      return std::ranges::find(service.second.networks, name) != service.second.networks.end();
    });
    if (network.subnet) ValidateSubnet(network, static_cast<std::size_t>(members), reader);
    if (network.gateway) ValidateGateway(network, reader);
  }
  ValidateOverlaps(topology, reader);
}

void ValidatePorts(const Topology& topology, Reader& reader) {
  // Sorted by port, only neighbours can clash.
  std::vector<std::pair<PortForward, const Service*>> all;
  for (const auto& [name, service] : topology.services) {
    for (const auto& port : service.port_forwards) all.emplace_back(port, &service);
  }
  const auto key = [](const auto& entry) { return std::pair(entry.first.protocol, entry.first.host_port); };
  std::ranges::stable_sort(all, {}, key);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size() && key(all[j]) == key(all[i]); ++j) {
      if (!Clash(all[i].first, all[j].first) || (all[i].second == all[j].second && all[i].first == all[j].first))
        continue;
      reader.Report(PlaceOf(*all[j].second, "port_forwards"),
                    "port_forwards: " + Format(all[j].first) + " clashes with " + Format(all[i].first) + " of '" +
                        all[i].second->name + "' at " + reader.PlaceText(PlaceOf(*all[i].second, "port_forwards")));
    }
  }
}

}  // namespace nucleus::spec
