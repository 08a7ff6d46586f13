#include "actuators/netns/links.hpp"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>

#include "spec/net.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::netns {

namespace {

// addr_gen_mode of an interface without a link-local address: IN6_ADDR_GEN_MODE_NONE, linux/if_link.h.
constexpr std::uint8_t kNoAddress = IN6_ADDR_GEN_MODE_NONE;

ifinfomsg LinkHeader(int index) {
  ifinfomsg header{};
  header.ifi_index = index;
  return header;
}

void PutNoGroupLearning(Message& message) {
  message.PutNested(IFLA_LINKINFO, [](Message& info) {
    info.PutText(IFLA_INFO_KIND, "bridge").PutNested(IFLA_INFO_DATA, [](Message& data) {
      constexpr std::uint32_t kOption = 1U << BR_BOOLOPT_NO_LL_LEARN;
      data.Put(IFLA_BR_MULTI_BOOLOPT, br_boolopt_multi{kOption, kOption});
    });
  });
}

Result<> ChangeAddress(Netlink& netlink, std::uint16_t type, std::uint16_t flags, const LinkAddress& address,
                       std::string_view operation, std::string_view subject) {
  ifaddrmsg header{};
  const auto* v4 = std::get_if<spec::Ipv4>(&address.address);
  header.ifa_family = v4 != nullptr ? AF_INET : AF_INET6;
  // Nobody else can have chosen it, and it is of use at once.
  if (v4 == nullptr && type == RTM_NEWADDR) header.ifa_flags = IFA_F_NODAD;
  header.ifa_prefixlen = address.prefix;
  header.ifa_index = static_cast<std::uint32_t>(address.index);
  Message message(type, flags);
  message.Header(header).PutAddress(IFA_LOCAL, address.address);
  const auto other = address.peer.value_or(address.address);
  if (!spec::IsUnspecified(other)) message.PutAddress(IFA_ADDRESS, other);
  if (type == RTM_NEWADDR && v4 != nullptr && address.prefix < 31) {
    const std::uint32_t host_bits = address.prefix == 0 ? ~0U : ~0U >> address.prefix;
    message.PutAddress(IFA_BROADCAST, spec::Ipv4{v4->value | host_bits});
  }
  return netlink.Do(message, operation, subject);
}

// As fib_add_ifaddr() in net/ipv4/fib_frontend.c makes them.
Result<> AddRouteOfAddress(Netlink& netlink, const LostRoute& lost) {
  const auto& to = std::get<spec::Ipv4Net>(lost.route.to);
  const bool local = lost.route.type == RTN_LOCAL;
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = to.prefix;
  header.rtm_table = static_cast<std::uint8_t>(lost.route.table);
  header.rtm_type = lost.route.type;
  header.rtm_protocol = RTPROT_KERNEL;
  header.rtm_scope = local ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND);
  message.Header(header).PutAddress(RTA_DST, to.base).PutAddress(RTA_PREFSRC, lost.of.address);
  message.Put(RTA_OIF, lost.route.index);
  return netlink.Do(message, "add route", spec::Format(lost.route.to));
}

Message RouteMessage(std::uint16_t type, std::uint16_t flags, const Route& route) {
  rtmsg header{};
  header.rtm_family = route.IsV6() ? AF_INET6 : AF_INET;
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE has it
  header.rtm_type = route.type;
  header.rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : RTPROT_UNSPEC;
  header.rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
  std::visit([&](const auto& to) { header.rtm_dst_len = to.prefix; }, route.to);
  header.rtm_tos = route.tos;
  Message message(type, flags);
  message.Header(header).Put(RTA_TABLE, route.table);
  if (route.index != 0 && !route.several) message.Put(RTA_OIF, route.index);
  if (!route.IsDefault()) std::visit([&](const auto& to) { message.PutAddress(RTA_DST, to.base); }, route.to);
  if (route.gateway) message.PutAddress(RTA_GATEWAY, *route.gateway);
  if (route.metric != 0) message.Put(RTA_PRIORITY, route.metric);
  return message;
}

template <class T>
void Keep(const std::optional<T>& wanted, const T& now, std::optional<T>& change) {
  if (wanted && *wanted != now) change = wanted;
}

}  // namespace

LinkChange Difference(const Link& link, const LinkChange& wanted) {
  LinkChange change;
  Keep(wanted.alias, link.alias, change.alias);
  Keep(wanted.mac, link.mac, change.mac);
  Keep(wanted.mtu, link.mtu, change.mtu);
  Keep(wanted.master, link.master, change.master);
  Keep(wanted.up, link.up, change.up);
  return change;
}

Result<> CreateBridge(Netlink& netlink, const std::string& name, const MacAddress& mac) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.Header(LinkHeader(0)).PutText(IFLA_IFNAME, name).Put(IFLA_ADDRESS, mac);
  PutNoGroupLearning(message);
  return netlink.Do(message, "create bridge", name);
}

Result<> DenyGroupLearning(Netlink& netlink, int index, std::string_view name) {
  Message message(RTM_NEWLINK, 0);
  message.Header(LinkHeader(index));
  PutNoGroupLearning(message);
  return netlink.Do(message, "change bridge", name);
}

