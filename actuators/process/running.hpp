// A container that runs, as who acts on it gets hold of it: by its directory alone.
//
// Its process is known by all four marks (sys/process.hpp) on a pidfd that was opened before they were compared, and
// the launch is that of the same run. Who may not read the directory's files may not act: kPermission.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

struct RunningContainer {
  Launch launch;
  Status status;
  sys::Fd pidfd;  // of its PID 1
};

// One that is being started is waited for, up to two seconds. subject: how it is called in errors. kNotFound where it
// does not run.
Result<RunningContainer> OpenRunning(const std::string& directory, const std::string& subject);

// Whether its processes stand still, or are about to. False where there is no group.
bool IsPaused(const std::string& cgroup);

// A file of the directory that is locked (flock(2)) by who has its processes written down: meanwhile they stand still,
// and what a health probe says is of no account. The lock goes with its holder. kLocked: somebody has it.
inline constexpr std::string_view kCheckpointFile = "checkpoint";
Result<sys::Fd> HoldForCheckpoint(const std::string& directory);
bool IsHeldForCheckpoint(const std::string& directory);

}  // namespace nucleus::process
