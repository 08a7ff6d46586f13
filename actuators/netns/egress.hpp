// The egress rules of the network namespace that the calling thread is in: state/parts/egress_model.hpp.
#pragma once

#include <cstdint>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

struct Egress {
  bool present = false;
  Facts facts;               // EgressFacts()
  std::uint64_t denied = 0;  // packets
};

// Costs microseconds where there are none.
Result<Egress> ReadEgress();

}  // namespace nucleus::netns
