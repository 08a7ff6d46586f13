// The default seccomp program, compiled while nucleus was built from the table in syscall_policy.cpp.
#pragma once

#include <span>

#include "state/parts/launch.hpp"

namespace nucleus::security {

std::span<const BpfInstruction> DefaultProfile();

}  // namespace nucleus::security
