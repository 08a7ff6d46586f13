// A process whose first thread has exited while others go on: main() that has called pthread_exit(3), or whom a seccomp
// filter has killed alone. /proc/PID/status says Z of it until the last has ended, and whatever is in /proc/PID of its
// namespaces, mounts, root and files is gone, for setns(2) on its pidfd too. By a thread that lives all is there.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"

namespace nucleus::sys {

// The first of its threads that has not exited. None: none is to be seen, for it has ended, or they come and go.
std::optional<pid_t> LivingThread(pid_t pid);

// "/proc/PID"; "/proc/PID/task/TID" where its first thread has exited, and another lives. A readlink where it has not.
std::string ProcOf(pid_t pid);

// What setns(2) takes instead of the pidfd of such a process: one of a thread that lives (PIDFD_THREAD, Linux 6.9).
// None: its first thread lives, so that its own is right, or there is no other.
Fd ThreadToEnter(const Fd& pidfd);

// One of the thread with that number, where it is of that process; pidfd_open(2). None: it is not, or has exited.
Fd OpenThread(const Fd& process, pid_t thread);

// What is to be said of a process that setns(2) takes neither by its own nor by that of a thread.
std::string_view WhyNotEntered();

}  // namespace nucleus::sys
