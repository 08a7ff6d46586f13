// What a message of the kernel's says, taken apart: links, addresses, routes, and how an exchange ends. Pure: from
// bytes to values, whatever the bytes are. netlink(7), rtnetlink(7).
#pragma once

#include <linux/netlink.h>

#include <optional>
#include <string>

#include "actuators/netns/netlink.hpp"
#include "actuators/netns/routing.hpp"

namespace nucleus::netns {

// A message that ends an exchange: an acknowledgement, an error, or the end of a dump.
struct Ending {
  int err = 0;        // 0: all is well
  std::string words;  // the kernel's own about an error; "" where it says nothing
};
std::optional<Ending> EndingOf(const nlmsghdr* message);  // none: it is data

// None: the message is about something else, or makes no sense.
std::optional<Link> LinkOf(nlmsghdr* message);
std::optional<LinkAddress> AddressOf(nlmsghdr* message);
std::optional<Route> RouteOf(nlmsghdr* message);  // not of link-local addresses
std::optional<RoutingRule> RuleOf(nlmsghdr* message);

}  // namespace nucleus::netns
