// The file of the program that is running, as a workload may come to see it: by way of /proc/self/exe of a process of
// ours that is on its way to become the workload, or of one that stays beside it.
#pragma once

#include "spec/core/error.hpp"

namespace nucleus::process {

// Whether that file is a clone already: on a read-only mount that has no place.
Result<bool> RunsFromClone();

// What is in our memory, the environment of the workload among it, is in no core dump and for nobody to trace.
Result<> ForbidTracing();

// From a read-only clone of our own file, as supervisors are: a workload that executes /proc/self/exe, or opens it,
// must not come to write to it (CVE-2019-5736). Where MapAgain has not seen to it the program is executed again, and
// this does not return; both lists end with a null. Tracing is forbidden then.
Result<> RunFromClone(char** argv, char** environment);

}  // namespace nucleus::process
