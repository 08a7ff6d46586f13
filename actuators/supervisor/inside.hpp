// A command in a container that runs, in the foreground of the caller: its standard files are the caller's, but for a
// terminal, in the place of which it has a pipe, or a terminal of the container's; both are relayed until it ends. So
// is its exit code the caller's. The signals of passed_signals.hpp are the command's; it does not outlive the caller.
//
// Where the caller may not move processes into the container's control group it stays in the caller's.
//
// It enters as a health probe does, by the launch: all namespaces, the control group, identity, limits, Landlock and
// seccomp. Errors: those of a start (child.hpp, ExitCodeOf); kConflict where the container is paused. Threads: the
// process's first, and no other; the caller's signals stay blocked afterwards.
#pragma once

#include <string>
#include <vector>

#include "actuators/process/running.hpp"

namespace nucleus::process {

struct InsideFiles {
  bool input = false;     // the caller's standard input; else there is none
  bool terminal = false;  // a terminal, with input
};

// launch: the container's, with what is different for this command. The exit code, 128+N where signal N ended it.
Result<int> RunInside(const Launch& launch, const std::vector<std::string>& argv, const RunningContainer& container,
                      const InsideFiles& files);

}  // namespace nucleus::process
