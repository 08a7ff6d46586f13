#include "actuators/supervisor/health_probe.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <climits>

#include "actuators/process/log.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kTail = 1024;
// A probe is born into the container's group, and in a frozen one it gets nowhere: the supervisor has other things to
// do.
constexpr Millis kMostToStart = 5'000;

std::string ProbeCgroup(const std::string& container) {
  return container + "/probe";
}

struct Pipe {
  sys::Fd read, write;
};
Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return FailSys("pipe2", "probe output");
  return Pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
}

// Raw: no thread of libc's is to be told.
bool DropIdentity(const Identity& identity) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, 2> none{};
  return ::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) == 0 &&
         ::syscall(SYS_setresgid, identity.gid, identity.gid, identity.gid) == 0 &&
         ::syscall(SYS_setresuid, identity.uid, identity.uid, identity.uid) == 0 &&
         ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&  // the change of ids may have undone it
         ::syscall(SYS_capset, &header, none.data()) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

Result<Running> StartNetworkProbe(const Launch& launch, const spec::HealthCheck& check, const sys::Fd& container,
                                  int cgroup, int out) {
  const sys::Fd thread = sys::ThreadToEnter(container);
  const int entered = (thread ? thread : container).get();
  int pidfd = -1;
  const pid_t pid = sys::Clone3(0, cgroup, &pidfd);
  if (pid < 0) return FailSys("clone3", "probe");
  if (pid == 0) {
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    // Among the container's mounts too: what reads a hostile server's answer has no business among the host's files.
    if (::setns(entered, CLONE_NEWNET | CLONE_NEWNS) != 0 || ::dup2(out, 1) != 1) ::_exit(2);
    ::syscall(SYS_close_range, 3, ~0U, 0);
    if (!DropIdentity(launch.identity)) ::_exit(2);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    RunNetworkProbe(check, 1);
  }
  return Running{.pid = pid, .pidfd = sys::Fd(pidfd)};
}

}  // namespace

Result<HealthProbe> HealthProbe::Start(const Launch& launch, const spec::HealthCheck& check, const sys::Fd& container,
                                       Millis now) {
  HealthProbe probe;
  probe.deadline_ = now + std::max<Millis>(check.timeout.count(), 1);
  auto [read, write] = TRY(MakePipe());
  sys::Fd cgroup;
  if (!launch.cgroup.empty()) {
    probe.cgroup_ = ProbeCgroup(launch.cgroup);
    // A new group for each probe: in one that was killed no child can be born (child.cpp, KilledAtBirth).
    ::rmdir(probe.cgroup_.c_str());
    if (::mkdir(probe.cgroup_.c_str(), 0755) != 0 && errno != EEXIST) return FailSys("mkdir", probe.cgroup_);
    cgroup = TRY(sys::Open(probe.cgroup_, O_PATH | O_DIRECTORY));
  }
  if (const auto* command = std::get_if<spec::CommandProbe>(&check.probe)) {
    // A program expects its output to block; the flag is of this end alone.
    ::fcntl(write.get(), F_SETFL, 0);
    [[maybe_unused]] const auto owner = ::fchown(write.get(), launch.identity.uid, launch.identity.gid);
    const Prepared prepared = TRY(PrepareInside(launch, command->argv, true));
    const Stdio stdio{.in = -1, .out = write.get(), .err = write.get()};
    probe.running_ = TRY(SpawnInside(prepared, container, cgroup.get(), stdio,
                                     static_cast<int>(std::clamp<Millis>(check.timeout.count(), 1, kMostToStart))));
  } else {
    probe.running_ = TRY(StartNetworkProbe(launch, check, container, cgroup.get(), write.get()));
  }
  probe.output_ = std::move(read);
  return probe;
}

void HealthProbe::ReadOutput() {
  std::array<char, 4096> buffer;
  // Bounded: a probe that never stops talking must not keep the supervisor from its other work.
  for (int i = 0; i < 16 && output_; ++i) {
    const ssize_t got = ::read(output_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (got == 0) return output_.reset();
    tail_.append(buffer.data(), static_cast<std::size_t>(got));
    if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  }
}

void HealthProbe::Kill() {
  // The group first: it has what the probe has started as well, also in other sessions.
  const bool whole = !cgroup_.empty() && sys::WriteKernelFile(cgroup_ + "/cgroup.kill", "1").has_value();
  if (!whole) ::kill(-running_.pid, SIGKILL);
  if (running_.pidfd) sys::PidfdSendSignal(running_.pidfd.get(), SIGKILL);
}

HealthProbe::Outcome HealthProbe::Finish(bool timed_out) {
  Kill();  // leftovers of a probe that ended by itself
  ReadOutput();
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(running_.pidfd.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
  }
  running_.pidfd.reset();
  Outcome outcome;
  outcome.healthy = !timed_out && info.si_code == CLD_EXITED && info.si_status == 0;
  while (tail_.ends_with('\n')) tail_.pop_back();
  outcome.output = Escaped(tail_);
  if (timed_out) outcome.output += (outcome.output.empty() ? "" : " ") + std::string("(timed out)");
  if (outcome.output.empty() && !outcome.healthy) {
    outcome.output = (info.si_code == CLD_EXITED ? "exit code " : "signal ") + std::to_string(info.si_status);
    if (info.si_code != CLD_EXITED && info.si_status == SIGSYS)
      outcome.output += ": it made a system call that the seccomp policy denies (seccomp_log_denied names it)";
  }
  if (outcome.output.size() > kTail) outcome.output.erase(0, outcome.output.size() - kTail);
  return outcome;
}

void RemoveProbeCgroup(const std::string& container_cgroup) {
  if (!container_cgroup.empty()) ::rmdir(ProbeCgroup(container_cgroup).c_str());
}

}  // namespace nucleus::process
