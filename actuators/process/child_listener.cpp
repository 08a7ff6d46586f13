#include "actuators/process/child_listener.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/seccomp_unotify.hpp"
#include "actuators/sys/syscall_names.hpp"

namespace nucleus::process {

namespace {

constexpr int kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM | CLONE_THREAD;

[[noreturn]] void EndThread() {
  for (;;) ::syscall(SYS_exit, 0);
}

// It shares the memory of the other thread, errno included, so it makes no call that fails before the listener is
// there.
[[gnu::no_sanitize_address]] int Attend(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  Handover& handover = child.handover;
  int listener = 0;
  while ((listener = handover.listener.load()) == Handover::kNotYet) ::syscall(SYS_sched_yield);
  if (listener < 0) EndThread();
  if (!sys::SendFd(child.listener_socket, listener)) {
    child.Fail(Step::kSeccomp, Call::kWrite);
    ReportAndExit(child);
  }
  handover.sent.store(true);
  constexpr timespec kShort{.tv_sec = 0, .tv_nsec = 500'000};
  while (!handover.failed.load()) ::syscall(SYS_nanosleep, &kShort, nullptr);
  ReportAndExit(child);
}

int LoadListening(const std::vector<sock_filter>& program, std::uint32_t flags) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  const auto load = [&filter](std::uint32_t with) {
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, with, &filter));
  };
  const int listener = load(flags | sys::kWaitKillableReceive);
  return listener < 0 && errno == EINVAL ? load(flags) : listener;
}

}  // namespace

[[gnu::no_sanitize_address]] bool LoadAsking(Child& child) {
  Buffers& data = child.data;
  const std::uint32_t flags = data.launch.security.seccomp_flags;
  Handover& handover = child.handover;
  const auto load_plain = [&] {
    return !data.seccomp_plain.empty() && LoadSeccomp(data.seccomp_plain.data(), data.seccomp_plain.size(), flags);
  };
  // No room for it in the limit of processes: where nothing has to be asked, the policy's own program does.
  if (::clone(Attend, data.helper_stack.data() + data.helper_stack.size(), kThread, &child) < 0) {
    handover.listener.store(Handover::kNone);
    return load_plain() || child.Fail(Step::kSeccomp);
  }
  const int listener = LoadListening(data.seccomp, flags);
  if (listener >= 0) {
    handover.listener.store(listener);
    while (!handover.sent.load()) {  // without a call: it would wait for the supervisor
    }
    return true;
  }
  // EBUSY: a program of somebody around us has a listener already, and there can be but one: likewise.
  const bool plain = load_plain();
  if (!plain) child.Fail(Step::kSeccomp);
  handover.listener.store(Handover::kNone);
  return plain;
}

[[gnu::no_sanitize_address]] void ReportFailedExec(Child& child) {
  if (child.handover.listener.load() < 0) ReportAndExit(child);
  child.handover.failed.store(true);
  for (;;) {
  }
}

Result<ListenerWait> ListenerWait::Make(bool asks_exec, sys::Fd& childs_end) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) return FailSys("socketpair", "seccomp listener");
  ListenerWait wait;
  wait.socket_.reset(ends[0]);
  const sys::Fd low(ends[1]);
  childs_end.reset(::fcntl(low.get(), F_DUPFD_CLOEXEC, 5));
  if (!childs_end) return FailSys("duplicate", "seccomp listener");
  wait.asks_exec_ = asks_exec;
  return wait;
}

int ListenerWait::fd() const {
  if (!listener_) return socket_.get();
  return asks_exec_ ? listener_.get() : -1;
}

void ListenerWait::Take() {
  if (!listener_) {
    listener_.reset(sys::ReceiveFd(socket_.get()));
    socket_.reset();
    if (listener_) sys::TakeTurns(listener_.get());
    return;
  }
  seccomp_notif call;
  if (!sys::ReceiveCall(listener_.get(), call)) return;
  // The thread that executes makes this call and no other, and nobody else is held by the program yet.
  asks_exec_ = false;
  if (call.data.nr == SYS_execve && call.data.arch == sys::kNativeArchitecture) {
    sys::LetThrough(listener_.get(), call.id);
  } else {
    sys::Refuse(listener_.get(), call.id, EPERM);
  }
}

sys::Fd ListenerWait::Listener() {
  if (socket_) Take();  // sent before it executed
  return std::move(listener_);
}

}  // namespace nucleus::process
