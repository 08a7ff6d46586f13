// sd_notify(3), both ways: what a workload says of itself, and what the manager that started us is told.
//
// The workload's socket lies in the service's directory and is mounted into the container, so it is reached whatever
// its network namespace and root are; the directory lets nobody else through, so who writes there needs no check.
// Nothing that it says is trusted: of its lines those are passed on that tell of itself alone. MAINPID= is not: what is
// a process there is another one here. The manager is told of the process that it is to watch, which is this one.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

// One datagram of a workload.
struct Notification {
  bool ready = false;
  std::optional<std::string> words;  // STATUS=
  std::string passed_on;             // lines for the manager, each with its end; without READY=1
};
Notification ReadNotification(std::string_view datagram);

class NotifySocket {
 public:
  // Makes it anew in the directory of a service.
  static Result<NotifySocket> Make(const std::string& directory);

  [[nodiscard]] int fd() const { return socket_.get(); }
  // The next datagram; none: there is none. Descriptors that come along are closed by then, which is all that a
  // BARRIER=1 waits for; sd_notify_barrier(3).
  [[nodiscard]] std::optional<std::string> Receive() const;

 private:
  explicit NotifySocket(sys::Fd socket) : socket_(std::move(socket)) {}
  sys::Fd socket_;
};

// Whoever named a NOTIFY_SOCKET in our environment; perhaps nobody.
class Manager {
 public:
  // Takes the variable out of the environment, which no other thread may be using.
  static Manager FromEnvironment();

  [[nodiscard]] bool is_there() const { return static_cast<bool>(socket_); }
  // Waits for a moment where it is slow to listen. What it does not take is lost.
  void Tell(std::string_view lines) const;

 private:
  sys::Fd socket_;
};

// Lines that say READY=1, and that `pid` is the one to watch.
std::string ReadyLines(pid_t pid);

}  // namespace nucleus::process
