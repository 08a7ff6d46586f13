#include "actuators/netns/program_sockets.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "spec/core/units.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// Each socket of IPv4 that it has, as a descriptor of ours. Errors: of the first that could not be had.
Result<> EachSocket(pid_t pid, const sys::Fd& process, const std::function<void(const sys::Fd&)>& each) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  Result<> all;
  std::error_code code;
  for (std::filesystem::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    const auto number = ParseUnsigned(it->path().filename().string());
    if (!number) continue;
    const sys::Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), static_cast<int>(*number), 0)));
    if (!fd && errno != EBADF && all) all = FailSys("take", "a socket of process " + std::to_string(pid));
    int domain = 0;
    socklen_t size = sizeof domain;
    if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_INET) continue;
    each(fd);
  }
  if (code) return FailSys("list", directory, code.value());
  return all;
}

int OptionOf(const sys::Fd& socket, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

}  // namespace

void WidenListenQueues(pid_t pid, const sys::Fd& process) {
  constexpr int kQueue = SOMAXCONN;  // the machine's net.core.somaxconn holds as well
  (void)EachSocket(pid, process, [](const sys::Fd& socket) {
    if (OptionOf(socket, SO_ACCEPTCONN) != 0) ::listen(socket.get(), kQueue);
  });
}

Result<> EndConnections(pid_t pid, const sys::Fd& process, const spec::PortForward& port) {
  if (port.protocol != spec::Protocol::kTcp) return {};
  return EachSocket(pid, process, [&](const sys::Fd& socket) {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    if (OptionOf(socket, SO_TYPE) != SOCK_STREAM || OptionOf(socket, SO_ACCEPTCONN) != 0) return;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return;
    const spec::IpAddress address = spec::Ipv4{ntohl(own.sin_addr.s_addr)};
    if (ntohs(own.sin_port) != port.host_port ||
        (port.host_ip && !spec::IsUnspecified(*port.host_ip) && *port.host_ip != address))
      return;
    ::shutdown(socket.get(), SHUT_RDWR);
  });
}

}  // namespace nucleus::netns
