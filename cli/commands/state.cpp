#include <nlohmann/json.hpp>

#include "actuators/process/probe.hpp"
#include "actuators/process/running.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"
#include "state/parts/oci_state.hpp"

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

std::map<std::string, std::string> Annotations(const Container& container, const Status& status) {
  std::map<std::string, std::string> words{{"nucleus.name", container.Name()},
                                           {"nucleus.state", std::string(StateName(status.state))},
                                           {"nucleus.restarts", std::to_string(status.restarts)}};
  if (status.readiness != Status::Readiness::kNone) words["nucleus.readiness"] = ReadinessName(status.readiness);
  if (status.health != Status::Health::kNone) words["nucleus.health"] = HealthName(status.health);
  if (status.exit_code >= 0) words["nucleus.exit_code"] = std::to_string(status.exit_code);
  if (status.ending != Status::Ending::kNone) words["nucleus.reason"] = EndingName(status.ending);
  return words;
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
  OciState state{.id = found.status ? found.status->id : "", .status = word, .bundle = container.directory};
  if (found.status && word != "stopped") state.pid = found.status->workload.pid;
  if (found.status) state.annotations = Annotations(container, *found.status);
  const Json json = Json::parse(Encode(state), nullptr, false);
  context.console.Out(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
