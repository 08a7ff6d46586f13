// Pipes in the place of the caller's terminal: a command that is to have none is not given it. Whoever has a terminal
// open reads what is typed there, and sets how it behaves for whoever comes next; what a command leaves behind would
// have it for good. What comes out is passed on until the command ends, and no longer. What is typed while we are in
// the background is somebody else's, and no reason to be stopped; termios(3), SIGTTIN.
#pragma once

#include <poll.h>

#include <array>
#include <span>
#include <string>

#include "actuators/process/child.hpp"

namespace nucleus::process {

class StandardPipes {
 public:
  static constexpr std::size_t kPolls = 3;

  StandardPipes() = default;
  // For those of the caller's standard files that are terminals; the others are the command's themselves. input: it is
  // to have one. The command's ends are that user's, who may open /dev/stdout anew.
  static Result<StandardPipes> Make(bool input, uid_t uid, gid_t gid);

  [[nodiscard]] const Stdio& stdio() const { return stdio_; }
  // The command has its ends.
  void Started();
  // In how many milliseconds to look again, whatever comes; -1: not before something does.
  int Watch(std::span<pollfd, kPolls> polls) const;
  void Pump(std::span<const pollfd, kPolls> polls);
  // After the command has ended: what it has written last.
  void Drain();

 private:
  // One direction, of which one end is the caller's terminal.
  struct Flow {
    sys::Fd ours, theirs;
    int terminal = -1;
    std::string held = {};  // on its way
  };
  Result<int> Add(int terminal, bool input, uid_t uid, gid_t gid);

  std::array<Flow, kPolls> flows_;  // by the number of the standard file
  Stdio stdio_;
};

}  // namespace nucleus::process
