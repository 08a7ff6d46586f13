// Routes that are missing beside an address: those that the kernel makes with it, as far as they are gone. Of links of
// our namespaces, and of bridges of ours on the machine. In the namespace of the socket.
#pragma once

#include <vector>

#include "actuators/netns/netlink.hpp"

namespace nucleus::netns {

bool KeepsRoutes(const Link& link);  // one that a namespace of ours keeps

// Beside the addresses of links that are up; local ones first. Broadcasts are passed over, which differ from kernel to
// kernel, and the local ones of IPv6, which it makes some time after the address, from a work queue. fib_add_ifaddr()
// in net/ipv4/fib_frontend.c, inet6_addr_add() in net/ipv6/addrconf.c.
struct LostRoute {
  Route route;
  LinkAddress of;
};
std::vector<LostRoute> LostRoutes(const Snapshot& snapshot, std::vector<const Link*> links);
std::vector<LostRoute> LostRoutes(const Snapshot& snapshot);  // of the links that a namespace of ours keeps
Result<std::vector<LostRoute>> LostRoutesOf(Netlink& netlink, const Link& link);  // as it is now, if it was up

}  // namespace nucleus::netns
