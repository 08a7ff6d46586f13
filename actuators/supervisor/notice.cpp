#include "actuators/supervisor/notice.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"

namespace nucleus::process {

namespace {

// rt_sigtimedwait(2) of every ABI that there may be: this one's, x32's, and twice that of 32 bits. Nobody sleeps in
// what has those numbers elsewhere.
constexpr std::array<long, 4> kWaits{SYS_rt_sigtimedwait, 0x40000000 + SYS_rt_sigtimedwait, 177, 421};

// What starts a program: clone, fork, vfork, execve, execveat and clone3 of this ABI and of 32 bits.
constexpr std::array<long, 11> kStarts{SYS_clone, SYS_fork, SYS_vfork, SYS_execve, SYS_execveat, SYS_clone3,
                                       120,       2,        190,       11,         358};

// name: with the line feed before it. The first line has a name of the process's own choice; proc_pid_status(5).
std::uint64_t NumberOf(std::string_view status, std::string_view name, int base = 16) {
  const auto at = status.find(name);
  std::uint64_t number = 0;
  if (at == std::string_view::npos) return 0;
  auto rest = status.substr(at + name.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
  return number;
}

// How long it has had a processor, in nanoseconds; sched-stats.rst. 0: this kernel does not say.
std::uint64_t ProcessorTime(const std::string& process) {
  std::uint64_t time = 0;
  const std::string text = sys::ReadFile(process + "/schedstat").value_or("");
  std::from_chars(text.data(), text.data() + text.size(), time);
  return time;
}

// Whether it has run for a while without a wait. One that a signal has woken has the mask of its wait until it has a
// processor, which others may have for long.
class Run {
 public:
  explicit Run(std::string process) : process_(std::move(process)) {}
  bool IsLong(std::string_view status) {
    constexpr std::uint64_t kLong = 5'000'000;
    const std::uint64_t waits = NumberOf(status, "\nvoluntary_ctxt_switches:", 10), time = ProcessorTime(process_);
    if (std::exchange(waits_, waits) != waits) began_ = time;
    return time - began_ >= kLong;
  }

 private:
  std::string process_;
  std::uint64_t waits_ = UINT64_MAX, began_ = 0;
};

// Whether the text of a "syscall" file is of one of these calls.
bool IsAmong(std::span<const long> calls, std::string_view call) {
  long number = -1;
  const char* const begin = call.data();
  std::from_chars(begin, begin + call.size(), number);
  return std::ranges::find(calls, number) != calls.end();
}

// What it waits for, by the text of its "syscall" file: the number of a call and its arguments, the first of which
// leads to the set; proc_pid_syscall(5).
std::uint64_t WaitedFor(const std::string& process, std::string_view call) {
  constexpr std::string_view kHex = " 0x";
  std::uint64_t address = 0, set = 0;
  const char* const begin = call.data();
  const char* const end = begin + call.size();
  const char* const at = std::find(begin, end, ' ');
  if (!IsAmong(kWaits, call) || !std::string_view(at, end).starts_with(kHex)) return 0;
  std::from_chars(at + kHex.size(), end, address, 16);
  const sys::Fd memory(::open((process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  return ::pread(memory.get(), &set, sizeof set, static_cast<off_t>(address)) == sizeof set ? set : 0;
}

}  // namespace

Reception ReceptionOf(pid_t pid, int signal) {
  constexpr int kLooksUntold = 10;  // where it is not to be seen what it does
  constexpr int kLooksAtHeld = 10;
  constexpr int kLooks = 1000;
  int held = 0;
  constexpr std::chrono::milliseconds kPause{1};
  if (signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT || signal < 1 || signal > 64)
    return Reception::kTaken;
  const std::uint64_t bit = std::uint64_t{1} << (signal - 1);
  const std::string process = "/proc/" + std::to_string(pid);
  const auto read_status = [&] { return sys::ReadFile(process + "/status").value_or(""); };
  Run run(process);
  for (int look = 1;; ++look) {
    const std::string status = read_status();
    if (status.empty() || (NumberOf(status, "\nSigCgt:") & bit) != 0) return Reception::kTaken;
    const std::string call = sys::ReadFile(process + "/syscall").value_or("");
    // Unless it was between two calls just now.
    const bool rests = !call.starts_with("running") && read_status() == status;
    const bool enough = look >= (call.empty() ? kLooksUntold : kLooks) || run.IsLong(status);
    if ((NumberOf(status, "\nSigBlk:") & bit) == 0) {
      // While it waits its mask is without what it waits for.
      if ((WaitedFor(process, call) & bit) != 0) return Reception::kTaken;
      if (enough || rests)
        return (NumberOf(status, "\nSigIgn:") & bit) != 0 ? Reception::kIgnored : Reception::kByDefault;
    } else if (enough || (rests && !IsAmong(kStarts, call) && ++held == kLooksAtHeld)) {
      return Reception::kTaken;
    }
    // A shell holds everything back whenever it starts a program, until that runs.
    std::this_thread::sleep_for(kPause);
  }
}

bool IsToBeIgnored(pid_t pid, int signal) {
  return sys::IsIgnored(signal) && ReceptionOf(pid, signal) == Reception::kByDefault;
}

}  // namespace nucleus::process
