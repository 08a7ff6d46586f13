#include <linux/fib_rules.h>

#include "actuators/netns/links.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/netns/routing.hpp"

namespace nucleus::netns {

namespace {

Result<> AddRule(Netlink& netlink, const OwnRule& own) {
  fib_rule_hdr header{};
  header.family = own.family;
  header.action = FR_ACT_TO_TBL;
  header.table = static_cast<std::uint8_t>(own.table);
  Message message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  message.Header(header).Put(FRA_PRIORITY, own.priority);
  return netlink.Do(message, "add routing rule", RuleName(own.family, own.priority));
}

Result<> DeleteRule(Netlink& netlink, const RoutingRule& rule) {
  Message message(RTM_DELRULE, 0);
  message.PutRaw(rule.raw);
  return netlink.Do(message, "delete routing rule", RuleName(rule.family, rule.priority));
}

}  // namespace

Result<> RepairRouting() {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  const auto snapshot = TRY(DumpAll(netlink, HasIpv6()));
  if (RoutesByItself(snapshot)) return {};
  const auto rules = TRY(DumpRules(netlink, HasIpv6()));
  for (const auto& own : MissingRules(rules)) TRY(AddRule(netlink, own));
  for (const auto& rule : rules)
    if (!rule.IsKernels()) TRY(DeleteRule(netlink, rule));
  for (const auto& route : StrangeRoutes(snapshot)) TRY(DeleteRoute(netlink, route));
  return {};
}

}  // namespace nucleus::netns
