// Changes to links, addresses and routes, one request each: rtnetlink(7). In the namespace of the socket.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "actuators/netns/lost_routes.hpp"
#include "actuators/netns/netlink.hpp"

namespace nucleus::netns {

// What to change of a link; what is not given stays.
struct LinkChange {
  std::optional<std::string> alias;
  std::optional<MacAddress> mac;
  std::optional<std::uint32_t> mtu;
  std::optional<int> master;
  std::optional<bool> up;
  [[nodiscard]] bool Empty() const { return !alias && !mac && !mtu && !master && !up; }
};

// What would turn `link` into the given; nothing where it is that already.
LinkChange Difference(const Link& link, const LinkChange& wanted);

// Bridges and veths are made down. A bridge has the MTU of its ports, and without one 1500, until it is given another
// by ChangeLink(): IFLA_MTU at its creation does not count. br_change_mtu(), br_mtu_auto_adjust().
Result<> CreateBridge(Netlink& netlink, const std::string& name, const MacAddress& mac);
struct VethEnds {
  std::string host_name;
  int host_master = 0;
  std::string inside_name;
  MacAddress inside_mac{};
  int inside_namespace = -1;  // descriptor
  std::uint32_t mtu = 0;
};
Result<> CreateVeth(Netlink& netlink, const VethEnds& ends);

Result<> ChangeLink(Netlink& netlink, int index, std::string_view name, const LinkChange& change);
// A port may get back what it sent. Where br_netfilter translates addresses inside the bridge, a service that asks for
// itself through a published port would else never get its answer.
Result<> SetHairpin(Netlink& netlink, int index, std::string_view name);
// Frames to the bridge group's addresses (LLDP, 01:80:c2:00:00:0e) come by no hook of netfilter before a bridge learns
// from them where a hardware address is: br_handle_frame() in net/bridge/br_input.c. CreateBridge() makes one that does
// not.
Result<> DenyGroupLearning(Netlink& netlink, int index, std::string_view name);
// No link-local IPv6 address once it is up: a port of a bridge has nothing to say for itself.
Result<> DenyIpv6Address(Netlink& netlink, int index, std::string_view name);
Result<> DeleteLink(Netlink& netlink, int index, std::string_view name);  // gone already is success

// The host's links by alias: listed at the first question and kept up with what is made, so that a thousand parts need
// not list a thousand links each. For the time of one command; any thread. What others tag meanwhile is not in it.
class AliasIndex {
 public:
  void Add(const std::string& alias, std::string name);
  Result<std::set<std::string>> Names(Netlink& netlink, const std::string& alias);

 private:
  std::mutex mutex_;
  bool listed_ = false;
  std::map<std::string, std::set<std::string>> names_;
};
// Every link of a kind with that alias, but those of the names to keep.
Result<> DeleteByAlias(Netlink& netlink, AliasIndex& aliases, std::string_view kind, const std::string& alias,
                       const std::vector<std::string>& keep);

// Exactly these addresses on the link, at most one of each family: others are removed, a right one is not touched.
Result<> SetAddresses(Netlink& netlink, int index, std::string_view name, spec::Ipv4 address, std::uint8_t prefix,
                      const std::optional<Ipv6At>& v6 = std::nullopt);

// The routes that the kernel makes beside its addresses, as far as somebody has deleted them. An address of IPv6 is
// given again for that; routes of others stay.
Result<> RestoreRoutes(Netlink& netlink, const std::vector<LostRoute>& lost);

// The link-local address of IPv6 that follows from the hardware address (RFC 4291, appendix A). The kernel makes it by
// itself, but of a bridge only when it has noticed, up to a second later, that there is a port; and until then nobody
// behind it can be found.
Result<> AddLinkLocalAddress(Netlink& netlink, int index, std::string_view name, const MacAddress& mac);

struct DefaultRoute {
  spec::IpAddress gateway;
  int index = 0;
};
Result<> DeleteRoute(Netlink& netlink, const Route& route);
// Of one family: no default route but the wanted one, and over the links `attached` none but the kernel's own. Whether
// the wanted one is there. What the kernel makes beside an address may have been in the way of one that goes: it is to
// be looked for after this, and before a gateway has to be reached.
Result<bool> DropRoutes(Netlink& netlink, const std::optional<DefaultRoute>& wanted, const std::vector<int>& attached,
                        unsigned char family);
Result<> AddDefaultRoute(Netlink& netlink, const DefaultRoute& wanted);

// As a program in user space has made its link: network_help.hpp. What is right is not touched.
Result<> SetUserspaceLink(Netlink& netlink, const Link& link, bool v6);

}  // namespace nucleus::netns
