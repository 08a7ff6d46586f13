#include "actuators/supervisor/supervisor.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <array>

#include "actuators/process/channel.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/supervisor/notice.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_claim.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/names.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

constexpr Millis kNever = INT64_MAX;
constexpr Millis kKillAgainMs = 500;
constexpr std::array kForwarded = {SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

Millis Clock(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return static_cast<Millis>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}
Millis Now() {
  return Clock(CLOCK_MONOTONIC);
}
Millis UnixNow() {
  return Clock(CLOCK_REALTIME);
}

// All blocked: they are read from a descriptor. Those of kernel faults cannot be held back that way and are left alone.
// attached: what stops a job of a shell, and lets it go on, stays with the shell.
Result<sys::Fd> TakeSignals(bool attached) {
  sigset_t all;
  ::sigfillset(&all);
  if (attached)
    for (const int job : {SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT}) ::sigdelset(&all, job);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&all, fault);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGRTMIN}) ::sigaddset(&wanted, signal);
  for (const int signal : kForwarded) ::sigaddset(&wanted, signal);
  sys::Fd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return FailSys("signalfd", "supervisor");
  return fd;
}

struct Pipe {
  sys::Fd read, write;
};
// Ours does not block, the workload's does. Owned by the workload: it may open /dev/stdout, which opens the pipe anew.
Result<Pipe> MakePipe(const Launch& launch) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailSys("pipe2", "log");
  Pipe pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return FailSys("fcntl", "log");
  const UserNamespace& space = launch.user_namespace;
  if (::fchown(ends[1], OutsideUid(space, launch.identity.uid), OutsideGid(space, launch.identity.gid)) != 0)
    return FailSys("fchown", "log");
  return pipe;
}

}  // namespace

Result<Supervisor> Supervisor::Start(std::string directory) {
  Supervisor supervisor;
  supervisor.directory_ = std::move(directory);
  supervisor.own_lock_ = TRY(TakeSupervisorLock(supervisor.directory_));
  supervisor.lock_ = supervisor.own_lock_.get();
  TRY(supervisor.Load());
  return Begin(std::move(supervisor));
}

Result<Supervisor> Supervisor::Attach(std::string directory, const sys::Fd& lock, Launch launch, bool terminal,
                                      const Preparation& preparation) {
  Supervisor supervisor;
  supervisor.directory_ = std::move(directory);
  supervisor.lock_ = lock.get();
  supervisor.launch_ = std::move(launch);
  supervisor.policy_ = supervisor.launch_.policy;
  supervisor.attached_ = true;
  supervisor.terminal_ = terminal;
  TRY(supervisor.TakeOver());
  return Begin(std::move(supervisor), preparation);
}

