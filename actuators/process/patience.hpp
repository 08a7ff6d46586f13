// How long a supervisor may be at what it does not leave off for: times to wait for it, from what was launched in its
// directory. Where that does not read back it is taken for nothing. Reads only.
#pragma once

#include <string>

#include "spec/core/units.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

// Of a stop by its policy; in the foreground there is no file of that, it is the launch's.
Duration StopTimeoutOf(const std::string& directory);

// Of the hooks once the workload has ended.
Duration PoststopTimeOf(const std::string& directory);

// Until it heeds that a file has changed: between two runs, or in the midst of a start, all hooks may run and trees be
// verified first.
Duration AttentionTimeOf(const std::string& directory);

// Whether trees are copied or verified before it starts.
bool TakesLong(const Launch& launch);

}  // namespace nucleus::process
