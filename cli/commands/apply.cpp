#include "actuators/sys/file.hpp"
#include "cli/converge.hpp"
#include "cli/session.hpp"
#include "cli/watch.hpp"
#include "reconcile/saved_plan.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

// Options that say what is wanted: a saved plan has them in it.
constexpr std::string_view kPartOfPlan[] = {"target", "exclude", "rerun", "replace", "delete-data", "out"};

Result<int> ApplySaved(Context& context, const std::string& path) {
  for (const std::string_view option : kPartOfPlan) {
    if (context.arguments.Has(option)) {
      return UsageFault(context, "--" + std::string(option) + " cannot be given with a saved plan");
    }
  }
  const std::string text = TRY(sys::ReadFile(path));
  if (!reconcile::LooksLikeSavedPlan(text)) {
    return Fail(Error::Of(ErrorCode::kInvalid, "read", path, "is not a plan saved with --out")
                    .Hint("to apply a desired state: nucleus apply -f " + path));
  }
  const reconcile::SavedPlan saved = TRY_IN(path, reconcile::DecodeSavedPlan(text));
  Goal goal;
  goal.project = saved.project;
  goal.desired = saved.desired;
  goal.options = saved.options;
  goal.saved = &saved;
  goal.origin = state::Origin::kFiles;
  if (!saved.sources.empty()) {
    spec::Loaded loaded = spec::Load(saved.sources, OutsideOfFiles());
    if (!loaded.ok()) {
      Error error = Error::Of(ErrorCode::kStale, "read", "the files of the plan", "they cannot be read as they were");
      if (!loaded.problems.empty()) error.cause += ": " + loaded.problems.front().Text();
      return Fail(std::move(error).Hint("make the plan anew with `nucleus diff --out`"));
    }
    goal.sources_now = std::move(loaded.topology);
  }
  return Converge(context, std::move(goal));
}

}  // namespace

Result<int> RunApply(Context& context) {
  const std::string plan = context.arguments.Operand(0);
  if (!plan.empty()) {
    if (context.arguments.Has("file")) return UsageFault(context, "takes a saved plan or files, not both");
    if (context.arguments.Has("watch")) return UsageFault(context, "--watch needs -f FILE, not a saved plan");
    return ApplySaved(context, plan);
  }
  if (!context.arguments.Has("file")) return UsageFault(context, "needs -f FILE or a saved plan");
  if (context.arguments.Has("watch")) return WatchFiles(context);
  Goal goal;
  goal.desired = TRY(LoadFiles(context));
  goal.project = goal.desired->name;
  goal.options = TRY(PlanOptionsOf(context.arguments));
  goal.origin = state::Origin::kFiles;
  return Converge(context, std::move(goal));
}

}  // namespace nucleus::cli
