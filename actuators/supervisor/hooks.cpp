#include "actuators/supervisor/hooks.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

#include "actuators/process/log.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/trusted.hpp"
#include "state/parts/id_map.hpp"
#include "state/parts/oci_state.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kHookTail = 1024;
constexpr int kLookMs = 100;  // how often whether somebody asks for an end is looked at

struct PointRow {
  std::string_view name, status;
  std::vector<spec::Hook> spec::Hooks::* list;
};
constexpr std::array kPoints = {PointRow{"createRuntime", "creating", &spec::Hooks::create_runtime},
                                PointRow{"createContainer", "creating", &spec::Hooks::create_container},
                                PointRow{"startContainer", "created", &spec::Hooks::start_container},
                                PointRow{"poststart", "running", &spec::Hooks::poststart},
                                PointRow{"poststop", "stopped", &spec::Hooks::poststop}};
const PointRow& RowOf(HookPoint point) {
  return kPoints.at(static_cast<std::size_t>(point));
}

std::string StateOf(HookPoint point, const HookSubject& subject) {
  const Launch& launch = subject.launch;
  const std::string name = launch.address.substr(launch.address.find('.') + 1);
  const bool alone = launch.project == name || launch.address.starts_with("container.");
  OciState state{.id = launch.id,
                 .status = RowOf(point).status,
                 .pid = subject.pid,
                 .bundle = subject.directory,
                 .annotations = {}};
  state.annotations = {{"nucleus.name", alone ? name : launch.project + "/" + name},
                       {"nucleus.restarts", std::to_string(subject.restarts)}};
  return Encode(state);
}

std::string HookGroups(const Launch& launch) {
  return launch.cgroup.empty() ? std::string() : launch.cgroup + "/hook";
}

// A new one: nobody is born in one that was killed, and what an earlier hook has left running is in its own.
Result<std::string> MakeHookGroup(const HookSubject& subject) {
  const std::string groups = subject.grouped ? HookGroups(subject.launch) : "";
  if (groups.empty()) return groups;
  if (::mkdir(groups.c_str(), 0755) != 0 && errno != EEXIST) return FailSys("mkdir", groups);
  for (int number = 0;; ++number) {
    const std::string group = groups + "/" + std::to_string(number);
    ::rmdir(group.c_str());
    if (::mkdir(group.c_str(), 0755) == 0) return group;
    if (errno != EEXIST) return FailSys("mkdir", group);
  }
}

Result<sys::Pipe> MakeHookPipe() {
  constexpr int kAbove = 10;  // the standard files are put in place first
  const auto low = TRY(sys::MakePipe("hook"));
  sys::Pipe pipe{sys::Fd(::fcntl(low.read.get(), F_DUPFD_CLOEXEC, kAbove)),
                 sys::Fd(::fcntl(low.write.get(), F_DUPFD_CLOEXEC, kAbove))};
  if (!pipe.read || !pipe.write) return FailSys("duplicate", "hook");
  return pipe;
}

// A hook on its way: what the new process needs, made before it is there.
struct HookStart {
  const spec::Hook& hook;
  const HookSubject& subject;
  HookPoint point;
  sys::Fd container{};  // a pidfd
  sys::Fd root{};       // createContainer: the machine's, as the container's mount namespace has it
  sys::Fd group{};
  sys::Pipe in{}, out{};
};

