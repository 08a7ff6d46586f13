// What is the whole machine's, whatever runtime directory a nucleus of root's has: fcntl(2), "Open file description
// locks", on bytes of one file in /run. They die with their holder.
#pragma once

#include <cstdint>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

// In this order, where one is taken while another is held.
enum class MachineLock : std::uint8_t {
  kContainers,  // from the choice of a container's subnet until its bridge is there
  kBridges,     // while a bridge is given its addresses
  kFirewall,    // while tables and settings of the machine are changed
};

// Waits for it, for half a minute: kLocked. Held while the descriptor is open. An empty one where there is
// nothing to share: for an ordinary user, whose network is its own, and where /run cannot be written (whoever is
// confined so has the lock of its directory).
Result<Fd> TakeMachineLock(MachineLock which);

}  // namespace nucleus::sys
