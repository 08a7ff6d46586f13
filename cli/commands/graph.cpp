#include <optional>
#include <utility>

#include "cli/session.hpp"
#include "reconcile/plan_json.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

namespace {

reconcile::GraphFormat FormatOf(const Arguments& arguments) {
  const std::string value = arguments.Value("output");
  if (value == "mermaid") return reconcile::GraphFormat::kMermaid;
  return value == "json" ? reconcile::GraphFormat::kJson : reconcile::GraphFormat::kDot;
}

}  // namespace

Result<int> RunGraph(Context& context) {
  if (!context.arguments.Has("file")) return UsageFault(context, "needs -f FILE");
  const spec::Topology desired = TRY(LoadFiles(context));
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const reconcile::Options options = TRY(PlanOptionsOf(context.arguments));
  World world;
  std::optional<reconcile::Planner> planner;
  world.project = desired.name;
  world.applied.topology.name = desired.name;
  if (context.arguments.Has("all")) {
    world.observed.host = TRY(LookAtHost(""));
  } else {
    state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
    world = TRY(LoadWorld(store, desired.name));
    planner = TRY(Observe(world, Probers(directories), &desired, options));
  }
  TRY(CheckAddresses(options, &desired, world.applied));
  const reconcile::Plan plan =
      TRY(planner ? std::move(*planner).MakePlan(world.observed.parts) : PlanFor(world, &desired, options));
  context.console.Out(reconcile::GraphText(plan, FormatOf(context.arguments)));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
