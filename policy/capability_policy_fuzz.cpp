// Any text as a capability policy: read or refused with places; what is read contradicts nothing and writes as it
// reads.
#include <cstdlib>

#include "policy/capability_policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::policy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = ReadCapabilityPolicy(text, "c.toml", size % 2 == 0);
  if (!read.sets && read.problems.empty()) std::abort();
  for (const auto& problem : read.problems) {
    if (problem.message.empty() || problem.line == 0 || problem.column == 0) std::abort();
  }
  if (!read.sets) return 0;
  if (!CapabilityContradictions(*read.sets).empty()) std::abort();
  const auto again = ReadCapabilityPolicy(CapabilityPolicyToml(*read.sets), "c.toml", size % 2 == 0);
  if (!again.sets || *again.sets != *read.sets) std::abort();
  return 0;
}
