#include "actuators/process/beside_thread.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <climits>

#include "actuators/sys/clone_onto.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/processors.hpp"
#include "actuators/sys/raw_call.hpp"

namespace nucleus::process {

namespace {

// Between what the thread has on its stack while it stands still and what a child has there.
constexpr std::size_t kGap = 16 << 10;
constexpr std::size_t kStackSize = 256 << 10;
// Whatever limit there is on stacks. What it does itself has what is left of it.
constexpr std::size_t kOwnStackSize = 512 << 10;

std::uintptr_t At(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

// Without errno, which is the child's meanwhile. The kernel is asked in any case: who records its calls sees the wait.
// every: looks by itself; null: it is woken.
void WaitFor(std::atomic<std::uint32_t>& word, const timespec* every = nullptr) {
  do sys::RawCall(SYS_futex, At(&word), FUTEX_WAIT_PRIVATE, 0, At(every));
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

}  // namespace

BesideThread::BesideThread(std::function<Result<>()> work) : work_(std::move(work)) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kOwnStackSize);
  const auto run = [](void* self) -> void* {
    static_cast<BesideThread*>(self)->Run();
    return nullptr;
  };
  running_ = ::pthread_create(&thread_, &attributes, run, this) == 0;
  ::pthread_attr_destroy(&attributes);
  if (!running_) return;  // Get() does it
  sys::Processors others;
  loan_.may_look = others.LeaveOwn();
  if (loan_.may_look) ::pthread_setaffinity_np(thread_, others.size(), others.set());
}

void BesideThread::Run() {
  // What is for the process is for who attends to signals: one that nobody here holds back would be lost.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  result_ = work_();
  // The psABI has a thread's pointer to itself where its memory is.
  if (sys::kCanCloneOnto && HasUsualScore()) {
    loan_.stack = At(__builtin_frame_address(0)) - kGap - kStackSize;
    loan_.stack_size = kStackSize;
    loan_.memory = static_cast<std::uintptr_t>(::pthread_self());
  }
  Say(done_);
  constexpr timespec kNowAndThen{.tv_sec = 0, .tv_nsec = 100'000'000};
  WaitFor(ends_, &kNowAndThen);
}

BesideThread::~BesideThread() {
  if (!running_) return;
  Say(ends_);
  ::pthread_join(thread_, nullptr);
}

void BesideThread::TakeBack() {
  loan_.stack_size = 0;
  ends_.store(1);
}

Result<> BesideThread::Get() {
  if (!work_) return {};
  if (running_) {
    const sys::Processors all;  // now that it is waited for
    if (done_.load() == 0 && all.size() != 0) ::pthread_setaffinity_np(thread_, all.size(), all.set());
    WaitFor(done_);
  } else {
    result_ = work_();
  }
  work_ = {};
  return std::move(result_);
}

}  // namespace nucleus::process
