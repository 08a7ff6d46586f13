// SIGINT, SIGTERM and SIGHUP as a flag: what runs is finished, nothing new begins. A second one ends the process at
// once. signal(7), sigaction(2).
#pragma once

#include <atomic>

namespace nucleus::cli {

// Also makes SIGPIPE harmless: `nucleus apply | head` must not kill an apply between two steps. All by handlers, not by
// SIG_IGN, which programs started from here would inherit.
void CatchSignals();

// Set once one of them has come.
const std::atomic<bool>& Interrupted();
// Which one was the first; 0: none.
int InterruptedBy();

}  // namespace nucleus::cli
