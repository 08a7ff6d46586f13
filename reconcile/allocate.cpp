#include "reconcile/allocate.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "reconcile/place.hpp"
#include "spec/net.hpp"

namespace nucleus::reconcile {

namespace {

// Where subnets are chosen: 10.89.0.0/24 up to 10.127.255.0/24, clear of the usual 10.0.0.0/16 and 10.42.0.0/16.
constexpr std::uint32_t kFirstChosen = (10u << 24) | (89u << 16);
constexpr std::uint32_t kEndChosen = (10u << 24) | (128u << 16);
constexpr std::uint32_t kChosenSize = 256;
constexpr std::uint8_t kChosenPrefix = 24;

// What a new subnet must keep clear of, and why.
using Occupied = std::vector<spec::Ipv4Net>;

bool Free(const spec::Ipv4Net& net, const Occupied& occupied) {
  return std::none_of(occupied.begin(), occupied.end(), [&](const auto& other) { return spec::Overlap(net, other); });
}

Result<spec::Ipv4Net> ChooseSubnet(const Occupied& occupied, std::uint32_t& cursor, std::string_view network) {
  for (; cursor < kEndChosen; cursor += kChosenSize) {
    const spec::Ipv4Net net{{cursor}, kChosenPrefix};
    if (!Free(net, occupied)) continue;
    cursor += kChosenSize;
    return net;
  }
  return Fail(Error::Of(ErrorCode::kConflict, "choose a subnet for", "network." + std::string(network),
                        "every /24 from 10.89.0.0 to 10.127.255.0 is in use")
                  .Hint("name one: subnet = \"...\""));
}

// routes: what the machine reaches otherwise.
Result<> CheckDeclared(const spec::Topology& desired, const spec::Network& network, const Taken& taken,
                       const std::vector<spec::Ipv4Net>& routes) {
  const spec::Ipv4Net& subnet = *network.subnet;
  const auto refuse = [&](const std::string& other) {
    return Fail(Error::Of(ErrorCode::kConflict, "take subnet", "network." + network.name,
                          spec::Format(subnet) + " overlaps " + other)
                    .In(ExactPlaceText(FindPlace(network.places, "subnet"), desired.files)));
  };
  for (const auto& [other, owner] : taken.subnets) {
    if (!spec::Overlap(subnet, other)) continue;
    return refuse(spec::Format(other) + " of " + owner);
  }
  for (const auto& other : routes) {
    if (spec::Overlap(subnet, other)) return refuse(spec::Format(other) + ", which this machine reaches already");
  }
  return {};
}

Result<> CheckDeclared6(const spec::Topology& desired, const spec::Network& network, const Applied& applied,
                        const Taken& taken, const std::vector<spec::Ipv6Net>& routes) {
  const auto refuse = [&](const std::string& other) {
    return Fail(Error::Of(ErrorCode::kConflict, "take subnet", "network." + network.name,
                          spec::Format(*network.subnet6) + " overlaps " + other)
                    .In(ExactPlaceText(FindPlace(network.places, "subnet6"), desired.files)));
  };
  for (const auto& [other, owner] : taken.subnets6) {
    if (spec::Overlap(*network.subnet6, other)) return refuse(spec::Format(other) + " of " + owner);
  }
  const auto before = applied.topology.networks.find(network.name);
  if (before != applied.topology.networks.end() && before->second.subnet6 == network.subnet6) return {};
  for (const auto& other : routes) {
    if (spec::Overlap(*network.subnet6, other))
      return refuse(spec::Format(other) + ", which this machine reaches already");
  }
  return {};
}

// Whether a program in user space is the way out of it.
bool LeadsOutInUserspace(const spec::Topology& topology, const std::string& network, bool nested) {
  return nested || std::ranges::any_of(topology.services, [&](const auto& entry) {
           const auto& [name, service] = entry;
           return spec::IsUserspace(service.nat_backend) &&
                  std::ranges::find(service.networks, network) != service.networks.end();
         });
}

// Such a program has addresses of its own, which are the same everywhere. What is so already stays.
Result<> CheckUserspace(const spec::Topology& desired, const spec::Network& network, const Applied& applied,
                        bool nested) {
  const bool meets = network.subnet && spec::Overlap(*network.subnet, kUserspaceSubnet);
  const bool meets6 = network.subnet6 && spec::Overlap(*network.subnet6, kUserspaceSubnet6);
  if ((!meets && !meets6) || !LeadsOutInUserspace(desired, network.name, nested)) return {};
  const auto before = applied.topology.networks.find(network.name);
  if (before != applied.topology.networks.end() && before->second.subnet == network.subnet &&
      before->second.subnet6 == network.subnet6 && LeadsOutInUserspace(applied.topology, network.name, nested))
    return {};
  const std::string wanted = meets ? spec::Format(*network.subnet) : spec::Format(*network.subnet6);
  const std::string own = meets ? spec::Format(kUserspaceSubnet) : spec::Format(kUserspaceSubnet6);
  return Fail(Error::Of(ErrorCode::kConflict, "take subnet", "network." + network.name,
                        wanted + " overlaps " + own + ", which its way out in user space has")
                  .In(ExactPlaceText(FindPlace(network.places, meets ? "subnet" : "subnet6"), desired.files)));
}

std::map<std::string, spec::Ipv4Net> AppliedSubnets(const Applied& applied) {
  auto subnets = applied.subnets;
  for (const auto& [name, network] : applied.topology.networks) {
    if (network.subnet) subnets[SubnetKey(name)] = *network.subnet;
  }
  return subnets;
}

Result<> AllocateSubnets(const spec::Topology& desired, const Applied& applied, const Host& host, const Taken& taken,
                         Leases& leases) {
  Occupied held;
  for (const auto& [net, owner] : taken.subnets) held.push_back(net);
  const auto before = AppliedSubnets(applied);
  for (const auto& [name, network] : desired.networks) {
    TRY(CheckUserspace(desired, network, applied, host.nested));
    if (network.subnet6) TRY(CheckDeclared6(desired, network, applied, taken, host.routes6));
    if (!network.subnet) continue;
    const auto had = before.find(SubnetKey(name));
    const bool is_new = had == before.end() || had->second != *network.subnet;
    TRY(CheckDeclared(desired, network, taken, is_new ? host.routes : std::vector<spec::Ipv4Net>()));
    leases.subnets[SubnetKey(name)] = *network.subnet;
    held.push_back(*network.subnet);
  }
  Occupied occupied = held;
  occupied.insert(occupied.end(), host.routes.begin(), host.routes.end());
  std::vector<std::string_view> open;
  for (const auto& [name, network] : desired.networks) {
    if (network.subnet) continue;
    // What is in use stays, whatever else the machine reaches by now: routes count when a subnet is chosen.
    const auto lease = before.find(SubnetKey(name));
    if (lease == before.end() || !Free(lease->second, held)) {
      open.push_back(name);
      continue;
    }
    leases.subnets[lease->first] = lease->second;
    occupied.push_back(lease->second);
    held.push_back(lease->second);
  }
  // Subnets of networks that are on their way out are in use until they are gone.
  for (const auto& [key, net] : before) {
    if (!leases.subnets.contains(key)) occupied.push_back(net);
  }
  std::uint32_t cursor = kFirstChosen;
  for (const auto name : open) leases.subnets[SubnetKey(name)] = TRY(ChooseSubnet(occupied, cursor, name));
  return {};
}

// The addresses of one network.
class Pool {
 public:
  Pool(const spec::Network& network, const spec::Ipv4Net& subnet)
      : subnet_(subnet), broadcast_(spec::Broadcast(subnet)), cursor_(subnet.base.value + 1) {
    used_.insert(GatewayOf(network, subnet).value);
  }

