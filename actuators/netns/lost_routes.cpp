#include "actuators/netns/lost_routes.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>

#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// A link that has a master which is no bridge may be in a VRF, which has tables of its own.
using RouteKey = std::tuple<int, std::uint32_t, std::uint8_t, spec::IpNet>;
RouteKey KeyOf(const Route& route, const Link& link) {
  return {route.index, link.master == 0 ? route.table : RT_TABLE_UNSPEC, route.type, route.to};
}

Route RouteTo(const spec::IpNet& to, int index) {
  Route route;
  route.to = to;
  route.index = index;
  return route;
}

Route LocalTo(const spec::IpNet& to, int index) {
  Route route = RouteTo(to, index);
  route.table = RT_TABLE_LOCAL;
  route.type = RTN_LOCAL;
  return route;
}

std::vector<Route> ExpectedRoutes(const LinkAddress& of, const Link& link) {
  if (const auto* v6 = std::get_if<spec::Ipv6>(&of.address)) {
    if (of.prefix == 128) return {};
    return {RouteTo(spec::NetOf(*v6, of.prefix), link.index)};
  }
  const auto v4 = std::get<spec::Ipv4>(of.address);
  std::vector<Route> expected{LocalTo(spec::NetOf(v4, 32), link.index)};
  const auto subnet = spec::NetOf(v4, of.prefix);
  const bool is_zeronet = (subnet.base.value >> 24) == 0;
  if (of.prefix < 32 && !is_zeronet)
    expected.push_back(link.name == "lo" ? LocalTo(subnet, link.index) : RouteTo(subnet, link.index));
  return expected;
}

}  // namespace

bool KeepsRoutes(const Link& link) {
  return link.kind == "veth" || link.name == "lo";
}

std::vector<LostRoute> LostRoutes(const Snapshot& snapshot, std::vector<const Link*> links) {
  // A workload may have any number of all three.
  std::ranges::sort(links, {}, &Link::index);
  const auto find = [&](int index) {
    const auto found = std::ranges::lower_bound(links, index, {}, &Link::index);
    return found == links.end() || (*found)->index != index ? nullptr : *found;
  };
  std::set<RouteKey> there;
  for (const auto& route : snapshot.routes) {
    const Link* link = find(route.index);
    if (link != nullptr && !route.gateway && (route.kernels || route.IsOrdinary())) there.insert(KeyOf(route, *link));
  }
  std::vector<LostRoute> lost;
  for (const auto& address : snapshot.addresses) {
    const Link* link = find(address.index);
    if (link == nullptr || !link->up || !address.settled || address.peer) continue;
    // A program in user space makes its routes itself.
    if (!address.routed && link->kind == "tun") continue;
    for (const auto& route : ExpectedRoutes(address, *link))
      if (there.insert(KeyOf(route, *link)).second) lost.push_back({route, address});
  }
  std::ranges::stable_sort(lost, {}, [](const LostRoute& one) { return one.route.type != RTN_LOCAL; });
  return lost;
}

std::vector<LostRoute> LostRoutes(const Snapshot& snapshot) {
  std::vector<const Link*> links;
  for (const auto& link : snapshot.links)
    if (KeepsRoutes(link)) links.push_back(&link);
  return LostRoutes(snapshot, std::move(links));
}

Result<std::vector<LostRoute>> LostRoutesOf(Netlink& netlink, const Link& link) {
  Snapshot snapshot;
  if (!link.up) return std::vector<LostRoute>();
  snapshot.addresses = TRY(DumpAddresses(netlink, link.index, HasIpv6() ? AF_UNSPEC : AF_INET));
  snapshot.routes = TRY(DumpRoutesOver(netlink, link.index));
  return LostRoutes(snapshot, {&link});
}

}  // namespace nucleus::netns
