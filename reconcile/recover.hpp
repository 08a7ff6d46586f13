// What an apply that was killed left open in the journal. Call with the project's lock held: then nobody is at work, so
// every open intent is a dead one.
//
// Nothing is replayed. The parts of open steps are among those that are probed (their names follow from their keys, and
// probers report every owned part), so the next plan finishes or removes them; then the intents are closed.
#pragma once

#include <string>
#include <vector>

#include "spec/core/error.hpp"
#include "state/store.hpp"

namespace nucleus::reconcile {

struct Interrupted {
  std::vector<std::string> steps;  // "service.web/netns", for a message
  [[nodiscard]] bool empty() const { return steps.empty(); }
};

// Makes the store say of the project what the probe has just said, and nothing more: a step that was killed between its
// work and its record leaves a record that is missing, or one too many.
Result<> RecordSeen(state::Store& store, const std::string& project, const Observations& seen);

Result<Interrupted> FindInterrupted(state::Store& store, const std::string& project);
// Once the plan that was made after FindInterrupted has been carried out, or had nothing to do.
Result<> CloseInterrupted(state::Store& store, const std::string& project);

}  // namespace nucleus::reconcile
