#include "actuators/supervisor/supervisor.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "actuators/process/channel.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/process/running.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/notice.hpp"
#include "actuators/supervisor/passed_signals.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

constexpr Millis kNever = INT64_MAX;
constexpr Millis kKillAgainMs = 500;

}  // namespace

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
  if (alive_at_ != 0) next = std::min(next, alive_at_);
  if (kill_at_ != 0) next = std::min(next, kill_at_);
  if (probe_) next = std::min(next, probe_->deadline());
  if (write_trace_at_ != 0) next = std::min(next, write_trace_at_);
  if (network_at_ != 0) next = std::min(next, network_at_);
  if (hear_at_ != 0) next = std::min(next, hear_at_);
  if (MayProbe()) next = std::min(next, Tracker().next());
  if (workload_ && look_for_denials_at_ != 0) next = std::min(next, look_for_denials_at_);
  return next;
}

void Supervisor::Step(int timeout_ms) {
  // A descriptor of -1 is passed over by poll.
  constexpr std::size_t kOwn = 12;
  std::array<pollfd, kOwn + TerminalRelay::kPolls + StandardPipes::kPolls> polls{};
  const auto watch = [&polls](std::size_t i, int fd) { polls[i] = {.fd = fd, .events = POLLIN, .revents = 0}; };
  watch(0, signals_.get());
  watch(1, workload_ ? workload_->pidfd.get() : -1);
  watch(2, out_.get());
  watch(3, error_.get());
  watch(4, probe_ ? probe_->pidfd().get() : -1);
  watch(5, probe_ ? probe_->output().get() : -1);
  watch(6, answers_ ? answers_->fd() : -1);
  // cgroups(7): a change of it is an exceptional condition.
  polls[7] = {.fd = group_events_.get(), .events = POLLPRI, .revents = 0};
  watch(8, network_ ? network_->output().get() : -1);
  watch(9, notify_ && hear_at_ == 0 ? notify_->fd() : -1);
  polls[10] = {.fd = mounts_.get(), .events = POLLPRI, .revents = 0};
  watch(11, probe_ ? probe_->listener().get() : -1);
  const auto relayed = std::span(polls).subspan<kOwn, TerminalRelay::kPolls>();
  const auto piped = std::span(polls).last<StandardPipes::kPolls>();
  for (auto& poll : relayed) poll.fd = -1;
  if (relay_) relay_->Watch(relayed);
  if (const int again = pipes_.Watch(piped); again >= 0 && (timeout_ms < 0 || again < timeout_ms)) timeout_ms = again;
  if (::poll(polls.data(), polls.size(), timeout_ms) < 0 && errno != EINTR) return;
  if (relay_) PumpTerminal(relayed);
  pipes_.Pump(piped);
  if (polls[7].revents != 0) LookWhetherPaused();
  if (polls[10].revents != 0) LookAtMounts();
  if (polls[6].revents != 0) ServeCalls();
  if (polls[11].revents != 0 && probe_) ServeProbe();
  if (polls[8].revents != 0) HearNetwork();
  if (polls[2].revents != 0) Drain(out_, Stream::kOut, false);
  if (polls[3].revents != 0) Drain(error_, Stream::kError, false);
  if (polls[9].revents != 0) HearWorkload();
  if (polls[5].revents != 0 && probe_) probe_->ReadOutput();
  if (polls[4].revents != 0 && probe_) FinishProbe(false);
  if (polls[0].revents != 0) HandleSignals();
  if (polls[1].revents != 0) {
    if (notify_) HearWorkload();  // its last words may lie there still
    WorkloadEnded();
  }
  ReapStrangers();
  if (!done_) HandleTime();
}

// Children that somebody else made ours, with CLONE_PARENT: the container's PID 1 could not end while they are about.
void Supervisor::ReapStrangers() {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) return;
    const bool known = (workload_ && info.si_pid == workload_->pid) || (probe_ && info.si_pid == probe_->pid()) ||
                       (network_ && info.si_pid == network_->pid());
    if (known) return;  // looked after in its turn, and what is behind it then
    if (::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG | __WALL) != 0) return;
  }
}

