#include "actuators/netns/links.hpp"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// addr_gen_mode of an interface without a link-local address: IN6_ADDR_GEN_MODE_NONE, linux/if_link.h.
constexpr std::uint8_t kNoAddress = IN6_ADDR_GEN_MODE_NONE;

ifinfomsg LinkHeader(int index) {
  ifinfomsg header{};
  header.ifi_index = index;
  return header;
}

Result<> ChangeAddress(Netlink& netlink, std::uint16_t type, std::uint16_t flags, const LinkAddress& address,
                       std::string_view operation, std::string_view subject) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = address.prefix;
  header.ifa_index = static_cast<std::uint32_t>(address.index);
  Message message(type, flags);
  message.Header(header).PutAddress(IFA_LOCAL, address.address).PutAddress(IFA_ADDRESS, address.address);
  if (type == RTM_NEWADDR && address.prefix < 31) {
    const std::uint32_t host_bits = address.prefix == 0 ? ~0U : ~0U >> address.prefix;
    message.PutAddress(IFA_BROADCAST, {address.address.value | host_bits});
  }
  return netlink.Do(message, operation, subject);
}

Message RouteMessage(std::uint16_t type, std::uint16_t flags, const Route& route) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_type = RTN_UNICAST;
  header.rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : RTPROT_UNSPEC;
  header.rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
  header.rtm_dst_len = route.to.prefix;
  header.rtm_tos = route.tos;
  Message message(type, flags);
  message.Header(header).Put(RTA_OIF, route.index);
  if (route.to.prefix != 0) message.PutAddress(RTA_DST, route.to.base);
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

Result<> CreateBridge(Netlink& netlink, const std::string& name, const MacAddress& mac, std::uint32_t mtu) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.Header(LinkHeader(0)).PutText(IFLA_IFNAME, name).Put(IFLA_ADDRESS, mac).Put(IFLA_MTU, mtu);
  message.PutNested(IFLA_LINKINFO, [](Message& info) { info.PutText(IFLA_INFO_KIND, "bridge"); });
  return netlink.Do(message, "create bridge", name);
}

Result<> CreateVeth(Netlink& netlink, const VethEnds& ends) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.Header(LinkHeader(0)).PutText(IFLA_IFNAME, ends.host_name).Put(IFLA_MTU, ends.mtu);
  message.Put(IFLA_MASTER, ends.host_master);
  message.PutNested(IFLA_LINKINFO, [&](Message& info) {
    info.PutText(IFLA_INFO_KIND, "veth").PutNested(IFLA_INFO_DATA, [&](Message& data) {
      // Made where it belongs: moved there afterwards it could meet a link of the same name, and costs twice.
      data.PutNested(VETH_INFO_PEER, [&](Message& peer) {
        peer.Header(LinkHeader(0)).PutText(IFLA_IFNAME, ends.inside_name).Put(IFLA_MTU, ends.mtu);
        peer.Put(IFLA_ADDRESS, ends.inside_mac).Put(IFLA_NET_NS_FD, ends.inside_namespace);
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
  if (::access("/proc/net/if_inet6", F_OK) != 0) return {};  // a kernel without IPv6 knows no such setting
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

Result<> SetAddress(Netlink& netlink, int index, std::string_view name, spec::Ipv4 address, std::uint8_t prefix) {
  bool there = false;
  for (const auto& found : TRY(DumpAddresses(netlink, index))) {
    if (found.address == address && found.prefix == prefix) {
      there = true;
      continue;
    }
    auto deleted = ChangeAddress(netlink, RTM_DELADDR, 0, found, "remove address from", name);
    // The first address of a subnet takes its later ones with it: net.ipv4.conf.*.promote_secondaries.
    if (!deleted && deleted.error().sys_errno != EADDRNOTAVAIL) return deleted;
  }
  if (there) {
    const auto left = TRY(DumpAddresses(netlink, index));
    there = !left.empty();
  }
  if (there) return {};
  return ChangeAddress(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, {index, address, prefix}, "add address",
                       spec::Format(address) + " on " + std::string(name));
}

Result<> SetRoutes(Netlink& netlink, const std::optional<DefaultRoute>& wanted, const std::vector<int>& attached) {
  bool there = false;
  for (const auto& route : TRY(DumpRoutes(netlink))) {
    const bool is_default = route.to.prefix == 0;
    if (route.kernels || (!is_default && std::ranges::find(attached, route.index) == attached.end())) continue;
    if (wanted && is_default && !there && route.gateway == wanted->gateway && route.index == wanted->index &&
        route.metric == 0) {
      there = true;
      continue;
    }
    auto message = RouteMessage(RTM_DELROUTE, 0, route);
    TRY(netlink.Do(message, "delete route", spec::Format(route.to)));
  }
  if (!wanted || there) return {};
  auto message = RouteMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL,
                              {.to = {}, .gateway = wanted->gateway, .index = wanted->index});
  return netlink.Do(message, "add default route", spec::Format(wanted->gateway));
}

}  // namespace nucleus::netns
