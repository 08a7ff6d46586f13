// The mini-init: PID 1 that reaps whatever is orphaned, forwards signals to the workload and ends with its exit code.
//
// It does not execute anything: it is this program's read-only code with no capability, no open file, not dumpable (so
// nobody in the container may trace it or look behind /proc/1), and a seccomp program of its own that allows only the
// handful of calls below. That is narrower than the workload's and does not depend on what a custom profile allows.
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstddef>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/clone3.hpp"

namespace nucleus::process {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "name the audit architecture of this machine here"
#endif

constexpr sock_filter Allow(std::uint32_t call) {
  // Jumps over what follows are counted at the end of the table, so each call returns on its own.
  return {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call};
}
constexpr sock_filter kReturnAllow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};

constexpr sock_filter kFilter[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)},
    {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
    Allow(SYS_rt_sigtimedwait),
    kReturnAllow,
    Allow(SYS_wait4),
    kReturnAllow,
    Allow(SYS_kill),
    kReturnAllow,
    Allow(SYS_exit_group),
    kReturnAllow,
    Allow(SYS_restart_syscall),
    kReturnAllow,
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
};

// Kernel's signal set: 64 bits.
constexpr std::uint64_t kEverySignal = ~0ULL;
constexpr std::uint64_t SetOf(int signal) {
  return 1ULL << (signal - 1);
}

// AddressSanitizer makes system calls of its own, which are not in the filter.
#define NUCLEUS_INIT_CODE [[gnu::no_sanitize_address]]

NUCLEUS_INIT_CODE [[noreturn]] void Exit(int code) {
  for (;;) ::syscall(SYS_exit_group, code);
}

// Takes every child that has ended; leaves with the workload's code once it is among them. The kernel then kills what
// is left in the namespace; pid_namespaces(7).
NUCLEUS_INIT_CODE void ReapAll(pid_t workload) {
  for (;;) {
    int status = 0;
    const auto pid = static_cast<pid_t>(::syscall(SYS_wait4, -1, &status, WNOHANG | __WALL, nullptr));
    if (pid <= 0) return;
    if (pid == workload) Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
}

NUCLEUS_INIT_CODE [[noreturn]] void RunInit(pid_t workload) {
  ::syscall(SYS_kill, workload, SIGCONT);  // AwaitInit
  for (;;) {
    ReapAll(workload);
    siginfo_t info;
    const long signal = ::syscall(SYS_rt_sigtimedwait, &kEverySignal, &info, nullptr, sizeof kEverySignal);
    if (signal <= 0 || signal == SIGCHLD) continue;
    // Faults of our own are never waited for; what comes here was sent.
    ::syscall(SYS_kill, workload, static_cast<int>(signal));
  }
}

// The workload does not begin before its init is confined, or whoever looks at both would find one that is not. It
// holds all signals back, so the one that says so cannot be missed.
void AwaitInit() {
  constexpr std::uint64_t kContinue = SetOf(SIGCONT);
  while (::syscall(SYS_rt_sigtimedwait, &kContinue, nullptr, nullptr, sizeof kContinue) != SIGCONT) {
  }
}

}  // namespace

NUCLEUS_INIT_CODE bool BecomeInit(Child& child) {
  // Set before the fork, so that the workload's first moments are covered too; exec gives it back.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return child.Fail(Step::kInit);
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kEverySignal, nullptr, sizeof kEverySignal);
  const pid_t workload = sys::Clone3(0, -1, nullptr);
  if (workload < 0) return child.Fail(Step::kInit);
  if (workload == 0) {
    // Not the init's session: a terminal's signals are the workload's.
    if (::syscall(SYS_setsid) < 0) return child.Fail(Step::kInit);
    if (child.terminal >= 0 && !TakeTerminal(child)) return false;
    AwaitInit();
    return true;
  }
  if (::syscall(SYS_close_range, 0, ~0U, 0) != 0 || !LoadSeccomp(kFilter, std::size(kFilter))) Exit(125);
  RunInit(workload);
}

}  // namespace nucleus::process
