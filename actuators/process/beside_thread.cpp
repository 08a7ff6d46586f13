#include "actuators/process/beside_thread.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <climits>
#include <system_error>

#include "actuators/sys/clone_onto.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/processors.hpp"
#include "actuators/sys/raw_call.hpp"

namespace nucleus::process {

namespace {

// Between what the thread has on its stack while it stands still and what a child has there.
constexpr std::size_t kGap = 16 << 10;
constexpr std::size_t kStackSize = 256 << 10;

std::uintptr_t At(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

// Without errno, which is the child's meanwhile. The kernel is asked in any case: who records its calls sees the wait.
void WaitFor(std::atomic<std::uint32_t>& word) {
  do sys::RawCall(SYS_futex, At(&word), FUTEX_WAIT_PRIVATE, 0);
  while (word.load() == 0);
}
void Say(std::atomic<std::uint32_t>& word) {
  word.store(1);
  sys::RawCall(SYS_futex, At(&word), FUTEX_WAKE_PRIVATE, INT_MAX);
}

// Of the OOM killer; proc_pid_oom_score_adj(5).
bool HasUsualScore() {
  const auto score = sys::ReadBriefIfThere(AT_FDCWD, "/proc/self/oom_score_adj");
  return score && *score == "0\n";
}

// Of the calling thread's; a limit on stacks makes those of threads small, pthread_create(3).
std::uintptr_t LowestOfStack() {
  pthread_attr_t attributes;
  void* lowest = nullptr;
  std::size_t size = 0;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return UINTPTR_MAX - kGap;
  ::pthread_attr_getstack(&attributes, &lowest, &size);
  ::pthread_attr_destroy(&attributes);
  return At(lowest);
}

}  // namespace

BesideThread::BesideThread(std::function<Result<>()> work) : work_(std::move(work)) {
  try {
    thread_ = std::thread([this] { Run(); });
    sys::Processors others;
    loan_.may_look = others.LeaveOwn();
    if (loan_.may_look) ::pthread_setaffinity_np(thread_.native_handle(), others.size(), others.set());
  } catch (const std::system_error&) {
    // Get() does it.
  }
}

void BesideThread::Run() {
  // What is for the process is for who attends to signals: one that nobody here holds back would be lost.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  result_ = work_();
  // The psABI has a thread's pointer to itself where its memory is.
  if (sys::kCanCloneOnto && HasUsualScore()) {
    const std::uintptr_t stack = At(__builtin_frame_address(0)) - kGap - kStackSize;
    if (stack >= LowestOfStack() + kGap) {
      loan_.stack = stack;
      loan_.stack_size = kStackSize;
      loan_.memory = static_cast<std::uintptr_t>(::pthread_self());
    }
  }
  Say(done_);
  WaitFor(ends_);
}

BesideThread::~BesideThread() {
  if (!thread_.joinable()) return;
  Say(ends_);
  thread_.join();
}

Result<> BesideThread::Get() {
  if (!work_) return {};
  if (thread_.joinable()) {
    const sys::Processors all;  // now that it is waited for
    if (done_.load() == 0 && all.size() != 0) ::pthread_setaffinity_np(thread_.native_handle(), all.size(), all.set());
    WaitFor(done_);
  } else {
    result_ = work_();
  }
  work_ = {};
  return std::move(result_);
}

}  // namespace nucleus::process
