// Compiled seccomp programs held against what they were to do.
//
// libseccomp makes wrong programs of some rules that compare several 64-bit arguments of a call: 2.5.4 lets calls
// through that no rule allows. So what it made is run here, for every call that a profile names, with arguments on both
// sides of every limit, before anybody relies on it. Pure; bpf(4), seccomp(2).
#pragma once

#include <span>

#include "policy/seccomp_resolve.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::policy {

std::uint32_t SeccompReturn(const SeccompVerdict& verdict);  // SECCOMP_RET_*

// A call on one architecture, and what is to become of it.
struct ExpectedCall {
  std::string name;
  std::uint32_t architecture = 0, number = 0;
  bool narrow = false;  // the low 32 bits of arguments are compared
  std::span<const SeccompClause> clauses;
};

// In words, what differs first; none where nothing was found. At most some ten thousand combinations of arguments a
// call are tried: all there are to tell apart, for rules as people write them.
std::optional<std::string> FirstDifference(std::span<const BpfInstruction> program, const SeccompVerdict& otherwise,
                                           std::span<const ExpectedCall> calls);

}  // namespace nucleus::policy
