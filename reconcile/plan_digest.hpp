// What tells one plan from another. Pure.
#pragma once

#include "reconcile/plan.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::reconcile {

// Over all of it but the texts for people: what Plan::digest is.
Digest DigestOf(const Plan& plan);

// What is to be done, and about what: not the revision that it starts from, which every try moves on, but what was seen
// instead of what is to be. Another thing that is wrong in the same place is another one.
Digest WorkDigestOf(const Plan& plan);

}  // namespace nucleus::reconcile
