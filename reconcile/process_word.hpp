// What a process says of itself, and whether that is its end or passes by itself. Pure; internal to the planner.
#pragma once

#include <string_view>

#include "reconcile/diff.hpp"
#include "reconcile/model.hpp"

namespace nucleus::reconcile {

// "": it is not there, or does not say.
std::string_view FactOf(const PartState& part, std::string_view name);

// Whether what ran there has come to its end, and is not started again: hooks may have to run yet.
bool HasEnded(const PartState& process);
// And with success.
bool EndedWell(const PartState& process);
// Whether its restart policy leaves it at that.
bool StaysEnded(const PartState& process, const spec::Service& service);

// A state that time alone turns into the expected one, or that is the end of a job: nobody is to step in. Its
// supervisor brings it back, but where it is in a crash loop.
bool OnItsWay(const Resource& resource, const PartState& part, const FactChange& fact);

}  // namespace nucleus::reconcile
