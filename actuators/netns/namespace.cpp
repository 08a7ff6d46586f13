#include "actuators/netns/namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <csignal>
#include <system_error>
#include <thread>

namespace nucleus::netns {

Result<NamespaceId> OwnNamespace() {
  struct stat here{};
  if (::stat("/proc/thread-self/ns/net", &here) != 0) return FailSys("stat", "/proc/thread-self/ns/net");
  return NamespaceId{here.st_dev, here.st_ino};
}

Result<Pin> OpenPin(const std::string& path, const NamespaceId& own) {
  Pin pin;
  // O_NONBLOCK: whatever may lie there, opening it must not hang.
  pin.fd = sys::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!pin.fd) {
    if (errno == ENOENT || errno == ENOTDIR) return pin;
    return FailSys("open network namespace", path);
  }
  struct stat there{};
  if (::fstat(pin.fd.get(), &there) != 0) return FailSys("stat", path);
  pin.state = PinState::kNoMount;
  if (there.st_dev != own.device) return pin;  // of all namespaces there is one file system

  pin.state = PinState::kForeign;
  if (::ioctl(pin.fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return pin;
  pin.inode = there.st_ino;
  if (NamespaceId{there.st_dev, there.st_ino} != own) pin.state = PinState::kMounted;
  return pin;
}

Result<Pin> OpenPin(const std::string& path) {
  return OpenPin(path, TRY(OwnNamespace()));
}

bool OwnsNetwork() {
  const sys::Fd network(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  // Refused where the owner is none of ours, or one above us.
  const sys::Fd owner(network ? ::ioctl(network.get(), NS_GET_USERNS) : -1);
  struct stat its{}, mine{};
  if (!owner || ::fstat(owner.get(), &its) != 0 || ::stat("/proc/thread-self/ns/user", &mine) != 0) return false;
  return its.st_ino == mine.st_ino;
}

void HoldSignals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

Result<> OnThread(const std::function<Result<>()>& function) {
  Result<> result;
  try {
    std::jthread thread([&] { result = function(); });
  } catch (const std::system_error& error) {
    return Fail(Error::Sys("start thread", "network namespace", error.code().value()));
  }
  return result;
}

Result<> InNamespace(const sys::Fd& fd, std::string_view subject, const std::function<Result<>()>& function) {
  return OnThread([&]() -> Result<> {
    if (::setns(fd.get(), CLONE_NEWNET) != 0) return FailSys("enter network namespace", subject);
    return function();
  });
}

}  // namespace nucleus::netns
