// Watches one workload: starts it from the service directory's files, keeps its log, probes its health, restarts it by
// policy, and says in the status file what it knows. One thread, one loop over poll(2).
//
// Files of the service directory (names.hpp): reads "launch" once, "restore" before the first start
// (restore_order.hpp), "policy" and "network" at the start and at SIGHUP; writes "status" (replaced at every
// transition) and "log"; holds "lock".
//
// Signals: SIGTERM, SIGINT stop the workload (its stop signal, then after stop_timeout everything is killed) and end
// the supervisor. SIGHUP reads "policy" and "network" again. SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH are passed on to the
// workload; SIGRTMIN sent by sigqueue(3) with value N passes on signal N. The stop signal (process/stop_signal.hpp) is
// that of the foreground too. What becomes of the workload is written to "events" (process/log.hpp). While its group is
// frozen, by whomever, or its checkpoint is made (process/running.hpp), it is not probed. A supervisor that is killed
// takes the workload along, by the parent death signal that child.hpp gives it; in the foreground also one that has
// lifted that (guard.hpp).
//
// In the background it is told by the kernel when a mount of the workload changes, and says so in the status.
//
// A NOTIFY_SOCKET of the environment is told when the workload is ready, and what it says of itself: notify.hpp.
#pragma once

#include <poll.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "actuators/process/child.hpp"
#include "actuators/process/log.hpp"
#include "actuators/process/supervision.hpp"
#include "actuators/supervisor/guard.hpp"
#include "actuators/supervisor/health_probe.hpp"
#include "actuators/supervisor/hooks.hpp"
#include "actuators/supervisor/network_helper.hpp"
#include "actuators/supervisor/notify.hpp"
#include "actuators/supervisor/standard_pipes.hpp"
#include "actuators/supervisor/syscall_answers.hpp"
#include "actuators/supervisor/terminal_relay.hpp"
#include "actuators/sys/standard_files.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::process {

// Whether a trace could be put there. Before anything is made; nothing is left of it.
Result<> CheckTraceFile(const std::string& path);

// How far a first start has come with the trees that it copies or verifies, before there is a workload.
struct Preparation {
  attest::Progress* progress = nullptr;
  std::function<void()> done;             // called when it is through, or has failed
  std::function<Result<>()> ready{};      // waits for what the launch names, once all else is prepared
  std::function<const Loan*()> loan{};    // asked after that: for the first start
  std::function<Result<>()> meanwhile{};  // called while the workload is set up; its error is that of the start
};

class Supervisor {
 public:
  // Takes the lock, reads the files, executes the workload. The status file says kRunning or kFailed when it returns.
  // in_unit: our standard output and error are those of a systemd unit, and are to have what the log has.
  static Result<Supervisor> Start(std::string directory, bool in_unit = false);
  // In the foreground of the caller: the workload has the caller's standard files, with pipes in the place of the
  // caller's terminal, or a terminal between which and the caller's this relays, and no log. The signals of
  // passed_signals.hpp are the workload's; where that is PID 1 and has nothing to say of it (notice.hpp), it is ended,
  // as the signal would have ended it were it no PID 1, and so it is where such a signal is typed at its terminal. One
  // that the caller ignores does not end it; nohup(1). `lock` is the directory's, taken by ClaimDirectory(). It stays
  // the caller's and outlives the supervisor: closing any descriptor of that file would drop it.
  static Result<Supervisor> Attach(std::string directory, const sys::Fd& lock, Launch launch,
                                   const Preparation& preparation = {});
  // Until the workload has ended for good.
  void Run();
  // What the workload that runs goes without, where it may.
  [[nodiscard]] std::vector<std::string> warnings() const {
    return workload_ ? workload_->warnings : std::vector<std::string>();
  }
  // Then: of its last run, 128+N where a signal ended it.
  [[nodiscard]] int exit_code() const { return status_.exit_code; }
  [[nodiscard]] const std::string& id() const { return status_.id; }
  // Before Run(): who is told what an attached one does to the workload by itself, a sentence each.
  void TellTo(std::function<void(const std::string& words)> hear) { hear_ = std::move(hear); }
  // What the policy denied, as far as the seccomp program asked; in words, a line each.
  [[nodiscard]] std::vector<std::string> Denials() const;
  // Why the trace was not written.
  [[nodiscard]] const std::optional<Error>& trace_error() const { return trace_error_; }

 private:
  enum class Intent : std::uint8_t { kNone, kStop, kRestart, kGiveUp };

