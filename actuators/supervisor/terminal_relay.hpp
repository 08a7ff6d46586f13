// Between the caller's standard files and the terminal of a workload in the foreground: what is typed goes in as it is,
// what comes out is written as it is. The caller's terminal is in raw mode as long as this lives; termios(3).
// Never waits for a reader or a writer: each direction holds one piece until it can be passed on.
#pragma once

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actuators/sys/fd.hpp"

namespace nucleus::process {

// Of the caller's terminal; zero by zero where there is none.
winsize CallersSize();
// What kind a terminal is, for who has it and has not been told another; environ(7), TERM. Null or "": xterm.
void TellKind(std::vector<std::string>& environment, const char* kind);

class TerminalRelay {
 public:
  static constexpr std::size_t kPolls = 3;

  // master: the other end of the workload's terminal.
  explicit TerminalRelay(sys::Fd master);
  ~TerminalRelay();
  TerminalRelay(const TerminalRelay&) = delete;
  TerminalRelay& operator=(const TerminalRelay&) = delete;

  void Watch(std::span<pollfd, kPolls> polls) const;
  // typed: told of each signal that characters of the input stand for, once for a piece and before that goes in.
  void Pump(std::span<const pollfd, kPolls> polls, const std::function<void(int)>& typed = {});
  // The process group in the foreground of the workload's terminal, to which those signals go; -1: there is none.
  [[nodiscard]] pid_t Foreground() const;
  // After the workload has ended: what it has written last.
  void Drain();
  // The caller's terminal has another size.
  void Resize();

 private:
  void TellSignals(const std::function<void(int)>& typed);

  sys::Fd master_;
  std::optional<termios> before_;  // the caller's terminal's settings
  bool input_open_ = true;
  bool quoted_ = false;      // the next character is to go in as it is, by the one before it
  bool output_open_ = true;  // the workload's end
  std::string in_, out_;     // on the way
};

}  // namespace nucleus::process
