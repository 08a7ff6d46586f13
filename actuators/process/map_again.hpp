// Has this process run from a read-only clone of its own file without being executed again: the file is mapped anew by
// way of the clone, and PR_SET_MM_MAP makes that the file of the process. docs/decisions/0015.
#pragma once

#include <cstdint>

#include "actuators/sys/fd.hpp"

namespace nucleus::process {

// Called by the entry point of the program, with what the kernel laid on the stack: argc, argv, environment, and where
// the auxiliary vector is that follows them. Nothing has been relocated by then, and there is no thread's memory:
// neither the C library nor a constant that holds an address may be used. Where it fails nothing has changed that a
// program could see, and RunFromClone executes the program again. x86-64 only; elsewhere it does nothing.
extern "C" [[gnu::visibility("hidden")]] void MapAgain(const std::uintptr_t* stack, const std::uintptr_t* auxiliary);

// The descriptor of the clone, where this process was mapped from it. Once. It is for closing only, by somebody who
// may wait: with its last descriptor the mount is taken apart, and the kernel waits for all processors.
sys::Fd TakeClone();
int ReleaseClone();  // for who has no C library yet; -1: none

}  // namespace nucleus::process
