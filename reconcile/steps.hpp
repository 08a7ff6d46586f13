// From decisions to steps: a DAG, as data. Pure; internal to the planner.
#pragma once

#include <vector>

#include "reconcile/model.hpp"

namespace nucleus::reconcile {

// In an order that respects `after`, the same for equal models. What the steps want is taken out of the model. Errors:
// kInternal where the edges have a cycle.
Result<std::vector<Step>> MakeSteps(Model& model);

}  // namespace nucleus::reconcile
