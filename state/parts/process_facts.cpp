#include "state/parts/parts.hpp"

namespace nucleus {

Facts ExpectedFacts(const ProcessWanted& wanted) {
  Facts facts = {{"state", "running"},
                 {"supervisor", "running"},
                 {"digest", wanted.digest.Hex()},
                 {"policy", wanted.policy_digest.Hex()},
                 {"frozen", "0"}};
  if (!wanted.cgroup.empty()) facts["cgroup"] = wanted.cgroup;
  if (!wanted.netns.empty()) facts["network namespace"] = kPinnedNamespace;
  for (const auto& [destination, digest] : wanted.files) facts["file:" + destination] = digest;
  return facts;
}

}  // namespace nucleus
