// Keys of a service given as options of `run`: --memory 512M is memory = "512M". The same codecs and the same checks as
// for a file; a problem names the option instead of a place in a file.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/load.hpp"

namespace nucleus::spec {

struct GivenFlag {
  std::string name;                 // "memory", "health-cmd": without the dashes in front
  std::vector<std::string> values;  // none: a switch
  bool list = false;                // may be repeated, each value is an item
};

// A topology called `project` with one container called `name`, in agent mode unless the flags say otherwise. Relative
// paths mean what they mean in the working directory.
Loaded LoadFlags(const std::string& project, const std::string& name, std::span<const GivenFlag> flags,
                 const std::vector<std::string>& command, const Outside& outside);

// "--swap" of the key memory_swap; what is no option is called as in the usage, "COMMAND".
std::string FlagOf(std::string_view key);

// Says a problem in the words of a command line, wherever it was found: no place in a file, options in the place of
// keys.
void SayAsFlags(Problem& problem);

}  // namespace nucleus::spec
