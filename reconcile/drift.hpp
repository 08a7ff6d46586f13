// What a fact of a part that is not as it should be calls for, and how it is told. Pure; internal to the planner.
#pragma once

#include <string>
#include <string_view>

#include "reconcile/diff.hpp"
#include "reconcile/model.hpp"

namespace nucleus::reconcile {

struct Cure {
  Remedy remedy;
  Action action;
};
// takes_signal: the workload reads its files anew when it is told to.
Cure CureFor(Part part, const FactChange& change, bool takes_signal);

// Of a part that is missing; and of one that changes because something it is made from has changed.
std::string_view AbsentWords(Part part);
std::string_view FollowedWords(Part part);
// Of a fact that differs.
std::string DriftWords(Part part, const FactChange& fact);

}  // namespace nucleus::reconcile
