// Links, addresses and routes as the kernel lists them: rtnetlink(7).
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>

#include "actuators/netns/answers.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// linux/rtnetlink.h: RTEXT_FILTER_SKIP_STATS. Statistics are most of what a link has to say.
constexpr std::uint32_t kSkipStatistics = 1U << 3;

}  // namespace

const Link* Snapshot::Find(std::string_view name) const {
  const auto it = std::ranges::find(links, name, &Link::name);
  return it == links.end() ? nullptr : &*it;
}

const Link* Snapshot::Find(int index) const {
  const auto it = std::ranges::find(links, index, &Link::index);
  return it == links.end() ? nullptr : &*it;
}

std::string Snapshot::AddressesOf(int index) const {
  std::vector<std::pair<spec::Ipv4, std::uint8_t>> found;
  for (const auto& address : addresses) {
    if (address.index == index) found.emplace_back(address.address, address.prefix);
  }
  std::ranges::sort(found);
  std::string text;
  for (const auto& [address, prefix] : found) {
    if (!text.empty()) text += ' ';
    text += spec::Format(address) + "/" + std::to_string(prefix);
  }
  return text.empty() ? "no address" : text;
}

std::vector<Route> Snapshot::DefaultRoutes() const {
  std::vector<Route> found;
  std::ranges::copy_if(routes, std::back_inserter(found), [](const Route& route) { return route.to.prefix == 0; });
  return found;
}

std::vector<Route> Snapshot::OtherRoutes() const {
  std::vector<Route> found;
  std::ranges::copy_if(routes, std::back_inserter(found),
                       [](const Route& route) { return route.to.prefix != 0 && !route.kernels; });
  return found;
}

Result<std::vector<Link>> DumpLinks(Netlink& netlink) {
  Message message(RTM_GETLINK, 0);
  message.Header(ifinfomsg{}).Put(IFLA_EXT_MASK, kSkipStatistics);
  std::vector<Link> links;
  TRY(netlink.Dump(message, "list links", [&](nlmsghdr* header) {
    if (auto link = LinkOf(header)) links.push_back(std::move(*link));
  }));
  return links;
}

Result<std::vector<LinkAddress>> DumpAddresses(Netlink& netlink, int index) {
  Message message(RTM_GETADDR, 0);
  ifaddrmsg filter{};
  filter.ifa_family = AF_INET;
  filter.ifa_index = static_cast<std::uint32_t>(index);
  message.Header(filter);
  std::vector<LinkAddress> addresses;
  TRY(netlink.Dump(message, "list addresses", [&](nlmsghdr* header) {
    const auto address = AddressOf(header);
    // Older kernels pass over the filter.
    if (address && (index == 0 || address->index == index)) addresses.push_back(*address);
  }));
  return addresses;
}

Result<std::vector<Route>> DumpRoutes(Netlink& netlink) {
  Message message(RTM_GETROUTE, 0);
  rtmsg filter{};
  filter.rtm_family = AF_INET;
  filter.rtm_table = RT_TABLE_MAIN;
  message.Header(filter);
  std::vector<Route> routes;
  const auto dumped = netlink.Dump(message, "list routes", [&](nlmsghdr* header) {
    if (const auto route = RouteOf(header)) routes.push_back(*route);
  });
  // With strict checks, a table that was never used is an error; it is as good as empty.
  if (!dumped && dumped.error().sys_errno != ENOENT) return Fail(dumped.error());
  return routes;
}

Result<Snapshot> DumpAll(Netlink& netlink) {
  Snapshot snapshot;
  snapshot.links = TRY(DumpLinks(netlink));
  snapshot.addresses = TRY(DumpAddresses(netlink, 0));
  snapshot.routes = TRY(DumpRoutes(netlink));
  return snapshot;
}

Result<std::optional<Link>> GetLink(Netlink& netlink, std::string_view name) {
  Message message(RTM_GETLINK, 0);
  message.Header(ifinfomsg{}).PutText(IFLA_IFNAME, name).Put(IFLA_EXT_MASK, kSkipStatistics);
  std::optional<Link> link;
  const auto got = netlink.Get(message, "look up link", name, [&](nlmsghdr* header) { link = LinkOf(header); });
  if (!got && got.error().sys_errno != ENODEV) return Fail(got.error());
  return link;
}

}  // namespace nucleus::netns
