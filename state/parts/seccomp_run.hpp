// What the kernel would do with a system call under a seccomp program. Pure; seccomp(2), bpf(4).
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <optional>
#include <span>

#include "state/parts/launch.hpp"

namespace nucleus {

// SECCOMP_RET_* with its data; none where the program is not well formed, and the kernel would not have loaded it.
// Knows the instructions that libseccomp and nucleus emit.
std::optional<std::uint32_t> RunSeccomp(std::span<const BpfInstruction> program, const seccomp_data& data);

}  // namespace nucleus
