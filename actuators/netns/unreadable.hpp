// What a prober answers where the kernel would not say.
#pragma once

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

inline Observation Unreadable(const Error& error) {
  Observation observation;
  observation.presence = Presence::kUnreadable;
  observation.detail = error.Message() + (error.hint.empty() ? "" : "; " + error.hint);
  return observation;
}

}  // namespace nucleus::netns
