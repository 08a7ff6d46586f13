// What is done to containers that were named: stopped, signalled, paused. Each is tried; the first error is told last.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "actuators/process/channel.hpp"
#include "actuators/process/running.hpp"
#include "actuators/process/stop.hpp"
#include "actuators/supervisor/notice.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/process.hpp"
#include "cli/commands/run_from_clone.hpp"
#include "cli/containers.hpp"
#include "cli/listing_json.hpp"
#include "cli/run_network.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

using Act = std::function<Result<>(const Container&, const Directories&)>;

// There is no way back out of a user namespace: an ordinary user has a process for each container.
Result<> ActApart(const Act& act, const Container& container, const Directories& directories) {
  auto [read, write] = TRY(sys::MakePipe(container.Name()));
  const pid_t child = ::fork();
  if (child < 0) return FailSys("fork", container.Name());
  if (child == 0) {
    auto done = EnterMachineOf(container, directories);
    if (done) done = act(container, directories);
    (void)sys::WriteAll(write.get(), process::EncodeReady(done), container.Name());
    ::_exit(0);
  }
  write.reset();
  const auto said = sys::ReadAll(read.get(), container.Name());
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return process::DecodeReady(TRY(said));
}

// All names are looked up before anything is done.
Result<int> ForEach(Context& context, const Act& act) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  std::vector<Container> containers;
  for (const std::string& name : context.arguments.operands())
    containers.push_back(TRY(FindContainer(directories, name)));
  std::vector<Acted> acted;
  std::vector<Error> errors;
  for (const Container& container : containers) {
    const bool apart = ::geteuid() != 0;
    if (auto done = apart ? ActApart(act, container, directories) : act(container, directories); done) {
      acted.push_back({container.Name()});
    } else {
      errors.push_back(std::move(done).error());
    }
  }
  if (OutputFormOf(context.arguments) == OutputForm::kJson) {
    context.console.Out(ActedJson(context.arguments.command().name, acted));
  } else {
    for (const Acted& one : acted) context.console.Out(one.name + "\n");
  }
  if (errors.empty()) return exit_code::kDone;
  for (std::size_t i = 1; i < errors.size(); ++i) context.console.Fail(context.arguments.command().name, errors[i]);
  return Fail(std::move(errors.front()));
}

PartKey ProcessOf(const Container& container) {
  return {container.project, container.address, Part::kProcess};
}

// Where it runs, and has one.
Result<std::string> GroupOfRunning(const Container& container) {
  const auto running = TRY(process::OpenRunning(container.directory, container.Name()));
  if (!running.launch.cgroup.empty()) return running.launch.cgroup;
  return Fail(ErrorCode::kUnsupported, "freeze", container.Name(),
              "it has no control group: this machine has no cgroup2");
}

}  // namespace

Result<int> RunStop(Context& context) {
  std::optional<Duration> timeout;
  if (context.arguments.Has("timeout")) timeout = context.arguments.Time("timeout");
  return ForEach(context, [&](const Container& container, const Directories& directories) -> Result<> {
    const auto tell = [&](std::string_view words) {
      context.console.Warn(container.Name() + " " + std::string(words));
    };
    (void)TRY_IN(container.Name(), process::Stop(ProcessOf(container), container.directory, timeout, tell));
    // A run that was killed could not take away what it had made.
    if (container.project == kContainersProject)
      (void)RunNetwork::RemoveOrphan(directories, container.address.name, RunNetwork::Patience());
    return {};
  });
}

Result<int> RunKill(Context& context) {
  const auto signal = ParseSignal(context.arguments.Value("signal"));
  if (!signal)
    return UsageFault(context, "option '--signal': " + signal.error().Message(), "a name such as HUP, or a number");
  return ForEach(context, [&](const Container& container, const Directories& directories) -> Result<> {
    const auto running = TRY(process::OpenRunning(container.directory, container.Name()));
    // Its ids may be others than the caller's.
    TRY(BecomeOwnerOf(container, directories));
    if (!running.launch.init &&
        process::ReceptionOf(running.status.workload.pid, *signal) == process::Reception::kByDefault) {
      context.console.Warn(container.Name() + " does not handle " + SignalName(*signal) +
                           ": as PID 1 of its namespace it does not get it");
    }
    return sys::SendSignal(running.pidfd, *signal, container.Name());
  });
}

Result<int> RunPause(Context& context) {
  constexpr Duration kPatience{10'000};
  return ForEach(context, [&](const Container& container, const Directories&) -> Result<> {
    return cgroup::Freeze(TRY(GroupOfRunning(container)), kPatience);
  });
}

Result<int> RunUnpause(Context& context) {
  return ForEach(context, [&](const Container& container, const Directories&) -> Result<> {
    // Also where nothing runs in it: a start there waits for that.
    if (const auto group = process::GroupOf(ProcessOf(container), container.directory)) return cgroup::Thaw(*group);
    return cgroup::Thaw(TRY(GroupOfRunning(container)));
  });
}

}  // namespace nucleus::cli
