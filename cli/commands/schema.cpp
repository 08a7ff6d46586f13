#include "cli/commands/commands.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

Result<int> RunSchema(Context& context) {
  context.console.Out(spec::JsonSchema());
  return exit_code::kDone;
}

}  // namespace nucleus::cli
