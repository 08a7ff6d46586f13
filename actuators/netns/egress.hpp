// The egress rules of the network namespace that the calling thread is in: state/parts/egress_model.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

struct Egress {
  bool present = false;
  Facts facts;               // EgressFacts()
  std::uint64_t denied = 0;  // packets
};

// Costs microseconds where there are none. listed: with the facts of each rule. Only where rules are wanted: there
// nobody inside may make any, and elsewhere a ruleset that somebody hostile has made would be read as a whole.
Result<Egress> ReadEgress(bool listed);

// Why this machine can have no egress rules, as libnftables and the kernel say: some are made in a network namespace
// that is gone afterwards. None: it can; or nobody could be asked, or may make such a namespace.
std::optional<std::string> WhyNoEgressRules();

}  // namespace nucleus::netns
