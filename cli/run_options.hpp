// The options of `run` and `create`: keys of a service with dashes, and the few that are of the command itself.
// Constants only.
#pragma once

#include <span>
#include <string_view>

#include "cli/definitions.hpp"

namespace nucleus::cli {

std::span<const Option* const> RunOptions();
// Whether an option is a key of the service; the others are the command's own.
bool IsKey(const Option& option);

}  // namespace nucleus::cli
