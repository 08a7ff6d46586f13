// Resource limits of a service as files of its cgroup, spelt as the kernel prints them; cgroups(7),
// Documentation/admin-guide/cgroup-v2.rst. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "state/parts/parts.hpp"

namespace nucleus::reconcile {

struct Limits {
  Facts files;                           // "memory.max" -> "536870912"
  std::vector<std::string> unavailable;  // keys of the file that ask for a controller the machine has not
};

// Every limit of an available controller is there, with the kernel's default where none is asked for, so that taking a
// limit away works live. Devices are named only where they are asked for:
// the cgroup's actuator takes away limits of all others.
Limits LimitsOf(const spec::Service& service, const std::vector<std::string>& controllers);

// Of one that is not held; production does not go on without. what: "service.web memory".
inline constexpr std::string_view kNoController = "this machine has no cgroup2 controller for it";
Error NotHeld(std::string_view what);

}  // namespace nucleus::reconcile
