// What comes last of a convergence that came through.
#pragma once

#include "cli/convergence.hpp"

namespace nucleus::cli {

// The machine is as it was asked to be: nothing is left open, and what is not needed any more is given back. An error:
// it is not, and the convergence has failed.
Result<> Settle(Work& work);

// All that was asked for is there, also where the last apply of it failed: its ports may have been somebody's then.
Result<> Confirm(Work& work);

}  // namespace nucleus::cli
