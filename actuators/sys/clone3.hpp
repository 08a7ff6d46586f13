// clone3(2) as fork with arguments, and the pidfd calls that glibc 2.35 and older lack.
//
// Header only and free of allocation. Like fork, a child of Clone3() shares no memory with its parent; where the parent
// has threads, the child may only make system calls until it executes something.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

namespace nucleus::sys {

// flags: CLONE_NEW*, ...; cgroup: a descriptor of a cgroup2 directory, or -1; pidfd: where to put a descriptor of the
// child (CLOEXEC), or null. Returns as fork does.
inline clone_args CloneArguments(std::uint64_t flags, int cgroup, int* pidfd, int exit_signal) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = static_cast<std::uint64_t>(exit_signal);
  if (pidfd != nullptr) {
    args.flags |= CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  }
  if (cgroup >= 0) {
    args.flags |= 0x200000000ULL;  // CLONE_INTO_CGROUP, cgroups(7)
    args.cgroup = static_cast<std::uint64_t>(cgroup);
  }
  return args;
}
inline pid_t Clone3(std::uint64_t flags, int cgroup, int* pidfd, int exit_signal = SIGCHLD) {
  const clone_args args = CloneArguments(flags, cgroup, pidfd, exit_signal);
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof(args)));
}

// Moves the calling process into the cgroup2 directory of a descriptor. False: errno says why not.
inline bool JoinCgroup(int cgroup) {
  const int procs = ::openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  if (procs < 0) return false;
  const bool moved = ::write(procs, "0", 1) == 1;
  const int err = errno;
  ::close(procs);
  errno = err;
  return moved;
}

inline int PidfdOpen(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}
// The network namespace of a process, as a descriptor: PIDFD_GET_NET_NAMESPACE, Linux 6.11. -1: not to be had.
inline int PidfdNetns(int pidfd) {
  return ::ioctl(pidfd, _IO(0xff, 4), 0);
}

// struct pidfd_info in its first version, PIDFD_INFO_SIZE_VER0; PIDFD_GET_INFO, Linux 6.13.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::uint32_t ids[11];
  std::int32_t exit_status;
};
// what: PIDFD_INFO_*. None: not to be had.
inline std::optional<PidfdInfo> GetPidfdInfo(int pidfd, std::uint64_t what) {
  PidfdInfo info{};
  info.mask = what;
  if (::ioctl(pidfd, _IOWR(0xff, 11, PidfdInfo), &info) != 0 || (info.mask & what) == 0) return std::nullopt;
  return info;
}
// The id of the cgroup2 directory a process is in. None: not to be had.
inline std::optional<std::uint64_t> PidfdCgroup(int pidfd) {
  const auto info = GetPidfdInfo(pidfd, 1U << 2 /* PIDFD_INFO_CGROUPID */);
  return info ? std::optional(info->cgroup_id) : std::nullopt;
}
// How a process ended that has been waited for, as wait(2) says it: Linux 6.15. None: not to be had.
inline std::optional<int> PidfdExitStatus(int pidfd) {
  const auto info = GetPidfdInfo(pidfd, 1U << 3 /* PIDFD_INFO_EXIT */);
  return info ? std::optional(info->exit_status) : std::nullopt;
}
inline int PidfdSendSignal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

}  // namespace nucleus::sys
