#include "actuators/netns/ahead.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "actuators/sys/loopback.hpp"

namespace nucleus::netns {

namespace {

constexpr std::size_t kStackSize = 64 << 10;

}  // namespace

// System calls only: memory that a thread allocates comes from a heap of its own, which costs more than what is done.
void NamespaceAhead::Make() {
  // Of the calling thread alone; unshare(2).
  if (::unshare(CLONE_NEWNET) != 0) {
    not_made_ = {"unshare", "network namespace", errno};
    return;
  }
  constexpr const char* kOwn = "/proc/thread-self/ns/net";
  made_.reset(::open(kOwn, O_RDONLY | O_CLOEXEC));
  if (!made_) not_made_ = {"open", kOwn, errno};
}

void NamespaceAhead::RaiseLoopback() {
  if (!sys::RaiseLoopback()) not_raised_ = {"raise", "loopback", errno};
}

NamespaceAhead::NamespaceAhead(sys::Fd closed) : closed_(std::move(closed)) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackSize);
  const auto run = [](void* self) -> void* {
    auto& ahead = *static_cast<NamespaceAhead*>(self);
    ahead.Make();
    const bool made = ahead.not_made_.operation == nullptr;
    ahead.is_made_ = true;
    ahead.is_made_.notify_one();
    if (made) ahead.RaiseLoopback();
    ahead.closed_.reset();
    return nullptr;
  };
  const int error = ::pthread_create(&maker_, &attributes, run, this);
  ::pthread_attr_destroy(&attributes);
  running_ = error == 0;
  if (running_) return;
  not_made_ = {"start", "a thread", error};
  is_made_ = true;
}

NamespaceAhead::~NamespaceAhead() {
  Join();
}

void NamespaceAhead::Join() {
  if (std::exchange(running_, false)) ::pthread_join(maker_, nullptr);
}

Result<sys::Fd> NamespaceAhead::Take() {
  is_made_.wait(false);
  if (not_made_.operation != nullptr) return FailSys(not_made_.operation, not_made_.subject, not_made_.error);
  return std::move(made_);
}

Result<> NamespaceAhead::Finish() {
  Join();
  if (not_raised_.operation != nullptr) return FailSys(not_raised_.operation, not_raised_.subject, not_raised_.error);
  return {};
}

}  // namespace nucleus::netns
