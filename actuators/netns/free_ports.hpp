// Ports of the machine that are to be published by sockets, and that somebody outside may be about to give up: no step
// of an apply waits for another one's here.
//
// In the network namespace of the calling thread. Any thread.
#pragma once

#include <chrono>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

// Waits until nobody has any of them, and no longer than so. Errors: kConflict, of the first that somebody has;
// kInterrupted where a signal that asks for an end, or for something else, is held back.
Result<> AwaitFree(const std::vector<spec::PortForward>& ports, std::chrono::milliseconds patience);

}  // namespace nucleus::netns
