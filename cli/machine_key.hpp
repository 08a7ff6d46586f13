// A key of this machine, beside the state, which its owner alone reads: with it, what was written here is known again.
#pragma once

#include <optional>
#include <string>

#include "spec/core/names.hpp"

namespace nucleus::cli {

// Made where there is none. None: it may not be read or made, or others could have read or written it.
std::optional<std::string> MachineKey(const Directories& directories);

}  // namespace nucleus::cli
