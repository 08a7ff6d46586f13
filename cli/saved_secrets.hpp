// Secrets of a plan that was saved: whoever saved it may not have been able to read them, or the key of their digests.
#pragma once

#include "cli/console.hpp"
#include "cli/converge.hpp"

namespace nucleus::cli {

// Puts the digests of secrets, as they are now, into what a goal wants: where one has changed since a plan was saved,
// the plan is another one now, and refused. What was not seen then is left out, so that the plan is the same.
void PinSecrets(Console& console, const Directories& directories, const World& world, Goal& goal);

// Once the plan is found to be the one that was saved: true where what was left out is in the goal now, which has to be
// planned again to be recorded with it.
bool SeeSecrets(const Directories& directories, const World& world, Goal& goal);

// Whether two plans do the same to the machine, whatever they write down besides.
bool SameDeeds(const reconcile::Plan& a, const reconcile::Plan& b);

}  // namespace nucleus::cli
