#include "actuators/netns/answers.hpp"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// 0 where there is none, or one of another size.
std::uint32_t Number(const nlattr* attribute) {
  std::uint32_t value = 0;
  if (attribute != nullptr && nla_len(attribute) == sizeof value)
    std::memcpy(&value, nla_data(attribute), sizeof value);
  return value;
}

// The unspecified address where there is none, or one of another family.
spec::IpAddress AddressIn(const nlattr* attribute, int family) {
  if (family != AF_INET6) return spec::Ipv4{ntohl(Number(attribute))};
  spec::Ipv6 address;
  if (attribute != nullptr && nla_len(attribute) == static_cast<int>(address.bytes.size()))
    std::memcpy(address.bytes.data(), nla_data(attribute), address.bytes.size());
  return address;
}

bool IsLinkLocal(const spec::IpAddress& address) {
  const auto* v6 = std::get_if<spec::Ipv6>(&address);
  return v6 != nullptr && spec::IsLinkLocal(*v6);
}

bool IsInternet(int family) {
  return family == AF_INET || family == AF_INET6;
}

const nlattr* Within(const nlattr* nest, int type) {
  return nest == nullptr ? nullptr : nla_find(static_cast<nlattr*>(nla_data(nest)), nla_len(nest), type);
}

bool Hairpin(const nlattr* kind, const nlattr* data) {
  if (kind == nullptr || data == nullptr || TextOf(kind) != "bridge") return false;
  const nlattr* mode = Within(data, IFLA_BRPORT_MODE);
  return mode != nullptr && nla_len(mode) >= 1 && nla_get_u8(mode) != 0;
}

// data: of a bridge. An older kernel has no such option, and learns.
bool LearnsOfGroups(const nlattr* data) {
  if (data == nullptr) return false;
  const nlattr* options = Within(data, IFLA_BR_MULTI_BOOLOPT);
  br_boolopt_multi multi{};
  if (options != nullptr && nla_len(options) == sizeof multi) std::memcpy(&multi, nla_data(options), sizeof multi);
  return (multi.optval & 1U << BR_BOOLOPT_NO_LL_LEARN) == 0;
}

// Of numbers in a row, as many as this kernel has; 0 where it has fewer.
int SettingAt(const nlattr* settings, std::size_t place) {
  int value = 0;
  if (settings != nullptr && static_cast<std::size_t>(nla_len(settings)) >= (place + 1) * sizeof value)
    std::memcpy(&value, static_cast<const char*>(nla_data(settings)) + place * sizeof value, sizeof value);
  return value;
}

// families: IFLA_AF_SPEC. What /proc/sys says of a link, without a file for each.
void TellSettings(const nlattr* families, Link& link) {
  if (const auto* v4 = Within(Within(families, AF_INET), IFLA_INET_CONF)) {
    link.forwards = SettingAt(v4, IPV4_DEVCONF_FORWARDING - 1) != 0;
    link.takes_redirects = SettingAt(v4, IPV4_DEVCONF_ACCEPT_REDIRECTS - 1) != 0;
  }
  if (const auto* v6 = Within(Within(families, AF_INET6), IFLA_INET6_CONF)) {
    link.ipv6 = Ipv6Settings{SettingAt(v6, DEVCONF_ACCEPT_RA), SettingAt(v6, DEVCONF_AUTOCONF),
                             SettingAt(v6, DEVCONF_ACCEPT_REDIRECTS), SettingAt(v6, DEVCONF_ACCEPT_DAD),
                             SettingAt(v6, DEVCONF_DISABLE_IPV6)};
  }
}

