#include "actuators/supervisor/inside.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "actuators/process/child.hpp"
#include "actuators/supervisor/notice.hpp"
#include "actuators/supervisor/passed_signals.hpp"
#include "actuators/supervisor/standard_pipes.hpp"
#include "actuators/supervisor/terminal_relay.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/standard_files.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

constexpr int kPatienceMs = 10'000;

Result<sys::Fd> TakeSignals() {
  const sigset_t taken = PassedSignals();
  ::sigprocmask(SIG_BLOCK, &taken, nullptr);
  sys::Fd fd(::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return FailSys("signalfd", "exec");
  return fd;
}

void PassOn(const sys::Fd& signals, const Running& command, TerminalRelay* relay) {
  signalfd_siginfo info;
  while (::read(signals.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    // A reader that is gone (SIGPIPE) is the relay's to see.
    if (static_cast<pid_t>(info.ssi_pid) == ::getpid()) continue;
    if (signal == SIGWINCH && relay != nullptr) {
      relay->Resize();
    } else if (!IsToBeIgnored(command.pid, signal)) {
      sys::PidfdSendSignal(command.pidfd.get(), signal);
    }
  }
}

// Until it has ended.
int Attend(const Running& command, const sys::Fd& signals, TerminalRelay* relay, StandardPipes& pipes) {
  while (true) {
    std::array<pollfd, 2 + TerminalRelay::kPolls + StandardPipes::kPolls> polls{};
    for (auto& poll : polls) poll.fd = -1;
    polls[0] = {.fd = signals.get(), .events = POLLIN, .revents = 0};
    polls[1] = {.fd = command.pidfd.get(), .events = POLLIN, .revents = 0};
    const auto relayed = std::span(polls).subspan<2, TerminalRelay::kPolls>();
    const auto piped = std::span(polls).last<StandardPipes::kPolls>();
    if (relay != nullptr) relay->Watch(relayed);
    if (::poll(polls.data(), polls.size(), pipes.Watch(piped)) < 0) continue;
    if (relay != nullptr) relay->Pump(relayed);
    pipes.Pump(piped);
    if (polls[0].revents != 0) PassOn(signals, command, relay);
    if (polls[1].revents == 0) continue;
    if (relay != nullptr) relay->Drain();
    pipes.Drain();
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(command.pidfd.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  }
}

}  // namespace

Result<int> RunInside(const Launch& launch, const std::vector<std::string>& argv, const RunningContainer& container,
                      const InsideFiles& files) {
  if (IsPaused(launch.cgroup))
    return Fail(
        Error::Of(ErrorCode::kConflict, "", launch.address, "is paused").Hint("`nucleus unpause` lets it go on"));
  const Prepared prepared = TRY(PrepareInside(launch, argv));
  const sys::Fd signals = TRY(TakeSignals());
  sys::Fd cgroup;
  if (!launch.cgroup.empty()) cgroup = TRY(sys::Open(launch.cgroup, O_PATH | O_DIRECTORY));
  StandardPipes pipes;
  const UserNamespace& space = launch.user_namespace;
  const uid_t uid = OutsideUid(space, launch.identity.uid);
  const auto lent = TRY(sys::LentFiles::Make(uid));
  if (!files.terminal) pipes = TRY(StandardPipes::Make(files.input, uid, OutsideGid(space, launch.identity.gid)));
  const Stdio stdio = files.terminal ? Stdio{.terminal = true, .size = CallersSize()} : pipes.stdio();
  auto spawned = SpawnInside(prepared, container.pidfd, cgroup.get(), stdio, kPatienceMs, true);
  // An ordinary user's group may be one of the user's manager, into which nobody comes from a session.
  if (!spawned && spawned.error().sys_errno == EACCES && spawned.error().operation == "clone3")
    spawned = SpawnInside(prepared, container.pidfd, -1, stdio, kPatienceMs, true);
  Running command = TRY(std::move(spawned));
  pipes.Started();
  std::optional<TerminalRelay> relay;
  if (files.terminal) relay.emplace(std::move(command.terminal));
  return Attend(command, signals, relay ? &*relay : nullptr, pipes);
}

}  // namespace nucleus::process
