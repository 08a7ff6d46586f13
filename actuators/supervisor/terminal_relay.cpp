#include "actuators/supervisor/terminal_relay.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "actuators/supervisor/relay.hpp"

namespace nucleus::process {

winsize CallersSize() {
  winsize size{};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0) break;
  }
  return size;
}

void TellKind(std::vector<std::string>& environment, const char* kind) {
  if (std::ranges::any_of(environment, [](const auto& variable) { return variable.starts_with("TERM="); })) return;
  environment.push_back(std::string("TERM=") + (kind != nullptr && *kind != '\0' ? kind : "xterm"));
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

void TerminalRelay::Pump(std::span<const pollfd, kPolls> polls, const std::function<void(int)>& typed) {
  if (polls[0].revents != 0) {
    input_open_ = ReadPiece(STDIN_FILENO, in_);
    if (typed) TellSignals(typed);
  }
  if (!in_.empty()) WritePiece(master_.get(), in_);
  if ((polls[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && out_.empty()) {
    output_open_ = ReadPiece(master_.get(), out_);
    if (!output_open_) in_.clear();
  }
  if (polls[2].revents != 0) WritePiece(STDOUT_FILENO, out_);
}

// As the line discipline will read it; termios(3): ISIG, and VLNEXT of IEXTEN.
void TerminalRelay::TellSignals(const std::function<void(int)>& typed) {
  termios settings{};
  if (::tcgetattr(master_.get(), &settings) != 0) return;
  const auto is = [&settings](char c, int which) {
    const cc_t character = settings.c_cc[which];
    return character != _POSIX_VDISABLE && static_cast<cc_t>(c) == character;
  };
  const bool signals = (settings.c_lflag & ISIG) != 0;
  const bool quotes = (settings.c_lflag & (ICANON | IEXTEN)) == (ICANON | IEXTEN);
  bool told_interrupt = false, told_quit = false;  // the workload chooses the characters: any may be one
  for (const char c : in_) {
    if (std::exchange(quoted_, false)) continue;
    if (signals && is(c, VINTR)) {
      if (!std::exchange(told_interrupt, true)) typed(SIGINT);
    } else if (signals && is(c, VQUIT)) {
      if (!std::exchange(told_quit, true)) typed(SIGQUIT);
    } else {
      quoted_ = quotes && is(c, VLNEXT);
    }
  }
}

pid_t TerminalRelay::Foreground() const {
  return ::tcgetpgrp(master_.get());
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
