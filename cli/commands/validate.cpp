#include <algorithm>

#include "cli/listing_json.hpp"
#include "cli/session.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

Result<int> RunValidate(Context& context) {
  if (!context.arguments.Has("file")) return UsageFault(context, "needs -f FILE");
  if (context.arguments.Value("output") == "json") {
    spec::Loaded loaded = spec::Load(context.arguments.Values("file"), OutsideOfFiles());
    AddProblems(context.arguments, DirectoriesOf(context.arguments), loaded);
    if (!std::ranges::all_of(loaded.problems, &spec::Problem::warning)) loaded.topology.reset();
    const std::vector<std::string> order =
        loaded.ok() ? spec::StartOrder(*loaded.topology) : std::vector<std::string>{};
    context.console.Out(ValidateJson(loaded.ok() ? loaded.topology->name : "", loaded.ok(), order, loaded.problems));
    return loaded.ok() ? exit_code::kDone : exit_code::kError;
  }
  const spec::Topology topology = TRY(LoadFiles(context));
  const auto count = [](std::size_t n, std::string_view what) {
    return std::to_string(n) + " " + std::string(what) + (n == 1 ? "" : "s");
  };
  context.console.Out(topology.name + ": valid: " + count(topology.services.size(), "service") + ", " +
                      count(topology.networks.size(), "network") + ", " + count(topology.volumes.size(), "volume") +
                      "\n");
  std::string order;
  for (const std::string& name : spec::StartOrder(topology)) order += (order.empty() ? "" : " → ") + name;
  if (!order.empty()) context.console.Out("order of start: " + order + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
