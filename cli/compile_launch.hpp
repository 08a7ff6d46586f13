// Puts a container together: what mounts, security and identity compile, with what the service says of itself, becomes
// the one Launch that the supervisor starts it from. Decides nothing that those have not decided.
#pragma once

#include "actuators/process/apply.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cli {

// Each call makes a container with a new id. Safe from several threads.
process::Compiler LaunchCompiler(const Directories& directories);

}  // namespace nucleus::cli
