// What is asked before a convergence changes anything, but by a person: whether all could be seen, who is started could
// be, and what is published is free.
#pragma once

#include "cli/convergence.hpp"

namespace nucleus::cli {

// Tells what is wrong; quietly, the error says it. patience: for what somebody who was killed has left, which is taken
// away. Verifies root file systems whole: ends early, with nothing said of these, where it is interrupted.
Result<> CheckMayStart(const Work& work, const LockPatience& patience);

}  // namespace nucleus::cli
