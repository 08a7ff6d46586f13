#include "cli/manual.hpp"

#include "cli/commands/commands.hpp"
#include "cli/lists.hpp"
#include "cli/session.hpp"
#include "reconcile/key_reference.hpp"

namespace nucleus::cli {

Result<int> RunManual(Context& context) {
  const std::string format = context.arguments.Operand(0);
  if (format.empty() || format == "man") {
    context.console.Out(ManualPage());
  } else if (format == "markdown") {
    context.console.Out(CommandsMarkdown());
  } else if (format == "file-format") {
    context.console.Out(reconcile::KeyReference());
  } else if (format == "lists") {
    context.console.Out(ListsMarkdown());
  } else {
    return UsageFault(context, "unknown format '" + format + "'", "man, markdown, file-format or lists");
  }
  return exit_code::kDone;
}

}  // namespace nucleus::cli
