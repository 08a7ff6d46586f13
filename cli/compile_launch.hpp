// Puts a container together: what mounts, security and identity compile, with what the service says of itself, becomes
// the one Launch that the supervisor starts it from. Decides nothing that those have not decided.
#pragma once

#include <optional>

#include "actuators/process/apply.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "attest/walk.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cli {

// Hexadecimal digits of the kernel's random numbers; getrandom(2).
inline constexpr std::size_t kIdDigits = 32;       // 128 bits
inline constexpr std::size_t kShortIdDigits = 12;  // what an id begins with, where people see it
Result<std::string> RandomDigits(std::size_t count);

// Each call makes a container with a new id. Safe from several threads. walk: through bound contexts.
// groups: where its control group is made, if that was found already.
process::Compiler LaunchCompiler(const Directories& directories, const attest::WalkOptions& walk = {},
                                 const std::optional<sys::CgroupRoot>& groups = {});

}  // namespace nucleus::cli
