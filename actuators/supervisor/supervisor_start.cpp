// From nothing, or from a launch file, to a workload that runs.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "actuators/process/channel.hpp"
#include "actuators/process/mounted_sources.hpp"
#include "actuators/process/patience.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/passed_signals.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_claim.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/process.hpp"
#include "actuators/sys/standard_files.hpp"
#include "spec/core/names.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

// All blocked: they are read from a descriptor. Those of kernel faults cannot be held back that way and are left alone.
Result<sys::Fd> TakeSignals(bool attached) {
  sigset_t held = PassedSignals(), wanted = held;
  ::sigaddset(&held, SIGCHLD);
  if (!attached) {
    for (const int job : {SIGTSTP, SIGTTIN, SIGTTOU}) ::sigaddset(&held, job);
    ::sigdelset(&held, SIGABRT);
    ::sigemptyset(&wanted);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGRTMIN, StopSignal(), SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH})
      ::sigaddset(&wanted, signal);
  }
  ::sigaddset(&wanted, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &held, nullptr);
  sys::Fd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return FailSys("signalfd", "supervisor");
  return fd;
}

// Of a terminal that nobody looks at.
constexpr winsize kUnseenSize{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};

struct LogPipe {
  sys::Fd read, write;
};
// Ours does not block, the workload's does. Owned by the workload: it may open /dev/stdout, which opens the pipe anew.
Result<LogPipe> MakeLogPipe(const Launch& launch) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailSys("pipe2", "log");
  LogPipe pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return FailSys("fcntl", "log");
  const UserNamespace& space = launch.user_namespace;
  if (::fchown(ends[1], OutsideUid(space, launch.identity.uid), OutsideGid(space, launch.identity.gid)) != 0)
    return FailSys("fchown", "log");
  return pipe;
}

}  // namespace

Result<Supervisor> Supervisor::Start(std::string directory, bool in_unit) {
  Supervisor supervisor;
  supervisor.directory_ = std::move(directory);
  supervisor.own_lock_ = TRY(AwaitSupervisorLock(supervisor.directory_));
  supervisor.lock_ = supervisor.own_lock_.get();
  TRY(supervisor.Load());
  if (in_unit) supervisor.log_->MirrorTo(STDOUT_FILENO, STDERR_FILENO);
  return Begin(std::move(supervisor));
}

Result<Supervisor> Supervisor::Attach(std::string directory, const sys::Fd& lock, Launch launch,
                                      const Preparation& preparation) {
  Supervisor supervisor;
  supervisor.directory_ = std::move(directory);
  supervisor.lock_ = lock.get();
  supervisor.launch_ = std::move(launch);
  supervisor.policy_ = supervisor.launch_.policy;
  supervisor.attached_ = true;
  if (supervisor.launch_.terminal) TellKind(supervisor.launch_.env, std::getenv("TERM"));
  TRY(supervisor.TakeOver());
  return Begin(std::move(supervisor), preparation);
}

Result<Supervisor> Supervisor::Begin(Supervisor supervisor, const Preparation& preparation) {
  // An attached one that is soon there is announced while it is on its way.
  if (!supervisor.attached_ || TakesLong(supervisor.launch_)) TRY(supervisor.Announce());
  auto started = supervisor.attached_ ? Result<>() : supervisor.AwaitNetwork();
  if (started) started = supervisor.StartWorkload(preparation);
  if (!started) {
    supervisor.status_.error = started.error().Message();
    supervisor.status_.exit_code = ExitCodeOf(started.error());
    supervisor.NoteFailure();
    supervisor.EndFor(Status::State::kFailed);
    return Fail(std::move(started).error());
  }
  return supervisor;
}

Result<> Supervisor::Load() {
  const auto launch = TRY(sys::ReadFile(directory_ + "/" + std::string(kLaunchFile)));
  launch_ = TRY(DecodeLaunch(launch));
  policy_ = launch_.policy;
  if (const auto text = TRY(sys::ReadFileIfThere(directory_ + "/" + std::string(kPolicyFile)))) {
    policy_ = TRY(DecodePolicy(*text));
  }
  log_ = TRY(LogWriter::Open(directory_, policy_.log_max_bytes));
  events_ = TRY(LogWriter::Open(directory_, kEventsMaxBytes, kEventsFile));
  TRY_IN("seccomp_log", CheckTraceFile(launch_.security.seccomp_log));
  if (launch_.terminal) TellKind(launch_.env, nullptr);
  return TakeOver();
}