namespace {

// One, which the kernel has a veth use anyway. Where it is not told, it makes one for each processor that there could
// be, and each end waits for all processors to put the others out of use, with the lock that all changes of links need.
void PutOneQueue(Message& message) {
  message.Put(IFLA_NUM_TX_QUEUES, std::uint32_t{1}).Put(IFLA_NUM_RX_QUEUES, std::uint32_t{1});
}

}  // namespace

Result<> CreateVeth(Netlink& netlink, const VethEnds& ends) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.Header(LinkHeader(0)).PutText(IFLA_IFNAME, ends.host_name).Put(IFLA_MTU, ends.mtu);
  message.Put(IFLA_MASTER, ends.host_master);
  PutOneQueue(message);
  message.PutNested(IFLA_LINKINFO, [&](Message& info) {
    info.PutText(IFLA_INFO_KIND, "veth").PutNested(IFLA_INFO_DATA, [&](Message& data) {
      // Made where it belongs: moved there afterwards it could meet a link of the same name, and costs twice.
      data.PutNested(VETH_INFO_PEER, [&](Message& peer) {
        peer.Header(LinkHeader(0)).PutText(IFLA_IFNAME, ends.inside_name).Put(IFLA_MTU, ends.mtu);
        peer.Put(IFLA_ADDRESS, ends.inside_mac).Put(IFLA_NET_NS_FD, ends.inside_namespace);
        PutOneQueue(peer);
      });
    });
  });
  return netlink.Do(message, "create veth", ends.host_name);
}

Result<> ChangeLink(Netlink& netlink, int index, std::string_view name, const LinkChange& change) {
  if (change.Empty()) return {};
  ifinfomsg header = LinkHeader(index);
  if (change.up) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = *change.up ? IFF_UP : 0;
  }
  Message message(RTM_NEWLINK, 0);
  message.Header(header);
  if (change.alias) message.PutText(IFLA_IFALIAS, *change.alias);
  if (change.mac) message.Put(IFLA_ADDRESS, *change.mac);
  if (change.mtu) message.Put(IFLA_MTU, *change.mtu);
  if (change.master) message.Put(IFLA_MASTER, *change.master);
  return netlink.Do(message, "change link", name);
}

Result<> SetHairpin(Netlink& netlink, int index, std::string_view name) {
  ifinfomsg header = LinkHeader(index);
  header.ifi_family = AF_BRIDGE;
  Message message(RTM_SETLINK, 0);
  message.Header(header);
  // Without the flag of nesting the kernel takes the attribute for the state of the port: br_setlink().
  message.PutNested(IFLA_PROTINFO | NLA_F_NESTED, [](Message& port) { port.Put(IFLA_BRPORT_MODE, std::uint8_t{1}); });
  return netlink.Do(message, "set hairpin mode of", name);
}

Result<> DenyIpv6Address(Netlink& netlink, int index, std::string_view name) {
  if (!HasIpv6()) return {};  // there the kernel knows no such setting
  // Not part of the request that makes the link: there the kernel answers EAFNOSUPPORT.
  Message message(RTM_NEWLINK, 0);
  message.Header(LinkHeader(index)).PutNested(IFLA_AF_SPEC, [](Message& families) {
    families.PutNested(AF_INET6, [](Message& family) { family.Put(IFLA_INET6_ADDR_GEN_MODE, kNoAddress); });
  });
  return netlink.Do(message, "change link", name);
}

Result<> DeleteLink(Netlink& netlink, int index, std::string_view name) {
  Message message(RTM_DELLINK, 0);
  message.Header(LinkHeader(index));
  auto deleted = netlink.Do(message, "delete link", name);
  if (!deleted && deleted.error().sys_errno == ENODEV) return {};
  return deleted;
}

void AliasIndex::Add(const std::string& alias, std::string name) {
  const std::lock_guard lock(mutex_);
  names_[alias].insert(std::move(name));
}

Result<std::set<std::string>> AliasIndex::Names(Netlink& netlink, const std::string& alias) {
  const std::lock_guard lock(mutex_);
  if (!listed_) {
    for (auto& link : TRY(DumpLinks(netlink))) {
      if (!link.alias.empty()) names_[link.alias].insert(std::move(link.name));
    }
    listed_ = true;
  }
  const auto found = names_.find(alias);
  return found == names_.end() ? std::set<std::string>() : found->second;
}

Result<> DeleteByAlias(Netlink& netlink, AliasIndex& aliases, std::string_view kind, const std::string& alias,
                       const std::vector<std::string>& keep) {
  for (const auto& name : TRY(aliases.Names(netlink, alias))) {
    if (std::ranges::find(keep, name) != keep.end()) continue;
    const auto link = TRY(GetLink(netlink, name));
    if (link && link->kind == kind && link->alias == alias) TRY(DeleteLink(netlink, link->index, link->name));
  }
  return {};
}

