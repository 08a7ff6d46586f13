// Between the caller's standard files and the terminal of a workload in the foreground: what is typed goes in as it is,
// what comes out is written as it is. The caller's terminal is in raw mode as long as this lives; termios(3).
// Never waits for a reader or a writer: each direction holds one piece until it can be passed on.
#pragma once

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <array>
#include <optional>
#include <span>
#include <string>

#include "actuators/sys/fd.hpp"

namespace nucleus::process {

// Of the caller's terminal; zero by zero where there is none.
winsize CallersSize();

class TerminalRelay {
 public:
  static constexpr std::size_t kPolls = 3;

  // master: the other end of the workload's terminal.
  explicit TerminalRelay(sys::Fd master);
  ~TerminalRelay();
  TerminalRelay(const TerminalRelay&) = delete;
  TerminalRelay& operator=(const TerminalRelay&) = delete;

  void Watch(std::span<pollfd, kPolls> polls) const;
  void Pump(std::span<const pollfd, kPolls> polls);
  // After the workload has ended: what it has written last.
  void Drain();
  // The caller's terminal has another size.
  void Resize();

 private:
  sys::Fd master_;
  std::optional<termios> before_;  // the caller's terminal's settings
  bool input_open_ = true;
  bool output_open_ = true;  // the workload's end
  std::string in_, out_;     // on the way
};

}  // namespace nucleus::process
