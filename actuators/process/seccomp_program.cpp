#include "actuators/process/seccomp_program.hpp"

#include <linux/filter.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>

#include "actuators/sys/syscall_names.hpp"
#include "state/parts/seccomp_run.hpp"

namespace nucleus::process {

namespace {

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;

bool IsAsked(const BpfInstruction& instruction, Asked asked) {
  if (instruction.code != kReturn) return false;
  switch (ActionOf(instruction.k)) {
    case SECCOMP_RET_KILL_PROCESS:
      return asked != Asked::kNothing;
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_ERRNO:
      return asked == Asked::kDenials;
    default:
      return false;
  }
}

}  // namespace

std::uint32_t RunSeccomp(std::span<const BpfInstruction> program, const seccomp_data& data) {
  return nucleus::RunSeccomp(program, data).value_or(SECCOMP_RET_KILL_PROCESS);
}

std::vector<BpfInstruction> AskingProgram(std::span<const BpfInstruction> program, Asked asked, bool first_exec) {
  std::vector<BpfInstruction> out;
  if (first_exec) {
    // Behind it the program starts anew: it loads what it looks at.
    out = {{kLoad, 0, 0, offsetof(seccomp_data, arch)},
           {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, sys::kNativeArchitecture},
           {kLoad, 0, 0, offsetof(seccomp_data, nr)},
           {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_execve},
           {kReturn, 0, 0, SECCOMP_RET_USER_NOTIF}};
  }
  for (BpfInstruction instruction : program) {
    if (IsAsked(instruction, asked)) instruction.k = SECCOMP_RET_USER_NOTIF;
    out.push_back(instruction);
  }
  return out;
}

std::vector<BpfInstruction> TracingProgram() {
  return {{kReturn, 0, 0, SECCOMP_RET_USER_NOTIF}};
}

bool HasWhat(std::span<const BpfInstruction> program, Asked asked) {
  return std::ranges::any_of(program, [asked](const BpfInstruction& i) { return IsAsked(i, asked); });
}

}  // namespace nucleus::process
