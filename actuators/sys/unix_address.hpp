// The address of a socket in a directory that is held open: unix(7) has room for 107 bytes of a path, and every path is
// short by way of a descriptor. Header only.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"

namespace nucleus::sys {

inline sockaddr_un AddressIn(const Fd& directory, std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + std::string(name);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace nucleus::sys
