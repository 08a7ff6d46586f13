// Which signals of a run in the foreground are its workload's; signal(7).
#pragma once

#include <signal.h>

namespace nucleus::process {

// All that can be read from a descriptor, but for SIGCHLD, which is of children of ours, and those that stop a job of a
// shell: it is the caller that is stopped. Those of faults (SIGSEGV and the like) end who has them.
sigset_t PassedSignals();

// Whether it ends a process that has said nothing of it; of those that are passed on.
bool EndsByDefault(int signal);

}  // namespace nucleus::process
