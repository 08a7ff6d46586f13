// A seccomp policy as a program for the kernel: system call number -> verdict, some after a look at an argument.
//
// Pure. Numbers are found by binary search, so that a call costs about seven comparisons whatever its number; verdicts
// that need no argument stay constant per number, which the kernel (5.11 and later) caches in a bitmap and then does
// not run the program for at all. seccomp(2), <linux/filter.h>.
//
// libseccomp is not used for this: with a default that refuses, it cannot say "this call with these arguments, else
// EPERM", and its "not equal" compares 64 bits where the kernel looks at 32 (CVE-2019-7303).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "state/parts/launch.hpp"

namespace nucleus::security {

// What the program returns, SECCOMP_RET_*.
struct Verdict {
  std::uint32_t value = 0;
  static constexpr Verdict Allow() { return {0x7fff0000U}; }
  static constexpr Verdict Errno(int number) { return {0x00050000U | static_cast<std::uint32_t>(number)}; }
  static constexpr Verdict Kill() { return {0x80000000U}; }  // the whole process
  constexpr bool operator==(const Verdict&) const = default;
};

// True where the low 32 bits of an argument, masked, are equal to a value. The arguments that policies look at are
// 32 bits wide in the kernel too, so that what stands in the high half can make no difference (snapd's CVE-2019-7303).
struct ArgumentTest {
  std::uint8_t argument = 0;  // 0 .. 5
  std::uint32_t mask = 0xffffffffU;
  std::uint32_t value = 0;
};

struct Clause {
  std::vector<ArgumentTest> all;  // at most 8
  Verdict verdict;
};

// The first clause whose tests all hold decides, else `otherwise`.
struct CallPolicy {
  std::vector<Clause> clauses;  // at most 8
  Verdict otherwise;
};

struct FilterPolicy {
  std::uint32_t architecture = 0;             // AUDIT_ARCH_*
  Verdict foreign = Verdict::Kill();          // calls of another architecture, i386's and x32's included
  Verdict unknown = Verdict::Errno(38);       // numbers that are not in `calls`: ENOSYS
  std::map<std::uint32_t, CallPolicy> calls;  // by number
};

// On x86-64 numbers with this bit are x32 calls: another ABI under the same AUDIT_ARCH.
inline constexpr std::uint32_t kX32Bit = 0x40000000U;

std::vector<BpfInstruction> Assemble(const FilterPolicy& policy);

// What the kernel would do with a call: for tests and explanations. Only the instructions that Assemble() emits.
struct Call {
  std::uint32_t architecture = 0;
  std::uint32_t number = 0;
  std::array<std::uint64_t, 6> arguments{};
};
Verdict Evaluate(const std::vector<BpfInstruction>& program, const Call& call);

}  // namespace nucleus::security
