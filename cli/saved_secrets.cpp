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

}  // namespace

void PinSecrets(Console& console, const Directories& directories, state::Store& store, const World& world, Goal& goal) {
  for (auto* topology : {&goal.sources_now, &goal.desired}) {
    if (!*topology) continue;
    const auto told = AddSecretDigests(directories, store, world.applied.topology, **topology);
    if (topology == &goal.desired && !told.empty()) console.Warn(told);
    if (goal.saved != nullptr && goal.saved->desired) LeaveOut(*goal.saved->desired, **topology);
  }
  // Where they say the same, the files know the lines; where not, the plan is refused as stale.
  if (goal.desired && goal.sources_now && spec::ToJson(*goal.desired) == spec::ToJson(*goal.sources_now))
    goal.desired = goal.sources_now;
}

bool SeeSecrets(const Directories& directories, state::Store& store, const World& world, Goal& goal) {
  if (goal.saved == nullptr || !goal.desired) return false;
  const std::string before = spec::ToJson(*goal.desired);
  (void)AddSecretDigests(directories, store, world.applied.topology, *goal.desired);
  return spec::ToJson(*goal.desired) != before;
}

}  // namespace nucleus::cli
