#include "reconcile/drift.hpp"

#include <algorithm>
#include <array>

#include "state/parts/directory_facts.hpp"

namespace nucleus::reconcile {

namespace {

constexpr Cure kInPlace{Remedy::kApply, Action::kLive};
constexpr Cure kRestart{Remedy::kRemake, Action::kRestart};
constexpr Cure kReload{Remedy::kApply, Action::kSignal};
constexpr Cure kAnew{Remedy::kApply, Action::kRestart};

struct FactRule {
  Part part;
  std::string_view prefix;
  Cure cure;
};
// First match wins. What is in no line is set right in place: links, addresses, limits, rules, modes.
constexpr auto kFactRules = std::to_array<FactRule>({
    {Part::kProcess, "policy", kInPlace},
    {Part::kProcess, "frozen", kInPlace},
    {Part::kProcess, "file:", kReload},
    {Part::kProcess, kNetworkHelpFact, kInPlace},
    {Part::kProcess, "", kRestart},
    {Part::kNetns, "pin", kRestart},    // what is at its place is another namespace than the workload's
    {Part::kDirectory, "type", kAnew},  // what is mounted in the workload is another file system
});

struct PartWords {
  Part part;
  std::string_view absent;
  std::string_view followed;
};
constexpr auto kWords = std::to_array<PartWords>({
    {Part::kBridge, "bridge missing → create", "bridge follows its network"},
    {Part::kFirewall, "nft table missing → restore", "rules follow networks and ports"},
    {Part::kDirectory, "directory missing → create", "directory follows its volume"},
    {Part::kCgroup, "cgroup missing → create", "limits follow the machine's controllers"},
    {Part::kNetns, "network namespace missing → create", "links follow the networks"},
    {Part::kNames, "hosts files missing → create", "names on its networks changed"},
    {Part::kProcess, "not running → start", "its volumes or its network changed"},
});
const PartWords& WordsOf(Part part) {
  return *std::find_if(kWords.begin(), kWords.end(), [&](const auto& words) { return words.part == part; });
}

}  // namespace

Cure CureFor(Part part, const FactChange& change, bool takes_signal) {
  // A link or a file in the place of a volume: no apply repairs it, so nothing is stopped for it.
  if (part == Part::kDirectory && change.seen == kNoDirectory) return kInPlace;
  const auto rule = std::find_if(kFactRules.begin(), kFactRules.end(), [&](const FactRule& candidate) {
    return candidate.part == part && change.name.starts_with(candidate.prefix);
  });
  const Cure cure = rule == kFactRules.end() ? kInPlace : rule->cure;
  return cure.action == Action::kSignal && !takes_signal ? kRestart : cure;
}

std::string_view AbsentWords(Part part) {
  return WordsOf(part).absent;
}
std::string_view FollowedWords(Part part) {
  return WordsOf(part).followed;
}

std::string DriftWords(Part part, const FactChange& fact) {
  const bool differs = fact.seen.has_value() && fact.expected.has_value();
  if (differs && part == Part::kProcess && fact.name == "digest")
    return "it was started with other settings than these";
  if (differs && part == Part::kProcess && fact.name == "policy") return "its supervisor follows other settings";
  if (part == Part::kProcess && fact.name == kNetworkHelpFact) {
    const std::string why = ReadNetworkState(fact.seen.value_or("")).why;
    return std::string(kNetworkHelpFact) + (why.empty() ? " does not do as it was told" : ": " + why) + " → restore";
  }
  if (part == Part::kFirewall && fact.name == kWayOutFact)
    return fact.name + ": " + fact.seen.value_or("down") + " → up";
  constexpr std::string_view kPosture = "posture:";
  if (part == Part::kProcess && fact.seen && fact.name.starts_with(kPosture))
    return "not confined as it was: " + fact.name.substr(kPosture.size()) + " " + *fact.seen + " → restart";
  // What it says is a digest; anything else is why it is no file of ours.
  if (part == Part::kNames && differs && fact.seen->size() < fact.expected->size())
    return fact.name + ": " + *fact.seen + " → restore";
  if (part == Part::kProcess && fact.seen && fact.name.starts_with(kMountedFact))
    return fact.name.substr(kMountedFact.size()) + " is " + *fact.seen + " than the one mounted in it → restart";
  return Describe(fact);
}

}  // namespace nucleus::reconcile
