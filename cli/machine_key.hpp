// A key of this machine, beside the state, which its owner alone reads: with it, what was written here is known again.
#pragma once

#include <optional>
#include <string>

#include "spec/core/names.hpp"

namespace nucleus::cli {

struct MachineKeyRead {
  std::optional<std::string> key;
  std::string why;  // there is none: what is wrong with its file, and what to do
};
// Made where there is none. No key: it may not be read or made, or others could have read or written it.
MachineKeyRead ReadMachineKey(const Directories& directories);
inline std::optional<std::string> MachineKey(const Directories& directories) {
  return ReadMachineKey(directories).key;
}

}  // namespace nucleus::cli