Result<> SetAddresses(Netlink& netlink, int index, std::string_view name, spec::Ipv4 address, std::uint8_t prefix,
                      const std::optional<Ipv6At>& v6) {
  const unsigned char families = HasIpv6() ? AF_UNSPEC : AF_INET;
  std::vector<LinkAddress> wanted{{index, address, prefix}};
  if (v6) wanted.push_back({index, v6->address, v6->prefix});
  const auto is_same = [](const LinkAddress& one) {
    return [&one](const LinkAddress& other) {
      return other.address == one.address && other.prefix == one.prefix && other.peer == one.peer;
    };
  };
  auto present = TRY(DumpAddresses(netlink, index, families));
  bool removed = false;
  for (const auto& found : present) {
    if (std::ranges::any_of(wanted, is_same(found))) continue;
    removed = true;
    auto deleted = ChangeAddress(netlink, RTM_DELADDR, 0, found, "remove address from", name);
    // The first address of a subnet takes its later ones with it: net.ipv4.conf.*.promote_secondaries.
    if (!deleted && deleted.error().sys_errno != EADDRNOTAVAIL) return deleted;
  }
  if (removed) present = TRY(DumpAddresses(netlink, index, families));
  for (const auto& one : wanted) {
    if (std::ranges::any_of(present, is_same(one))) continue;
    TRY(ChangeAddress(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, one, "add address",
                      spec::Format(one.address) + " on " + std::string(name)));
  }
  return {};
}

Result<> RestoreRoutes(Netlink& netlink, const std::vector<LostRoute>& lost) {
  for (const auto& one : lost) {
    if (!spec::IsV6(one.of.address)) {
      TRY(AddRouteOfAddress(netlink, one));
      continue;
    }
    const std::string address = spec::Format(one.of.address);
    TRY(ChangeAddress(netlink, RTM_DELADDR, 0, one.of, "remove address", address));
    TRY(ChangeAddress(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, one.of, "add address", address));
  }
  return {};
}

Result<> AddLinkLocalAddress(Netlink& netlink, int index, std::string_view name, const MacAddress& mac) {
  constexpr std::uint8_t kUniversal = 0x02;
  const auto flipped = static_cast<std::uint8_t>(mac[0] ^ kUniversal);
  const spec::Ipv6 address{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, flipped, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}};
  auto added = ChangeAddress(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, {index, address, 64}, "add address",
                             spec::Format(address) + " on " + std::string(name));
  if (!added && added.error().sys_errno == EEXIST) return {};
  return added;
}

Result<> DeleteRoute(Netlink& netlink, const Route& route) {
  auto message = RouteMessage(RTM_DELROUTE, 0, route);
  return netlink.Do(message, "delete route", spec::Format(route.to));
}

Result<bool> DropRoutes(Netlink& netlink, const std::optional<DefaultRoute>& wanted, const std::vector<int>& attached,
                        unsigned char family) {
  if (family == AF_INET6 && !HasIpv6()) return true;
  // What the kernel makes of none: IP6_RT_PRIO_USER, net/ip6_route.h.
  const std::uint32_t metric = family == AF_INET6 ? 1024 : 0;
  bool there = !wanted;
  for (const auto& route : TRY(DumpRoutes(netlink, family))) {
    const bool is_default = route.IsDefault();
    if (route.kernels || (!is_default && std::ranges::find(attached, route.index) == attached.end())) continue;
    if (is_default && !there && route.gateway == wanted->gateway && route.index == wanted->index &&
        route.metric == metric && !route.several) {
      there = true;
      continue;
    }
    TRY(DeleteRoute(netlink, route));
  }
  return there;
}

Result<> AddDefaultRoute(Netlink& netlink, const DefaultRoute& wanted) {
  Route route;
  if (spec::IsV6(wanted.gateway)) route.to = spec::Ipv6Net{};
  route.gateway = wanted.gateway;
  route.index = wanted.index;
  auto message = RouteMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
  return netlink.Do(message, "add default route", spec::Format(wanted.gateway));
}

Result<> SetUserspaceLink(Netlink& netlink, const Link& link, bool v6) {
  const auto address6 = v6 ? std::optional(Ipv6At{kUserspaceAddress6, kUserspaceSubnet6.prefix}) : std::nullopt;
  TRY(SetAddresses(netlink, link.index, link.name, kUserspaceAddress, kUserspaceSubnet.prefix, address6));
  LinkChange up;
  up.up = true;
  TRY(ChangeLink(netlink, link.index, link.name, Difference(link, up)));
  const DefaultRoute route{kUserspaceGateway, link.index}, route6{kUserspaceGateway6, link.index};
  const bool has = TRY(DropRoutes(netlink, route, {link.index}, AF_INET));
  const bool has6 = !v6 || TRY(DropRoutes(netlink, route6, {link.index}, AF_INET6));
  const auto lost = TRY(LostRoutesOf(netlink, link));
  TRY(RestoreRoutes(netlink, lost));
  if (!has) TRY(AddDefaultRoute(netlink, route));
  return has6 ? Result<>() : AddDefaultRoute(netlink, route6);
}

}  // namespace nucleus::netns