  Supervisor() = default;
  static Result<Supervisor> Begin(Supervisor supervisor, const Preparation& preparation = {});
  Result<> Load();
  Result<> TakeOver();
  Result<> Announce();
  Result<Stdio> LendFiles();
  Result<Running> SpawnWorkload(const Preparation& preparation);
  [[nodiscard]] Result<Prepared> PrepareWorkload(attest::Progress* progress) const;
  void PassOn(int signal);
  void EndBy(int signal);
  void PumpTerminal(std::span<const pollfd, TerminalRelay::kPolls> polls);
  Result<> StartWorkload(const Preparation& preparation = {});
  void Step(int timeout_ms);
  void HandleSignals();
  void ReapStrangers();
  void HandleTime();
  void ReloadPolicy();
  void Forward(int signal);
  void BeginStop(Intent intent, int timeout_ms = -1);
  void Thaw();
  void KillGroup();
  void KillAll();
  void WorkloadEnded();
  [[nodiscard]] bool StartsAgain() const;  // the workload that has just ended
  void ScheduleRestart();
  void EndFor(Status::State state);
  [[nodiscard]] Status::Ending EndingNow() const;
  void AttendTerminal(sys::Fd master);
  void Drain(sys::Fd& pipe, Stream stream, bool all);
  void DropOutput();
  void WriteStatus();
  void Note(const std::string& event);
  void NoteFailure();
  // supervisor_health.cpp
  [[nodiscard]] bool MayProbe() const;
  void LookWhetherPaused();
  void StartProbe();
  void DropProbe();
  void FinishProbe(bool timed_out);
  void TakeResult(bool healthy, std::string output);
  void TellUnhealthy(std::string_view then) const;
  // supervisor_readiness.cpp
  [[nodiscard]] bool AwaitsReadiness() const { return status_.readiness == Status::Readiness::kWaiting; }
  [[nodiscard]] HealthTracker& Tracker() { return AwaitsReadiness() ? readiness_ : health_; }
  [[nodiscard]] const HealthTracker& Tracker() const { return AwaitsReadiness() ? readiness_ : health_; }
  Result<> OpenNotifySocket();
  void BeginReadiness();
  void ReconsiderReadiness();
  void BecomeReady();
  void TellStopping(Millis patience) const;
  void TellAlive(Millis now);
  void HearWorkload();
  // supervisor_calls.cpp
  void AttendCalls();
  void AttendProbe();
  void ServeCalls();
  void ServeProbe();
  void EndCalls(int& exit_code);
  void TellNews();
  void Tell(const std::string& line);
  void WriteTrace();
  void WriteTraceInTime(Millis now);
  // supervisor_hooks.cpp
  Result<> RunHooksBefore(HookPoint point, pid_t pid);
  void RunHooksAfter(HookPoint point);
  int WaitBeside(std::span<pollfd> polls, int timeout_ms);
  void RunPoststop();
  // supervisor_mounts.cpp
  void WatchMounts();
  void LookAtMounts();
  // supervisor_restore.cpp
  [[nodiscard]] Result<std::optional<RestoreOrder>> TakeRestoreOrder() const;
  Result<Running> RestoreWorkload(const RestoreOrder& order, const Prepared& prepared, const Stdio& stdio);
  // supervisor_network.cpp
  Result<> TakeNetwork();
  Result<> AwaitNetwork();
  void HearNetwork();
  void RestNetwork();
  void LookForDenials(bool tell);
  void CountDenied(std::uint64_t packets, bool tell);
  [[nodiscard]] Millis NextDeadline() const;
  [[nodiscard]] std::uint64_t OomKills() const;
  // Whether the lock in the directory is the one this supervisor holds: not so once the directory was taken away.
  [[nodiscard]] bool OwnsDirectory() const;

  std::string directory_;
  sys::Fd own_lock_, signals_;
  sys::Fd ids_;    // shares the claim of the container's range of ids, where it has one
  int lock_ = -1;  // own_lock_, or the caller's
  Launch launch_;
  Policy policy_;
  Status status_;
  std::optional<LogWriter> log_, events_;
  sys::Fd group_events_;  // cgroup.events
  sys::Fd mounts_;        // mountinfo of the workload, in the background
  bool paused_ = false;
  bool attached_ = false;
  std::function<void(const std::string& words)> hear_;
  std::unique_ptr<TerminalRelay> relay_;
  std::unique_ptr<sys::LentFiles> lent_;  // attached: the caller's, while the workload may have them
  StandardPipes pipes_;
  bool asked_to_end_ = false;  // by a signal that was passed on: an end is no reason to start again
  bool hooks_begun_ = false;   // there is a container, and poststop has not run
  int ended_by_ = 0;           // the signal that the workload was killed instead of, having no handler for it
  std::optional<Running> workload_;
  std::unique_ptr<Guard> guard_;  // none: it has no need of one, or nothing runs
  std::optional<HealthProbe> probe_;
  sys::Fd out_, error_;  // where the log is read from: pipes, or out_ is the master of the workload's terminal and
  sys::Fd peer_;         // this its other end: while it is open here the workload may close it, and open it anew
  Backoff backoff_;
  HealthTracker health_, readiness_;
  std::optional<NotifySocket> notify_;  // where the workload is to say when it is ready
  Millis hear_at_ = 0;                  // when it is listened to again; 0: it is
  Manager manager_;
  Intent intent_ = Intent::kNone;
  bool done_ = false;
  std::uint64_t oom_kills_ = 0;
  Millis started_ = 0;
  Millis restart_at_ = 0;  // 0: none
  Millis alive_at_ = 0;    // when a manager with a watchdog is told next that all is well; 0: not by us
  Millis kill_at_ = 0;
  std::unique_ptr<SyscallAnswers> answers_;  // none: nothing has been asked about yet
  std::uint64_t written_calls_ = 0;
  std::optional<Error> trace_error_;
  Millis write_trace_at_ = 0;               // 0: none
  std::unique_ptr<NetworkHelper> network_;  // none: nothing is asked of one, or it has just died
  Millis network_at_ = 0;                   // when it is started again; 0: none
  Millis network_started_ = 0, network_rest_ = 0;
  std::uint64_t denied_ = 0;        // packets, by the last look at the egress rules
  Millis look_for_denials_at_ = 0;  // 0: never
};

}  // namespace nucleus::process
