// The signal that has a supervisor stop its workload and end, in the foreground too, where SIGTERM is the workload's.
// Sent by sigqueue(3): its value is the time after which all is killed, in milliseconds, or -1 for that of the policy.
#pragma once

#include <signal.h>

namespace nucleus::process {

inline int StopSignal() {
  return SIGRTMIN + 1;
}

}  // namespace nucleus::process
