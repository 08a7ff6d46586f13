// The pipe over which a supervisor says that the workload has been executed, or why not; and the lock that says which
// process supervises a service directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

// One message, then end of file: success, or all of an Error.
std::string EncodeReady(const Result<>& outcome);
Result<> DecodeReady(std::string_view message);

// A record lock on kLockFile of a service directory (fcntl(2), F_SETLK): the kernel knows its holder's pid and
// drops it with the process, so there is neither a stale record nor a second supervisor. Never close another
// descriptor of that file in the process that holds it: that would drop the lock.
Result<sys::Fd> TakeSupervisorLock(const std::string& directory);  // kLocked: somebody has it

// The same, once nobody cleans up there: it waits up to 15 s.
Result<sys::Fd> AwaitSupervisorLock(const std::string& directory);

// The lock of who takes away what a supervisor that is no more has left there. It excludes a supervisor, but is none:
// nobody finds its holder, and AwaitSupervisorLock() and ClaimDirectory() wait for it. kLocked: a supervisor has the
// directory, or another cleaner.
Result<sys::Fd> TakeCleanersLock(const std::string& directory);
// It makes no file: an error where there is none any more, since somebody removes the directory beside it.
Result<sys::Fd> TakeCleanersLockIfThere(const std::string& directory);

// Makes the directory where it is missing and takes its lock; the directory is still the one at that path then.
// kLocked: a container of that name is there.
Result<sys::Fd> ClaimDirectory(const std::string& directory);

// A pidfd of the process that holds the lock, and its pid. None: nobody does, or there is no such directory. kConflict:
// it is in a pid namespace from where it is not to be seen here.
struct LockHolder {
  pid_t pid = 0;
  sys::Fd pidfd;
};
Result<std::optional<LockHolder>> FindSupervisor(const std::string& directory);
// The same for who only wants to tell of it: the pid, which may be somebody else's a moment later; 0: nobody.
Result<pid_t> SupervisorOf(const std::string& directory);

}  // namespace nucleus::process
