#include "actuators/netns/ahead_work.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <climits>
#include <csignal>
#include <utility>

#include "actuators/sys/clone_onto.hpp"
#include "actuators/sys/processors.hpp"
#include "actuators/sys/raw_call.hpp"

namespace nucleus::netns {

namespace {

using sys::RawCall;

std::uintptr_t At(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

int ErrorOf(long result) {
  return result < 0 ? static_cast<int>(-result) : 0;
}

void Make(AheadWork& work) {
  // Of the calling thread alone; unshare(2).
  if (const int error = ErrorOf(RawCall(SYS_unshare, CLONE_NEWNET)); error != 0) {
    work.not_made = {AheadWork::Step::kUnshare, error};
    return;
  }
  const long file = RawCall(SYS_openat, static_cast<unsigned>(AT_FDCWD), At(kOwnNamespace), O_RDONLY | O_CLOEXEC);
  if (file < 0) work.not_made = {AheadWork::Step::kOpen, ErrorOf(file)};
  work.file = file < 0 ? -1 : static_cast<int>(file);
}

// netdevice(7).
void RaiseLoopback(AheadWork& work) {
  const long socket = RawCall(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC);
  ifreq request;
  for (char& byte : request.ifr_name) byte = 0;
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const auto fd = static_cast<std::uintptr_t>(socket);
  const int error = ErrorOf(socket < 0 ? socket : RawCall(SYS_ioctl, fd, SIOCSIFFLAGS, At(&request)));
  if (socket >= 0) RawCall(SYS_close, fd);
  if (error != 0) work.not_raised = {AheadWork::Step::kRaise, error};
}

constinit AheadWork begun_work;
constinit bool is_begun = false;

constexpr std::size_t kStackSize = 4 << 10;
alignas(16) constinit char stack[kStackSize] = {};

constexpr std::uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

}  // namespace

void Work(AheadWork& work) {
  Make(work);
  work.made.store(1);
  RawCall(SYS_futex, At(&work.made), FUTEX_WAKE_PRIVATE, INT_MAX);
  if (work.not_made.step == AheadWork::Step::kNone) RaiseLoopback(work);
  if (work.closed >= 0) RawCall(SYS_close, static_cast<std::uintptr_t>(work.closed));
}

AheadWork* TakeBegun() {
  return std::exchange(is_begun, false) ? &begun_work : nullptr;
}

void NucleusBeginAhead(int closed) {
  AheadWork& work = begun_work;
  work.closed = closed;
  work.file = -1;
  work.not_made = work.not_raised = {};
  work.made.store(0);
  clone_args arguments;
  for (char& byte : reinterpret_cast<char(&)[sizeof arguments]>(arguments)) byte = 0;
  arguments.flags = kThread | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  arguments.parent_tid = arguments.child_tid = At(&work.thread);
  arguments.stack = At(stack);
  arguments.stack_size = kStackSize;
  const std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  RawCall(SYS_rt_sigprocmask, SIG_SETMASK, At(&all), At(&before), sizeof all);
  const long thread = sys::CloneOnto(arguments, [](void* begun) { Work(*static_cast<AheadWork*>(begun)); }, &work);
  is_begun = thread > 0;
  if (sys::Processors others; is_begun && others.LeaveOwn()) others.Give(thread);
  RawCall(SYS_rt_sigprocmask, SIG_SETMASK, At(&before), 0, sizeof before);
  if (!is_begun) RawCall(SYS_close, static_cast<unsigned>(closed));
}

}  // namespace nucleus::netns
