// Resolved profiles to programs for the kernel, by libseccomp: its binary tree, and a process killed for every
// architecture that the profile does not name (i386 and x32 entry included). seccomp(2), seccomp_rule_add(3),
// seccomp_attr_set(3).
//
// The one place that links libseccomp (statically, docs/decisions/0005): only those who compile profiles link this
// target, and starting a container whose program is cached calls none of it. No privileges, nothing is loaded into the
// kernel, no I/O but the cache's. libseccomp has state of its own; callers from several threads wait for each other.
//
// Where a 32-bit ABI hides arguments behind one call (socketcall, ipc on i386), its door is never wider than the
// profile: a call with conditions gets the strictest of its verdicts and the default there, and "socketcall" or "ipc"
// itself is allowed for those sub-calls only that the profile does not say otherwise about. On i386 and x32 arguments
// are compared by their low 32 bits.
#pragma once

#include "policy/seccomp_resolve.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::policy {

// Names that no architecture of this libseccomp, and no newer kernel that nucleus knows of, has: a warning each, and an
// error where the rule was to be stricter than the default, since the call would pass then. Names of `allow` that are
// unknown are errors.
std::vector<spec::Problem> CheckSyscallNames(const SeccompProfile& profile, const SeccompInputs& inputs);

Result<std::vector<BpfInstruction>> CompileSeccomp(const ResolvedSeccomp& profile);

std::string LibseccompVersion();  // "2.5.4"

// Everything from the text to the program, in one call.
struct SeccompBuild {
  std::optional<std::vector<BpfInstruction>> program;  // none where there are errors
  std::vector<spec::Problem> problems;                 // errors and warnings
  bool flag_log = false, flag_spec_allow = false;      // SECCOMP_FILTER_FLAG_*
  bool cached = false;                                 // read from the cache; its warnings were said when it was made
};
// cache: a directory of ours, made by the caller; "": none. A cache that cannot be written is a warning.
SeccompBuild BuildSeccomp(std::string_view text, std::string_view file, const SeccompInputs& inputs,
                          const std::string& cache);

}  // namespace nucleus::policy
