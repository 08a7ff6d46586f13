#include <linux/fib_rules.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <utility>

#include "actuators/netns/links.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/netns/routing.hpp"

namespace nucleus::netns {

namespace {

// What became so meanwhile by itself is as good. Of several errors the first is told, and the rest is repaired.
class Repairs {
 public:
  void Note(Result<> done, std::initializer_list<int> as_good) {
    if (done || std::ranges::find(as_good, done.error().sys_errno) != as_good.end()) return;
    if (first_) first_ = std::move(done);
  }
  Result<> Take() { return std::move(first_); }

 private:
  Result<> first_;
};

Result<> AddRule(Netlink& netlink, const KernelsRule& kernels) {
  fib_rule_hdr header{};
  header.family = kernels.family;
  header.action = FR_ACT_TO_TBL;
  header.table = static_cast<std::uint8_t>(kernels.table);
  Message message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  message.Header(header).Put(FRA_PRIORITY, kernels.priority);
  return netlink.Do(message, "add", RuleName(kernels.family, kernels.priority));
}

Result<> DeleteRule(Netlink& netlink, const RoutingRule& rule) {
  Message message(RTM_DELRULE, 0);
  message.PutRaw(rule.raw);
  auto deleted = netlink.Do(message, "delete", RuleName(rule.family, rule.priority));
  if (!deleted && deleted.error().sys_errno == EPERM)  // FIB_RULE_PERMANENT
    return Fail(
        std::move(deleted).error().Hint("the kernel keeps a permanent rule for as long as the network namespace "
                                        "is there: remove the container, and apply again"));
  return deleted;
}

}  // namespace

Result<> RepairRouting() {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  const auto snapshot = TRY(DumpAll(netlink, HasIpv6()));
  if (RoutesByItself(snapshot)) return RestoreRoutes(netlink, LostRoutes(snapshot));
  const auto there = TRY(DumpRules(netlink, HasIpv6()));
  Repairs repairs;
  for (const auto& kernels : MissingRules(there)) repairs.Note(AddRule(netlink, kernels), {EEXIST});
  for (const auto& rule : there.rules)
    if (!rule.IsKernels()) repairs.Note(DeleteRule(netlink, rule), {ENOENT, ESRCH});
  for (const auto& route : StrangeRoutes(snapshot)) repairs.Note(DeleteRoute(netlink, route), {ENOENT, ESRCH});
  // Looked at anew: one that was strange may have been in the place of one of the kernel's.
  repairs.Note(RestoreRoutes(netlink, LostRoutes(TRY(DumpAll(netlink, HasIpv6())))), {});
  return repairs.Take();
}

}  // namespace nucleus::netns
