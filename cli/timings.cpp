#include "cli/timings.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

#include "cli/table.hpp"
#include "reconcile/explain.hpp"

namespace nucleus::cli {

namespace {

std::string Milliseconds(Timings::Took took) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", static_cast<double>(took.count()) / 1e3);
  return text.data();
}

}  // namespace

void Timings::On(const reconcile::Plan& plan, const reconcile::Event& event) {
  if (event.type != reconcile::Event::Type::kStepDone) return;
  const reconcile::Step& step = plan.steps[event.step];
  std::string kind(reconcile::VerbName(step.verb));
  std::ranges::replace(kind, '_', ' ');
  steps_[kind + " " + std::string(PartName(step.key.part))].push_back(event.took);
}

std::string Timings::Text() const {
  std::vector<std::vector<std::string>> phases{{"PHASE", "TOOK"}};
  for (const auto& [name, took] : phases_) phases.push_back({std::string(name), Milliseconds(took)});
  std::vector<std::vector<std::string>> steps{{"STEPS", "COUNT", "SUM", "MEDIAN", "LONGEST"}};
  for (auto [kind, each] : steps_) {
    std::ranges::sort(each);
    steps.push_back({kind, std::to_string(each.size()),
                     Milliseconds(std::accumulate(each.begin(), each.end(), Took{0})),
                     Milliseconds(each[each.size() / 2]), Milliseconds(each.back())});
  }
  return TableText(phases) + (steps_.empty() ? "" : "\n" + TableText(steps));
}

}  // namespace nucleus::cli
