// Help texts, from the tables of definitions.hpp. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cli/definitions.hpp"

namespace nucleus::cli {

std::string HelpOverview();
std::string HelpOf(const Command& command);
// The commands of a group ("compose"); empty where there is no such group.
std::string HelpOfGroup(std::string_view group);

// "nucleus apply [options] [PLAN]"
std::string UsageLine(const Command& command);
// "-f, --file FILE"
std::string OptionSyntax(const Option& option);
// The summary, with choices and what holds where the option is not given.
std::string OptionText(const Option& option);
// Breaks at blanks; every line begins with `indent` blanks.
std::string Wrapped(std::string_view text, std::size_t indent, std::size_t width = 100);

}  // namespace nucleus::cli
