// How a seccomp program that asks comes into force, and its listener to the supervisor. Private to actuators/process.
//
// From the moment it is loaded every call of the workload may wait for the supervisor, who does not have the listener
// yet: sending it would wait for its own answer. So a second thread of the child, which the program does not hold, is
// started before: it sends the listener, and what is to be reported where the execution fails; a successful one ends
// it, as execve(2) ends all threads but one. The thread that executes makes no call between the two.
#pragma once

#include "actuators/process/child_data.hpp"

namespace nucleus::process {

// In the child, instead of LoadSeccomp(). On error the failure is for the caller to report.
bool LoadAsking(Child& child);
// After an execve that failed.
void ReportFailedExec [[noreturn]] (Child& child);

// In the parent, while it waits for the child: takes the listener, and lets the one call through that is ours.
class ListenerWait {
 public:
  ListenerWait() = default;
  // asks_exec: the program asks about execve, so the first thing that comes is ours.
  static Result<ListenerWait> Make(bool asks_exec, sys::Fd& childs_end);

  [[nodiscard]] int fd() const;  // to wait for input on; -1: nothing is to come
  void Take();
  // Once it has executed; no listener where the kernel gave none.
  sys::Fd Listener();

 private:
  sys::Fd socket_, listener_;
  bool asks_exec_ = false;
};

}  // namespace nucleus::process
