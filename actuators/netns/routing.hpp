// Where packets of a namespace go besides the routes that it was given: rules that choose a table, routes in other
// tables, and routes that lead nowhere (blackhole, prohibit). A namespace of ours has the kernel's own alone, and all
// of them. ip-rule(8), ip-route(8), rtnetlink(7). In the namespace of the socket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actuators/netns/lost_routes.hpp"
#include "actuators/netns/netlink.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

// A rule as the kernel gives it back: the message itself, for there is a lot that a rule can ask for.
struct RoutingRule {
  unsigned char family = 0;
  std::uint32_t priority = 0;
  std::uint8_t action = 0;  // FR_ACT_TO_TBL and its like
  std::uint32_t table = 0;
  bool every_packet = false;  // it asks for nothing
  std::string raw;            // fib_rule_hdr and its attributes

  [[nodiscard]] bool IsKernels() const;  // one of those that every namespace begins with
};

// Of both families, or of IPv4's alone.
struct RoutingRules {
  std::vector<RoutingRule> rules;
  std::vector<unsigned char> families;  // that this kernel has rules for
};
Result<RoutingRules> DumpRules(Netlink& netlink, bool v6);

// Whether it has a link that a workload has made for itself, a tunnel say: what it sends by which way is then its own
// affair, as far as tables and rules go.
bool RoutesByItself(const Snapshot& snapshot);

// One that every namespace begins with.
struct KernelsRule {
  unsigned char family;
  std::uint32_t priority, table;
};
std::vector<KernelsRule> MissingRules(const RoutingRules& there);
std::vector<Route> StrangeRoutes(const Snapshot& snapshot);  // of other tables and types, but the kernel's own

// Each under a name of its own, of many the number.
Facts LostRouteFaults(const std::vector<LostRoute>& lost);

std::string RuleName(unsigned char family, std::uint32_t priority);  // for facts and errors

// What there is too much and too little, each under a name of its own, and of many the number; empty where it is as it
// was made.
Facts RoutingFaults(const Snapshot& snapshot, const RoutingRules& there);

}  // namespace nucleus::netns
