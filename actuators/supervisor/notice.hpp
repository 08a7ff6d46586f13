// Whether a signal would reach a process that is PID 1 of its namespace; pid_namespaces(7).
#pragma once

#include <sys/types.h>

namespace nucleus::process {

// PID 1 of a namespace never sees a signal that it neither handles nor holds back: the kernel drops it. True also where
// that is not to be found out. Takes 10 ms where it holds it back all the time.
bool WouldNotice(pid_t pid, int signal);

}  // namespace nucleus::process
