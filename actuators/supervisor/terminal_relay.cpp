#include "actuators/supervisor/terminal_relay.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "actuators/supervisor/relay.hpp"

namespace nucleus::process {

winsize CallersSize() {
  winsize size{};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0) break;
  }
  return size;
}

TerminalRelay::TerminalRelay(sys::Fd master) : master_(std::move(master)) {
  ::fcntl(master_.get(), F_SETFL, O_RDWR | O_NONBLOCK);
  termios settings{};
  if (::tcgetattr(STDIN_FILENO, &settings) != 0) return;
  before_ = settings;
  ::cfmakeraw(&settings);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
}

TerminalRelay::~TerminalRelay() {
  if (before_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

void TerminalRelay::Watch(std::span<pollfd, kPolls> polls) const {
  const bool wants_input = input_open_ && in_.empty();
  short master = 0;
  if (output_open_ && out_.empty()) master |= POLLIN;
  if (!in_.empty()) master |= POLLOUT;
  polls[0] = {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  polls[1] = {.fd = master != 0 ? master_.get() : -1, .events = master, .revents = 0};
  polls[2] = {.fd = out_.empty() ? -1 : STDOUT_FILENO, .events = POLLOUT, .revents = 0};
}

void TerminalRelay::Pump(std::span<const pollfd, kPolls> polls) {
  if (polls[0].revents != 0) input_open_ = ReadPiece(STDIN_FILENO, in_);
  if (!in_.empty()) WritePiece(master_.get(), in_);
  if ((polls[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && out_.empty()) {
    output_open_ = ReadPiece(master_.get(), out_);
    if (!output_open_) in_.clear();
  }
  if (polls[2].revents != 0) WritePiece(STDOUT_FILENO, out_);
}

void TerminalRelay::Drain() {
  do {
    if (!WriteOut(STDOUT_FILENO, out_)) return;
    output_open_ = output_open_ && ReadPiece(master_.get(), out_);
  } while (!out_.empty());
}

void TerminalRelay::Resize() {
  const winsize size = CallersSize();
  ::ioctl(master_.get(), TIOCSWINSZ, &size);
}

}  // namespace nucleus::process
