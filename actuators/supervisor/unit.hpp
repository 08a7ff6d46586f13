// A supervisor as the program of a systemd unit: what comes before it has something to supervise.
//
// It is executed from a read-only clone of its own file, as every supervisor; joins an ordinary user's machine where
// the directory is of one; goes into a group below the unit's, so that others can be made beside it (cgroup-v2.rst, "No
// Internal Process Constraint"); and waits (process/hold.hpp). Where the container has been up before, its supervisor
// has died and the unit was started again: then it has the container made once more.
#pragma once

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

// argv: that of the process; the directory is its first argument. The pipe on which the start is answered. Once, by the
// only thread.
Result<sys::Fd> AwaitInUnit(char** argv);

}  // namespace nucleus::process
