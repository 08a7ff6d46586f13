#include "actuators/sys/process.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <charconv>
#include <chrono>

#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"

// By number: <sys/pidfd.h> of glibc 2.36 lacks extern "C".

namespace nucleus::sys {

namespace {

std::string ProcPath(pid_t pid, std::string_view file) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(file);
}

// A file of /proc/PID. None where the process is gone: ENOENT before open, ESRCH once it is open.
Result<std::optional<std::string>> ReadProc(pid_t pid, std::string_view file) {
  auto text = ReadFileIfThere(ProcPath(pid, file));
  if (!text && text.error().sys_errno == ESRCH) return std::nullopt;
  return text;
}

Result<std::string> ReadBootId() {
  std::string id = TRY(ReadFile("/proc/sys/kernel/random/boot_id"));
  while (id.ends_with('\n')) id.pop_back();
  return id;
}

// Of whichever process has that number now; none where nobody has.
Result<std::optional<Fd>> OpenNumber(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd) return fd;
  // EINVAL, since Linux 6.9 ENOENT: the number is now a thread's, so the process is gone.
  if (errno == ESRCH || errno == EINVAL || errno == ENOENT) return std::nullopt;
  return FailSys("pidfd_open", "process " + std::to_string(pid));
}

}  // namespace

// No process lives through two of them.
Result<std::string> BootId() {
  static const Result<std::string> id = ReadBootId();
  return id;
}

Result<std::optional<std::uint64_t>> StartTime(pid_t pid) {
  const auto text = TRY(ReadProc(pid, "stat"));
  if (!text) return std::nullopt;
  // Field 2 is the command in parentheses and may hold anything, blanks and parentheses too: count from the last one.
  const std::string_view all = *text;
  const auto paren = all.rfind(')');
  std::string_view rest = paren == std::string_view::npos ? "" : all.substr(paren + 1);
  for (int field = 3; field <= 22; ++field) {
    if (!rest.starts_with(' ')) return Fail(ErrorCode::kInternal, "parse", ProcPath(pid, "stat"), "fields are missing");
    rest.remove_prefix(1);
    if (field < 22) rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  }
  std::uint64_t start = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), start).ec != std::errc()) {
    return Fail(ErrorCode::kInternal, "parse", ProcPath(pid, "stat"), "field 22 is not a number");
  }
  return start;
}

Result<std::optional<std::uint64_t>> CgroupId(pid_t pid) {
  const auto text = TRY(ReadProc(pid, "cgroup"));
  if (!text) return std::nullopt;
  const auto directory = TRY(CgroupDirectory(*text));
  if (!directory) return 0;
  struct stat st{};
  if (::stat(directory->c_str(), &st) != 0) {
    if (errno == ENOENT) return 0;  // a zombie of a cgroup that has been removed
    return FailSys("stat", *directory);
  }
  return st.st_ino;  // kernfs: the inode number is the cgroup's id
}

Result<ProcessIdentity> IdentityOf(pid_t pid) {
  const auto start = TRY(StartTime(pid));
  const auto cgroup = TRY(CgroupId(pid));
  if (!start || !cgroup) return FailSys("identify", "process " + std::to_string(pid), ESRCH);
  return ProcessIdentity{.pid = pid, .start_time = *start, .boot_id = TRY(BootId()), .cgroup_id = *cgroup};
}

Result<std::optional<Fd>> OpenIdentified(const ProcessIdentity& identity) {
  auto fd = TRY(OpenNumber(identity.pid));
  if (!fd) return std::nullopt;
  auto now = IdentityOf(identity.pid);
  if (!now) {
    if (now.error().sys_errno == ESRCH) return std::nullopt;
    return Fail(std::move(now).error());
  }
  if (*now != identity) return std::nullopt;
  return fd;
}

Result<bool> IsAlive(const ProcessIdentity& identity) {
  const auto fd = TRY(OpenNumber(identity.pid));
  if (!fd || TRY(StartTime(identity.pid)) != identity.start_time || TRY(BootId()) != identity.boot_id) return false;
  return !TRY(WaitForExit(*fd, 0));
}

Result<> SendSignal(const Fd& pidfd, int signal, std::string_view subject) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    return FailSys("pidfd_send_signal " + std::to_string(signal), subject);
  }
  return {};
}

Result<> QueueSignal(const Fd& pidfd, int signal, int value, std::string_view subject) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_int = value;
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, &info, 0) != 0 && errno != ESRCH) {
    return FailSys("pidfd_send_signal " + std::to_string(signal), subject);
  }
  return {};
}

Result<bool> WaitForExit(const Fd& pidfd, int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  int left = timeout_ms;
  while (true) {
    pollfd poller{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&poller, 1, left < 0 ? -1 : left);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return FailSys("poll", "pidfd");
    if (timeout_ms < 0) continue;
    left = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count());
    if (left <= 0) return false;
  }
}

}  // namespace nucleus::sys
