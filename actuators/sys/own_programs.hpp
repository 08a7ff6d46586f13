// The programs that belong to the one that is running.
#pragma once

#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus::sys {

// Beside this program, else ../libexec/nucleus/NAME. kNotFound.
Result<std::string> ProgramOfOurs(std::string_view name);

}  // namespace nucleus::sys
