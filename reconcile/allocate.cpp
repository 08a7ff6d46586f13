#include "reconcile/allocate.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
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

Result<> AllocateSubnets(const spec::Topology& desired, const Applied& applied, const Host& host, const Taken& taken,
                         Leases& leases) {
  Occupied held;
  for (const auto& [net, owner] : taken.subnets) held.push_back(net);
  const Leases before = AppliedLeases(applied);
  for (const auto& [name, network] : desired.networks) {
    if (!network.subnet) continue;
    const auto had = before.subnets.find(SubnetKey(name));
    const bool is_new = had == before.subnets.end() || had->second != *network.subnet;
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
    const auto lease = before.subnets.find(SubnetKey(name));
    if (lease == before.subnets.end() || !Free(lease->second, held)) {
      open.push_back(name);
      continue;
    }
    leases.subnets[lease->first] = lease->second;
    occupied.push_back(lease->second);
    held.push_back(lease->second);
  }
  // Subnets of networks that are on their way out are in use until they are gone.
  for (const auto& [key, net] : before.subnets) {
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
  std::set<std::uint32_t> used_;
};

// Addresses that services name themselves; the loader has seen that they fit, and that there is one of each.
void TakeDeclared(const spec::Topology& desired, std::map<std::string, Pool, std::less<>>& pools, Leases& leases) {
  for (const auto& [name, service] : desired.services) {
    if (!service.address || service.networks.empty()) continue;
    const auto pool = pools.find(service.networks.front());
    if (pool == pools.end() || !pool->second.Take(*service.address)) continue;
    leases.addresses[AddressKey(name, service.networks.front())] = *service.address;
  }
}

// Keeps the leases of services that are still attached, and blocks those of services that are on their way out.
void KeepLeases(const spec::Topology& desired, const Applied& applied, std::map<std::string, Pool, std::less<>>& pools,
                Leases& leases) {
  // Who is attached to what, by the lease's key.
  std::unordered_map<std::string, Pool*> attached;
  attached.reserve(desired.services.size());
  for (const auto& [name, service] : desired.services) {
    for (const auto& network : service.networks) {
      if (const auto pool = pools.find(network); pool != pools.end())
        attached.emplace(AddressKey(name, network), &pool->second);
    }
  }
  std::vector<std::pair<Pool*, spec::Ipv4>> leaving;
  for (const auto& [key, address] : applied.addresses) {
    if (const auto staying = attached.find(key); staying != attached.end()) {
      // Not of who has named another one by now.
      if (!leases.addresses.contains(key) && staying->second->Take(address))
        leases.addresses.emplace_hint(leases.addresses.end(), key, address);
    } else if (const auto slash = key.find('/'); slash != std::string::npos) {
      const auto pool = pools.find(std::string_view(key).substr(slash + 1));
      if (pool != pools.end()) leaving.emplace_back(&pool->second, address);
    }
  }
  for (const auto& [pool, address] : leaving) pool->Take(address);
}

}  // namespace

std::string AddressKey(std::string_view service, std::string_view network) {
  std::string key;
  key.reserve(9 + service.size() + network.size());
  return key.append("service.").append(service).append("/").append(network);
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
  leases.subnets = applied.subnets;
  for (const auto& [name, network] : applied.topology.networks) {
    if (network.subnet) leases.subnets[SubnetKey(name)] = *network.subnet;
  }
  return leases;
}

Result<Leases> Allocate(const spec::Topology& desired, const Applied& applied, const Host& host, const Taken& taken) {
  Leases leases;
  TRY(AllocateSubnets(desired, applied, host, taken, leases));
  std::map<std::string, Pool, std::less<>> pools;
  for (const auto& [name, network] : desired.networks) {
    pools.emplace(name, Pool(network, leases.subnets.at(SubnetKey(name))));
  }
  TakeDeclared(desired, pools, leases);
  KeepLeases(desired, applied, pools, leases);
  for (const auto& [name, service] : desired.services) {
    for (const auto& network : service.networks) {
      const auto pool = pools.find(network);
      if (pool == pools.end()) continue;  // refused by the loader
      const auto [lease, fresh] = leases.addresses.try_emplace(AddressKey(name, network));
      if (!fresh) continue;
      const auto address = pool->second.TakeLowest();
      if (!address) {
        return Fail(Error::Of(ErrorCode::kConflict, "choose an address for", "service." + name,
                              "network." + network + " has none left in " + spec::Format(pool->second.subnet()))
                        .Hint("give the network a larger subnet"));
      }
      lease->second = *address;
    }
  }
  return leases;
}

}  // namespace nucleus::reconcile
