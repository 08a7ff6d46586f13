// The one road on which anything is changed: lock, look, plan, show, gate, ask, record, run, tell. apply, destroy,
// rollback and Compose's verbs differ in what they want only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "reconcile/planner.hpp"
#include "reconcile/saved_plan.hpp"

namespace nucleus::cli {

struct Goal {
  std::string project;
  std::optional<spec::Topology> desired;           // none: everything is to go
  reconcile::Options options;                      // all but `destroy`, which follows from desired
  const reconcile::SavedPlan* saved = nullptr;     // run exactly this, or refuse
  std::optional<spec::Topology> sources_now = {};  // with saved: the files as they read now
  std::optional<state::Origin> origin = {};        // none: as it was
  bool must_be_known = false;                      // a project the store has not heard of is an error
  // Asked once the project's lock is had: whether it is still so that this is wanted.
  std::function<Result<>(state::Store& store, const World& world)> admit = {};
  bool by_options = false;                              // ConvergeQuietly: what is told is told of options
  bool keeps_what_failed = false;                       // ConvergeQuietly: nothing is taken back
  std::function<Result<>()> before = {};                // what comes before all changes, once they are recorded
  std::function<void(std::uint64_t)> on_revision = {};  // each that is begun, also to go back
};

// The exit code. Everything was said already but the error, if there is one.
Result<int> Converge(Context& context, Goal goal);

// The same without a plan to read, questions and a result: for one container that is wanted, or not wanted any more,
// as a whole. With the defaults of `apply`; where it fails, it is taken back, and the error is that of the first step.
// after: what comes last while the project is had.
Result<> ConvergeQuietly(Context& context, Goal goal, const std::function<Result<>()>& after = {});

}  // namespace nucleus::cli