// What the kernel says about an error beyond its number; "" where it says nothing.
std::string Explanation(const nlmsghdr* header) {
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(nlmsg_data(header));
  const auto size = static_cast<std::size_t>(nlmsg_datalen(header));
  std::size_t skip = sizeof(nlmsgerr);
  if (size <= skip) return {};
  // Without NLM_F_CAPPED the request is repeated in full before the attributes.
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    if (error->msg.nlmsg_len < sizeof(nlmsghdr)) return {};
    skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
  }
  if (NLMSG_ALIGN(skip) >= size) return {};
  auto* first = reinterpret_cast<nlattr*>(static_cast<char*>(nlmsg_data(header)) + NLMSG_ALIGN(skip));
  return TextOf(nla_find(first, static_cast<int>(size - NLMSG_ALIGN(skip)), NLMSGERR_ATTR_MSG));
}

}  // namespace

std::optional<Ending> EndingOf(const nlmsghdr* message) {
  if (message->nlmsg_type == NLMSG_DONE) return Ending{};
  if (message->nlmsg_type != NLMSG_ERROR) return std::nullopt;
  if (nlmsg_datalen(message) < static_cast<int>(sizeof(int))) return Ending{EBADMSG, "a message without its number"};
  int err = 0;
  std::memcpy(&err, nlmsg_data(message), sizeof err);
  if (err == 0) return Ending{};
  // The kernel's are between -1 and -4095.
  if (err > 0 || err < -4095) return Ending{EBADMSG, "an error without a meaning"};
  return Ending{-err, Explanation(message)};
}

std::optional<Link> LinkOf(nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWLINK) return std::nullopt;
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (nlmsg_parse(header, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  Link link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.name = TextOf(attributes[IFLA_IFNAME]);
  link.alias = TextOf(attributes[IFLA_IFALIAS]);
  link.mtu = Number(attributes[IFLA_MTU]);
  link.master = static_cast<int>(Number(attributes[IFLA_MASTER]));
  link.peer = static_cast<int>(Number(attributes[IFLA_LINK]));
  if (const auto* mac = attributes[IFLA_ADDRESS]; mac != nullptr && nla_len(mac) == static_cast<int>(link.mac.size())) {
    std::memcpy(link.mac.data(), nla_data(mac), link.mac.size());
  }
  TellSettings(attributes[IFLA_AF_SPEC], link);
  if (attributes[IFLA_LINKINFO] != nullptr) {
    std::array<nlattr*, IFLA_INFO_MAX + 1> details{};
    if (nla_parse_nested(details.data(), IFLA_INFO_MAX, attributes[IFLA_LINKINFO], nullptr) >= 0) {
      link.kind = TextOf(details[IFLA_INFO_KIND]);
      link.learns_of_groups = link.kind == "bridge" && LearnsOfGroups(details[IFLA_INFO_DATA]);
      link.hairpin = Hairpin(details[IFLA_INFO_SLAVE_KIND], details[IFLA_INFO_SLAVE_DATA]);
    }
  }
  return link;
}

std::optional<LinkAddress> AddressOf(nlmsghdr* message) {
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  if (message->nlmsg_type != RTM_NEWADDR) return std::nullopt;
  if (nlmsg_parse(message, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) < 0) return std::nullopt;
  const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(message));
  if (!IsInternet(info->ifa_family)) return std::nullopt;
  // IPv6 names the other end of a link from point to point beside it, and only then.
  const auto* local = attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  const auto address = AddressIn(local, info->ifa_family);
  if (IsLinkLocal(address)) return std::nullopt;
  const std::uint32_t flags = attributes[IFA_FLAGS] != nullptr ? Number(attributes[IFA_FLAGS]) : info->ifa_flags;
  LinkAddress one{.index = static_cast<int>(info->ifa_index), .address = address, .prefix = info->ifa_prefixlen};
  // Of IPv4 it is left out where it is 0.0.0.0: inet_fill_ifaddr() in net/ipv4/devinet.c.
  const auto other = AddressIn(attributes[IFA_ADDRESS], info->ifa_family);
  if ((attributes[IFA_ADDRESS] != nullptr || info->ifa_family == AF_INET) && other != address) one.peer = other;
  one.settled = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
  one.routed = (flags & IFA_F_NOPREFIXROUTE) == 0;
  return one;
}

