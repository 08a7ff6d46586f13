#include "cli/record.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "reconcile/allocate.hpp"
#include "reconcile/applied.hpp"
#include "reconcile/explain.hpp"
#include "spec/net.hpp"

namespace nucleus::cli {

namespace {

using Subnets = std::vector<spec::Ipv4Net>;
using ChosenSubnets = std::map<std::string, spec::Ipv4Net>;  // by SubnetKey()

bool SameChanges(const reconcile::Plan& a, const reconcile::Plan& b) {
  return std::ranges::equal(a.changes, b.changes, [](const reconcile::Change& one, const reconcile::Change& other) {
    return one.address == other.address && one.action == other.action;
  });
}

bool MayChoose(const Work& work) {
  return work.goal.saved == nullptr && !work.arguments().Has("expect") && !work.arguments().Has("out") &&
         std::ranges::any_of(work.effective.networks, [](const auto& entry) { return !entry.second.subnet; });
}

// Whether its bridge has the gateway's address, so that everybody sees what is taken.
bool HasBridge(const Work& work, const spec::Network& network, const spec::Ipv4Net& net) {
  const auto bridge =
      work.world.observed.parts.find({work.world.project, {Kind::kNetwork, network.name}, Part::kBridge});
  if (bridge == work.world.observed.parts.end() || bridge->second.presence != Presence::kPresent) return false;
  const auto addresses = bridge->second.facts.find("address");
  const std::string gateway = spec::Format(reconcile::GatewayOf(network, net)) + "/" + std::to_string(net.prefix) + " ";
  return addresses != bridge->second.facts.end() && (addresses->second + " ").starts_with(gateway);
}

// Whether it was there once: what runs may have addresses of it, so it is not given up for another one.
bool Had(const Work& work, const ChosenSubnets& before, const std::string& name, const spec::Ipv4Net& net) {
  const auto had = before.find(reconcile::SubnetKey(name));
  return had != before.end() && had->second == net && work.world.applied.topology.networks.contains(name);
}

// Claims what the networks are about to have and do not have yet. Those that were chosen; lost: those of them that
// somebody else is about to have. What is declared, or was had before, is claimed so that nobody chooses it; that
// somebody has is said where the bridge is made.
Result<ChosenSubnets> ClaimNew(const Work& work, sys::AddressClaims& claims, Subnets& lost) {
  const auto before = reconcile::AppliedLeases(work.world.applied).subnets;
  ChosenSubnets chosen;
  for (const auto& [name, network] : work.effective.networks) {
    const auto net = work.plan.subnets.find(reconcile::SubnetKey(name));
    if (net == work.plan.subnets.end() || HasBridge(work, network, net->second)) continue;
    const bool is_ours = TRY(claims.Claim(net->second.base.value, std::uint64_t{1} << (32 - net->second.prefix)));
    if (network.subnet || Had(work, before, name, net->second)) continue;
    chosen.insert(*net);
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
    auto chosen = TRY(ClaimNew(work, claims, lost));
    if (chosen.empty()) return {};
    auto occupied = TRY(RoutesNow(work));
    occupied.insert(occupied.end(), lost.begin(), lost.end());
    const auto clashes = [&](const auto& entry) {
      return std::ranges::any_of(occupied, [&](const auto& net) { return spec::Overlap(entry.second, net); });
    };
    std::erase_if(chosen, [&](const auto& entry) { return !clashes(entry); });
    if (chosen.empty()) return {};
    // One that was cut off before it had a bridge has a lease of it yet.
    for (const auto& [key, net] : chosen) work.world.applied.subnets.erase(key);
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
    auto volumes = std::move(work.world.taken.volumes);
    work.world.taken = reconcile::ToTaken(TRY(work.store.Leases()), work.world.project);
    work.world.taken.volumes = std::move(volumes);
    // Else it was about something else, or there is more to it.
    if (!TRY(PlanAgain(work))) return begun;
  }
}

}  // namespace nucleus::cli
