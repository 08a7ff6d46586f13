// Links, addresses and routes as the kernel lists them: rtnetlink(7).
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "actuators/netns/answers.hpp"
#include "actuators/netns/lost_routes.hpp"
#include "spec/net.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::netns {

namespace {

// linux/rtnetlink.h: RTEXT_FILTER_SKIP_STATS. Statistics are most of what a link has to say.
constexpr std::uint32_t kSkipStatistics = 1U << 3;

// What the messages of a dump say, as far as `read` makes something of them.
template <class T>
Result<std::vector<T>> DumpOf(Netlink& netlink, Message& message, std::string_view operation,
                              std::optional<T> (*read)(nlmsghdr*)) {
  std::vector<T> all;
  TRY(netlink.Dump(
      message, operation, [&] { all.clear(); },
      [&](nlmsghdr* header) {
        if (auto one = read(header)) all.push_back(*std::move(one));
      }));
  return all;
}

Result<std::optional<Link>> AnswerOf(Netlink& netlink, Message& message, std::string_view subject) {
  std::optional<Link> link;
  const auto got = netlink.Get(message, "look up link", subject, [&](nlmsghdr* header) { link = LinkOf(header); });
  if (!got && got.error().sys_errno != ENODEV) return Fail(got.error());
  return link;
}

// table RT_TABLE_UNSPEC: of all. index 0: over every link.
Result<std::vector<Route>> RoutesOf(Netlink& netlink, unsigned char family, unsigned char table, int index = 0) {
  auto message = Message::Question(RTM_GETROUTE);
  rtmsg filter{};
  filter.rtm_family = family;
  filter.rtm_table = table;
  message.Header(filter);
  if (index != 0) message.Put(RTA_OIF, index);
  auto routes = DumpOf(netlink, message, "list routes", RouteOf);
  // With strict checks, a table that was never used is an error; it is as good as empty.
  if (!routes && routes.error().sys_errno == ENOENT) return std::vector<Route>();
  return routes;
}

spec::IpAddress BaseOf(const spec::IpNet& net) {
  return std::visit([](const auto& of) { return spec::IpAddress(of.base); }, net);
}

// Whether a route's destination is among what an address has on its link.
bool IsWithin(const spec::IpNet& to, const LinkAddress& of) {
  if (const auto* v4 = std::get_if<spec::Ipv4Net>(&to)) {
    const auto* own = std::get_if<spec::Ipv4>(&of.address);
    return own != nullptr && v4->prefix >= of.prefix && spec::Overlap({v4->base, of.prefix}, {*own, of.prefix});
  }
  const auto& v6 = std::get<spec::Ipv6Net>(to);
  const auto* own = std::get_if<spec::Ipv6>(&of.address);
  return own != nullptr && v6.prefix >= of.prefix && spec::Overlap({v6.base, of.prefix}, {*own, of.prefix});
}

constexpr spec::Ipv6Net kMulticast6{{{0xff}}, 8};  // ff00::/8, addrconf_add_mroute() in net/ipv6/addrconf.c

}  // namespace

bool Route::IsDefault() const {
  return std::visit([](const auto& net) { return net.prefix == 0; }, to);
}

bool IsAttachment(const Link& inner, const Link& outer) {
  const bool pair =
      outer.kind == "veth" && inner.kind == "veth" && outer.peer == inner.index && inner.peer == outer.index;
  return pair && inner.alias == inner.name;
}

const Link* Snapshot::Find(std::string_view name) const {
  const auto it = std::ranges::find(links, name, &Link::name);
  return it == links.end() ? nullptr : &*it;
}

const Link* Snapshot::Find(int index) const {
  const auto it = std::ranges::find(links, index, &Link::index);
  return it == links.end() ? nullptr : &*it;
}

std::string Snapshot::AddressesOf(int index) const {
  std::vector<std::tuple<spec::IpAddress, std::uint8_t, std::optional<spec::IpAddress>>> found;
  for (const auto& one : addresses) {
    if (one.index == index) found.emplace_back(one.address, one.prefix, one.peer);
  }
  std::ranges::sort(found);
  std::string text;
  for (const auto& [address, prefix, peer] : found) {
    if (!text.empty()) text += ' ';
    text += spec::Format(address) + (peer ? ",peer=" + spec::Format(*peer) : "") + "/" + std::to_string(prefix);
  }
  return text.empty() ? "no address" : text;
}

std::vector<Route> Snapshot::DefaultRoutes() const {
  std::vector<Route> found;
  std::ranges::copy_if(routes, std::back_inserter(found),
                       [](const Route& route) { return route.IsOrdinary() && route.IsDefault(); });
  return found;
}

std::vector<Route> Snapshot::OtherRoutes() const {
  std::vector<Route> found;
  std::ranges::copy_if(routes, std::back_inserter(found),
                       [](const Route& route) { return route.IsOrdinary() && !route.IsDefault() && !route.kernels; });
  return found;
}

