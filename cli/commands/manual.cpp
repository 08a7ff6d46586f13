#include "cli/manual.hpp"

#include "cli/commands/commands.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

Result<int> RunManual(Context& context) {
  const std::string format = context.arguments.Operand(0);
  if (format.empty() || format == "man") {
    context.console.Out(ManualPage());
  } else if (format == "markdown") {
    context.console.Out(CommandsMarkdown());
  } else {
    return UsageFault(context, "unknown format '" + format + "'", "man or markdown");
  }
  return exit_code::kDone;
}

}  // namespace nucleus::cli
