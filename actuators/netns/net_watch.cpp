#include "actuators/netns/net_watch.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <linux/net_namespace.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstring>

#include "actuators/netns/host_view.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "spec/core/names.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

constexpr int kHere = -1;  // no number: the namespace of the socket

constexpr std::array kRouteGroups{RTNLGRP_LINK,         RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                  RTNLGRP_IPV4_ROUTE,   RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_NETCONF,
                                  RTNLGRP_IPV6_NETCONF, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};

Result<sys::Fd> Listen(int protocol, std::span<const int> groups) {
  sys::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FailSys("listen for changes of", "networks");
  for (const int group : groups)
    if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
      return FailSys("listen for changes of", "networks");
  // Where it may not be had, changes inside are not heard of.
  const int on = 1;
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on);
  return socket;
}

int Signed(const nlattr* attribute, int fallback) {
  std::int32_t value = 0;
  if (attribute == nullptr || nla_len(attribute) != sizeof value) return fallback;
  std::memcpy(&value, nla_data(attribute), sizeof value);
  return value;
}

Message NsidMessage(std::uint16_t type, const sys::Fd& network) {
  Message message(type, 0);
  message.Header(rtgenmsg{.rtgen_family = AF_UNSPEC});
  message.Put(NETNSA_FD, static_cast<std::uint32_t>(network.get()));
  return message;
}

Result<int> AskNsid(Netlink& netlink, const sys::Fd& network) {
  int number = NETNSA_NSID_NOT_ASSIGNED;
  auto ask = NsidMessage(RTM_GETNSID, network);
  TRY(netlink.Get(ask, "look up number of", "network namespace", [&](nlmsghdr* answer) {
    number = Signed(nlmsg_find_attr(answer, sizeof(rtgenmsg), NETNSA_NSID), NETNSA_NSID_NOT_ASSIGNED);
  }));
  return number;
}

// The number by which the namespace of the socket knows another one; it is given one where it has none.
Result<int> NsidOf(Netlink& netlink, const sys::Fd& network) {
  if (const int number = TRY(AskNsid(netlink, network)); number >= 0) return number;
  auto give = NsidMessage(RTM_NEWNSID, network);
  give.Put(NETNSA_NSID, static_cast<std::int32_t>(NETNSA_NSID_NOT_ASSIGNED));  // whichever is free
  TRY(netlink.Do(give, "number", "network namespace"));
  return AskNsid(netlink, network);
}

int NsidOf(msghdr& envelope) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&envelope); part != nullptr; part = CMSG_NXTHDR(&envelope, part)) {
    if (part->cmsg_level != SOL_NETLINK || part->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    int number = kHere;
    std::memcpy(&number, CMSG_DATA(part), sizeof number);
    return number;
  }
  return kHere;
}

template <class Header>
const Header* HeaderOf(nlmsghdr* message) {
  return nlmsg_datalen(message) < static_cast<int>(sizeof(Header)) ? nullptr
                                                                   : static_cast<Header*>(nlmsg_data(message));
}

// The table is the first attribute of whatever it is about.
constexpr int kTable = NFTA_TABLE_NAME;
static_assert(int{NFTA_CHAIN_TABLE} == kTable && int{NFTA_RULE_TABLE} == kTable && int{NFTA_SET_TABLE} == kTable &&
              int{NFTA_SET_ELEM_LIST_TABLE} == kTable && int{NFTA_OBJ_TABLE} == kTable &&
              int{NFTA_FLOWTABLE_TABLE} == kTable);

bool IsElement(int type) {
  return type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM;
}

}  // namespace

NetWatch::NetWatch(const std::string& project, sys::Fd routes, sys::Fd rules)
    : tag_(std::string(kAliasTag) + project + "/"),
      table_(FirewallTable(project)),
      routes_(std::move(routes)),
      rules_(std::move(rules)) {}

