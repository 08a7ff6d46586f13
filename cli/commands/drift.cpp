#include <algorithm>

#include "cli/session.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

namespace {

Result<std::vector<std::string>> ProjectsAsked(Context& context, state::Store& store) {
  if (context.arguments.Has("file")) return std::vector{TRY(LoadFiles(context)).name};
  if (const std::string name = context.arguments.Operand(0); !name.empty())
    return std::vector{TRY(KnownProject(store, name))};
  return store.Projects();
}

}  // namespace

Result<int> RunDrift(Context& context) {
  if (context.arguments.Has("file") && !context.arguments.operands().empty()) {
    return UsageFault(context, "takes a name or files, not both");
  }
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  reconcile::Options options = TRY(PlanOptionsOf(context.arguments));
  options.drift_only = true;
  const Probers probers(directories);
  int worst = exit_code::kDone;
  std::vector<std::string> unreadable;
  for (const std::string& project : TRY(ProjectsAsked(context, store))) {
    World world = TRY(LoadWorld(store, project));
    TRY(CheckAddresses(options, nullptr, world.applied));
    TRY(Observe(world, probers, &world.applied.topology, options));
    const reconcile::Plan plan = TRY_IN(project, PlanFor(world, &world.applied.topology, options));
    PrintPlan(context, plan, {});
    worst = std::max(worst, Gates(context, plan));
    if (worst == exit_code::kDone && context.arguments.Has("detailed-exitcode") && plan.HasChanges()) {
      worst = exit_code::kChanges;
    }
    for (std::string& text : Unreadable(world)) unreadable.push_back(project + "/" + std::move(text));
  }
  if (worst < exit_code::kGate && !unreadable.empty()) {
    return Fail(Error::Of(ErrorCode::kPermission, "read", unreadable.front(), "the answer above is not all")
                    .Hint("run it as root"));
  }
  return worst;
}

}  // namespace nucleus::cli
