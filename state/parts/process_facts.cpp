#include "state/parts/facts.hpp"

namespace nucleus {

void TellFacts(const ProcessWanted& wanted, FactSink& sink) {
  if (!wanted.cgroup.empty()) sink.Fact("cgroup", wanted.cgroup);
  sink.Fact("digest", wanted.digest.Hex());
  for (const auto& [destination, digest] : wanted.files) sink.Fact("file:" + destination, digest);
  sink.Fact("frozen", "0");
  if (wanted.network) sink.Fact(kNetworkHelpFact, DigestOf(*wanted.network).Hex());
  if (!wanted.netns.empty()) sink.Fact("network namespace", kPinnedNamespace);
  sink.Fact("policy", wanted.policy_digest.Hex());
  sink.Fact("state", "running");
  sink.Fact("supervisor", "running");
}

}  // namespace nucleus
