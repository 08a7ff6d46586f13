// Any text as a seccomp profile: it is read or refused with places; what is read writes as it reads, and resolves, if
// it does, the same from what was written.
#include <cstdlib>

#include "policy/seccomp_report.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::policy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = ReadSeccompProfile(text, "p.json");
  if (!read.profile && read.problems.empty()) std::abort();
  for (const auto& problem : read.problems) {
    if (problem.message.empty() || problem.line == 0 || problem.column == 0) std::abort();
  }
  if (!read.profile) return 0;
  const auto again = ReadSeccompProfile(SeccompProfileJson(*read.profile), "p.json");
  if (!again.profile || *again.profile != *read.profile) std::abort();
  const SeccompInputs inputs{.capabilities = size, .allow = {"mount"}};
  const auto resolved = ResolveSeccomp(*read.profile, inputs);
  const auto resolved_again = ResolveSeccomp(*again.profile, inputs);
  if (resolved.profile != resolved_again.profile) std::abort();
  if (!resolved.profile) return 0;
  if (!DiffSeccomp(*resolved.profile, *resolved_again.profile).empty()) std::abort();
  if (ExplainText(*resolved.profile).empty() || ExplainJson(*resolved.profile).empty()) std::abort();
  return 0;
}