Result<Supervisor> Supervisor::Begin(Supervisor supervisor, const Preparation& preparation) {
  // An attached one that is soon there is announced while it is on its way.
  if (!supervisor.attached_ || supervisor.TakesLong()) TRY(supervisor.Announce());
  if (auto started = supervisor.StartWorkload(preparation); !started) {
    supervisor.status_.error = started.error().Message();
    supervisor.status_.exit_code = ExitCodeOf(started.error());
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
  TRY(CheckTraceFile(launch_.security.seccomp_log));
  return TakeOver();
}

Result<> Supervisor::TakeOver() {
  signals_ = TRY(TakeSignals(attached_));
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

bool Supervisor::TakesLong() const {
  const auto takes_long = [](const MountOp& op) { return op.type == MountOp::Type::kContext || op.verify; };
  return std::ranges::any_of(launch_.mounts, takes_long);
}

// Copying and verifying may take long. Who wants an end meanwhile has it, and is not asked to wait for a workload.
Result<Prepared> Supervisor::PrepareWorkload(attest::Progress* progress) const {
  if (!TakesLong()) return Prepare(launch_);
  const sys::PendingSignals signals(attached_);  // SIGHUP is no end for a service's
  return Prepare(launch_, {.stop = signals.come(), .progress = progress});
}

// Its standard files are ours, or lead to where they are kept.
Result<Running> Supervisor::SpawnWorkload(const Preparation& preparation) {
  if (launch_.user_namespace.enabled && !launch_.user_namespace.uids.empty() && !ids_) {
    // runtime/projects/PROJECT/ADDRESS
    const std::string claims = directory_ + "/../../../" + std::string(kUserRangesDir);
    ids_ = TRY(sys::ShareRange(launch_.user_namespace.uids.front().outside, claims));
  }
  const auto maybe = PrepareWorkload(preparation.progress);
  if (preparation.done) preparation.done();
  if (!maybe) return Fail(maybe.error());
  const Prepared& prepared = *maybe;
  OwnNamespaces own;
  const auto inspect = [&](pid_t pid) { return CheckPosture(pid, launch_, Moment::kBeforeExec, own); };
  const auto meanwhile = [&](pid_t pid) -> Result<> {
    if (status_.supervisor.pid == 0) TRY(Announce());
    if (preparation.meanwhile) TRY(preparation.meanwhile());
    own = OwnNamespaces::Read();
    // The look that counts comes when it is ready, and it waits for it: this one has the kernel make what is asked for
    // in /proc. Where many are started, all processors have something else to do.
    if (attached_) (void)CheckPosture(pid, launch_, Moment::kBeforeExec, own);
    return {};
  };
  if (terminal_) {
    Running running = TRY(Spawn(prepared, {.terminal = true, .size = CallersSize()}, inspect, meanwhile));
    relay_ = std::make_unique<TerminalRelay>(std::move(running.terminal));
    return running;
  }
  if (attached_)
    return Spawn(prepared, {.in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO}, inspect, meanwhile);
  auto out = TRY(MakePipe(launch_));
  auto error = TRY(MakePipe(launch_));
  Running running =
      TRY(Spawn(prepared, {.in = -1, .out = out.write.get(), .err = error.write.get()}, inspect, meanwhile));
  out_ = std::move(out.read);
  error_ = std::move(error.read);
  return running;
}

Result<> Supervisor::StartWorkload(const Preparation& preparation) {
  started_ = Now();  // also of a start that fails: it has not run for long
  oom_kills_ = OomKills();
  ended_by_ = 0;
  workload_ = TRY(SpawnWorkload(preparation));
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
    out_.reset();
    error_.reset();
    relay_.reset();
    kill_at_ = 0;
    return posture;
  }
  started_ = Now();
  AttendCalls();
  restart_at_ = kill_at_ = 0;
  intent_ = Intent::kNone;
  status_.state = Status::State::kRunning;
  status_.started_ms = UnixNow();
  status_.finished_ms = 0;
  status_.exit_code = -1;
  status_.oom_killed = false;
  status_.error.clear();
  if (auto identity = sys::IdentityOf(workload_->pid)) status_.workload = std::move(*identity);
  const bool own_will = MayRemount(launch_) || MayExceedLimits(launch_);
  status_.mounts = own_will ? "" : BriefMounts(workload_->pid, workload_->pidfd.get());
  status_.health = Status::Health::kNone;
  status_.probe_failures = 0;
  status_.probe_output.clear();
  if (policy_.has_health) {
    health_.Start(policy_.health, started_);
    status_.health = health_.state();
  }
  WriteStatus();
  // What reading and preparing took is given back: there is one supervisor per workload on the machine.
  if (!attached_) ::malloc_trim(0);
  return {};
}

void Supervisor::Run() {
  while (!done_) {
    const Millis next = NextDeadline();
    const Millis wait = next == kNever ? -1 : std::clamp<Millis>(next - Now(), 0, 3'600'000);
    Step(static_cast<int>(wait));
  }
}

Millis Supervisor::NextDeadline() const {
  Millis next = kNever;
  if (restart_at_ != 0) next = std::min(next, restart_at_);
  if (kill_at_ != 0) next = std::min(next, kill_at_);
  if (probe_) next = std::min(next, probe_->deadline());
  if (write_trace_at_ != 0) next = std::min(next, write_trace_at_);
  if (!probe_ && workload_ && policy_.has_health && intent_ == Intent::kNone) next = std::min(next, health_.next());
  return next;
}

void Supervisor::Step(int timeout_ms) {
  // A descriptor of -1 is passed over by poll.
  constexpr std::size_t kOwn = 7;
  std::array<pollfd, kOwn + TerminalRelay::kPolls> polls{};
  const auto watch = [&polls](std::size_t i, int fd) { polls[i] = {.fd = fd, .events = POLLIN, .revents = 0}; };
  watch(0, signals_.get());
  watch(1, workload_ ? workload_->pidfd.get() : -1);
  watch(2, out_.get());
  watch(3, error_.get());
  watch(4, probe_ ? probe_->pidfd().get() : -1);
  watch(5, probe_ ? probe_->output().get() : -1);
  watch(6, answers_ ? answers_->fd() : -1);
  const auto relayed = std::span(polls).last<TerminalRelay::kPolls>();
  for (auto& poll : relayed) poll.fd = -1;
  if (relay_) relay_->Watch(relayed);
  if (::poll(polls.data(), polls.size(), timeout_ms) < 0 && errno != EINTR) return;
  if (relay_) relay_->Pump(relayed);
  if (polls[6].revents != 0) ServeCalls();
  if (polls[2].revents != 0) Drain(out_, Stream::kOut, false);
  if (polls[3].revents != 0) Drain(error_, Stream::kError, false);
  if (polls[5].revents != 0 && probe_) probe_->ReadOutput();
  if (polls[4].revents != 0 && probe_) FinishProbe(false);
  if (polls[0].revents != 0) HandleSignals();
  if (polls[1].revents != 0) WorkloadEnded();
  ReapStrangers();
  if (!done_) HandleTime();
}

// Children that somebody else made ours, with CLONE_PARENT: the container's PID 1 could not end while they are about.
void Supervisor::ReapStrangers() {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) return;
    const bool known = (workload_ && info.si_pid == workload_->pid) || (probe_ && info.si_pid == probe_->pid());
    if (known) return;  // looked after in its turn, and what is behind it then
    if (::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG | __WALL) != 0) return;
  }
}

