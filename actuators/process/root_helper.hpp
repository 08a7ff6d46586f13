// A process of ours with its root where a container has it: for what is done with the container's files. In its control
// group, so that what it writes to memory counts there, and root of its user namespace, with power over files and
// nothing else. It is in none of its other namespaces: nothing in the container can see it.
//
// Threads: of a process that has one only. It dies with who started it.
#pragma once

#include <functional>

#include "actuators/process/running.hpp"

namespace nucleus::process {

class RootHelper {
 public:
  // work: in the child, with the root as a descriptor; whatever else the caller has open is there too.
  static Result<RootHelper> Start(const RunningContainer& container, const std::string& subject,
                                  const std::function<Result<>(const sys::Fd& root)>& work);
  // What the work came to, once it is done.
  Result<> Finish();

 private:
  RootHelper(pid_t pid, sys::Fd answer) : pid_(pid), answer_(std::move(answer)) {}
  pid_t pid_;
  sys::Fd answer_;
};

}  // namespace nucleus::process
