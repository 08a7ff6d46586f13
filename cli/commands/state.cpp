#include <nlohmann/json.hpp>

#include "actuators/process/probe.hpp"
#include "actuators/process/running.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;

// Of those of the runtime specification, and runc's "paused".
std::string_view StatusWord(const process::Found& found, bool paused) {
  if (!found.status) return found.supervisor != 0 ? "creating" : "stopped";
  switch (found.status->state) {
    case Status::State::kStarting:
      return found.supervisor != 0 ? "creating" : "stopped";
    case Status::State::kRunning:
    case Status::State::kStopping:
      if (found.supervisor == 0) return "stopped";
      return paused ? "paused" : "running";
    case Status::State::kBackoff:
    case Status::State::kExited:
    case Status::State::kFailed:
      return "stopped";
  }
  return "stopped";
}

Json Annotations(const Container& container, const Status& status) {
  Json json{{"nucleus.name", container.Name()},
            {"nucleus.state", StateName(status.state)},
            {"nucleus.restarts", std::to_string(status.restarts)}};
  if (status.readiness != Status::Readiness::kNone) json["nucleus.readiness"] = ReadinessName(status.readiness);
  if (status.health != Status::Health::kNone) json["nucleus.health"] = HealthName(status.health);
  if (status.exit_code >= 0) json["nucleus.exit_code"] = std::to_string(status.exit_code);
  if (status.ending != Status::Ending::kNone) json["nucleus.reason"] = EndingName(status.ending);
  return json;
}

}  // namespace

// runtime.md of the OCI runtime specification, "State".
Result<int> RunState(Context& context) {
  if (context.arguments.operands().empty()) return RunPs(context);
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const Container container = TRY(FindContainer(directories, context.arguments.Operand(0)));
  const auto found = TRY(process::Find(container.directory));
  if (!found.present()) return Fail(ErrorCode::kNotFound, "", container.Name(), "has never been started");
  const auto group = cgroup::AbsolutePath(container.project, CgroupPath(container.project, container.address));
  const std::string_view word = StatusWord(found, group && process::IsPaused(*group));
  Json state{{"ociVersion", "1.2.0"}, {"id", found.status ? found.status->id : ""}, {"status", word}};
  if (found.status && found.status->workload.pid != 0 && word != "stopped") state["pid"] = found.status->workload.pid;
  state["bundle"] = container.directory;
  if (found.status) state["annotations"] = Annotations(container, *found.status);
  context.console.Out(state.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