void Supervisor::HandleTime() {
  const Millis now = Now();
  WriteTraceInTime(now);
  if (probe_ && now >= probe_->deadline()) FinishProbe(true);
  if (kill_at_ != 0 && now >= kill_at_) {
    KillAll();
    kill_at_ = now + kKillAgainMs;
  }
  if (restart_at_ != 0 && now >= restart_at_) {
    // Somebody took the directory away, and with it the word that this is the supervisor: another may be it by now.
    if (!OwnsDirectory()) return EndFor(Status::State::kExited);
    ++status_.restarts;
    if (auto started = StartWorkload(); !started) {
      status_.error = started.error().Message();
      status_.exit_code = ExitCodeOf(started.error());
      ScheduleRestart();
    }
  }
  if (!probe_ && workload_ && policy_.has_health && intent_ == Intent::kNone && now >= health_.next()) StartProbe();
}

void Supervisor::HandleSignals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (attached_) {
      PassOn(signal);
    } else if (signal == SIGTERM || signal == SIGINT) {
      BeginStop(Intent::kStop);
    } else if (signal == SIGHUP) {
      ReloadPolicy();
    } else if (signal == SIGCHLD) {
      continue;  // it only wakes us
    } else {
      Forward(signal == SIGRTMIN ? info.ssi_int : signal);
    }
  }
}

void Supervisor::PassOn(int signal) {
  if (signal == SIGCHLD) return;
  if (signal == SIGWINCH) {
    if (relay_) relay_->Resize();
    return;
  }
  if (!workload_) return EndFor(Status::State::kExited);  // between two runs
  if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT) asked_to_end_ = true;
  if (launch_.init || WouldNotice(workload_->pid, signal)) return Forward(signal);
  ended_by_ = signal;
  intent_ = Intent::kStop;
  KillAll();
}

void Supervisor::Forward(int signal) {
  if (workload_ && signal > 0 && signal <= 64) sys::PidfdSendSignal(workload_->pidfd.get(), signal);
}

// A policy that does not read back leaves the one in force.
void Supervisor::ReloadPolicy() {
  const auto text = sys::ReadFile(directory_ + "/" + std::string(kPolicyFile));
  if (!text) return;
  auto policy = DecodePolicy(*text);
  if (!policy) return;
  const bool had_health = policy_.has_health;
  const bool same_check = policy_.health == policy->health;
  policy_ = std::move(*policy);
  if (log_) log_->SetLimit(policy_.log_max_bytes);
  status_.policy_digest = policy_.digest;
  if (!policy_.has_health) {
    if (probe_) probe_->Kill(), probe_->Finish(true), probe_.reset();
    status_.health = Status::Health::kNone;
    status_.probe_failures = 0;
  } else if (!had_health) {
    health_.Start(policy_.health, Now());
    status_.health = health_.state();
  } else if (!same_check) {
    health_.Change(policy_.health, Now());
  }
  WriteStatus();
}

void Supervisor::BeginStop(Intent intent) {
  if (!workload_) {
    // Between two runs: nothing is left to stop.
    if (intent == Intent::kStop) EndFor(Status::State::kExited);
    return;
  }
  if (intent_ == Intent::kStop) return;
  const bool already = intent_ != Intent::kNone;
  intent_ = intent;
  if (already) return;
  status_.state = Status::State::kStopping;
  WriteStatus();
  // A frozen process would not get to handle its signal.
  if (!launch_.cgroup.empty()) [[maybe_unused]]
    const auto thawed = sys::WriteKernelFile(launch_.cgroup + "/cgroup.freeze", "0");
  // The mini-init takes every signal and passes it on; /proc does not show it while it waits, which lifts its mask.
  if (!launch_.init && !WouldNotice(workload_->pid, policy_.stop_signal)) return KillAll();
  sys::PidfdSendSignal(workload_->pidfd.get(), policy_.stop_signal);
  kill_at_ = Now() + static_cast<Millis>(policy_.stop_timeout_ms);
}

