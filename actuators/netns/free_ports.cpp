#include "actuators/netns/free_ports.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

bool CannotBind(const sys::Fd& socket, const spec::PortForward& port) {
  const auto host = port.host_ip.value_or(spec::IpAddress());
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port.host_port);
  if (const auto* v4 = std::get_if<spec::Ipv4>(&host)) {
    at.sin_addr.s_addr = htonl(v4->value);
    return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0;
  }
  sockaddr_in6 at6{};
  at6.sin6_family = AF_INET6;
  at6.sin6_port = at.sin_port;
  std::memcpy(&at6.sin6_addr, std::get<spec::Ipv6>(host).bytes.data(), sizeof at6.sin6_addr);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at6), sizeof at6) != 0;
}

// Asked as both programs do: over connections that linger, but not beside who listens. socket(7), SO_REUSEADDR.
// Whatever else is wrong with it is theirs to tell.
bool IsTaken(const spec::PortForward& port) {
  const bool tcp = port.protocol == spec::Protocol::kTcp;
  const int family = port.host_ip && spec::IsV6(*port.host_ip) ? AF_INET6 : AF_INET;
  const sys::Fd socket(::socket(family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!socket) return false;
  const int on = 1;
  if (tcp) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return CannotBind(socket, port) && errno == EADDRINUSE;
}

}  // namespace

Result<> AwaitFree(const std::vector<spec::PortForward>& ports, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kLook{5};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (const auto& port : ports) {
    while (IsTaken(port)) {
      if (std::chrono::steady_clock::now() >= deadline)
        return Fail(Error::Of(ErrorCode::kConflict, "publish", "port " + spec::Format(port), "somebody else has it")
                        .Hint("stop who listens on it, or is connected from it (ss -anp), or publish another port"));
      if (sys::PendingEnd(true) != 0)
        return Fail(ErrorCode::kInterrupted, "publish", "port " + spec::Format(port), "somebody asked to stop");
      std::this_thread::sleep_for(kLook);
    }
  }
  return {};
}

}  // namespace nucleus::netns