bool Snapshot::IsKernels(const Route& route) const {
  if (!route.kernels || route.table != RT_TABLE_LOCAL) return route.kernels && route.IsOrdinary();
  if (route.IsV6() && route.type == RTN_MULTICAST) return route.to == spec::IpNet(kMulticast6);
  const Link* link = Find(route.index);
  const bool loopback = link != nullptr && link->name == "lo";
  return std::ranges::any_of(addresses, [&](const LinkAddress& address) {
    if (address.index != route.index) return false;
    const bool inside = IsWithin(route.to, address);
    if (route.type == RTN_BROADCAST) return inside;
    // A whole subnet is its own on the loopback alone: fib_add_ifaddr() in net/ipv4/fib_frontend.c.
    return route.type == RTN_LOCAL && inside && (loopback || BaseOf(route.to) == address.address);
  });
}

std::optional<std::string> UserspaceFault(const Snapshot& snapshot, bool v6) {
  const Link* link = snapshot.Find(kUserspaceLink);
  if (link == nullptr || link->kind != "tun") return std::nullopt;
  const auto addresses = snapshot.AddressesOf(link->index);
  if (!link->up) return "it is down";
  if (link->ipv6 && (link->ipv6->disable_ipv6 == 0) != v6) return v6 ? "it has no IPv6" : "it has IPv6";
  std::string right = spec::Format(kUserspaceAddress) + "/" + std::to_string(kUserspaceSubnet.prefix);
  if (v6) right += " " + spec::Format(kUserspaceAddress6) + "/" + std::to_string(kUserspaceSubnet6.prefix);
  if (addresses != right) return addresses;
  const auto routes = snapshot.DefaultRoutes();
  const bool routed = routes.size() == (v6 ? 2U : 1U) && std::ranges::all_of(routes, [&](const Route& route) {
                        const auto gateway =
                            route.IsV6() ? spec::IpAddress(kUserspaceGateway6) : spec::IpAddress(kUserspaceGateway);
                        return route.index == link->index && route.gateway == gateway;
                      });
  if (!LostRoutes(snapshot, {link}).empty()) return "it has lost a route of its address";
  return routed ? std::nullopt : std::optional<std::string>("it has not the default route");
}

Result<std::vector<Link>> DumpLinks(Netlink& netlink, std::string_view kind) {
  auto message = Message::Question(RTM_GETLINK);
  message.Header(ifinfomsg{}).Put(IFLA_EXT_MASK, kSkipStatistics);
  if (!kind.empty())
    message.PutNested(IFLA_LINKINFO, [&](Message& info) { info.PutText(IFLA_INFO_KIND, std::string(kind)); });
  return DumpOf(netlink, message, "list links", LinkOf);
}

Result<std::vector<LinkAddress>> DumpAddresses(Netlink& netlink, int index, unsigned char family) {
  auto message = Message::Question(RTM_GETADDR);
  ifaddrmsg filter{};
  filter.ifa_family = family;
  filter.ifa_index = static_cast<std::uint32_t>(index);
  message.Header(filter);
  auto addresses = TRY(DumpOf(netlink, message, "list addresses", AddressOf));
  // Older kernels pass over the filter.
  if (index != 0) std::erase_if(addresses, [&](const LinkAddress& address) { return address.index != index; });
  return addresses;
}

Result<std::vector<Route>> DumpRoutes(Netlink& netlink, unsigned char family) {
  auto routes = TRY(RoutesOf(netlink, family, RT_TABLE_MAIN));
  std::erase_if(routes, [](const Route& route) { return !route.IsOfMain(); });
  return routes;
}

Result<std::vector<Route>> DumpRoutesOver(Netlink& netlink, int index) {
  std::vector<Route> all;
  for (const int family : {AF_INET, AF_INET6}) {
    if (family == AF_INET6 && !HasIpv6()) continue;
    auto routes = RoutesOf(netlink, static_cast<unsigned char>(family), RT_TABLE_UNSPEC, index);
    if (!routes && routes.error().sys_errno == ENODEV) return std::vector<Route>();
    std::ranges::move(TRY(std::move(routes)), std::back_inserter(all));
  }
  // Older kernels pass over the filter.
  std::erase_if(all, [&](const Route& route) { return route.index != index; });
  return all;
}

Result<Snapshot> DumpAll(Netlink& netlink, bool v6) {
  Snapshot snapshot;
  snapshot.links = TRY(DumpLinks(netlink));
  snapshot.addresses = TRY(DumpAddresses(netlink, 0, v6 ? AF_UNSPEC : AF_INET));
  snapshot.routes = TRY(RoutesOf(netlink, AF_INET, RT_TABLE_UNSPEC));
  if (v6) std::ranges::move(TRY(RoutesOf(netlink, AF_INET6, RT_TABLE_UNSPEC)), std::back_inserter(snapshot.routes));
  return snapshot;
}

bool HasIpv6() {
  static const bool has = ::access("/proc/net/if_inet6", F_OK) == 0;
  return has;
}

Result<std::optional<Link>> GetLink(Netlink& netlink, std::string_view name) {
  auto message = Message::Question(RTM_GETLINK);
  message.Header(ifinfomsg{}).PutText(IFLA_IFNAME, name).Put(IFLA_EXT_MASK, kSkipStatistics);
  return AnswerOf(netlink, message, name);
}

Result<std::optional<Link>> GetLink(Netlink& netlink, int index) {
  auto message = Message::Question(RTM_GETLINK);
  ifinfomsg header{};
  header.ifi_index = index;
  message.Header(header).Put(IFLA_EXT_MASK, kSkipStatistics);
  return AnswerOf(netlink, message, std::to_string(index));
}

}  // namespace nucleus::netns
