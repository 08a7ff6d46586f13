// For tests: what a seccomp program does with a call. On purpose not the one that compiled profiles are checked with
// before they are used (policy/seccomp_verify.hpp): an oracle shares no mistake with what it judges.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstring>
#include <optional>
#include <span>

#include "state/parts/launch.hpp"

namespace nucleus::security::testing {

// seccomp(2), bpf(4): the instructions a filter of ours may have; none where the program is not well formed.
inline std::optional<std::uint32_t> Interpret(std::span<const BpfInstruction> program, const seccomp_data& data) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size();) {
    const BpfInstruction& at = program[pc++];
    switch (at.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (at.k % 4 != 0 || at.k + 4 > sizeof data) return std::nullopt;
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + at.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= at.k;
        break;
      case BPF_JMP | BPF_JA:
        pc += at.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        pc += a == at.k ? at.jt : at.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        pc += a >= at.k ? at.jt : at.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        pc += a > at.k ? at.jt : at.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        pc += (a & at.k) != 0 ? at.jt : at.jf;
        break;
      case BPF_RET | BPF_K:
        return at.k;
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace nucleus::security::testing