void Supervisor::HandleTime() {
  const Millis now = Now();
  WriteTraceInTime(now);
  TellAlive(now);
  if (hear_at_ != 0 && now >= hear_at_) hear_at_ = 0;
  if (network_at_ != 0 && now >= network_at_ && !TakeNetwork()) WriteStatus();
  if (probe_ && now >= probe_->deadline()) FinishProbe(true);
  if (kill_at_ != 0 && now >= kill_at_) {
    KillAll();
    kill_at_ = now + kKillAgainMs;
  }
  if (restart_at_ != 0 && now >= restart_at_) {
    // Somebody took the directory away, and with it the word that this is the supervisor: another may be it by now.
    if (!OwnsDirectory()) return EndFor(Status::State::kExited);
    ++status_.restarts;
    status_.state = Status::State::kStarting;  // it may take long: hooks, and trees that are verified
    WriteStatus();
    if (auto started = StartWorkload(); !started) {
      status_.error = started.error().Message();
      status_.exit_code = ExitCodeOf(started.error());
      status_.ending = Status::Ending::kNone;  // that was of the run before
      NoteFailure();
      ScheduleRestart();
    }
  }
  if (MayProbe() && now >= Tracker().next()) StartProbe();
  if (workload_ && look_for_denials_at_ != 0 && now >= look_for_denials_at_) LookForDenials(true);
}

void Supervisor::HandleSignals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == StopSignal()) {
      BeginStop(Intent::kStop, info.ssi_code == SI_QUEUE ? info.ssi_int : -1);
    } else if (attached_) {
      // SIGPIPE and SIGXFSZ may come of what we do ourselves.
      if (static_cast<pid_t>(info.ssi_pid) != ::getpid()) PassOn(signal);
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
  if (signal == SIGWINCH && relay_) return relay_->Resize();  // of which the kernel tells the workload
  if (!workload_) {
    // Between two runs.
    if (EndsByDefault(signal) && !sys::IsIgnored(signal)) EndFor(Status::State::kExited);
    return;
  }
  const auto child = launch_.init ? FirstChild(workload_->pid) : std::nullopt;
  const pid_t workload = child.value_or(workload_->pid);
  if (IsToBeIgnored(workload, signal)) return;
  const Reception reception = ReceptionOf(workload, signal);
  const bool is_harmless = reception == Reception::kByDefault && !EndsByDefault(signal);
  if (is_harmless || reception == Reception::kIgnored) return Forward(signal);
  if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT) asked_to_end_ = true;
  // The others mean a reload to many: a manager that was told of an end brings it about.
  if (signal == SIGTERM) TellStopping(0);
  if (launch_.init || reception == Reception::kTaken) return Forward(signal);
  EndBy(signal);
}

// As the signal would, were the workload no PID 1.
void Supervisor::EndBy(int signal) {
  ended_by_ = signal;
  intent_ = Intent::kStop;
  KillAll();
}

// What is typed at the workload's terminal brings signals to those in its foreground. The kernel drops them where PID 1
// has no handler: the caller could not end it any more. Looked at before it has them, and may have another handler.
void Supervisor::PumpTerminal(std::span<const pollfd, TerminalRelay::kPolls> polls) {
  int ending = 0;
  relay_->Pump(polls, [&](int signal) {
    if (ending != 0 || !workload_ || launch_.init || relay_->Foreground() != workload_->pid) return;
    if (!sys::IsIgnored(signal) && ReceptionOf(workload_->pid, signal) == Reception::kByDefault) ending = signal;
  });
  if (ending != 0) EndBy(ending);
}

void Supervisor::Forward(int signal) {
  if (workload_ && signal > 0 && signal <= 64) sys::PidfdSendSignal(workload_->pidfd.get(), signal);
}

// A policy that does not read back leaves the one in force.
void Supervisor::ReloadPolicy() {
  if (auto taken = TakeNetwork(); !taken && status_.network.empty()) status_.network = "? 0 " + taken.error().Message();
  WriteStatus();
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
    DropProbe();
    status_.health = Status::Health::kNone;
    status_.probe_failures = 0;
  } else if (!had_health) {
    health_.Start(policy_.health, Now());
    status_.health = health_.state();
  } else if (!same_check) {
    health_.Change(policy_.health, Now());
  }
  ReconsiderReadiness();
  WriteStatus();
  look_for_denials_at_ = 0;
  LookForDenials(true);
}

// timeout_ms: instead of the policy's, where it is none less than nothing.
void Supervisor::BeginStop(Intent intent, int timeout_ms) {
  const Millis patience = timeout_ms >= 0 ? timeout_ms : static_cast<Millis>(policy_.stop_timeout_ms);
  if (!workload_) {
    // Between two runs: nothing is left to stop.
    if (intent != Intent::kStop) return;
    Note("stop");
    status_.ending = Status::Ending::kStopped;
    return EndFor(Status::State::kExited);
  }
  if (intent_ != Intent::kNone) {
    if (intent != Intent::kStop) return;
    const Intent before = std::exchange(intent_, intent);
    if (before != intent) Note("stop timeout_ms=" + std::to_string(patience));
    if (before == Intent::kRestart) {
      status_.ending = EndingNow();
      WriteStatus();
      TellStopping(patience);
    }
    // Once more, by who will not wait as long.
    if (timeout_ms >= 0 && kill_at_ != 0) kill_at_ = std::min(kill_at_, Now() + patience);
    return;
  }
  intent_ = intent;
  status_.state = Status::State::kStopping;
  status_.ending = EndingNow();
  WriteStatus();
  if (intent != Intent::kRestart) TellStopping(patience);
  Note("stop timeout_ms=" + std::to_string(patience));
  Thaw();  // a frozen process would not get to handle its signal
  // Who ignores it would not hear of it: a stop is a stop. The mini-init takes every signal and passes it on.
  if (patience == 0 || (!launch_.init && ReceptionOf(workload_->pid, policy_.stop_signal) != Reception::kTaken))
    return KillAll();
  sys::PidfdSendSignal(workload_->pidfd.get(), policy_.stop_signal);
  kill_at_ = Now() + patience;
}

