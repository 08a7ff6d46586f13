// Traces of system calls, and the smallest profile that lets a traced workload do what it did.
//
// A trace is NDJSON, a line for each call:
//     {"syscall":41,"name":"socket","count":3,"args":{"0":[1,2]}}
// "syscall" is the number on the machine that traced, "args" (optional) the values seen of arguments by their index.
// "abis" (optional) are the machine's other ABIs, "x86" and "x32" or "arm", by which it was called as well; a call that
// the machine's own ABI does not have has its number there. "missing":true is a call that was not there (ENOSYS) when
// it was recorded, as nucleus has clone3: what its callers go on with was seen. Lines of the same call add up. Reading
// and merging are pure; all problems are found at once, with their places. Where number and name are not of one call on
// this machine, it is an error; a call that nucleus knows neither by its number nor by its name is left out with a
// warning, since no profile can have it ("syscall_999" is the name of one that was not known when it was recorded). The
// last line, where it is torn and has no newline, is passed over with a warning: so ends the trace of one that was
// killed.
#pragma once

#include <map>
#include <set>
#include <span>

#include "policy/seccomp_profile.hpp"

namespace nucleus::policy {

struct TracedCall {
  std::uint64_t number = 0;
  std::uint64_t count = 0;  // stays at its maximum where it would overflow
  // index -> values, sorted. Only of an index that every line of the call has, and has at most 1024 values of in all.
  std::map<std::uint32_t, std::vector<std::uint64_t>> args;
  std::set<SeccompArch> abis = {};  // other ones than the machine's own
  bool missing = false;             // wherever it was seen
  bool operator==(const TracedCall&) const = default;
};

using Trace = std::map<std::string, TracedCall, std::less<>>;  // by name

struct TraceRead {
  std::optional<Trace> trace;  // none where there are errors
  std::vector<spec::Problem> problems;
};
// text: at most 16 MiB.
TraceRead ReadTrace(std::string_view text, std::string_view file);

// A line of a trace, with its newline.
std::string TraceLine(std::string_view name, const TracedCall& call);

struct GenerateOptions {
  SeccompVerdict default_verdict{SeccompAction::kKillProcess, 0};
  // Empty: the profile names none, which is the machine's own, or that and the other ABIs of the trace.
  std::vector<SeccompArch> architectures;
  // Conditions on what was seen of socket's domain, clone's flags, ioctl's request and prctl's option, by their low 32
  // bits (the kernel looks at no more); for calls of which every trace has the values, at most 64 of them. clone3,
  // whose flags are in memory, is then not there (ENOSYS): callers go on with clone, as they did in the trace.
  bool arguments = false;
};

// Several traces, of the same architecture, as one: an argument's values are kept where all traces with that call have
// them. An error where a name has two numbers.
Result<Trace> MergeTraces(std::span<const Trace> traces);

// Rules in one list without conditions, then one rule a call and value, all sorted by name: a function of what was
// seen, not of how often or in which order.
SeccompProfile GenerateSeccomp(const Trace& trace, const GenerateOptions& options);
// What was seen and such a profile may not let be done, a sentence each; empty as a rule.
std::vector<std::string> GenerateLosses(const Trace& trace, const GenerateOptions& options);

}  // namespace nucleus::policy
