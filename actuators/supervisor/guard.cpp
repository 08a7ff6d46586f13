#include "actuators/supervisor/guard.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/raw_call.hpp"

namespace nucleus::process {

namespace {

using sys::RawCall;

constexpr char kName[] = "nucleus-guard";

[[gnu::no_sanitize_address]] std::uintptr_t At(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

[[gnu::no_sanitize_address]] void CloseAllBut(int one, int other) {
  const auto low = static_cast<unsigned>(one < other ? one : other), high = static_cast<unsigned>(one ^ other) ^ low;
  if (low > 0) RawCall(SYS_close_range, 0, low - 1);
  if (high - low > 1) RawCall(SYS_close_range, low + 1, high - 1);
  RawCall(SYS_close_range, high + 1, ~0U);
}

}  // namespace

// Without a jump table, a static of a function, or anything else that is made at first use.
[[gnu::no_sanitize_address]] int Guard::Watch(void* guard) {
  const Guard& own = *static_cast<const Guard*>(guard);
  const int caller = own.caller_.get(), workload = own.workload_.get();
  RawCall(SYS_setsid);
  RawCall(SYS_prctl, PR_SET_NAME, At(kName));
  CloseAllBut(caller, workload);
  while (true) {
    pollfd polls[2];
    polls[0].fd = workload;
    polls[1].fd = caller;
    polls[0].events = polls[1].events = POLLIN;
    polls[0].revents = polls[1].revents = 0;
    RawCall(SYS_ppoll, At(polls), 2);
    if (polls[0].revents != 0) return 0;
    if (polls[1].revents == 0) continue;
    RawCall(SYS_pidfd_send_signal, static_cast<std::uintptr_t>(workload), SIGKILL);
    return 0;
  }
}

Result<std::unique_ptr<Guard>> Guard::Start(pid_t workload) {
  std::unique_ptr<Guard> guard(new Guard);
  guard->caller_.reset(sys::PidfdOpen(::getpid()));
  guard->workload_.reset(sys::PidfdOpen(workload));
  if (!guard->caller_ || !guard->workload_) return FailSys("pidfd_open", kName);
  // Held back in it for good: a handler of ours would run there.
  const std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  RawCall(SYS_rt_sigprocmask, SIG_SETMASK, At(&all), At(&before), sizeof all);
  int process = -1;
  const int pid = ::clone(&Guard::Watch, guard->stack_.data() + guard->stack_.size(), CLONE_VM | CLONE_PIDFD,
                          guard.get(), &process);
  const int err = errno;
  RawCall(SYS_rt_sigprocmask, SIG_SETMASK, At(&before), 0, sizeof before);
  if (pid < 0) return FailSys("clone", kName, err);
  guard->process_.reset(process);
  return guard;
}

Guard::~Guard() {
  if (!process_) return;
  sys::PidfdSendSignal(process_.get(), SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
  }
}

}  // namespace nucleus::process
