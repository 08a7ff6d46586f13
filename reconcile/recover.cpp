#include "reconcile/recover.hpp"

#include <algorithm>

namespace nucleus::reconcile {

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
