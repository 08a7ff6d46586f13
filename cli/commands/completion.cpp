#include "cli/completion.hpp"

#include "cli/commands/commands.hpp"
#include "cli/session.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

Result<int> RunCompletion(Context& context) {
  const auto script = CompletionScript(context.arguments.Operand(0));
  if (!script) return UsageFault(context, "unknown shell '" + context.arguments.Operand(0) + "'", "bash, zsh or fish");
  context.console.Out(*script);
  return exit_code::kDone;
}

// Asked at every press of the Tab key: the store only, no kernel object is looked at.
Result<int> RunComplete(Context& context) {
  const std::string what = context.arguments.Operand(0);
  state::Store store = TRY(OpenToRead(context.arguments));
  for (const std::string& project : TRY(store.Projects())) {
    if (what == "projects") {
      context.console.Out(project + "\n");
    } else if (what == "services") {
      const auto row = TRY(store.LoadProject(project));
      if (!row) continue;
      for (const auto& resource : row->resources) {
        if (resource.address.kind == Kind::kService) context.console.Out(project + "/" + resource.address.name + "\n");
      }
    }
  }
  return exit_code::kDone;
}

}  // namespace nucleus::cli
