// Who already listens on a port of the host that is to be published. proc_pid_net(5).
// Address translation would take the port away from them without a word, so it is found before anything starts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

struct PortHolder {
  spec::PortForward port;  // the one that was asked about
  std::string address;     // where it listens: "0.0.0.0:8080", "[::]:8080"
  int pid = 0;             // 0: could not be found (another user's, or in another pid namespace)
  std::string command;     // comm of that process

  // "127.0.0.1:8080/tcp is held by nginx (pid 4711), which listens on 0.0.0.0:8080"
  [[nodiscard]] std::string Text() const;
};

// One per port that is held; none: all are free. Reads /proc; needs no privilege but to name processes of others.
Result<std::vector<PortHolder>> PortHolders(const std::vector<spec::PortForward>& wanted);

// ---- pure, for tests ----
struct Listener {
  spec::Protocol protocol = spec::Protocol::kTcp;
  bool v6 = false;
  bool any = false;         // every address, for IPv6 sockets IPv4 included
  spec::IpAddress address;  // what is mapped into IPv6 is IPv4
  std::uint16_t port = 0;
  std::uint64_t inode = 0;
};
// The text of /proc/net/{tcp,tcp6,udp,udp6}. Lines that cannot be read are passed over.
std::vector<Listener> ParseSockets(std::string_view text, spec::Protocol protocol, bool v6);
bool Collides(const Listener& listener, const spec::PortForward& port);

}  // namespace nucleus::netns
