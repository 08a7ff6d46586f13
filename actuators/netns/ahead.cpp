#include "actuators/netns/ahead.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "actuators/sys/processors.hpp"

namespace nucleus::netns {

namespace {

constexpr std::size_t kStackSize = 64 << 10;

// how: FUTEX_WAIT, as whoever wakes has it. The kernel is asked in any case: who records its calls sees the wait.
void WaitWhile(std::atomic<std::uint32_t>& word, std::uint32_t value, int how) {
  do ::syscall(SYS_futex, &word, how, value, nullptr);
  while (word.load() == value);
}

Result<> Said(const AheadWork::Failure& failure) {
  switch (failure.step) {
    case AheadWork::Step::kNone:
      break;
    case AheadWork::Step::kUnshare:
      return FailSys("unshare", "network namespace", failure.error);
    case AheadWork::Step::kOpen:
      return FailSys("open", kOwnNamespace, failure.error);
    case AheadWork::Step::kRaise:
      return FailSys("raise", "loopback", failure.error);
  }
  return {};
}

}  // namespace

NamespaceAhead::NamespaceAhead(sys::Fd closed) {
  work_ = TakeBegun();
  if (work_ != nullptr) return;
  work_ = &own_;
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackSize);
  const auto run = [](void* work) -> void* {
    Work(*static_cast<AheadWork*>(work));
    return nullptr;
  };
  own_.closed = closed.get();
  error_ = ::pthread_create(&maker_, &attributes, run, &own_);
  ::pthread_attr_destroy(&attributes);
  running_ = error_ == 0;
  if (running_) (void)closed.release();
}

NamespaceAhead::~NamespaceAhead() {
  Drop();
}

void NamespaceAhead::Drop() {
  Join();
  const sys::Fd not_taken(std::exchange(work_->file, -1));
}

// To any processor, now that it is waited for.
void NamespaceAhead::LetGo() {
  if (const auto thread = work_->thread.load(); thread != 0) sys::Processors().Give(thread);
}

void NamespaceAhead::Join() {
  if (std::exchange(running_, false)) ::pthread_join(maker_, nullptr);
  LetGo();
  // The kernel's wake is of a futex that processes may share.
  if (const std::uint32_t thread = work_->thread.load(); thread != 0) WaitWhile(work_->thread, thread, FUTEX_WAIT);
}

Result<sys::Fd> NamespaceAhead::Take() {
  if (error_ != 0) return FailSys("start", "a thread", error_);
  if (work_->made.load() == 0) LetGo();
  WaitWhile(work_->made, 0, FUTEX_WAIT_PRIVATE);
  TRY(Said(work_->not_made));
  return sys::Fd(std::exchange(work_->file, -1));
}

Result<> NamespaceAhead::Finish() {
  Join();
  return Said(work_->not_raised);
}

}  // namespace nucleus::netns
