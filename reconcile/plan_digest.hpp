// What tells one plan from another. Pure.
#pragma once

#include "reconcile/plan.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::reconcile {

// Over all of it but the texts for people: what Plan::digest is.
Digest DigestOf(const Plan& plan);

// The same but for the revision that it starts from, which every try moves on: what is to be done.
Digest WorkDigestOf(const Plan& plan);

}  // namespace nucleus::reconcile
