// A plan, and what came of it, for machines: one JSON document with format_version, or one event a line.
// format_version grows when a field changes its meaning or goes; new fields may come without that.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "reconcile/executor.hpp"
#include "reconcile/plan.hpp"

namespace nucleus::reconcile {

inline constexpr unsigned kPlanFormat = 1;

// The document of `diff --output json`. One line, with a newline.
std::string PlanJson(const Plan& plan, std::span<const std::string> files);
// The document of several plans: "plans", each as PlanJson has it.
std::string PlansJson(std::span<const Plan> plans);
// The document of `apply --output json`: the plan and its outcome. result: "applied", "unchanged", "failed", ...
// rollback: such a document of the apply that took this one back, or empty.
std::string ApplyJson(const Plan& plan, std::span<const std::string> files, const Outcome& outcome,
                      std::uint64_t revision, std::string_view result, std::string_view rollback = {});

// jsonl: the plan as events (one "plan", one "change" each, one "warning" each) ...
std::string PlanEvents(const Plan& plan, std::span<const std::string> files);
// ... one line an event of the executor ...
std::string StepEvent(const Plan& plan, const Event& event);
// ... and the last line.
std::string FinishedEvent(const Plan& plan, const Outcome& outcome, std::uint64_t revision, std::string_view result);

// Reads the changes and warnings of a PlanJson document back, for showing a saved plan. Steps are not read: a saved
// plan is planned anew before it runs. files receives what Place::file indexes. kCorrupt for anything else.
Result<Plan> PlanFromJson(std::string_view text, std::vector<std::string>& files);

enum class GraphFormat { kDot, kMermaid, kJson };
// The DAG of the steps.
std::string GraphText(const Plan& plan, GraphFormat format);

}  // namespace nucleus::reconcile
