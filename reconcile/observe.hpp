// Asks the probers, each once for all of its parts, at the same time. Reads only.
#pragma once

#include <map>
#include <string>

#include "reconcile/plan.hpp"
#include "spec/core/error.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::reconcile {

// `wanted` is what a planner lends: it is parted among the probers, and is whole again afterwards. The answer has every
// part that was asked for, and what is owned beyond them.
Result<Observations> Observe(const std::string& project, std::map<PartKey, Wanted>& wanted,
                             const std::map<Part, Prober*>& probers);

}  // namespace nucleus::reconcile
