// Transient units by libsystemd, which is loaded here: org.freedesktop.systemd1(5), sd-bus(3).
#pragma once

#include "actuators/unit/unit_order.hpp"

namespace nucleus::unit {

// Has the manager start it, and waits until that is done: until it says that it is ready, or has ended. A unit of that
// name that is on its way out is waited for.
UnitAnswer StartUnit(const UnitOrder& order);

}  // namespace nucleus::unit
