#include "cli/saved_secrets.hpp"

#include "cli/secret_digests.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

bool IsOfSecret(std::string_view input) {
  return input.starts_with("secrets:") || input.starts_with("systemd_credentials:");
}

// What whoever saved the plan did not see.
void LeaveOut(const spec::Topology& saved, spec::Topology& now) {
  for (auto& [name, service] : now.services) {
    const auto then = saved.services.find(name);
    if (then == saved.services.end()) continue;
    std::erase_if(service.inputs, [&](const auto& input) {
      return IsOfSecret(input.first) && !then->second.inputs.contains(input.first);
    });
  }
}

// What is done to the machine, and not only written down or waited for.
std::vector<std::string> Deeds(const reconcile::Plan& plan) {
  using reconcile::Verb;
  std::vector<std::string> deeds;
  for (const auto& step : plan.steps) {
    const bool acts = step.verb == Verb::kApply || step.verb == Verb::kUndo || step.verb == Verb::kSignal;
    if (acts && step.action != reconcile::Action::kAdopt)
      deeds.push_back(step.Text() + " " + std::string(ActionName(step.action)));
  }
  return deeds;
}

}  // namespace

void PinSecrets(Console& console, const Directories& directories, const World& world, Goal& goal) {
  for (auto* topology : {&goal.sources_now, &goal.desired}) {
    if (!*topology) continue;
    const auto told = AddSecretDigests(directories, world.applied.topology, **topology);
    if (topology == &goal.desired && !told.empty()) console.Warn(told);
    if (goal.saved != nullptr && goal.saved->desired) LeaveOut(*goal.saved->desired, **topology);
  }
  // Where they say the same, the files know the lines; where not, the plan is refused as stale.
  if (goal.desired && goal.sources_now && spec::ToJson(*goal.desired) == spec::ToJson(*goal.sources_now))
    goal.desired = goal.sources_now;
}

bool SeeSecrets(const Directories& directories, const World& world, Goal& goal) {
  if (goal.saved == nullptr || !goal.desired) return false;
  const std::string before = spec::ToJson(*goal.desired);
  (void)AddSecretDigests(directories, world.applied.topology, *goal.desired);
  return spec::ToJson(*goal.desired) != before;
}

bool SameDeeds(const reconcile::Plan& a, const reconcile::Plan& b) {
  return Deeds(a) == Deeds(b);
}

}  // namespace nucleus::cli
