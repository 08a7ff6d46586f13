#include "reconcile/recover.hpp"

#include <algorithm>

namespace nucleus::reconcile {

Result<> RecordSeen(state::Store& store, const std::string& project, const Observations& seen) {
  const auto recorded = TRY(store.LoadObservations(project));
  for (const auto& [key, observation] : recorded) {
    const auto now = seen.find(key);
    const bool gone = now == seen.end() || now->second.presence == Presence::kAbsent;
    if (gone) TRY(store.PutObservation(key, Observation{}));
  }
  for (const auto& [key, observation] : seen) {
    if (observation.presence == Presence::kPresent && !recorded.contains(key))
      TRY(store.PutObservation(key, observation));
  }
  return {};
}

Result<Interrupted> FindInterrupted(state::Store& store, const std::string& project) {
  Interrupted interrupted;
  for (const auto& row : TRY(store.OpenIntents(project))) {
    if (std::find(interrupted.steps.begin(), interrupted.steps.end(), row.step) == interrupted.steps.end())
      interrupted.steps.push_back(row.step);
  }
  return interrupted;
}

Result<> CloseInterrupted(state::Store& store, const std::string& project) {
  return store.CloseIntents(project);
}

}  // namespace nucleus::reconcile
