#include <algorithm>

#include "cli/converge.hpp"
#include "cli/session.hpp"
#include "spec/load.hpp"
#include "spec/refresh.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

Result<int> RunRollback(Context& context) {
  const std::string project = context.arguments.Operand(0);
  const auto number = ParseUnsigned(context.arguments.Operand(1));
  if (!number) return UsageFault(context, "'" + context.arguments.Operand(1) + "' is not a revision");
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  Goal goal;
  {
    state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
    const auto revisions = TRY(store.Revisions(project));
    if (revisions.empty()) TRY(KnownProject(store, project));
    const auto found = std::ranges::find(revisions, *number, &state::RevisionRow::number);
    if (found == revisions.end()) {
      return Fail(Error::Of(ErrorCode::kNotFound, "", project, "has no revision " + std::to_string(*number))
                      .Hint("`nucleus history " + project + "` lists them"));
    }
    spec::Topology topology = TRY(spec::FromJson(found->spec_json));
    const bool nothing = topology.services.empty() && topology.networks.empty() && topology.volumes.empty();
    for (const std::string& line : spec::TakeContentsAsTheyAre(topology, OutsideOfFiles())) {
      context.console.Warn(line);
    }
    if (!nothing) goal.desired = std::move(topology);  // the revision of a destroy is that there is nothing
  }
  goal.project = project;
  goal.options = TRY(PlanOptionsOf(context.arguments));
  return Converge(context, std::move(goal));
}

}  // namespace nucleus::cli
