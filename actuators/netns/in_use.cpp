#include "actuators/netns/in_use.hpp"

#include <set>

#include "actuators/netns/host_view.hpp"
#include "actuators/netns/inside.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// network -> address of a namespace's links whose other ends are ports of these bridges and have the alias.
std::vector<std::pair<std::string, spec::Ipv4>> AddressesInUse(const HostView& host, const Snapshot& inside,
                                                               std::string_view alias,
                                                               const std::map<int, std::string>& bridges) {
  std::vector<std::pair<std::string, spec::Ipv4>> found;
  for (const auto& link : inside.links) {
    // A number alone says nothing: that of a link's other end is one of whatever namespace that is in.
    const Link* end = link.kind == "veth" ? host.Find(link.peer) : nullptr;
    if (end == nullptr || end->kind != "veth" || end->peer != link.index || end->alias != alias) continue;
    const auto bridge = bridges.find(end->master);
    if (bridge == bridges.end()) continue;
    for (const auto& one : inside.addresses) {
      const auto* v4 = std::get_if<spec::Ipv4>(&one.address);
      if (one.index == link.index && v4 != nullptr) found.emplace_back(bridge->second, *v4);
    }
  }
  return found;
}

// What the host reaches over links that are not the project's.
template <class Net>
Result<std::vector<Net>> RoutesOfOthers(const std::string& project, const std::vector<std::string>& networks,
                                        unsigned char family) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  const std::string tag = std::string(kAliasTag) + (project.empty() ? "" : project + "/");
  std::set<std::string> names;
  for (const auto& network : networks) names.insert(BridgeLink(project, network));
  std::map<int, std::vector<Net>> by_link;
  for (const auto& route : TRY(DumpRoutes(netlink, family))) {
    if (!route.IsDefault()) by_link[route.index].push_back(std::get<Net>(route.to));
  }
  std::set<Net> subnets;
  for (const auto& [index, routes] : by_link) {
    // Routes over several links at once name none, and are not ours.
    const auto link = index == 0 ? std::nullopt : TRY(GetLink(netlink, index));
    const bool named =
        link && link->kind == "bridge" && (project.empty() ? IsBridgeLink(link->name) : names.contains(link->name));
    if (!named && !(link && link->alias.starts_with(tag))) subnets.insert(routes.begin(), routes.end());
  }
  return std::vector<Net>(subnets.begin(), subnets.end());
}

}  // namespace

Result<std::vector<spec::Ipv4Net>> HostRoutes(const std::string& project, const std::vector<std::string>& networks) {
  return RoutesOfOthers<spec::Ipv4Net>(project, networks, AF_INET);
}

Result<std::vector<spec::Ipv6Net>> HostRoutes6(const std::string& project, const std::vector<std::string>& networks) {
  if (!HasIpv6()) return std::vector<spec::Ipv6Net>();
  return RoutesOfOthers<spec::Ipv6Net>(project, networks, AF_INET6);
}

Result<std::vector<spec::Ipv4Net>> AllRoutes() {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  std::vector<spec::Ipv4Net> all;
  for (const auto& route : TRY(DumpRoutes(netlink))) {
    if (!route.IsDefault()) all.push_back(std::get<spec::Ipv4Net>(route.to));
  }
  for (const auto& one : TRY(DumpAddresses(netlink, 0))) {
    const auto v4 = std::get<spec::Ipv4>(one.address);
    all.push_back({v4, 32});
    all.push_back(spec::NetOf(v4, one.prefix));
  }
  return all;
}

Result<LeasesInUse> FindLeasesInUse(const Directories& directories, const std::string& project) {
  LeasesInUse leases;
  const auto host = TRY(HostView::Take());
  std::map<int, std::string> networks;  // index of the bridge
  for (const auto& link : host.snapshot().links) {
    const auto owner = link.kind == "bridge" ? OwnerOf(link, project) : std::nullopt;
    if (!owner || owner->kind != Kind::kNetwork) continue;
    networks.emplace(link.index, owner->name);
    for (const auto& one : host.snapshot().addresses) {
      const auto* v4 = std::get_if<spec::Ipv4>(&one.address);
      if (one.index == link.index && v4 != nullptr)
        leases.subnets.try_emplace(owner->Text(), spec::NetOf(*v4, one.prefix));
    }
  }
  const auto services = PinnedServices(directories, project);
  std::vector<Place> places;
  for (const auto& service : services) places.push_back({directories.NetnsPin(project, service)});
  const auto seen = LookInside(places);
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (!seen[i].inside) continue;  // told by the probe of the part
    for (auto& [network, ip] :
         AddressesInUse(host, seen[i].inside->snapshot, LinkAlias(project, services[i]), networks)) {
      leases.addresses.try_emplace(services[i].Text() + "/" + network, ip);
    }
  }
  return leases;
}

}  // namespace nucleus::netns
