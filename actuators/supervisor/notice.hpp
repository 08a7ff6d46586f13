// What would come of a signal to a process that is PID 1 of its namespace; pid_namespaces(7), signal(7).
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace nucleus::process {

enum class Reception : std::uint8_t {
  kTaken,      // it handles it, holds it back, or waits for it
  kIgnored,    // it ignores it on purpose
  kByDefault,  // the kernel drops it where a process that is no PID 1 would be ended
};

// Of PID 1 its first thread counts, whatever others wait for: by that one the kernel decides. kTaken also where it is
// not to be found out, but a wait is not seen by who may not trace the process; ptrace(2). Takes 10 ms where it holds
// the signal back all the time, about as long where it never rests, and a second where it has no processor meanwhile.
Reception ReceptionOf(pid_t pid, int signal);

// Whether it is by default that a program executed by us would have a signal that we ignore. Over exec it would go on
// ignoring it, as with nohup(1); workloads begin with defaults.
bool IsToBeIgnored(pid_t pid, int signal);

}  // namespace nucleus::process
