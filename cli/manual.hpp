// The manual page and docs/commands.md, from the tables of definitions.hpp. Pure.
#pragma once

#include <string>

namespace nucleus::cli {

std::string ManualPage();        // man(7) macros, nucleus.1
std::string CommandsMarkdown();  // docs/commands.md

}  // namespace nucleus::cli
