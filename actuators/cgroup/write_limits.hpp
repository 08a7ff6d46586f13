// Brings the limits of an existing group to what is wanted, with processes in it.
#pragma once

#include <string>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::cgroup {

// Writes only what differs; a limit that is not wanted any more goes back to what a new group has.
Result<> WriteLimits(const std::string& directory, const Facts& wanted);
// Of a group that was just made, which has what a new group has.
Result<> WriteFirstLimits(const std::string& directory, const Facts& wanted);

// One write: a file of the group and what goes into it.
struct LimitWrite {
  std::string fact;  // "memory.max", "io.max:8:0"
  std::string value;
  bool operator==(const LimitWrite&) const = default;
};

// The writes from what is to what is wanted, in an order in which no moment is stricter than both: memory.max is raised
// before memory.high and lowered after it; the rest as the table of limits.hpp has it. Pure.
std::vector<LimitWrite> PlanWrites(const Facts& current, const Facts& wanted);

}  // namespace nucleus::cgroup
