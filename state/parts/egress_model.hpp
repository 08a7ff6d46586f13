// What may leave a network namespace, as plain data: the nftables table inside of it, and how it reads as facts.
//
// A chain at the forward hook drops everything. One at the output hook drops what no rule lets through: IPv6, ICMP and
// raw sockets come by it too. In this order:
//   loopback   whatever stays inside
//   answers    to who asked first (a published port), and errors that belong to a connection
//   neighbours where there is IPv6: who has an address, which nobody beyond the link hears; and the kernel's reports of
//              what it listens to, which nobody on it needs, are dropped without being counted
//   resolver   DNS, UDP and TCP, to each configured name server and to no other
//   allowed    each network, where ports are named only these
//   domains    the addresses in a set, which somebody keeps: what names stand for changes. They are no facts. Another
//   one
//              where there is IPv6
//   denied     counted, logged (rate-limited, "nucleus-egress-denied: "), and dropped. By a rule: the policy of a chain
//              that takes another's place comes into force a moment after its rules do (nf_tables_commit()), and the
//              old chain is gone by then
// A connection's own packets are judged by the same rules each time, not let through for being established: what a
// policy no longer allows ends with it. The rules hold for whoever has no CAP_NET_ADMIN and no CAP_NET_RAW there: the
// one changes them, the other's packet sockets go beneath them.
//
// The log is the kernel's, which is silent for namespaces other than the machine's own unless
// net.netfilter.nf_log_all_netns is set; the counter always counts. Pure; no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/parts/firewall_model.hpp"

namespace nucleus {

inline constexpr std::string_view kEgressTable = "nucleus_egress";  // family inet
inline constexpr std::string_view kEgressCounter = "denied";
inline constexpr std::string_view kEgressSet = "domains", kEgressSet6 = "domains6";
inline constexpr std::string_view kEgressFact = "egress";  // what the names of its facts begin with
// Of a network namespace that goes without, as it may: why they could not be had.
inline constexpr std::string_view kEgressLackNote = "egress_lack";

// In the order in which they are made, in the spelling that nft(8) lists them in; FirewallRule::name is the fact's.
std::vector<FirewallRule> EgressRules(const EgressWanted& wanted);

// What is to be observed once it is there, and both sides as facts.
FirewallState ExpectedEgress(const EgressWanted& wanted);
Facts EgressFacts(const FirewallState& state);

// The commands for nft(8), to be run as one transaction inside the namespace, that replace the table.
// denied: what the table that it replaces has counted goes on.
std::string EgressTransaction(const EgressWanted& wanted, std::uint64_t denied = 0);
// And those that replace the rules of a table, as it was seen, whose chains and counter stay: every packet is judged
// and counted by the old rules or by the new ones. None: it is another table than ours, or its chains are not.
std::optional<std::string> EgressRulesTransaction(const EgressWanted& wanted, const FirewallState& seen);
// And those that take it away, whether it is there or not; and its rules alone: then its counter stays as it is.
std::string NoEgressTransaction();
std::string NoEgressRulesTransaction();

}  // namespace nucleus
