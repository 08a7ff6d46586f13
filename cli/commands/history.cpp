#include <algorithm>

#include "cli/listing_json.hpp"
#include "cli/nearest.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

Result<int> RunHistory(Context& context) {
  state::Store store = TRY(OpenToRead(context.arguments));
  const std::string project = context.arguments.Operand(0);
  // The history of a project outlives it: only one that has none is unknown.
  const auto revisions = TRY(store.Revisions(project));
  if (revisions.empty()) TRY(KnownProject(store, project));
  const bool running = state::ProjectLock::IsHeld(TRY(DirectoriesOf(context.arguments)), project);
  if (context.arguments.Value("output") == "json") {
    context.console.Out(HistoryJson(project, revisions, running));
    return exit_code::kDone;
  }
  std::vector<std::vector<std::string>> table{{"REVISION", "TIME", "STATE", "PLAN", "SUMMARY"}};
  constexpr std::size_t kShownDigits = 12;
  for (const state::RevisionRow& row : revisions) {
    table.push_back({std::to_string(row.number), LocalTime(row.time_ms),
                     std::string(RevisionStateName(row, revisions, running)),
                     "sha256:" + row.plan_digest.substr(0, kShownDigits), row.summary});
  }
  context.console.Out(TableText(table));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
