// Whether what a service names inside its container is there, and is what it has to be: the paths of its Landlock
// rules, its working directory. Reads only. The trail of an error begins with the key that it is about.
//
// Looked at is what its mounts put there, as they were compiled, and the standard root. What is of its rootfs alone is
// for CheckPolicies() as far as Landlock goes. What cannot be told yet is no error: behind a link, in a file system
// that is made at the start, or in what somebody who comes before may bring.
#pragma once

#include <vector>

#include "actuators/mounts/compile.hpp"

namespace nucleus::cli {

// operations: what was compiled of the input.
Result<> CheckInside(const mounts::MountsInput& input, const std::vector<MountOp>& operations);

}  // namespace nucleus::cli
