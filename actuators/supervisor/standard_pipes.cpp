#include "actuators/supervisor/standard_pipes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/supervisor/relay.hpp"
#include "actuators/sys/pipe.hpp"

namespace nucleus::process {

namespace {

bool SameTerminal(int one, int other) {
  struct stat first{}, second{};
  return ::isatty(one) == 1 && ::isatty(other) == 1 && ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 &&
         first.st_rdev == second.st_rdev;
}

// A shell that brings us to the foreground says so to us only where we were stopped.
constexpr int kLookAgainMs = 500;

// Of the terminal that is standard input. None where it is not our controlling one.
bool InBackground() {
  const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);
  return foreground > 0 && foreground != ::getpgrp();
}

// False: there is no more to come.
bool ReadTyped(std::string& into) {
  sigset_t stops, before;
  ::sigemptyset(&stops);
  ::sigaddset(&stops, SIGTTIN);
  ::pthread_sigmask(SIG_BLOCK, &stops, &before);
  const bool more = ReadPiece(STDIN_FILENO, into);  // EIO in the background
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return more || InBackground();
}

}  // namespace

// What the command is given.
Result<int> StandardPipes::Add(int terminal, bool input, uid_t uid, gid_t gid) {
  if (::isatty(terminal) == 0) return terminal;
  auto [read, write] = TRY(sys::MakePipe("standard files"));
  Flow& flow = flows_.at(static_cast<std::size_t>(terminal));
  flow.terminal = terminal;
  flow.ours = std::move(input ? write : read);
  flow.theirs = std::move(input ? read : write);
  ::fcntl(flow.ours.get(), F_SETFL, O_NONBLOCK);
  // Where it is no id of ours, it has the pipe but cannot open it anew.
  [[maybe_unused]] const auto owned = ::fchown(flow.theirs.get(), uid, gid);
  return flow.theirs.get();
}

Result<StandardPipes> StandardPipes::Make(bool input, uid_t uid, gid_t gid) {
  StandardPipes pipes;
  if (input) pipes.stdio_.in = TRY(pipes.Add(STDIN_FILENO, true, uid, gid));
  pipes.stdio_.out = TRY(pipes.Add(STDOUT_FILENO, false, uid, gid));
  // In the order in which they were written, where both are seen in one place.
  const bool one = SameTerminal(STDOUT_FILENO, STDERR_FILENO);
  pipes.stdio_.err = one ? pipes.stdio_.out : TRY(pipes.Add(STDERR_FILENO, false, uid, gid));
  return pipes;
}

void StandardPipes::Started() {
  for (Flow& flow : flows_) flow.theirs.reset();
}

int StandardPipes::Watch(std::span<pollfd, kPolls> polls) const {
  int again = -1;
  for (std::size_t i = 0; i < kPolls; ++i) {
    const Flow& flow = flows_.at(i);
    const bool reads = flow.held.empty();
    const bool at_terminal = reads == (flow.terminal == STDIN_FILENO);
    polls[i] = {.fd = -1, .events = static_cast<short>(reads ? POLLIN : POLLOUT), .revents = 0};
    if (!flow.ours) continue;
    if (reads && at_terminal && InBackground()) {
      again = kLookAgainMs;
    } else {
      polls[i].fd = at_terminal ? flow.terminal : flow.ours.get();
    }
  }
  return again;
}

void StandardPipes::Pump(std::span<const pollfd, kPolls> polls) {
  for (std::size_t i = 0; i < kPolls; ++i) {
    Flow& flow = flows_.at(i);
    if (polls[i].revents == 0) continue;
    const bool input = flow.terminal == STDIN_FILENO;
    bool goes_on = true;
    if (!flow.held.empty()) {
      goes_on = WritePiece(input ? flow.ours.get() : flow.terminal, flow.held);
    } else {
      goes_on = input ? ReadTyped(flow.held) : ReadPiece(flow.ours.get(), flow.held);
    }
    if (!goes_on) flow.ours.reset();
  }
}

void StandardPipes::Drain() {
  flows_[STDIN_FILENO].ours.reset();
  for (Flow& flow : flows_) {
    if (!flow.ours) continue;
    // No more than what is there: what it has left behind may write for ever.
    int left = 0;
    ::ioctl(flow.ours.get(), FIONREAD, &left);
    while (WriteOut(flow.terminal, flow.held) && left > 0) {
      if (!ReadPiece(flow.ours.get(), flow.held, static_cast<std::size_t>(left)) || flow.held.empty()) break;
      left -= static_cast<int>(flow.held.size());
    }
    flow.ours.reset();
  }
}

}  // namespace nucleus::process
