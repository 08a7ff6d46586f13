// A plan in a file: what was wanted, with which options, and what the decision rested on, so that `apply PLAN` can plan
// anew and run exactly that plan, or refuse and say what is different.
//
// The file is JSON with a format_version. It holds what the desired state holds (environment values too): written 0600.
// Decode trusts nothing: a wrong document is kCorrupt, one of another version kUnsupported.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/plan.hpp"
#include "reconcile/planner.hpp"

namespace nucleus::reconcile {

struct SavedPlan {
  std::string project;
  std::vector<std::string> sources;       // absolute paths the desired state was read from; empty: it came by stdin
  std::optional<spec::Topology> desired;  // none: everything is to go
  Options options;                        // but for the directories: those of the machine that applies it
  std::uint64_t base_revision = 0;
  Observations seen;  // presence and facts; notes are not kept, they decide nothing
  Digest digest;
  std::string document;  // PlanJson of the plan, for showing it
};

std::string Encode(const SavedPlan& saved);
Result<SavedPlan> DecodeSavedPlan(std::string_view text);
// Whether a text looks like one of these files at all, so that `show` can tell a plan from a name.
bool LooksLikeSavedPlan(std::string_view text);

// What is there now, to be compared with what a saved plan rested on.
struct Present {
  std::uint64_t revision = 0;
  const spec::Topology* desired = nullptr;  // the sources as they read now; null: not read again
  const Observations* seen = nullptr;
  const Plan* plan = nullptr;  // the same question planned now; null: planning failed
};

// Every difference in a line each: "service.web: memory 512M → 1G in the file since", "service.db/cgroup: memory.max
// ...". Empty: the plan is not stale.
std::vector<std::string> StaleBecause(const SavedPlan& saved, const Present& present);

}  // namespace nucleus::reconcile
