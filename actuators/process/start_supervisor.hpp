// Starts a supervisor for a service directory, as nobody's child, from a file that no container can write.
#pragma once

#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

// A clone of the mount the program is on, read-only: /proc/PID/exe of a process leads there, so that not even root in a
// container could write to it, while all such processes share the pages of one file. open_tree(2).
Result<sys::Fd> OpenProgram(const std::string& program);

// One that waits in the directory already, started by a unit, is told to go on: hold.hpp. Else
// program: nucleus-supervisor; directory: the service's; cgroup: absolute, the supervisor moves there ("": stays here).
// Returns once the workload was executed, or with the reason why it was not; then no supervisor is left.
Result<> StartSupervisor(const std::string& program, const std::string& directory, const std::string& cgroup);

}  // namespace nucleus::process