// Not where another may be supervisor by now, and the group its workload's.
void Supervisor::KillGroup() {
  if (launch_.cgroup.empty() || !OwnsDirectory()) return;
  [[maybe_unused]] const auto killed = sys::WriteKernelFile(launch_.cgroup + "/cgroup.kill", "1");
}

void Supervisor::KillAll() {
  kill_at_ = Now() + kKillAgainMs;
  KillGroup();
  // Also by itself: somebody may have moved it out of its group.
  if (workload_) sys::PidfdSendSignal(workload_->pidfd.get(), SIGKILL);
}

void Supervisor::WorkloadEnded() {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(workload_->pidfd.get()), &info, WEXITED | WNOHANG | __WALL) != 0) return;
  if (info.si_pid == 0) return;
  int code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  if (ended_by_ != 0 && code == 128 + SIGKILL) code = 128 + ended_by_;
  workload_.reset();
  kill_at_ = 0;
  if (probe_) probe_->Kill(), probe_->Finish(true), probe_.reset();
  // Its pid namespace is gone with PID 1; the group may still have what somebody put into it.
  KillGroup();
  Drain(out_, Stream::kOut, true);
  Drain(error_, Stream::kError, true);
  out_.reset();
  error_.reset();
  if (relay_) relay_->Drain();
  relay_.reset();
  if (log_) log_->Flush(UnixNow());
  EndCalls(code);
  status_.finished_ms = UnixNow();
  status_.exit_code = code;
  status_.oom_killed = code == 128 + SIGKILL && OomKills() > oom_kills_;
  status_.workload = {};
  AfterEnd(code);
}

void Supervisor::AfterEnd(int exit_code) {
  switch (std::exchange(intent_, Intent::kNone)) {
    case Intent::kStop:
    case Intent::kGiveUp:
      return EndFor(Status::State::kExited);
    case Intent::kRestart:
      return ScheduleRestart();
    case Intent::kNone:
      break;
  }
  if (!asked_to_end_ && OwnsDirectory() && ShouldRestart(policy_, launch_.job, exit_code)) return ScheduleRestart();
  EndFor(Status::State::kExited);
}

void Supervisor::ScheduleRestart() {
  restart_at_ = Now() + backoff_.Next(policy_, Now() - started_);
  status_.state = Status::State::kBackoff;
  WriteStatus();
}

void Supervisor::EndFor(Status::State state) {
  if (status_.finished_ms == 0) status_.finished_ms = UnixNow();
  if (OwnsDirectory()) RemoveProbeCgroup(launch_.cgroup);
  status_.state = state;
  status_.supervisor = {};
  if (!attached_) WriteStatus();  // else it goes away with the directory, next of all
  done_ = true;
}

void Supervisor::StartProbe() {
  auto probe = HealthProbe::Start(launch_, policy_.health, workload_->pidfd, Now());
  if (probe) {
    probe_ = std::move(*probe);
    return;
  }
  // A probe that cannot be started is a failed one: the command may not be there.
  TakeResult(false, probe.error().Message());
}

void Supervisor::FinishProbe(bool timed_out) {
  auto outcome = probe_->Finish(timed_out);
  probe_.reset();
  TakeResult(outcome.healthy, std::move(outcome.output));
}

void Supervisor::TakeResult(bool healthy, std::string output) {
  const bool changed = health_.Result(healthy, Now());
  const bool news = changed || status_.probe_output != output || status_.probe_failures != health_.failures();
  const bool unhealthy = health_.state() == Status::Health::kUnhealthy;
  status_.health = health_.state();
  status_.probe_failures = health_.failures();
  status_.probe_output = std::move(output);
  if (changed)
    status_.error = unhealthy ? "health check failed " + std::to_string(health_.failures()) + " times in a row" : "";
  if (news) WriteStatus();
  // Not only when it becomes so: what is to be done then may have changed since.
  if (!unhealthy) return;
  switch (policy_.health.on_unhealthy) {
    case spec::OnUnhealthy::kRestart:
      return BeginStop(Intent::kRestart);
    case spec::OnUnhealthy::kStop:
      return BeginStop(Intent::kGiveUp);
    case spec::OnUnhealthy::kNone:
      return;
  }
}

// all: to the end; otherwise a bounded piece, so that a workload that writes without pause cannot hold up the rest.
void Supervisor::Drain(sys::Fd& pipe, Stream stream, bool all) {
  std::array<char, 8192> buffer;
  const int rounds = all ? 1024 : 8;
  for (int i = 0; i < rounds && pipe; ++i) {
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    // Every writer has closed it; the workload may go on without.
    if (got == 0) return pipe.reset();
    if (log_) log_->Add(stream, {buffer.data(), static_cast<std::size_t>(got)}, UnixNow());
  }
}

}  // namespace nucleus::process
