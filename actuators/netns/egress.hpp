// The egress rules of the network namespace that the calling thread is in: state/parts/egress_model.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actuators/netns/netlink.hpp"
#include "spec/core/error.hpp"
#include "state/parts/firewall_model.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

struct Egress {
  bool present = false;
  bool dormant = false;
  Facts facts;                                 // EgressFacts()
  FirewallState state;                         // where it was listed
  [[nodiscard]] std::uint64_t Denied() const;  // packets
};

// Costs microseconds where there are none. listed: with the facts of each rule. Only where rules are wanted: there
// nobody inside may make any, and elsewhere a ruleset that somebody hostile has made would be read as a whole.
Result<Egress> ReadEgress(bool listed, Netlink::Buffer* lent = nullptr);

// Whether they failed for what this machine has not: libnftables, or what the kernel makes such rules of. Whatever may
// be otherwise at the next try, memory say, does not count.
bool CannotBeHad(const Error& error);

// That rules which may lack could not be had is remembered as the alias of lo, which goes with the namespace; of these
// rules, so that others are tried.
std::string LackMark(const EgressWanted& wanted, std::string_view why);
// Why, of a mark of these rules.
std::optional<std::string> ReadLackMark(const EgressWanted& wanted, std::string_view alias);
bool IsLackMark(std::string_view alias);  // of whichever rules

}  // namespace nucleus::netns
