#include "cli/detached.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "actuators/process/at_end.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "cli/compile_launch.hpp"
#include "cli/containers.hpp"
#include "cli/converge.hpp"
#include "cli/detached_unit.hpp"
#include "cli/limit_checks.hpp"
#include "cli/run_options.hpp"
#include "cli/users_machine.hpp"
#include "spec/core/text.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::cli {

namespace {

Result<std::string> NameOf(const Arguments& arguments) {
  if (!arguments.Has("name")) return RandomDigits(kShortIdDigits);
  std::string name = arguments.Value("name");
  if (IsValidProjectName(name)) return name;
  return Fail(ErrorCode::kInvalid, "", "--name",
              "'" + Printable(name) +
                  "' is not a name of a container in the background: lower-case letters, digits, '_', '.' and '-', a "
                  "letter or digit first, at most 63 characters");
}

// One in the foreground may have the name.
Result<> CheckNotInForeground(const Directories& directories, const std::string& name) {
  const std::string directory = directories.ServiceDir(kContainersProject, {Kind::kContainer, name});
  if (TRY(process::SupervisorOf(directory)) == 0) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "", "'" + name + "'", "a container of that name is running")
                  .Hint("give this one another --name"));
}

// What was begun and not finished, by somebody who is gone, stands in nobody's way.
Result<> CheckNew(state::Store& store, const World& world) {
  if (!world.known) return {};
  const auto last = TRY(store.LastRevision(world.project));
  if (world.applied.topology.services.empty() || !last || last->state != state::RevisionState::kApplied) return {};
  if (!world.applied.topology.single_container) {
    return Fail(Error::Of(ErrorCode::kConflict, "", "'" + world.project + "'", "a topology is called that")
                    .Hint("give the container another --name"));
  }
  return Fail(Error::Of(ErrorCode::kConflict, "", "'" + world.project + "'", "there is a container of that name")
                  .Hint("`nucleus rm " + world.project + "` removes one that has ended; or give it another --name"));
}

// Who writes its id to nowhere does not know how to call it.
Result<> PrintId(Console& console, const std::string& id, const std::string& name) {
  console.Out(id + "\n");
  if (console.output_errno() == 0 || console.output_errno() == EPIPE) return {};
  return Fail(Error::Sys("write", "standard output", console.output_errno())
                  .Hint("the container runs, and is called '" + name + "'"));
}

// What a unit has executed at its end is in its group.
bool IsInUnit(const std::string& name) {
  const auto root = cgroup::RootOf(name);
  return root && root->base.ends_with(UnitName(name));
}

// Whoever was to remove it is gone, and did not.
bool IsForgotten(const std::string& name, const std::string& directory) {
  const auto supervisor = process::SupervisorOf(directory);
  return supervisor && *supervisor == 0 && !process::IsCarriedOut(directory) && !IsInUnit(name);
}

}  // namespace

void RemoveForgotten(Context& context, const Directories& directories, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string directory = directories.ServiceDir(name, {Kind::kService, name});
    // Somebody may be about to start it, or to take it away.
    if (!IsForgotten(name, directory) || state::ProjectLock::IsHeld(directories, name)) continue;
    Goal goal;
    goal.project = name;
    goal.must_be_known = true;
    goal.admit = [&](state::Store&, const World& world) -> Result<> {
      if (world.applied.topology.single_container && IsForgotten(name, directory)) return {};
      return Fail(ErrorCode::kConflict, "", "'" + name + "'", "is another one by now");
    };
    (void)ConvergeQuietly(context, std::move(goal));
  }
}

std::vector<spec::GivenFlag> FlagsOf(const Arguments& arguments) {
  std::vector<spec::GivenFlag> flags;
  for (const Option* option : RunOptions()) {
    if (!arguments.Has(option->name) || !IsKey(*option)) continue;
    auto values = option->type == ValueType::kNone ? std::vector<std::string>() : arguments.Values(option->name);
    if (option->name == "env") values = GivenVariables(arguments);
    flags.push_back({std::string(option->name), std::move(values), option->repeatable});
  }
  return flags;
}

Result<> CheckNotDetached(const Directories& directories, const std::string& name) {
  const auto found = process::Find(directories.ServiceDir(name, {Kind::kService, name}));
  if (!found || !found->present()) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "", "'" + name + "'", "there is a container of that name")
                  .Hint("give this one another --name, or see `nucleus ps --all`"));
}

Result<> StartDetached(Context& context, const Directories& directories, const std::string& name,
                       spec::Topology topology, const DetachedStart& start) {
  TRY(CheckNotInForeground(directories, name));
  const spec::Topology asked = topology;
  Goal goal;
  goal.project = name;
  goal.desired = std::move(topology);
  goal.origin = start.remove ? state::Origin::kCommandUntilItEnds : state::Origin::kCommand;
  const std::string directory = directories.ServiceDir(name, {Kind::kService, name});
  goal.by_options = true;
  const bool restart = goal.desired->services.begin()->second.restart != spec::RestartPolicy::kNo;
  std::optional<WaitingUnit> unit;
  std::vector<std::string> forgotten;
  // Before anybody looks: what there is of limits is found in the unit's control group.
  goal.admit = [&](state::Store& store, const World& world) -> Result<> {
    TRY(CheckNew(store, world));
    forgotten = TRY(store.ProjectsThatGoAtTheirEnd());
    std::erase(forgotten, name);
    unit = TRY(WaitingUnit::Start(context.console, {directories, name, restart, start.remove}));
    return unit::ManagerHere() ? CheckOptionLimits(asked, directories) : Result<>();
  };
  goal.before = [&]() -> Result<> {
    // One that a restore left behind which was killed is of no start of ours.
    ::unlink((directory + "/" + std::string(kRestoreFile)).c_str());
    if (start.before) TRY(start.before());
    if (unit || !start.remove) return process::ForgetAtEnd(directory);
    const auto remove = TRY(OwnCommand(directories, {"__ended"}));
    return process::WriteAtEnd(directory, remove);
  };
  std::string id;
  const auto note_id = [&]() -> Result<> {
    const auto found = TRY(process::Find(directory));
    if (!found.status) return Fail(ErrorCode::kNotFound, "", "'" + name + "'", "is gone");
    id = found.status->id;
    return unit ? unit->Finish() : Result<>();
  };
  TRY(ConvergeQuietly(context, std::move(goal), note_id));
  TRY(PrintId(context.console, id, name));
  RemoveForgotten(context, directories, forgotten);
  return {};
}

Result<int> RunDetached(Context& context) {
  const Arguments& arguments = context.arguments;
  if (arguments.Has("dry-run")) return UsageFault(context, "--dry-run is for the foreground: not with --detach");
  const Directories directories = TRY(DirectoriesOf(arguments));
  const std::string name = TRY(NameOf(arguments));
  spec::Topology topology = TRY(TellProblems(
      context, spec::LoadFlags(name, name, FlagsOf(arguments), arguments.operands(), spec::Outside::Real()),
      directories));
  // What a unit's group will have is not known before that is there.
  if (!unit::ManagerHere()) TRY(CheckOptionLimits(topology, directories));
  // Not before it is known that there is something to start.
  TRY(NeedUsersMachine(directories));
  TRY(StartDetached(context, directories, name, std::move(topology), {.remove = arguments.Has("rm")}));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
