// What has gone with its supervisor, or with the machine, is made anew: what was asked for is what it still is.
#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "cli/converge.hpp"
#include "cli/detached.hpp"
#include "cli/detached_unit.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

// A container in the background; none: the project is something else.
std::optional<spec::Topology> ContainerOf(World world) {
  spec::Topology& topology = world.applied.topology;
  if (!topology.single_container || topology.services.size() != 1) return std::nullopt;
  return std::move(topology);
}

Result<> Revive(Context& context, const Directories& directories, const std::string& name, spec::Topology topology) {
  const bool restart = topology.services.begin()->second.restart != spec::RestartPolicy::kNo;
  const std::string directory = directories.ServiceDir(name, {Kind::kService, name});
  Goal goal;
  goal.project = name;
  goal.desired = std::move(topology);
  goal.must_be_known = true;
  goal.keeps_what_failed = true;
  std::optional<WaitingUnit> unit;
  goal.admit = [&](state::Store&, const World&) -> Result<> {
    // Where its unit is what asks for it, that waits already.
    if (process::IsHeld(directory)) return {};
    unit = TRY(WaitingUnit::Start(context.console, {directories, name, restart, false}));
    return {};
  };
  return ConvergeQuietly(context, std::move(goal), [&] { return unit ? unit->Finish() : Result<>(); });
}

// Those that are to run always, and do not.
Result<int> ReviveAll(Context& context, const Directories& directories) {
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  int code = exit_code::kDone;
  // They have ended with the machine, whatever their restart policy.
  RemoveForgotten(context, directories, TRY(store.ProjectsThatGoAtTheirEnd()));
  const auto revive = [&](const std::string& name) -> Result<> {
    auto container = ContainerOf(TRY(LoadWorld(store, name)));
    if (!container || container->services.begin()->second.restart != spec::RestartPolicy::kAlways) return {};
    if (TRY(process::SupervisorOf(directories.ServiceDir(name, {Kind::kService, name}))) != 0) return {};
    return Revive(context, directories, name, std::move(*container));
  };
  for (const std::string& name : TRY(store.Projects())) {
    if (const auto revived = revive(name); !revived) {  // the others come back all the same
      context.console.Fail(name, revived.error());
      code = exit_code::kError;
    }
  }
  return code;
}

}  // namespace

Result<int> RunRevive(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  if (context.arguments.operands().empty()) return ReviveAll(context, directories);
  const std::string name = context.arguments.Operand(0);
  auto container = [&]() -> Result<std::optional<spec::Topology>> {
    state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
    return ContainerOf(TRY(LoadWorld(store, name)));
  }();
  if (!container) return Fail(std::move(container).error());
  if (!*container) {  // who asks is not to ask again
    context.console.Warn("'" + name + "' is no container in the background");
    return exit_code::kDone;
  }
  TRY(Revive(context, directories, name, std::move(**container)));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
