// Starts a supervisor for a service directory, as nobody's child, from a file that no container can write.
#pragma once

#include <string>

#include "spec/core/error.hpp"

namespace nucleus::process {

// program: nucleus-supervisor; directory: the service's; cgroup: absolute, the supervisor moves there ("": stays here).
// Returns once the workload was executed, or with the reason why it was not; then no supervisor is left.
Result<> StartSupervisor(const std::string& program, const std::string& directory, const std::string& cgroup);

}  // namespace nucleus::process
