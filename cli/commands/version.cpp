#include "cli/commands/commands.hpp"
#include "cli/listing_json.hpp"

namespace nucleus::cli {

Result<int> RunVersion(Context& context) {
  const bool json = context.arguments.Value("output") == "json";
  context.console.Out(json ? VersionJson(NUCLEUS_VERSION) : "nucleus " NUCLEUS_VERSION "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
