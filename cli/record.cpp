#include "cli/record.hpp"

#include <algorithm>

#include "reconcile/allocate.hpp"
#include "reconcile/applied.hpp"
#include "reconcile/explain.hpp"
#include "spec/net.hpp"

namespace nucleus::cli {

namespace {

using Subnets = std::vector<spec::Ipv4Net>;

bool SameChanges(const reconcile::Plan& a, const reconcile::Plan& b) {
  return std::ranges::equal(a.changes, b.changes, [](const reconcile::Change& one, const reconcile::Change& other) {
    return one.address == other.address && one.action == other.action;
  });
}

bool MayChoose(const Work& work) {
  return work.goal.saved == nullptr && !work.arguments().Has("expect") && !work.arguments().Has("out") &&
         std::ranges::any_of(work.effective.networks, [](const auto& entry) { return !entry.second.subnet; });
}

// Claims what the networks are about to have that did not have it before. Those that were chosen; lost: those of them
// that somebody else is about to have. What is declared is claimed so that nobody chooses it; that somebody has is said
// where the bridge is made.
Result<Subnets> ClaimNew(const Work& work, sys::AddressClaims& claims, Subnets& lost) {
  const auto before = reconcile::AppliedLeases(work.world.applied).subnets;
  Subnets chosen;
  for (const auto& [name, network] : work.effective.networks) {
    const auto key = reconcile::SubnetKey(name);
    const auto net = work.plan.subnets.find(key);
    const auto had = before.find(key);
    if (net == work.plan.subnets.end() || (had != before.end() && had->second == net->second)) continue;
    const bool is_ours = TRY(claims.Claim(net->second.base.value, std::uint64_t{1} << (32 - net->second.prefix)));
    if (network.subnet) continue;
    chosen.push_back(net->second);
    if (!is_ours) lost.push_back(net->second);
  }
  return chosen;
}

// What the machine reaches otherwise: now that nobody else can be about to have what was chosen, whoever was quicker
// has a bridge by now.
Result<Subnets> RoutesNow(const Work& work) {
  std::vector<std::string> networks;
  for (const auto* topology : {&work.effective, &work.world.applied.topology}) {
    for (const auto& [name, network] : topology->networks) networks.push_back(name);
  }
  return TRY(LookAtHost(work.world.project, networks)).routes;
}

// False: with other subnets it would do other things.
Result<bool> PlanAgain(Work& work) {
  auto plan = TRY(PlanFor(work.world, work.desired(), work.goal.options));
  if (plan.subnets == work.plan.subnets || !SameChanges(plan, work.plan)) return false;
  work.plan = std::move(plan);
  return true;
}

// Until nobody else has, or is about to have, what was chosen.
Result<> Choose(Work& work, sys::AddressClaims& claims, Subnets& lost) {
  while (true) {
    const auto chosen = TRY(ClaimNew(work, claims, lost));
    if (chosen.empty()) return {};
    auto occupied = TRY(RoutesNow(work));
    occupied.insert(occupied.end(), lost.begin(), lost.end());
    const bool clash = std::ranges::any_of(chosen, [&](const auto& net) {
      return std::ranges::any_of(occupied, [&](const auto& other) { return spec::Overlap(net, other); });
    });
    if (!clash) return {};
    work.world.observed.host.routes = std::move(occupied);
    if (!TRY(PlanAgain(work))) return {};
  }
}

}  // namespace

Result<std::uint64_t> Record(Work& work, sys::AddressClaims& claims) {
  constexpr int kMostAttempts = 256;  // each time somebody else got what they wanted
  const bool may_choose = MayChoose(work);
  Subnets lost;
  for (int attempt = 1;; ++attempt) {
    if (may_choose) {
      TRY(Choose(work, claims, lost));
    } else {
      (void)TRY(ClaimNew(work, claims, lost));
    }
    auto revision = reconcile::RevisionOf(work.plan, work.effective, reconcile::Summary(work.plan));
    revision.origin = work.goal.origin;
    auto begun = work.store.BeginRevision(revision);
    if (begun || begun.error().code != ErrorCode::kConflict || !may_choose || attempt == kMostAttempts) return begun;
    work.world.taken = reconcile::ToTaken(TRY(work.store.Leases()), work.world.project);
    // Else it was about something else, or there is more to it.
    if (!TRY(PlanAgain(work))) return begun;
  }
}

}  // namespace nucleus::cli
