#include "state/parts/seccomp_run.hpp"

#include <linux/filter.h>

#include <cstring>

namespace nucleus {

std::optional<std::uint32_t> RunSeccomp(std::span<const BpfInstruction> program, const seccomp_data& data) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size();) {
    const BpfInstruction& at = program[pc++];
    switch (at.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (at.k % 4 != 0 || at.k > sizeof data - 4) return std::nullopt;
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + at.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= at.k;
        break;
      case BPF_JMP | BPF_JA:
        if (at.k >= program.size()) return std::nullopt;
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

}  // namespace nucleus
