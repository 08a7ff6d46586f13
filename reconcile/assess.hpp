// Decides, resource by resource, what differs and what is to be done about each part. Pure; internal to the planner.
#pragma once

#include "reconcile/model.hpp"

namespace nucleus::reconcile {

// Fills reasons and remedies of every resource in scope. The model's order of dependencies is acyclic: the loader saw
// to that.
void Assess(Model& model);

}  // namespace nucleus::reconcile
