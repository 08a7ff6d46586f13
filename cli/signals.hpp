// SIGINT, SIGTERM and SIGHUP as a flag: what runs is finished, nothing new begins. A second one ends the process at
// once. signal(7), sigaction(2).
#pragma once

#include <atomic>

#include "spec/core/error.hpp"

namespace nucleus::cli {

// Also makes SIGPIPE harmless: `nucleus apply | head` must not kill an apply between two steps. All by handlers, not by
// SIG_IGN, which programs started from here would inherit.
void CatchSignals();

// The same for who stays: SIGHUP asks it to read its files again, and is no interrupt from here on. A descriptor that
// is readable once any of them has come; it is ours.
Result<int> CatchSignalsToStay();
// Whether SIGHUP has come since this was asked last.
bool TakeReread();

// Set once one of them has come.
const std::atomic<bool>& Interrupted();
// Which one was the first; 0: none.
int InterruptedBy();

}  // namespace nucleus::cli
