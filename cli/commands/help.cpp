#include "cli/help.hpp"

#include "cli/commands/commands.hpp"
#include "cli/nearest.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

Result<int> RunHelp(Context& context) {
  const auto& words = context.arguments.operands();
  if (words.empty()) {
    context.console.Out(HelpOverview());
    return exit_code::kDone;
  }
  const std::string name = words.size() > 1 ? words[0] + " " + words[1] : words[0];
  if (const Command* command = FindCommand(name)) {
    context.console.Out(HelpOf(*command));
    return exit_code::kDone;
  }
  if (const std::string group = HelpOfGroup(name); !group.empty()) {
    context.console.Out(group);
    return exit_code::kDone;
  }
  std::vector<std::string_view> known;
  for (const Command& command : Commands()) {
    if (!command.hidden) known.push_back(command.name);
  }
  const auto nearest = Nearest(name, known);
  return UsageFault(context, "unknown command '" + name + "'",
                    nearest ? "did you mean '" + std::string(*nearest) + "'?" : "see `nucleus help`");
}

}  // namespace nucleus::cli
