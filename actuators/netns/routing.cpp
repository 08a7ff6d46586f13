#include "actuators/netns/routing.hpp"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "actuators/netns/answers.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// fib_default_rules_init() in net/ipv4/fib_rules.c, fib6_rules_net_init() in net/ipv6/fib6_rules.c.
constexpr auto kOwnRules = std::to_array<OwnRule>({{AF_INET, 0, RT_TABLE_LOCAL},
                                                   {AF_INET, 0x7FFE, RT_TABLE_MAIN},
                                                   {AF_INET, 0x7FFF, RT_TABLE_DEFAULT},
                                                   {AF_INET6, 0, RT_TABLE_LOCAL},
                                                   {AF_INET6, 0x7FFE, RT_TABLE_MAIN}});

bool Is(const RoutingRule& rule, const OwnRule& own) {
  return rule.plain && rule.family == own.family && rule.priority == own.priority && rule.table == own.table;
}

std::string TableText(std::uint32_t table) {
  static constexpr std::array<std::pair<std::uint32_t, std::string_view>, 3> kNames{
      {{RT_TABLE_LOCAL, "local"}, {RT_TABLE_MAIN, "main"}, {RT_TABLE_DEFAULT, "default"}}};
  const auto* named = std::ranges::find(kNames, table, [](const auto& name) { return name.first; });
  return named == kNames.end() ? std::to_string(table) : std::string(named->second);
}

std::string_view TypeText(std::uint8_t type) {
  static constexpr std::array<std::string_view, RTN_MAX + 1> kTypes{"unspec",   "unicast",   "local",     "broadcast",
                                                                    "anycast",  "multicast", "blackhole", "unreachable",
                                                                    "prohibit", "throw",     "nat",       "xresolve"};
  return type < kTypes.size() ? kTypes[type] : "unknown";
}

// A route that a namespace of ours does not have.
bool IsStrange(const Snapshot& snapshot, const Route& route) {
  if (route.IsOrdinary() || snapshot.IsKernels(route)) return false;
  // Over a link that a workload has made it may send what it likes.
  const Link* link = snapshot.Find(route.index);
  return link == nullptr || link->kind == "veth" || link->name == "lo";
}

std::string RouteName(const Route& route) {
  return "route " + spec::Format(route.to) + " in table " + TableText(route.table);
}

bool HasRules(const std::vector<RoutingRule>& rules, unsigned char family) {
  return std::ranges::find(rules, family, &RoutingRule::family) != rules.end();
}

}  // namespace

bool RoutingRule::IsKernels() const {
  return std::ranges::any_of(kOwnRules, [&](const OwnRule& own) { return Is(*this, own); });
}

bool RoutesByItself(const Snapshot& snapshot) {
  // Those that the kernel puts into every namespace are down.
  return std::ranges::any_of(snapshot.links, [](const Link& link) {
    return link.up && link.kind != "veth" && link.name != "lo" && link.name != kUserspaceLink;
  });
}

Result<std::vector<RoutingRule>> DumpRules(Netlink& netlink, bool v6) {
  Message message(RTM_GETRULE, 0);
  fib_rule_hdr filter{};
  filter.family = v6 ? AF_UNSPEC : AF_INET;
  message.Header(filter);
  std::vector<RoutingRule> rules;
  TRY(netlink.Dump(
      message, "list routing rules", [&] { rules.clear(); },
      [&](nlmsghdr* header) {
        if (auto rule = RuleOf(header)) rules.push_back(*std::move(rule));
      }));
  return rules;
}

std::string RuleName(unsigned char family, std::uint32_t priority) {
  return "routing rule " + std::to_string(priority) + (family == AF_INET6 ? " of IPv6" : "");
}

std::vector<OwnRule> MissingRules(const std::vector<RoutingRule>& rules) {
  std::vector<OwnRule> missing;
  std::ranges::copy_if(kOwnRules, std::back_inserter(missing), [&](const OwnRule& own) {
    return HasRules(rules, own.family) &&
           std::ranges::none_of(rules, [&](const RoutingRule& rule) { return Is(rule, own); });
  });
  return missing;
}

std::vector<Route> StrangeRoutes(const Snapshot& snapshot) {
  std::vector<Route> strange;
  std::ranges::copy_if(snapshot.routes, std::back_inserter(strange),
                       [&](const Route& route) { return IsStrange(snapshot, route); });
  return strange;
}

Facts RoutingFaults(const Snapshot& snapshot, const std::vector<RoutingRule>& rules) {
  Facts faults;
  if (RoutesByItself(snapshot)) return faults;
  for (const auto& route : StrangeRoutes(snapshot)) faults[RouteName(route)] = TypeText(route.type);
  for (const auto& rule : rules)
    if (!rule.IsKernels()) faults[RuleName(rule.family, rule.priority)] = "to table " + TableText(rule.table);
  for (const auto& own : MissingRules(rules)) faults[RuleName(own.family, own.priority)] = "deleted";
  return faults;
}

}  // namespace nucleus::netns
