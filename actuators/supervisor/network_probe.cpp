// The client of tcp and http probes. Plain sockets, bounded in what it reads; the caller's timeout ends it.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "actuators/supervisor/health_probe.hpp"

namespace nucleus::process {

namespace {

void Say(int out, std::string_view text) {
  [[maybe_unused]] const auto wrote = ::write(out, text.data(), text.size());
}

int Connect(in_addr address, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr = address;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  const int err = errno;
  ::close(fd);
  errno = err;
  return -1;
}

// 127.0.0.1 first, then what else the namespace has: a server may listen on its network address only.
std::vector<in_addr> Addresses() {
  std::vector<in_addr> found = {{htonl(INADDR_LOOPBACK)}};
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return found;
  std::array<ifreq, 32> room{};
  ifconf list{};
  list.ifc_len = sizeof room;
  list.ifc_req = room.data();
  if (::ioctl(fd, SIOCGIFCONF, &list) == 0) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(list.ifc_len) / sizeof(ifreq); ++i) {
      sockaddr_in address{};
      std::memcpy(&address, &room[i].ifr_addr, sizeof address);
      if (address.sin_family == AF_INET && address.sin_addr.s_addr != found.front().s_addr)
        found.push_back(address.sin_addr);
    }
  }
  ::close(fd);
  return found;
}

int ConnectAny(std::uint16_t port, int out) {
  int err = ECONNREFUSED;
  for (const in_addr address : Addresses()) {
    const int fd = Connect(address, port);
    if (fd >= 0) return fd;
    err = errno;
  }
  Say(out, "connect to port " + std::to_string(port) + ": " + ErrnoName(err));
  return -1;
}

// "HTTP/1.1 204 No Content" -> 204; 0: it is no answer of that protocol.
int StatusOf(std::string_view head) {
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return 0;
  int code = 0;
  for (const char c : head.substr(9, 3)) {
    if (c < '0' || c > '9') return 0;
    code = code * 10 + (c - '0');
  }
  return code;
}

int AskHttp(const spec::HttpProbe& probe, int out) {
  const int fd = ConnectAny(probe.port, out);
  if (fd < 0) return 1;
  const std::string request = "GET " + probe.path +
                              " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: nucleus-health\r\n"
                              "Accept: */*\r\nConnection: close\r\n\r\n";
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t wrote = ::send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (wrote <= 0) return Say(out, "the connection was closed before the request was sent"), 1;
    sent += static_cast<std::size_t>(wrote);
  }
  std::string answer;
  std::array<char, 1024> buffer;
  while (answer.size() < 4096 && answer.find('\n') == std::string::npos) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  const int status = StatusOf(answer);
  if (status == 0) return Say(out, "the answer is not HTTP"), 1;
  Say(out, answer.substr(0, answer.find('\r')));
  return status >= 200 && status < 400 ? 0 : 1;
}

int AskTcp(const spec::TcpProbe& probe, int out) {
  return ConnectAny(probe.port, out) >= 0 ? 0 : 1;
}

}  // namespace

void RunNetworkProbe(const spec::HealthCheck& check, int out) {
  if (const auto* http = std::get_if<spec::HttpProbe>(&check.probe)) ::_exit(AskHttp(*http, out));
  if (const auto* tcp = std::get_if<spec::TcpProbe>(&check.probe)) ::_exit(AskTcp(*tcp, out));
  ::_exit(2);
}

}  // namespace nucleus::process
