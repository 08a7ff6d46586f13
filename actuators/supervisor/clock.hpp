// The time, in milliseconds.
#pragma once

#include <time.h>

#include "actuators/process/supervision.hpp"

namespace nucleus::process {

inline Millis Clock(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return static_cast<Millis>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

inline Millis Now() {
  return Clock(CLOCK_MONOTONIC);
}

inline Millis UnixNow() {
  return Clock(CLOCK_REALTIME);
}

}  // namespace nucleus::process
