// When the hooks of a container run, and what comes of one that fails.
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/supervisor.hpp"

namespace nucleus::process {

// Of those before the workload: an error is that of its start.
Result<> Supervisor::RunHooksBefore(HookPoint point, pid_t pid) {
  hooks_begun_ = true;
  auto failures = RunHooks(
      point,
      {.launch = launch_, .directory = directory_, .pid = pid, .restarts = status_.restarts, .foreground = attached_});
  if (failures.empty()) return {};
  return Fail(std::move(failures.front()));
}

// Of those after it: the others run all the same, and the container goes on.
void Supervisor::RunHooksAfter(HookPoint point) {
  const pid_t pid = workload_ ? workload_->pid : 0;
  const auto failures = RunHooks(
      point,
      {.launch = launch_, .directory = directory_, .pid = pid, .restarts = status_.restarts, .foreground = attached_});
  for (const Error& failure : failures) Tell(failure.Message());
}

// Once for each time that a container was made.
void Supervisor::RunPoststop() {
  if (!std::exchange(hooks_begun_, false)) return;
  RunHooksAfter(HookPoint::kPoststop);
  EndHooks(launch_);
}

}  // namespace nucleus::process