Result<> Supervisor::TakeOver() {
  signals_ = TRY(TakeSignals(attached_));
  manager_ = Manager::FromEnvironment();
  status_.id = launch_.id;
  status_.digest = launch_.digest;
  status_.policy_digest = policy_.digest;
  return {};
}

// Says for the first time what is being started, and by whom.
Result<> Supervisor::Announce() {
  status_.supervisor = TRY(sys::IdentityOf(::getpid()));
  WriteStatus();
  return {};
}

// Copying and verifying may take long. Who wants an end meanwhile has it, and is not asked to wait for a workload.
Result<Prepared> Supervisor::PrepareWorkload(attest::Progress* progress) const {
  if (!TakesLong(launch_)) return Prepare(launch_);
  const sys::PendingSignals signals(attached_, StopSignal());  // SIGHUP is no end for a service's
  return Prepare(launch_, {.stop = signals.come(), .progress = progress});
}

// Ours, but for a terminal.
Result<Stdio> Supervisor::LendFiles() {
  const UserNamespace& space = launch_.user_namespace;
  const uid_t uid = OutsideUid(space, launch_.identity.uid);
  if (!lent_) lent_ = std::make_unique<sys::LentFiles>(TRY(sys::LentFiles::Make(uid)));
  pipes_ = TRY(StandardPipes::Make(true, uid, OutsideGid(space, launch_.identity.gid)));
  return pipes_.stdio();
}

