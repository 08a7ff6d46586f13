// Links, addresses and routes as the kernel lists them: rtnetlink(7).
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <cstring>

#include "actuators/netns/netlink.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// linux/rtnetlink.h: RTEXT_FILTER_SKIP_STATS. Statistics are most of what a link has to say.
constexpr std::uint32_t kSkipStatistics = 1U << 3;

std::string Text(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* data = static_cast<const char*>(nla_data(attribute));
  return std::string(data, strnlen(data, static_cast<std::size_t>(nla_len(attribute))));
}

spec::Ipv4 AddressIn(const nlattr* attribute) {
  std::uint32_t value = 0;
  if (attribute != nullptr && nla_len(attribute) == sizeof value)
    std::memcpy(&value, nla_data(attribute), sizeof value);
  return {ntohl(value)};
}

bool Hairpin(const nlattr* kind, const nlattr* data) {
  if (kind == nullptr || data == nullptr || Text(kind) != "bridge") return false;
  const nlattr* mode = nla_find(static_cast<nlattr*>(nla_data(data)), nla_len(data), IFLA_BRPORT_MODE);
  return mode != nullptr && nla_get_u8(mode) != 0;
}

std::optional<Link> ParseLink(nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWLINK) return std::nullopt;
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (nlmsg_parse(header, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  Link link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.name = Text(attributes[IFLA_IFNAME]);
  link.alias = Text(attributes[IFLA_IFALIAS]);
  if (attributes[IFLA_MTU] != nullptr) link.mtu = nla_get_u32(attributes[IFLA_MTU]);
  if (attributes[IFLA_MASTER] != nullptr) link.master = static_cast<int>(nla_get_u32(attributes[IFLA_MASTER]));
  if (attributes[IFLA_LINK] != nullptr) link.peer = static_cast<int>(nla_get_u32(attributes[IFLA_LINK]));
  if (const auto* mac = attributes[IFLA_ADDRESS]; mac != nullptr && nla_len(mac) == static_cast<int>(link.mac.size())) {
    std::memcpy(link.mac.data(), nla_data(mac), link.mac.size());
  }
  if (attributes[IFLA_LINKINFO] != nullptr) {
    std::array<nlattr*, IFLA_INFO_MAX + 1> details{};
    if (nla_parse_nested(details.data(), IFLA_INFO_MAX, attributes[IFLA_LINKINFO], nullptr) >= 0) {
      link.kind = Text(details[IFLA_INFO_KIND]);
      link.hairpin = Hairpin(details[IFLA_INFO_SLAVE_KIND], details[IFLA_INFO_SLAVE_DATA]);
    }
  }
  return link;
}

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
    if (auto link = ParseLink(header)) links.push_back(std::move(*link));
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
    std::array<nlattr*, IFA_MAX + 1> attributes{};
    if (header->nlmsg_type != RTM_NEWADDR) return;
    if (nlmsg_parse(header, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) < 0) return;
    const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(header));
    // Older kernels pass over the filter.
    if (index != 0 && static_cast<int>(info->ifa_index) != index) return;
    addresses.push_back({static_cast<int>(info->ifa_index), AddressIn(attributes[IFA_LOCAL]), info->ifa_prefixlen});
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
    std::array<nlattr*, RTA_MAX + 1> attributes{};
    if (header->nlmsg_type != RTM_NEWROUTE) return;
    if (nlmsg_parse(header, sizeof(rtmsg), attributes.data(), RTA_MAX, nullptr) < 0) return;
    const auto* info = static_cast<const rtmsg*>(nlmsg_data(header));
    if (info->rtm_table != RT_TABLE_MAIN || info->rtm_type != RTN_UNICAST) return;
    Route route;
    route.to = {AddressIn(attributes[RTA_DST]), info->rtm_dst_len};
    if (attributes[RTA_GATEWAY] != nullptr) route.gateway = AddressIn(attributes[RTA_GATEWAY]);
    if (attributes[RTA_OIF] != nullptr) route.index = static_cast<int>(nla_get_u32(attributes[RTA_OIF]));
    if (attributes[RTA_PRIORITY] != nullptr) route.metric = nla_get_u32(attributes[RTA_PRIORITY]);
    route.kernels = info->rtm_protocol == RTPROT_KERNEL;
    routes.push_back(route);
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
  const auto got = netlink.Get(message, "look up link", name, [&](nlmsghdr* header) { link = ParseLink(header); });
  if (!got && got.error().sys_errno != ENODEV) return Fail(got.error());
  return link;
}

}  // namespace nucleus::netns
