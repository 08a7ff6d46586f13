#include "actuators/netns/ahead.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <system_error>

#include "actuators/sys/file.hpp"

namespace nucleus::netns {

namespace {

Result<sys::Fd> Make() {
  // Of the calling thread alone; unshare(2).
  if (::unshare(CLONE_NEWNET) != 0) return FailSys("unshare", "network namespace");
  const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return FailSys("socket", "loopback");
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return FailSys("raise", "loopback");
  return sys::Open("/proc/thread-self/ns/net", O_RDONLY);
}

}  // namespace

NamespaceAhead::NamespaceAhead() {
  try {
    maker_ = std::thread([this] { made_ = Make(); });
  } catch (const std::system_error&) {
    made_ = Fail(Error::Of(ErrorCode::kSystem, "start", "a thread", "there is no room for one"));
  }
}

NamespaceAhead::~NamespaceAhead() {
  if (maker_.joinable()) maker_.join();
}

Result<sys::Fd> NamespaceAhead::Take() {
  if (maker_.joinable()) maker_.join();
  return std::move(made_);
}

}  // namespace nucleus::netns
