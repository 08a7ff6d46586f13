#include "actuators/netns/ahead.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace nucleus::netns {

namespace {

constexpr std::size_t kStackSize = 64 << 10;

}  // namespace

// System calls only: memory that a thread allocates comes from a heap of its own, which costs more than what is done.
void NamespaceAhead::Make() {
  const auto failed = [this](const char* operation, const char* subject) {
    operation_ = operation;
    subject_ = subject;
    errno_ = errno;
  };
  // Of the calling thread alone; unshare(2).
  if (::unshare(CLONE_NEWNET) != 0) return failed("unshare", "network namespace");
  const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failed("socket", "loopback");
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return failed("raise", "loopback");
  made_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!made_) failed("open", "/proc/thread-self/ns/net");
}

NamespaceAhead::NamespaceAhead() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackSize);
  const auto run = [](void* self) -> void* {
    static_cast<NamespaceAhead*>(self)->Make();
    return nullptr;
  };
  errno_ = ::pthread_create(&maker_, &attributes, run, this);
  ::pthread_attr_destroy(&attributes);
  running_ = errno_ == 0;
  if (running_) return;
  operation_ = "start";
  subject_ = "a thread";
}

NamespaceAhead::~NamespaceAhead() {
  Join();
}

void NamespaceAhead::Join() {
  if (std::exchange(running_, false)) ::pthread_join(maker_, nullptr);
}

Result<sys::Fd> NamespaceAhead::Take() {
  Join();
  if (!made_) return FailSys(operation_, subject_, errno_);
  return std::move(made_);
}

}  // namespace nucleus::netns