void Supervisor::Thaw() {
  if (launch_.cgroup.empty() || !OwnsDirectory()) return;
  [[maybe_unused]] const auto thawed = sys::WriteKernelFile(launch_.cgroup + "/cgroup.freeze", "0");
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
  mounts_.reset();
  status_.loosened.clear();
  kill_at_ = 0;
  paused_ = false;
  DropProbe();
  // Its pid namespace is gone with PID 1; the group may still have what somebody put into it.
  KillGroup();
  Thaw();  // what is killed ends though it is frozen, but nothing starts
  Drain(out_, Stream::kOut, true);
  Drain(error_, Stream::kError, true);
  DropOutput();
  if (relay_) relay_->Drain();
  relay_.reset();
  pipes_.Drain();
  if (log_) log_->Flush(UnixNow());
  EndCalls(code);
  status_.finished_ms = UnixNow();
  status_.exit_code = code;
  status_.oom_killed = code == 128 + SIGKILL && OomKills() > oom_kills_;
  status_.ending = EndingNow();
  status_.workload = {};
  if (!launch_.hooks.poststop.empty()) {
    status_.state = StartsAgain() ? Status::State::kBackoff : Status::State::kStopping;
    WriteStatus();
  }
  RunPoststop();
  LookForDenials(true);
  if (status_.oom_killed) Note("oom");
  Note("exit code=" + std::to_string(code) + " reason=" + std::string(EndingName(status_.ending)));
  guard_.reset();  // by now it has most likely ended of itself
  const bool again = StartsAgain();
  intent_ = Intent::kNone;
  again ? ScheduleRestart() : EndFor(Status::State::kExited);
}

Status::Ending Supervisor::EndingNow() const {
  if (status_.oom_killed && intent_ == Intent::kNone) return Status::Ending::kOom;
  switch (intent_) {
    case Intent::kNone:
      return Status::Ending::kItself;
    case Intent::kStop:
      return Status::Ending::kStopped;
    case Intent::kRestart:
    case Intent::kGiveUp:
      return Status::Ending::kUnhealthy;
  }
  return Status::Ending::kItself;
}

bool Supervisor::StartsAgain() const {
  if (intent_ != Intent::kNone) return intent_ == Intent::kRestart;
  return !asked_to_end_ && ShouldRestart(policy_, launch_.job, status_.exit_code) && OwnsDirectory();
}

void Supervisor::ScheduleRestart() {
  const Millis delay = backoff_.Next(policy_, Now() - started_);
  restart_at_ = Now() + delay;
  Note("restart number=" + std::to_string(status_.restarts + 1) + " delay_ms=" + std::to_string(delay));
  alive_at_ = Now();
  status_.state = Status::State::kBackoff;
  WriteStatus();
}

void Supervisor::EndFor(Status::State state) {
  if (status_.finished_ms == 0) status_.finished_ms = UnixNow();
  if (OwnsDirectory()) RemoveProbeCgroup(launch_.cgroup);
  status_.state = state;
  status_.supervisor = {};
  lent_.reset();
  if (!attached_) WriteStatus();  // else it goes away with the directory, next of all
  done_ = true;
}

void Supervisor::DropOutput() {
  out_.reset();
  error_.reset();
  peer_.reset();
}

// all: to the end; otherwise a bounded piece, so that a workload that writes without pause cannot hold up the rest.
void Supervisor::Drain(sys::Fd& pipe, Stream stream, bool all) {
  std::array<char, 8192> buffer;
  const int rounds = all ? 1024 : 8;
  for (int i = 0; i < rounds && pipe; ++i) {
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EIO) return;
    // Every writer has closed it; the workload may go on without. EIO is the end of a terminal; pty(7).
    if (got <= 0) return pipe.reset();
    if (log_) log_->Add(stream, {buffer.data(), static_cast<std::size_t>(got)}, UnixNow());
  }
}

}  // namespace nucleus::process