std::optional<Route> RouteOf(nlmsghdr* message) {
  std::array<nlattr*, RTA_MAX + 1> attributes{};
  if (message->nlmsg_type != RTM_NEWROUTE) return std::nullopt;
  if (nlmsg_parse(message, sizeof(rtmsg), attributes.data(), RTA_MAX, nullptr) < 0) return std::nullopt;
  const auto* info = static_cast<const rtmsg*>(nlmsg_data(message));
  const int family = info->rtm_family;
  if (!IsInternet(family)) return std::nullopt;
  const auto base = AddressIn(attributes[RTA_DST], family);
  if (IsLinkLocal(base)) return std::nullopt;
  Route route;
  // The short one has no room for every number.
  route.table = attributes[RTA_TABLE] != nullptr ? Number(attributes[RTA_TABLE]) : info->rtm_table;
  route.type = info->rtm_type;
  if (family == AF_INET6) {
    route.to = spec::Ipv6Net{std::get<spec::Ipv6>(base), info->rtm_dst_len};
  } else {
    route.to = spec::Ipv4Net{std::get<spec::Ipv4>(base), info->rtm_dst_len};
  }
  if (attributes[RTA_GATEWAY] != nullptr) route.gateway = AddressIn(attributes[RTA_GATEWAY], family);
  route.index = static_cast<int>(Number(attributes[RTA_OIF]));
  route.several = attributes[RTA_MULTIPATH] != nullptr || attributes[RTA_NH_ID] != nullptr;
  route.metric = Number(attributes[RTA_PRIORITY]);
  route.tos = info->rtm_tos;
  // Anybody may give a route the kernel's protocol; this is what its own look like. Scopes are IPv4's alone.
  const unsigned char scope = route.type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  const bool on_link = family == AF_INET6 || info->rtm_scope == scope;
  route.kernels = info->rtm_protocol == RTPROT_KERNEL && on_link && !route.gateway;
  return route;
}

std::optional<RoutingRule> RuleOf(nlmsghdr* message) {
  std::array<nlattr*, FRA_MAX + 1> attributes{};
  if (message->nlmsg_type != RTM_NEWRULE) return std::nullopt;
  if (nlmsg_parse(message, sizeof(fib_rule_hdr), attributes.data(), FRA_MAX, nullptr) < 0) return std::nullopt;
  const auto* info = static_cast<const fib_rule_hdr*>(nlmsg_data(message));
  if (!IsInternet(info->family)) return std::nullopt;
  RoutingRule rule;
  rule.family = info->family;
  rule.priority = Number(attributes[FRA_PRIORITY]);
  rule.table = attributes[FRA_TABLE] != nullptr ? Number(attributes[FRA_TABLE]) : info->table;
  const bool suppresses =
      attributes[FRA_SUPPRESS_PREFIXLEN] != nullptr && Number(attributes[FRA_SUPPRESS_PREFIXLEN]) != ~0U;
  rule.action = info->action;
  rule.every_packet =
      info->src_len == 0 && info->dst_len == 0 && info->tos == 0 && (info->flags & FIB_RULE_INVERT) == 0 && !suppresses;
  constexpr std::array kOfEveryRule{FRA_PRIORITY, FRA_TABLE, FRA_SUPPRESS_PREFIXLEN, FRA_PROTOCOL, FRA_PAD};
  for (int type = 0; type <= FRA_MAX; ++type) {
    const bool asks = attributes[static_cast<std::size_t>(type)] != nullptr;
    if (asks && std::ranges::find(kOfEveryRule, type) == kOfEveryRule.end()) rule.every_packet = false;
  }
  rule.raw.assign(static_cast<const char*>(nlmsg_data(message)), static_cast<std::size_t>(nlmsg_datalen(message)));
  return rule;
}

}  // namespace nucleus::netns
