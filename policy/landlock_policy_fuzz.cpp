// Any text as a Landlock policy: read or refused with places; what is read has absolute paths, each once, and never
// lets anything be executed that does not say so.
#include <cstdlib>
#include <set>

#include "policy/landlock_policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::policy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = ReadLandlockPolicy(text, "l.toml");
  if (!read.policy && read.problems.empty()) std::abort();
  for (const auto& problem : read.problems) {
    if (problem.message.empty() || problem.line == 0 || problem.column == 0) std::abort();
  }
  if (!read.policy) return 0;
  std::set<std::string> paths;
  for (const auto& rule : read.policy->rules) {
    if (!rule.path.starts_with('/') || rule.access == 0 || !paths.insert(rule.path).second) std::abort();
    if ((rule.access & ~read.policy->handled_fs) != 0) std::abort();
    const bool may_execute =
        text.find("execute") != text.npos || text.find("all") != text.npos || text.find('\\') != text.npos;
    if ((rule.access & 1) != 0 && !may_execute) std::abort();
  }
  for (std::uint32_t abi = 0; abi < 9; ++abi) static_cast<void>(LandlockLosses(*read.policy, abi));
  if (read.policy->ToLandlock(true).rules.size() != read.policy->rules.size()) std::abort();
  return 0;
}