  bool Take(spec::Ipv4 address) {
    const bool inside = spec::Contains(subnet_, address) && address != subnet_.base && address < broadcast_;
    return inside && used_.insert(address.value).second;
  }

  std::optional<spec::Ipv4> TakeLowest() {
    while (cursor_ < broadcast_.value) {
      const std::uint32_t candidate = cursor_++;
      if (used_.insert(candidate).second) return spec::Ipv4{candidate};
    }
    return std::nullopt;
  }

  [[nodiscard]] const spec::Ipv4Net& subnet() const { return subnet_; }

 private:
  spec::Ipv4Net subnet_;
  spec::Ipv4 broadcast_;
  std::uint32_t cursor_;
  std::unordered_set<std::uint32_t> used_;
};

using Pools = std::unordered_map<std::string_view, Pool>;  // by network

// A service on a network: in the order of the services.
struct Place {
  const spec::Service* service;
  Pool* pool;
  std::string_view network;
  bool has_lease = false;
};

std::vector<Place> PlacesOf(const spec::Topology& desired, Pools& pools) {
  std::vector<Place> places;
  places.reserve(desired.services.size());
  for (const auto& [name, service] : desired.services) {
    if (spec::IsUserspace(service.nat_backend)) continue;  // it is on none of them
    for (const auto& network : service.networks) {
      // What is not there was refused by the loader.
      if (const auto pool = pools.find(network); pool != pools.end())
        places.push_back({&service, &pool->second, network});
    }
  }
  return places;
}

// Addresses that services name themselves; the loader has seen that they fit, and that there is one of each.
void TakeDeclared(std::vector<Place>& places, Leases& leases) {
  for (auto& place : places) {
    const auto& [service, pool, network, has_lease] = place;
    if (!service->address || network != service->networks.front() || !pool->Take(*service->address)) continue;
    leases.addresses[AddressKey(service->name, network)] = *service->address;
    place.has_lease = true;
  }
}

// Keeps the leases of services that are still attached, and blocks those of services that are on their way out.
void KeepLeases(const Applied& applied, Pools& pools, std::vector<Place>& places, Leases& leases) {
  if (applied.addresses.empty()) return;
  std::unordered_map<Attached, Place*, Attached::Hash> staying;
  staying.reserve(places.size());
  for (auto& place : places) staying.emplace(Attached{place.service->name, place.network}, &place);
  std::vector<std::pair<Pool*, spec::Ipv4>> leaving;
  for (const auto& [key, address] : applied.addresses) {
    const auto attached = ParseAddressKey(key);
    const auto found = attached ? staying.find(*attached) : staying.end();
    if (found != staying.end()) {
      // Not of who has named another one by now.
      if (found->second->has_lease || !found->second->pool->Take(address)) continue;
      found->second->has_lease = true;
      leases.addresses.emplace_hint(leases.addresses.end(), key, address);
    } else if (const auto slash = key.find('/'); slash != std::string::npos) {
      const auto pool = pools.find(std::string_view(key).substr(slash + 1));
      if (pool != pools.end()) leaving.emplace_back(&pool->second, address);
    }
  }
  for (const auto& [pool, address] : leaving) pool->Take(address);
}

constexpr std::string_view kServicePrefix = "service.";

}  // namespace

std::string AddressKey(std::string_view service, std::string_view network) {
  std::string key;
  key.reserve(kServicePrefix.size() + 1 + service.size() + network.size());
  return key.append(kServicePrefix).append(service).append("/").append(network);
}

std::optional<Attached> ParseAddressKey(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos || !key.starts_with(kServicePrefix)) return std::nullopt;
  return Attached{key.substr(kServicePrefix.size(), slash - kServicePrefix.size()), key.substr(slash + 1)};
}