Result<NetWatch> NetWatch::Open(const std::string& project) {
  const std::array rules{static_cast<int>(NFNLGRP_NFTABLES)};
  std::array<int, kRouteGroups.size()> routes{};
  std::ranges::copy(kRouteGroups, routes.begin());
  auto on_routes = TRY(Listen(NETLINK_ROUTE, routes));
  auto on_rules = TRY(Listen(NETLINK_NETFILTER, rules));
  return NetWatch(project, std::move(on_routes), std::move(on_rules));
}

Result<> NetWatch::Want(const std::vector<std::string>& pins) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  links_.clear();
  for (const auto& link : TRY(DumpLinks(netlink)))
    if (link.alias.starts_with(tag_)) links_.insert(link.index);
  const auto own = TRY(OwnNamespace());
  inside_.clear();
  Result<> outcome;
  for (const auto& path : pins) {
    const auto pin = OpenPin(path, own);
    if (!pin || pin->state != PinState::kMounted) continue;
    if (auto number = NsidOf(netlink, pin->fd)) {
      inside_.insert(*number);
    } else if (outcome) {
      outcome = Fail(std::move(number).error());
    }
  }
  return outcome;
}

bool NetWatch::RouteConcerns(nlmsghdr* message) const {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const auto* link = HeaderOf<ifinfomsg>(message);
      if (link == nullptr) return false;
      return links_.contains(link->ifi_index) ||
             TextOf(nlmsg_find_attr(message, sizeof *link, IFLA_IFALIAS)).starts_with(tag_);
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const auto* address = HeaderOf<ifaddrmsg>(message);
      return address != nullptr && links_.contains(static_cast<int>(address->ifa_index));
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return links_.contains(Signed(nlmsg_find_attr(message, sizeof(rtmsg), RTA_OIF), 0));
    case RTM_NEWNETCONF: {
      const int link = Signed(nlmsg_find_attr(message, sizeof(netconfmsg), NETCONFA_IFINDEX), 0);
      return link == NETCONFA_IFINDEX_ALL || links_.contains(link);
    }
    default:
      return false;
  }
}

bool NetWatch::RuleConcerns(nlmsghdr* message, bool inside) const {
  if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return false;
  const int type = message->nlmsg_type & 0xff;
  if (type == NFT_MSG_NEWGEN) return false;
  const std::string table = TextOf(nlmsg_find_attr(message, sizeof(nfgenmsg), kTable));
  // Inside, the elements are addresses of names, which change as names do.
  if (inside) return table == kEgressTable && !IsElement(type);
  return table == table_ || (!IsElement(type) && !table.starts_with("nucleus_"));
}

bool NetWatch::Concerns(nlmsghdr* message, int nsid) const {
  const bool inside = nsid != kHere;
  if (inside && !inside_.contains(nsid)) return false;
  if (message->nlmsg_type >= NLMSG_MIN_TYPE && message->nlmsg_type < RTM_BASE) return false;
  // Of links and routes everything inside is the container's.
  if (message->nlmsg_type >> 8 == 0) return inside || RouteConcerns(message);
  return RuleConcerns(message, inside);
}

bool NetWatch::HeardOn(const sys::Fd& socket) {
  bool heard = false;
  alignas(nlmsghdr) std::array<char, 32 << 10> buffer{};
  while (true) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec vector{buffer.data(), buffer.size()};
    msghdr envelope{};
    envelope.msg_iov = &vector;
    envelope.msg_iovlen = 1;
    envelope.msg_control = control.data();
    envelope.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket.get(), &envelope, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {  // something was missed
      heard = true;
      continue;
    }
    if (size <= 0) return heard;
    const int nsid = NsidOf(envelope);
    int left = static_cast<int>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(message, left);
         message = nlmsg_next(message, &left))
      heard = heard || Concerns(message, nsid);
  }
}

bool NetWatch::Heard() {
  const bool routes = HeardOn(routes_);
  return HeardOn(rules_) || routes;
}

}  // namespace nucleus::netns
