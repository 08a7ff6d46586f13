// Completion scripts of shells, from the tables of definitions.hpp. Pure. Names that only the machine knows (projects,
// services) are asked for by the scripts with `nucleus __complete`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nucleus::cli {

// bash, zsh or fish; none for another shell.
std::optional<std::string> CompletionScript(std::string_view shell);

}  // namespace nucleus::cli
