#include "actuators/supervisor/relay.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace nucleus::process {

bool ReadPiece(int fd, std::string& into, std::size_t most) {
  std::array<char, kPiece> buffer;
  const ssize_t got = ::read(fd, buffer.data(), std::min(most, buffer.size()));
  if (got > 0) into.assign(buffer.data(), static_cast<std::size_t>(got));
  // EIO: every process has closed the other end of the terminal; pty(7).
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool WritePiece(int fd, std::string& from) {
  const ssize_t put = ::write(fd, from.data(), from.size());
  if (put > 0) from.erase(0, static_cast<std::size_t>(put));
  if (put >= 0 || errno == EAGAIN || errno == EINTR) return true;
  from.clear();
  return false;
}

bool WriteOut(int fd, std::string& from) {
  while (!from.empty()) {
    pollfd poll{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&poll, 1, kDrainPatienceMs) <= 0) return false;
    WritePiece(fd, from);
  }
  return true;
}

}  // namespace nucleus::process
