// Seccomp programs that ask the supervisor: made from the program of a policy, and answered by running that program
// over what the kernel says of the call. Pure; seccomp(2), seccomp_unotify(2).
//
// What a made program lets through is what the policy's does, no more and no less: only instructions that return a
// denial are changed, so every path through it ends where it did. Who denies is another.
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <span>
#include <vector>

#include "state/parts/launch.hpp"

namespace nucleus::process {

// SECCOMP_RET_* with its data, as the kernel would come to; a program that is not well formed kills, like one that
// cannot be loaded. Instructions: those that libseccomp and nucleus emit.
std::uint32_t RunSeccomp(std::span<const BpfInstruction> program, const seccomp_data& data);

constexpr std::uint32_t ActionOf(std::uint32_t result) {
  return result & SECCOMP_RET_ACTION_FULL;
}
constexpr bool LetsThrough(std::uint32_t result) {
  return ActionOf(result) == SECCOMP_RET_ALLOW || ActionOf(result) == SECCOMP_RET_LOG;
}

enum class Asked : std::uint8_t {
  kNothing,  // but what first_exec says
  kKills,    // what would kill the process
  kDenials,  // and what would kill a thread, or return an error
};
// first_exec: every execve of this machine's ABI as well, whatever the policy says of it: the first one is ours.
// SECCOMP_RET_TRAP stays as it is: its signal's details are the kernel's to give.
std::vector<BpfInstruction> AskingProgram(std::span<const BpfInstruction> program, Asked asked, bool first_exec);

// Everything is asked about.
std::vector<BpfInstruction> TracingProgram();

// Whether the program says of anything what `asked` is about.
bool HasWhat(std::span<const BpfInstruction> program, Asked asked);

}  // namespace nucleus::process
