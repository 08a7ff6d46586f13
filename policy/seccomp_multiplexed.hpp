// i386's calls with many calls behind them: socketcall(2), ipc(2).
//
// libseccomp turns a rule about socket(2) into one about i386's direct call and one about socketcall's first argument,
// and there it cannot look at the arguments, which lie in memory: it drops the conditions on the first of them and
// compares the others with pointers. Here such rules become ones that need no arguments and are not wider. Pure.
#pragma once

#include "policy/seccomp_resolve.hpp"

namespace nucleus::policy {

struct NarrowedCall {
  std::string name;
  std::vector<SeccompClause> clauses;
};

// The calls as libseccomp may be told them for i386.
std::vector<NarrowedCall> NarrowedForI386(const ResolvedSeccomp& profile);

// The sub-calls of "socketcall" and "ipc", by their numbers; empty for other names. linux/net.h, linux/ipc.h.
struct SubCall {
  std::string_view name;
  std::uint32_t number = 0;
};
std::span<const SubCall> SubCallsOf(std::string_view name);

}  // namespace nucleus::policy