[[noreturn]] void Execute(const HookStart& start, char* const* argv, char* const* environment) {
  if (::dup2(start.in.read.get(), 0) != 0 || ::dup2(start.out.write.get(), 1) != 1 || ::dup2(1, 2) != 2) ::_exit(126);
  ::syscall(SYS_close_range, 3, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::execve(start.hook.path.c_str(), argv, environment);
  ::_exit(127);
}

// Into the container as far as it is made. Its pid namespace is that of the children alone; setns(2).
void EnterContainer(const HookStart& start) {
  const Launch& launch = start.subject.launch;
  if (::setns(start.container.get(), NamespacesOf(launch) | CLONE_NEWPID) != 0) ::_exit(126);
  // That namespace's root is by now what is mounted there, the container's.
  if (::fchdir(start.root.get()) != 0 || ::chroot(".") != 0) ::_exit(126);
  const bool user = launch.user_namespace.enabled;
  if (user && (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0)) ::_exit(126);
  const pid_t child = sys::Clone3(0, -1, nullptr);
  if (child == 0) return;
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

Result<Running> SpawnOutside(const HookStart& start) {
  TRY(sys::CheckTrusted(start.hook.path));
  std::vector<std::string> args = start.hook.args.empty() ? std::vector{start.hook.path} : start.hook.args;
  std::vector<std::string> variables = start.hook.env;
  std::vector<char*> argv, environment;
  for (auto& text : args) argv.push_back(text.data());
  for (auto& text : variables) environment.push_back(text.data());
  argv.push_back(nullptr);
  environment.push_back(nullptr);
  int pidfd = -1;
  const pid_t pid = sys::Clone3(0, -1, &pidfd);
  if (pid < 0) return FailSys("clone3", "hook");
  if (pid == 0) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (start.group && !sys::JoinCgroup(start.group.get())) ::_exit(126);
    for (const int signal : {SIGPIPE, SIGCHLD}) ::signal(signal, SIG_DFL);
    if (start.point == HookPoint::kCreateContainer) EnterContainer(start);
    if (::chdir("/") != 0) ::_exit(126);
    Execute(start, argv.data(), environment.data());
  }
  return Running{.pid = pid, .pidfd = sys::Fd(pidfd)};
}

Result<Running> SpawnAsWorkload(const HookStart& start) {
  Launch launch = start.subject.launch;
  launch.env = start.hook.env;
  std::vector<std::string> argv = start.hook.args;
  if (argv.empty()) argv.emplace_back();
  argv.front() = start.hook.path;
  const UserNamespace& space = launch.user_namespace;
  for (const int end : {start.in.read.get(), start.out.write.get()}) {
    if (::fchown(end, OutsideUid(space, launch.identity.uid), OutsideGid(space, launch.identity.gid)) != 0)
      return FailSys("fchown", "hook");
  }
  const Prepared prepared = TRY(PrepareInside(launch, argv));
  const Stdio stdio{.in = start.in.read.get(), .out = start.out.write.get(), .err = start.out.write.get()};
  return SpawnInside(prepared, start.container, start.group.get(), stdio,
                     static_cast<int>(std::min<std::int64_t>(start.hook.timeout.count(), 60'000)));
}

void KillGroup(const std::string& group) {
  (void)cgroup::Kill(group);
  (void)cgroup::WaitEmpty(group, Duration(2'000));
  (void)cgroup::RemoveGroups(group);
}

// Not yet reaped. Also what it has started, in other sessions too where it has a group.
void KillHook(const std::string& group, const Running& running) {
  if (!group.empty())
    KillGroup(group);
  else
    ::kill(-running.pid, SIGKILL);
  sys::PidfdSendSignal(running.pidfd.get(), SIGKILL);
}

void ReadTail(const sys::Fd& output, std::string& tail) {
  std::array<char, 4096> buffer{};
  for (int i = 0; i < 16; ++i) {
    const ssize_t got = ::read(output.get(), buffer.data(), buffer.size());
    if (got <= 0) return;
    tail.append(buffer.data(), static_cast<std::size_t>(got));
    if (tail.size() > kHookTail) tail.erase(0, tail.size() - kHookTail);
  }
}

enum class HookEnd : std::uint8_t { kItself, kTimeout, kInterrupted };

bool IsAskedToEnd(const HookStart& start) {
  const HookSubject& subject = start.subject;
  if (start.point == HookPoint::kPoststop) return false;
  return (subject.ended_by != nullptr && *subject.ended_by != 0) ||
         sys::PendingEnd(subject.foreground, StopSignal()) != 0;
}

HookEnd AwaitHook(const HookStart& start, const Running& running, std::string& tail) {
  const auto wait = [&](std::span<pollfd> polls, int timeout_ms) {
    const HookWait& own = start.subject.wait;
    return own ? own(polls, timeout_ms) : ::poll(polls.data(), polls.size(), timeout_ms);
  };
  const Millis deadline = Now() + start.hook.timeout.count();
  while (true) {
    const Millis left = deadline - Now();
    if (left <= 0) return HookEnd::kTimeout;
    if (IsAskedToEnd(start)) return HookEnd::kInterrupted;
    std::array<pollfd, 2> polls{pollfd{running.pidfd.get(), POLLIN, 0}, pollfd{start.out.read.get(), POLLIN, 0}};
    if (wait(polls, static_cast<int>(std::min<Millis>(left, kLookMs))) <= 0) continue;
    if ((polls[1].revents & POLLIN) != 0) ReadTail(start.out.read, tail);
    if (polls[0].revents != 0) return HookEnd::kItself;
    // Whoever has closed it would wake us for nothing until the end.
    if ((polls[1].revents & POLLIN) == 0 && polls[1].revents != 0)
      (void)wait(std::span(polls).first<1>(), static_cast<int>(std::min<Millis>(left, kLookMs)));
  }
}

Result<> Judge(HookEnd end, const siginfo_t& info, const HookStart& start, std::string tail) {
  const std::string subject = std::string(RowOf(start.point).name) + " hook " + start.hook.path;
  while (tail.ends_with('\n')) tail.pop_back();
  const std::string words = tail.empty() ? "" : ": " + Escaped(tail);
  if (end == HookEnd::kInterrupted) return Fail(ErrorCode::kInterrupted, "run", subject, "somebody asked to stop");
  if (end == HookEnd::kTimeout)
    return Fail(ErrorCode::kSystem, "run", subject,
                "it was not done within " + std::to_string(start.hook.timeout.count()) + " ms" + words);
  if (info.si_code == CLD_EXITED && info.si_status == 0) return {};
  return Fail(ErrorCode::kSystem, "run", subject,
              (info.si_code == CLD_EXITED ? "exit code " : "signal ") + std::to_string(info.si_status) + words);
}

Result<> RunHook(HookPoint point, const spec::Hook& hook, const HookSubject& subject) {
  HookStart start{.hook = hook, .subject = subject, .point = point};
  start.in = TRY(MakeHookPipe());
  start.out = TRY(MakeHookPipe());
  TRY(sys::WriteAll(start.in.write.get(), StateOf(point, subject), "state"));  // less than a pipe holds, pipe(7)
  start.in.write.reset();
  if (point == HookPoint::kCreateContainer)
    start.root = TRY(sys::Open("/proc/" + std::to_string(subject.pid) + "/root", O_PATH | O_DIRECTORY));
  if (subject.pid != 0) start.container.reset(sys::PidfdOpen(subject.pid));
  const std::string group = TRY(MakeHookGroup(subject));
  if (!group.empty()) start.group = TRY(sys::Open(group, O_PATH | O_DIRECTORY));
  Running running = TRY(point == HookPoint::kStartContainer ? SpawnAsWorkload(start) : SpawnOutside(start));
  start.out.write.reset();
  start.in.read.reset();
  ::fcntl(start.out.read.get(), F_SETFL, O_NONBLOCK);
  std::string tail;
  const HookEnd end = AwaitHook(start, running, tail);
  if (end != HookEnd::kItself) KillHook(group, running);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(running.pidfd.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
  }
  ReadTail(start.out.read, tail);
  auto judged = Judge(end, info, start, std::move(tail));
  if (!judged && !group.empty()) KillGroup(group);
  return judged;
}

}  // namespace

std::vector<Error> RunHooks(HookPoint point, const HookSubject& subject) {
  std::vector<Error> failures;
  for (const spec::Hook& hook : subject.launch.hooks.*RowOf(point).list) {
    auto done = RunHook(point, hook, subject);
    if (done) continue;
    failures.push_back(std::move(done).error());
    if (point < HookPoint::kPoststart || failures.back().code == ErrorCode::kInterrupted) break;
  }
  return failures;
}

void EndHooks(const Launch& launch) {
  const std::string groups = HookGroups(launch);
  if (launch.hooks != spec::Hooks() && !groups.empty()) KillGroup(groups);
}

}  // namespace nucleus::process
