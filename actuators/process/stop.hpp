// How what runs in a service's directory is brought to its end: by its supervisor, and by force where that does not
// come through. A process is signalled only through a pidfd that was checked to be it.
#pragma once

#include <signal.h>

#include <optional>
#include <string>

#include "spec/core/address.hpp"
#include "spec/core/error.hpp"
#include "spec/core/units.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::process {

// Where the group of the service in this directory is; none on a machine without cgroup2, nor where it has none.
std::optional<std::string> GroupOf(const PartKey& key, const std::string& directory);
Result<> Thaw(const PartKey& key, const std::string& directory);

// Has the supervisor stop the workload and end, with what is left of its time: timeout, or what its policy grants. One
// that does not is killed, and its workload with it. Nobody supervises: success.
Result<> StopSupervisor(const PartKey& key, const std::string& directory, std::optional<Duration> timeout,
                        const ProgressSink& progress);

// What is left when no supervisor is: in the group, or, where there is none, the process of the last status. Only by
// who knows that nobody else may start anything there.
Result<> KillRest(const PartKey& key, const std::string& directory);

// What `stop` does: StopSupervisor, and KillRest where nobody else has taken the directory over since. False: nothing
// ran. kTimeout: processes are left.
Result<bool> Stop(const PartKey& key, const std::string& directory, std::optional<Duration> timeout,
                  const ProgressSink& progress);

}  // namespace nucleus::process