// Of the workload: joined with the caller's, or read into the log.
void Supervisor::AttendTerminal(sys::Fd master) {
  if (attached_) {
    relay_ = std::make_unique<TerminalRelay>(std::move(master));
    return;
  }
  ::fcntl(master.get(), F_SETFL, O_RDWR | O_NONBLOCK);
  peer_.reset(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  out_ = std::move(master);
}

// Its standard files are ours, or lead to where they are kept.
Result<Running> Supervisor::SpawnWorkload(const Preparation& preparation) {
  if (launch_.user_namespace.enabled && !launch_.user_namespace.uids.empty() && !ids_) {
    // runtime/projects/PROJECT/ADDRESS
    const std::string claims = directory_ + "/../../../" + std::string(kUserRangesDir);
    ids_ = TRY(sys::ShareRange(launch_.user_namespace.uids.front().outside, claims));
  }
  TRY(OpenNotifySocket());
  const auto maybe = PrepareWorkload(preparation.progress);
  if (preparation.done) preparation.done();
  if (!maybe) return Fail(maybe.error());
  if (preparation.ready) TRY(preparation.ready());
  oom_kills_ = OomKills();
  const Prepared& prepared = *maybe;
  OwnNamespaces own;
  Moment moment = Moment::kBeforeExec;
  const auto inspect = [&](pid_t pid) -> Result<> {
    TRY(CheckPosture(pid, launch_, moment, own));
    return RunHooksBefore(HookPoint::kStartContainer, pid);
  };
  const auto built = [&](pid_t pid) -> Result<> {
    TRY(RunHooksBefore(HookPoint::kCreateRuntime, pid));
    return RunHooksBefore(HookPoint::kCreateContainer, pid);
  };
  const auto meanwhile = [&](pid_t pid) -> Result<> {
    // The mini-init keeps its parent death signal; nobody but it could lift it.
    if (attached_ && !launch_.init) guard_ = TRY(Guard::Start(pid));
    if (status_.supervisor.pid == 0) TRY(Announce());
    if (preparation.meanwhile) TRY(preparation.meanwhile());
    own = OwnNamespaces::Read();
    // Where many are started, all processors have something else to do.
    const bool seen = attached_ && !launch_.init && IsInNamespaces(pid, launch_, own);
    moment = seen ? Moment::kConfined : Moment::kBeforeExec;
    return {};
  };
  const Company company{.inspect = inspect,
                        .meanwhile = meanwhile,
                        .built = built,
                        .loan = preparation.loan ? preparation.loan() : nullptr};
  if (launch_.terminal) {
    const winsize size = attached_ ? CallersSize() : kUnseenSize;
    Running running = TRY(Spawn(prepared, {.terminal = true, .size = size}, company));
    AttendTerminal(std::move(running.terminal));
    return running;
  }
  if (attached_) {
    const Stdio stdio = TRY(LendFiles());
    Running running = TRY(Spawn(prepared, stdio, company));
    pipes_.Started();
    return running;
  }
  auto out = TRY(MakeLogPipe(launch_));
  auto error = TRY(MakeLogPipe(launch_));
  const Stdio stdio{.in = -1, .out = out.write.get(), .err = error.write.get()};
  const auto order = TRY(TakeRestoreOrder());
  Running running = TRY(order ? RestoreWorkload(*order, prepared, stdio) : Spawn(prepared, stdio, company));
  out_ = std::move(out.read);
  error_ = std::move(error.read);
  return running;
}

Result<> Supervisor::StartWorkload(const Preparation& preparation) {
  started_ = Now();  // also of a start that fails: it has not run for long
  ended_by_ = 0;
  LookForDenials(false);
  auto spawned = SpawnWorkload(preparation);
  if (!spawned) {
    pipes_ = {};
    RunPoststop();
    return Fail(std::move(spawned).error());
  }
  workload_ = std::move(*spawned);
  // What cannot be there is not looked for.
  if (workload_->without_seccomp) launch_.security.seccomp.clear();
  for (const auto& warning : workload_->warnings)
    if (log_) log_->Add(Stream::kError, "nucleus: " + warning + "\n", UnixNow());
  if (auto posture = CheckPosture(workload_->pid, launch_, Moment::kAfterExec, {}); !posture) {
    KillAll();
    sys::PidfdSendSignal(workload_->pidfd.get(), SIGKILL);
    while (::waitpid(workload_->pid, nullptr, __WALL) < 0 && errno == EINTR) {
    }
    workload_.reset();
    DropOutput();
    relay_.reset();
    pipes_.Drain();
    kill_at_ = 0;
    RunPoststop();
    return posture;
  }
  started_ = Now();
  AttendCalls();
  restart_at_ = kill_at_ = alive_at_ = 0;
  intent_ = Intent::kNone;
  status_.state = Status::State::kRunning;
  status_.started_ms = UnixNow();
  status_.finished_ms = 0;
  status_.exit_code = -1;
  status_.oom_killed = false;
  status_.ending = Status::Ending::kNone;
  status_.error.clear();
  if (auto identity = sys::IdentityOf(workload_->pid)) status_.workload = std::move(*identity);
  const bool own_will = MayRemount(launch_) || MayExceedLimits(launch_);
  status_.mounts = own_will ? "" : BriefMounts(sys::ProcOf(workload_->pid), workload_->pidfd.get());
  WatchMounts();
  status_.sources = MountedSourcesOf(launch_, directory_);
  status_.health = Status::Health::kNone;
  status_.probe_failures = 0;
  status_.probe_output.clear();
  if (policy_.has_health) {
    health_.Start(policy_.health, started_);
    status_.health = health_.state();
  }
  BeginReadiness();
  WriteStatus();
  if (!launch_.hooks.poststart.empty()) {
    RunHooksAfter(HookPoint::kPoststart);
    if (policy_.has_health) health_.Start(policy_.health, Now());  // as long as they took nobody asked after it
    WriteStatus();
  }
  if (!attached_) {
    Note("start pid=" + std::to_string(workload_->pid));
    group_events_.reset();
    if (!launch_.cgroup.empty())
      group_events_.reset(::open((launch_.cgroup + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    LookWhetherPaused();
  }
  // What reading and preparing took is given back: there is one supervisor per workload on the machine.
  if (!attached_) ::malloc_trim(0);
  return {};
}

}  // namespace nucleus::process
