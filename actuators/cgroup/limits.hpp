// The limits of a control group, as facts: interface file -> what the kernel prints (Documentation/admin-guide/
// cgroup-v2.rst), and for io.max one fact a device, "io.max:8:0" -> "rbps=1048576 wbps=max riops=max wiops=max".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::cgroup {

// An interface file that is ours to set, and what it says in a new group.
struct LimitFile {
  std::string_view name;
  std::string_view controller;
  std::string_view standard;
};

inline constexpr std::string_view kIoMax = "io.max";
inline constexpr std::string_view kIoPrefix = "io.max:";
inline constexpr std::string_view kIoStandard = "rbps=max wbps=max riops=max wiops=max";

// In the order in which they are written where nothing else decides.
std::span<const LimitFile> LimitFiles();
// The controller of a limit's fact: "memory" for "memory.max". None for what is no limit we know.
std::optional<std::string_view> ControllerOf(std::string_view fact);

// "8:0 rbps=1 wbps=max riops=max wiops=max\n..." -> {"io.max:8:0": "rbps=1 ..."}. Values in the order above whatever
// the order of the text; keys that the kernel adds one day are left out.
Facts ParseIoMax(std::string_view text);

// What the group in `directory` has: all that `wanted` names, and all that is not as in a new group. A file that is not
// there (no controller) has no fact. Vanishing meanwhile is an empty answer.
// controllers: those that are enabled there, where that is known; the others' files need not be looked for.
Result<Facts> ReadLimits(const std::string& directory, const Facts& wanted,
                         const std::optional<std::vector<std::string>>& controllers = std::nullopt);

}  // namespace nucleus::cgroup
