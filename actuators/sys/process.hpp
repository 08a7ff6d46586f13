// Who a process is, for as long as it matters: pid + start time + boot id + cgroup id, all four checked before a
// signal. pidfd_open(2), proc_pid_stat(5).
#pragma once

#include <optional>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/core/process_identity.hpp"

namespace nucleus::sys {

Result<std::string> BootId();
// Start time (field 22 of /proc/PID/stat); none where there is no such process.
Result<std::optional<std::uint64_t>> StartTime(pid_t pid);
// The inode of the cgroup2 directory a process is in.
Result<std::optional<std::uint64_t>> CgroupId(pid_t pid);
Result<ProcessIdentity> IdentityOf(pid_t pid);

// A pidfd of exactly that process: opened first, then all four compared; none where it is gone or somebody else.
Result<std::optional<Fd>> OpenIdentified(const ProcessIdentity& identity);
// Whether exactly that process lives, in whichever cgroup. One that has ended does not, waited for or not.
Result<bool> IsAlive(const ProcessIdentity& identity);
Result<> SendSignal(const Fd& pidfd, int signal, std::string_view subject);  // ESRCH is success
// With a value, as sigqueue(3) sends it.
Result<> QueueSignal(const Fd& pidfd, int signal, int value, std::string_view subject);
// Waits until the process has ended; false when the time is over. Negative: forever.
Result<bool> WaitForExit(const Fd& pidfd, int timeout_ms);

}  // namespace nucleus::sys
