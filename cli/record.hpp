// What a plan is about to do becomes the store's, and what it has chosen its project's: others, with the same
// directories or with other ones, may be choosing at the same moment.
#pragma once

#include <cstdint>

#include "actuators/sys/machine_lock.hpp"
#include "cli/convergence.hpp"

namespace nucleus::cli {

// The number of the revision that it begins. Subnets that others were quicker to take are left to them and others
// chosen, in work.plan too, unless this very plan was asked for or kept, or would then do other things than was shown:
// kConflict, here or where the bridge is made. claims: to be kept until bridges have what was chosen.
Result<std::uint64_t> Record(Work& work, sys::AddressClaims& claims);

}  // namespace nucleus::cli
