#include "actuators/security/bpf.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstddef>

namespace nucleus::security {

namespace {

using Program = std::vector<BpfInstruction>;

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr std::uint16_t kAtLeast = BPF_JMP | BPF_JGE | BPF_K;
constexpr std::uint16_t kJump = BPF_JMP | BPF_JA;
constexpr std::uint16_t kAnd = BPF_ALU | BPF_AND | BPF_K;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;

BpfInstruction Load(std::size_t offset) {
  return {kLoad, 0, 0, static_cast<std::uint32_t>(offset)};
}

// The low half of an argument. Both architectures that nucleus knows are little endian.
std::size_t LowHalf(std::uint8_t argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
}

Program CallProgram(const CallPolicy& policy) {
  Program program;
  for (const Clause& clause : policy.clauses) {
    Program body;
    std::vector<std::size_t> tests;
    for (const ArgumentTest& test : clause.all) {
      body.push_back(Load(LowHalf(test.argument)));
      if (test.mask != 0xffffffffU) body.push_back({kAnd, 0, 0, test.mask});
      tests.push_back(body.size());
      body.push_back({kEqual, 0, 0, test.value});
    }
    body.push_back({kReturn, 0, 0, clause.verdict.value});
    // A test that fails goes to the next clause, which is right behind this one.
    for (const std::size_t test : tests) body[test].jf = static_cast<std::uint8_t>(body.size() - test - 1);
    program.insert(program.end(), body.begin(), body.end());
  }
  program.push_back({kReturn, 0, 0, policy.otherwise.value});
  return program;
}

// From `first` on, up to the next leaf's first number, one program decides.
struct Leaf {
  std::uint32_t first = 0;
  Program program;
};

Program SearchTree(const std::vector<Leaf>& leaves, std::size_t begin, std::size_t end) {
  if (end - begin == 1) return leaves[begin].program;
  const std::size_t middle = begin + (end - begin) / 2;
  const Program low = SearchTree(leaves, begin, middle);
  const Program high = SearchTree(leaves, middle, end);
  Program program;
  // Conditional jumps reach 255 instructions, unconditional ones any distance.
  if (low.size() <= 255) {
    program.push_back({kAtLeast, static_cast<std::uint8_t>(low.size()), 0, leaves[middle].first});
  } else {
    program.push_back({kAtLeast, 0, 1, leaves[middle].first});
    program.push_back({kJump, 0, 0, static_cast<std::uint32_t>(low.size())});
  }
  program.insert(program.end(), low.begin(), low.end());
  program.insert(program.end(), high.begin(), high.end());
  return program;
}

// The number line cut into pieces of one behaviour each.
std::vector<Leaf> Leaves(const FilterPolicy& policy) {
  const Program unknown = CallProgram({{}, policy.unknown});
  std::vector<Leaf> leaves{{0, unknown}};
  const auto add = [&leaves](std::uint32_t first, const Program& program) {
    if (leaves.back().first == first) {
      leaves.back().program = program;
    } else {
      leaves.push_back({first, program});
    }
    if (leaves.size() >= 2 && leaves[leaves.size() - 2].program == leaves.back().program) leaves.pop_back();
  };
  for (const auto& [number, call] : policy.calls) {
    add(number, CallProgram(call));
    add(number + 1, unknown);
  }
  if (policy.architecture == AUDIT_ARCH_X86_64) {
    add(kX32Bit, CallProgram({{}, policy.foreign}));
    add(0xffffffffU, unknown);  // -1 is no x32 call but what a tracer writes to skip one
  }
  return leaves;
}

}  // namespace

std::vector<BpfInstruction> Assemble(const FilterPolicy& policy) {
  const std::vector<Leaf> leaves = Leaves(policy);
  Program program{Load(offsetof(seccomp_data, arch)),
                  {kEqual, 1, 0, policy.architecture},
                  {kReturn, 0, 0, policy.foreign.value},
                  Load(offsetof(seccomp_data, nr))};
  const Program tree = SearchTree(leaves, 0, leaves.size());
  program.insert(program.end(), tree.begin(), tree.end());
  return program;
}

Verdict Evaluate(const std::vector<BpfInstruction>& program, const Call& call) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const BpfInstruction& i = program[pc];
    if (i.code == kLoad) {
      if (i.k == offsetof(seccomp_data, nr)) {
        a = call.number;
      } else if (i.k == offsetof(seccomp_data, arch)) {
        a = call.architecture;
      } else {
        a = static_cast<std::uint32_t>(call.arguments[(i.k - offsetof(seccomp_data, args)) / 8]);
      }
    } else if (i.code == kAnd) {
      a &= i.k;
    } else if (i.code == kEqual) {
      pc += a == i.k ? i.jt : i.jf;
    } else if (i.code == kAtLeast) {
      pc += a >= i.k ? i.jt : i.jf;
    } else if (i.code == kJump) {
      pc += i.k;
    } else {
      return {i.k};
    }
  }
  return Verdict::Kill();
}

}  // namespace nucleus::security
