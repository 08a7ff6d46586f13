#include "actuators/supervisor/syscall_answers.hpp"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <optional>

#include "actuators/process/seccomp_program.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/seccomp_unotify.hpp"
#include "actuators/sys/syscall_names.hpp"
#include "spec/core/text.hpp"

namespace nucleus::process {

namespace {

constexpr std::int64_t kLongestNs = 20'000'000;
constexpr int kNextMs = 1;
constexpr int kDiesWithinMs = 50;

std::int64_t NowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// Its flags are in memory, where no profile can look at them. As under the default filter, callers go on with clone.
bool IsClone3(const seccomp_data& call) {
  return (static_cast<std::uint32_t>(call.nr) & ~sys::kX32CallBit) == SYS_clone3;  // the same number everywhere
}

bool Readable(int fd, int timeout_ms) {
  pollfd poller{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poller, 1, timeout_ms) == 1;
}

std::string CallerOf(pid_t thread) {
  const auto name = sys::ReadFileIfThere("/proc/" + std::to_string(thread) + "/comm");
  if (!name || !*name || (*name)->empty()) return "?";
  return Printable(std::string_view(**name).substr(0, (*name)->find('\n')));
}

// The last number of a field, "\nNStgid:" as it begins a line: of "NStgid:\t100\t7" the one that it knows itself by.
// proc_pid_status(5).
std::optional<std::uint64_t> LastOf(std::string_view status, std::string_view field, int base = 10) {
  const auto at = status.find(field);
  if (at == std::string_view::npos) return std::nullopt;
  const auto rest = status.substr(at + 1);
  const auto line = rest.substr(0, rest.find('\n'));
  const auto start = line.find_last_of(" \t");
  std::uint64_t number = 0;
  if (start == std::string_view::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(line.data() + start + 1, line.data() + line.size(), number, base);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

}  // namespace

void SyscallAnswers::Listen(sys::Fd listener) {
  listener_ = std::move(listener);
  killed_workload_ = false;
  if (listener_) BeginProgram();
}

void SyscallAnswers::BeginProgram() {
  if (!security_.seccomp_trace) return;
  seccomp_data execve{};  // answered while it was started
  execve.nr = SYS_execve;
  execve.arch = sys::kNativeArchitecture;
  trace_.Count(execve);
}

void SyscallAnswers::Serve(sys::Fd& listener) {
  const std::int64_t end = NowNs() + kLongestNs;
  pollfd poller{.fd = listener.get(), .events = POLLIN, .revents = 0};
  for (int patience = 0; ::poll(&poller, 1, patience) == 1; patience = kNextMs) {
    if ((poller.revents & POLLIN) == 0) return listener.reset();  // POLLHUP: nobody is left whom the program holds
    ServeOne(listener.get());
    if (NowNs() >= end) return;
  }
}

void SyscallAnswers::ServeOne(int listener) {
  seccomp_notif call;
  if (!sys::ReceiveCall(listener, call)) return;
  if (security_.seccomp_trace) {
    if (IsClone3(call.data)) {
      trace_.CountMissing(call.data);
      sys::Refuse(listener, call.id, ENOSYS);
    } else {
      trace_.Count(call.data);
      sys::LetThrough(listener, call.id);
    }
  } else {
    Deny(listener, call.id, call.data, static_cast<pid_t>(call.pid));
  }
}

void SyscallAnswers::Deny(int listener, std::uint64_t id, const seccomp_data& call, pid_t thread) {
  const std::uint32_t result = RunSeccomp(security_.seccomp, call);
  const bool error = ActionOf(result) == SECCOMP_RET_ERRNO;
  // Only execve comes here whatever the policy says of it, where it says no to ours; then it is not to be had.
  const bool other =
      !error && ActionOf(result) != SECCOMP_RET_KILL_PROCESS && ActionOf(result) != SECCOMP_RET_KILL_THREAD;
  const int number = error ? static_cast<int>(result & SECCOMP_RET_DATA) : ENOSYS;
  const char* name = ::strerrorname_np(number);
  const std::string outcome = error || other ? (name != nullptr ? name : std::to_string(number)) : "killed";
  denials_.Count({CallerOf(thread), sys::SyscallText(call.arch, static_cast<std::uint32_t>(call.nr)), outcome});
  if (error || other) {
    sys::Refuse(listener, id, number);
  } else {
    Kill(listener, id, thread);
  }
}

// As the kernel would: by SIGSYS, which whoever waits for it sees. Queued before the answer, it is there when the
// thread comes back from the call, and it does nothing more. Where it would not kill (PID 1 of a namespace, a handler,
// held back or ignored) SIGKILL does, while it waits.
void SyscallAnswers::Kill(int listener, std::uint64_t id, pid_t thread) {
  const auto read = sys::ReadFileIfThere("/proc/" + std::to_string(thread) + "/status");
  const std::string status = read && *read ? **read : std::string();  // hidden from us: SIGKILL needs to know nothing
  const auto inside = LastOf(status, "\nNStgid:").value_or(1);
  const auto group = static_cast<pid_t>(LastOf(status, "\nTgid:").value_or(static_cast<std::uint64_t>(thread)));
  const sys::Fd pidfd(sys::PidfdOpen(group));
  if (!sys::StillAsks(listener, id)) return;
  std::uint64_t survives = 0;
  for (const auto* field : {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"})
    survives |= LastOf(status, field, 16).value_or(~0ULL);
  const bool dies = pidfd && inside != 1 && (survives >> (SIGSYS - 1) & 1) == 0;
  if (dies && ::syscall(SYS_tgkill, group, thread, SIGSYS) == 0) {
    sys::Refuse(listener, id, ENOSYS);
    if (Readable(pidfd.get(), kDiesWithinMs)) return;
  } else if (inside == (init_ ? 2U : 1U)) {
    killed_workload_ = true;
  }
  if (pidfd) {
    sys::PidfdSendSignal(pidfd.get(), SIGKILL);
  } else if (group > 0) {
    ::kill(group, SIGKILL);
  } else {
    sys::Refuse(listener, id, ENOSYS);  // no number of ours: 0 would be our own group
  }
}

}  // namespace nucleus::process
