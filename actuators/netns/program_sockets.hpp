// The sockets of a program in user space, changed from outside: pidfd_getfd(2). Of a process that the caller may trace.
#pragma once

#include <sys/types.h>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

// More connections may wait at what it listens on by IPv4. libslirp listens with a queue of one, and has no setting for
// it (slirp_add_hostxfwd(), listen(s, 1)): the third who comes at a time waits a second for the next try. listen(2) may
// be called again, by whoever has the socket. What cannot be had stays as it is.
void WidenListenQueues(pid_t pid, const sys::Fd& process);

// Ends every TCP connection that came by the port: slirp4netns goes on to serve those of a port that it listens on no
// more. Whatever else it has is left alone: nothing that it began has the number of a port it was bound to.
Result<> EndConnections(pid_t pid, const sys::Fd& process, const spec::PortForward& port);

}  // namespace nucleus::netns
