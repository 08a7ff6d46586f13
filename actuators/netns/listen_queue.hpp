// How many connections may wait at the sockets that another process listens on.
//
// libslirp listens with a queue of one, and has no setting for it (slirp_add_hostxfwd(), listen(s, 1)): the third who
// comes at a time waits a second for the next try. listen(2) may be called again, by whoever has the socket:
// pidfd_getfd(2).
#pragma once

#include <sys/types.h>

#include "actuators/sys/fd.hpp"

namespace nucleus::netns {

// Of the process, one that the caller may trace. What cannot be had stays as it is.
void WidenListenQueues(pid_t pid, const sys::Fd& process);

}  // namespace nucleus::netns