std::string SubnetKey(std::string_view network) {
  return std::string("network.").append(network);
}

spec::Ipv4 GatewayOf(const spec::Network& network, const spec::Ipv4Net& subnet) {
  return network.gateway.value_or(spec::Ipv4{subnet.base.value + 1});
}

Leases AppliedLeases(const Applied& applied) {
  Leases leases;
  leases.addresses = applied.addresses;
  leases.subnets = AppliedSubnets(applied);
  return leases;
}

Result<Leases> Allocate(const spec::Topology& desired, const Applied& applied, const Host& host, const Taken& taken) {
  Leases leases;
  TRY(AllocateSubnets(desired, applied, host, taken, leases));
  Pools pools;
  for (const auto& [name, network] : desired.networks) {
    pools.emplace(name, Pool(network, leases.subnets.at(SubnetKey(name))));
  }
  auto places = PlacesOf(desired, pools);
  TakeDeclared(places, leases);
  KeepLeases(applied, pools, places, leases);
  for (const auto& [service, pool, network, has_lease] : places) {
    if (has_lease) continue;
    const auto [lease, fresh] = leases.addresses.try_emplace(AddressKey(service->name, network));
    if (!fresh) continue;  // it is on the same network twice
    const auto address = pool->TakeLowest();
    if (!address) {
      return Fail(Error::Of(ErrorCode::kConflict, "choose an address for", "service." + service->name,
                            "network." + std::string(network) + " has none left in " + spec::Format(pool->subnet()))
                      .Hint("give the network a larger subnet"));
    }
    lease->second = *address;
  }
  return leases;
}

}  // namespace nucleus::reconcile
