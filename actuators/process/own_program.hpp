// The file of the program that is running, as a workload may come to see it: by way of /proc/self/exe of a process of
// ours that is on its way to become the workload, or of one that stays beside it.
#pragma once

#include <cstdint>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

enum class Renewal : std::uint8_t {
  kMappedAgain,    // what is mapped of the file is mapped again by way of the clone, which becomes the file of this
                   // process; a kernel that does not let us has it executed
  kExecutedAgain,  // as it has to be in a user namespace that was entered since: our memory belongs to that of before,
                   // and whoever is root here could not look at what we start
};

// From a read-only clone of our own file, as supervisors are: a workload that executes /proc/self/exe, or opens it,
// must not come to write to it (CVE-2019-5736). Where the program is executed for it this does not return; both lists
// end with a null. Nor can anybody trace it or read its memory from there on. Called first of all, by the only thread:
// what comes before it may be done twice.
Result<> RunFromClone(char** argv, char** environment, Renewal renewal);

// The descriptor of that clone, where this process was mapped from it. Once. It is for closing only, by somebody who
// may wait: with its last descriptor the mount is taken apart, and the kernel waits for all processors.
sys::Fd TakeClone();

}  // namespace nucleus::process
