// Reads only, but for the key of secrets' digests, which is made where there is none: takes no lock, and its library
// links no actuator's apply side.

#include <algorithm>

#include "cli/secret_digests.hpp"
#include "cli/session.hpp"
#include "cli/start_checks.hpp"
#include "spec/load.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

Result<int> RunDiff(Context& context) {
  if (!context.arguments.Has("file")) return UsageFault(context, "needs -f FILE");
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const Probers probers(directories);
  // What comes through a pipe may come when the machine has changed.
  const bool waits = std::ranges::any_of(context.arguments.Values("file"), spec::IsStream);
  if (!waits) probers.Begin();
  spec::Topology desired = TRY(LoadFiles(context));
  if (waits) probers.Begin();
  probers.BeginWith(desired.name);
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  const reconcile::Options options = TRY(PlanOptionsOf(context.arguments));
  World world = TRY(LoadWorldFor(options, store, desired.name));
  if (const auto told = AddSecretDigests(directories, world.applied.topology, desired); !told.empty())
    context.console.Warn(told);
  TRY(CheckAddresses(options, &desired, world.applied));
  auto planner = TRY(Observe(world, probers, &desired, options));
  const reconcile::Plan plan = TRY(std::move(planner).MakePlan(world.observed.parts));
  PrintPlan(context, plan, desired.files);
  const auto may_start =
      TellProblems(context, CheckStarts(desired, plan, world.observed.parts, directories, Asking::kLooker));
  if (may_start && context.arguments.Has("out")) TRY(WriteSavedPlan(context.arguments, world, &desired, options, plan));
  if (const int refused = Gates(context, plan); refused != exit_code::kDone) return refused;
  TRY(may_start);
  if (const auto unreadable = Unreadable(world); !unreadable.empty()) {
    return Fail(ErrorCode::kPermission, "read", unreadable.front(), "the answer above is not all");
  }
  return context.arguments.Has("detailed-exitcode") && plan.HasChanges() ? exit_code::kChanges : exit_code::kDone;
}

}  // namespace nucleus::cli
