#include "actuators/netns/routing.hpp"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "actuators/netns/answers.hpp"
#include "spec/net.hpp"
#include "state/parts/facts.hpp"

namespace nucleus::netns {

namespace {

// fib_default_rules_init() in net/ipv4/fib_rules.c, fib6_rules_net_init() in net/ipv6/fib6_rules.c.
constexpr auto kKernelsRules = std::to_array<KernelsRule>({{AF_INET, 0, RT_TABLE_LOCAL},
                                                           {AF_INET, 0x7FFE, RT_TABLE_MAIN},
                                                           {AF_INET, 0x7FFF, RT_TABLE_DEFAULT},
                                                           {AF_INET6, 0, RT_TABLE_LOCAL},
                                                           {AF_INET6, 0x7FFE, RT_TABLE_MAIN}});

bool Is(const RoutingRule& rule, const KernelsRule& kernels) {
  return rule.every_packet && rule.action == FR_ACT_TO_TBL && rule.family == kernels.family &&
         rule.priority == kernels.priority && rule.table == kernels.table;
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
  return link == nullptr || KeepsRoutes(*link);
}

std::string RouteName(const Route& route) {
  return "route " + spec::Format(route.to) + " in table " + TableText(route.table);
}

std::string ActionText(const RoutingRule& rule) {
  const std::string whose = rule.every_packet ? "" : " for some packets";
  switch (rule.action) {
    case FR_ACT_TO_TBL:
      return "to table " + TableText(rule.table) + whose;
    case FR_ACT_GOTO:
      return "goto" + whose;
    case FR_ACT_NOP:
      return "nop" + whose;
    case FR_ACT_BLACKHOLE:
      return "blackhole" + whose;
    case FR_ACT_UNREACHABLE:
      return "unreachable" + whose;
    case FR_ACT_PROHIBIT:
      return "prohibit" + whose;
    default:
      return "action " + std::to_string(rule.action) + whose;
  }
}

// Named one by one, as far as that helps anybody; the rest is a number.
class FirstFew {
 public:
  void Add(const std::string& name, const std::string& value) {
    if (++count_ > kMost) return;
    const auto [fact, is_new] = facts_.emplace(name, value);
    if (!is_new) fact->second += ", " + value;
  }
  void Tell(Facts& facts, const std::string& what, std::string_view value = "there") {
    facts.merge(std::move(facts_));
    if (count_ > kMost) facts[std::to_string(count_ - kMost) + " further " + what] = value;
  }

 private:
  static constexpr std::size_t kMost = 8;
  Facts facts_;
  std::size_t count_ = 0;
};

}  // namespace

bool RoutingRule::IsKernels() const {
  return std::ranges::any_of(kKernelsRules, [&](const KernelsRule& kernels) { return Is(*this, kernels); });
}

bool RoutesByItself(const Snapshot& snapshot) {
  // Those that the kernel puts into every namespace are down.
  return std::ranges::any_of(snapshot.links, [](const Link& link) {
    return link.up && link.kind != "veth" && link.name != "lo" && link.name != kUserspaceLink;
  });
}

Result<RoutingRules> DumpRules(Netlink& netlink, bool v6) {
  RoutingRules there;
  for (const int family : {AF_INET, AF_INET6}) {
    if (family == AF_INET6 && !v6) continue;
    auto message = Message::Question(RTM_GETRULE);
    fib_rule_hdr filter{};
    filter.family = static_cast<std::uint8_t>(family);
    message.Header(filter);
    std::vector<RoutingRule> rules;
    const auto dumped = netlink.Dump(
        message, "list routing rules", [&] { rules.clear(); },
        [&](nlmsghdr* header) {
          if (auto rule = RuleOf(header)) rules.push_back(*std::move(rule));
        });
    if (!dumped && (dumped.error().sys_errno == EAFNOSUPPORT || dumped.error().sys_errno == EOPNOTSUPP)) continue;
    TRY(dumped);
    there.families.push_back(filter.family);
    std::ranges::move(rules, std::back_inserter(there.rules));
  }
  return there;
}

std::string RuleName(unsigned char family, std::uint32_t priority) {
  return "routing rule " + std::to_string(priority) + (family == AF_INET6 ? " of IPv6" : "");
}

std::vector<KernelsRule> MissingRules(const RoutingRules& there) {
  std::vector<KernelsRule> missing;
  std::ranges::copy_if(kKernelsRules, std::back_inserter(missing), [&](const KernelsRule& kernels) {
    return std::ranges::find(there.families, kernels.family) != there.families.end() &&
           std::ranges::none_of(there.rules, [&](const RoutingRule& rule) { return Is(rule, kernels); });
  });
  return missing;
}

std::vector<Route> StrangeRoutes(const Snapshot& snapshot) {
  std::vector<Route> strange;
  std::ranges::copy_if(snapshot.routes, std::back_inserter(strange),
                       [&](const Route& route) { return IsStrange(snapshot, route); });
  return strange;
}

Facts LostRouteFaults(const std::vector<LostRoute>& lost) {
  Facts faults;
  FirstFew routes;
  for (const auto& one : lost) routes.Add(RouteName(one.route), std::string(kGoneFact));
  routes.Tell(faults, "routes of addresses", kGoneFact);
  return faults;
}

Facts RoutingFaults(const Snapshot& snapshot, const RoutingRules& there) {
  Facts faults;
  if (RoutesByItself(snapshot)) return faults;
  faults.merge(LostRouteFaults(LostRoutes(snapshot)));
  FirstFew routes, rules;
  for (const auto& route : StrangeRoutes(snapshot)) routes.Add(RouteName(route), std::string(TypeText(route.type)));
  for (const auto& rule : there.rules)
    if (!rule.IsKernels()) rules.Add(RuleName(rule.family, rule.priority), ActionText(rule));
  routes.Tell(faults, "routes");
  rules.Tell(faults, "routing rules");
  for (const auto& kernels : MissingRules(there)) faults[RuleName(kernels.family, kernels.priority)] = kGoneFact;
  return faults;
}

}  // namespace nucleus::netns
