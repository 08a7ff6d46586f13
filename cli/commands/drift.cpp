#include <algorithm>

#include "cli/services.hpp"
#include "cli/session.hpp"
#include "reconcile/plan_json.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

namespace {

Result<std::vector<std::string>> ProjectsAsked(Context& context, state::Store& store) {
  if (context.arguments.Has("file")) return std::vector{TRY(LoadName(context))};
  if (const std::string name = context.arguments.Operand(0); !name.empty())
    return std::vector{TRY(KnownProject(store, name))};
  return store.Projects();
}

struct Answers {
  std::vector<std::string> unreadable;  // what could not be read
  std::vector<reconcile::Plan> plans;   // of all projects, where they are to be one document
  bool together = false;
};

// Of one project.
Result<int> DriftOf(Context& context, state::Store& store, const Probers& probers, const std::string& project,
                    Answers& answers) {
  reconcile::Options options = TRY(PlanOptionsOf(context.arguments));
  options.drift_only = true;
  World world = TRY(LoadWorld(store, project));
  TRY(CheckAddresses(options, nullptr, world.applied));
  const spec::Topology asked = TRY(AppliedAndBegun(store, options.directories, world));
  auto planner = TRY(Observe(world, probers, &asked, options));
  const reconcile::Plan plan = TRY(std::move(planner).MakePlan(world.observed.parts));
  if (answers.together) {
    answers.plans.push_back(plan);
  } else {
    PrintPlan(context, plan, {});
  }
  for (const std::string& text : Unreadable(world)) answers.unreadable.push_back(project + "/" + text);
  if (const int refused = Gates(context, plan); refused != exit_code::kDone) return refused;
  return context.arguments.Has("detailed-exitcode") && plan.HasChanges() ? exit_code::kChanges : exit_code::kDone;
}

// What decides the exit status of several: a gate, an error, changes, nothing.
constexpr int Weight(int code) {
  return code == exit_code::kError ? exit_code::kChanges : code == exit_code::kChanges ? exit_code::kError : code;
}

}  // namespace

Result<int> RunDrift(Context& context) {
  if (context.arguments.Has("file") && !context.arguments.operands().empty()) {
    return UsageFault(context, "takes a name or files, not both");
  }
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  const Probers probers(directories);
  int worst = exit_code::kDone;
  Answers answers;
  // One document, whatever the number of projects.
  answers.together = OutputFormOf(context.arguments) == OutputForm::kJson && !context.arguments.Has("file") &&
                     context.arguments.operands().empty();
  const auto projects = TRY(ProjectsAsked(context, store));
  for (const std::string& project : projects) {
    auto code = DriftOf(context, store, probers, project, answers);
    if (!code && projects.size() == 1) return code;
    // The others are to be seen all the same.
    if (!code) context.console.Fail("drift", Error(code.error()).In(project));
    worst = std::max(worst, code.value_or(exit_code::kError), [](int a, int b) { return Weight(a) < Weight(b); });
  }
  if (answers.together) context.console.Out(reconcile::PlansJson(answers.plans));
  if (worst < exit_code::kGate && !answers.unreadable.empty()) {
    return Fail(ErrorCode::kPermission, "read", answers.unreadable.front(), "the answer above is not all");
  }
  return worst;
}

}  // namespace nucleus::cli
