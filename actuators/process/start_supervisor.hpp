// Starts a supervisor for a service directory, as nobody's child, from a file that no container can write.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

struct Order;

// A clone of the mount the program is on, read-only: /proc/PID/exe of a process leads there, so that not even root in a
// container could write to it, while all such processes share the pages of one file. open_tree(2).
Result<sys::Fd> OpenProgram(const std::string& program);

// Starts supervisors: docs/decisions/0031. What it executes is one program for all of them, which copies itself: none
// has to be loaded and to find out about the processor anew. It ends with this. Safe from several threads.
class SupervisorStarter {
 public:
  explicit SupervisorStarter(std::string program) : program_(std::move(program)) {}  // nucleus-supervisor
  SupervisorStarter(const SupervisorStarter&) = delete;
  SupervisorStarter& operator=(const SupervisorStarter&) = delete;
  ~SupervisorStarter();

  // One that waits in the directory already, started by a unit, is told to go on: hold.hpp. Else
  // directory: the service's; cgroup: absolute, the supervisor is in it ("": in ours).
  // Returns once the workload was executed, or with the reason why it was not; then no supervisor is left.
  Result<> Start(const std::string& directory, const std::string& cgroup);

 private:
  Result<std::string> Ask(const std::string& directory, const std::string& cgroup, bool moves);
  Result<> Send(const Order& order);
  Result<> Execute(std::size_t room);
  Result<> CheckExecuted();
  int End();

  const std::string program_;
  std::mutex mutex_;
  sys::Fd socket_;  // none: it does not run
  pid_t pid_ = 0;
};

// The only one of its directory.
Result<> StartSupervisor(const std::string& program, const std::string& directory, const std::string& cgroup);

}  // namespace nucleus::process
