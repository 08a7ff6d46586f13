// Who a packet on a bridge may say it is from, as plain data: a project's nftables table of family bridge, beside its
// firewall, and how it reads as facts. A workload that keeps CAP_NET_RAW writes its own headers; nothing else would
// keep it from another's address.
//
// Every port of the project's bridges has entries that say which hardware address and which address are its service's.
//   prerouting  What comes in by such a port goes to the checks, before the bridge learns where a hardware address is.
//   sources     IPv4 passes with the port's own two addresses; ARP, where frame and sender both have them; IPv6 with
//   the
//               service's address or the link-local one of its hardware address, and what it tells neighbours of itself
//               only. All else is counted and dropped, other protocols too.
// What the host itself sends does not come by. Nor do frames to the bridge group's addresses, which lead nowhere, and
// which bridges of ours do not learn from (actuators/netns/links.hpp). Sets, not a rule for each port: two look-ups a
// frame however many there are.
//
// An entry has to outlive its link: a service that is being stopped is still checked, and still served. So who replaces
// the table hands over the entries of links that are still there; a set of their own, `leaving`, says which. Nothing is
// told of them in the facts as long as the link is there, and whoever removes it takes them away:
// actuators/netns/leaving.hpp. Pure; no I/O.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "state/parts/firewall_model.hpp"

namespace nucleus {

inline constexpr std::string_view kSpoofFact = "sources";  // what the names of its facts begin with
inline constexpr std::string_view kSpoofCounter = "forged";
// Its sets; the first one has the names of ports, and what all elements begin with are such names.
inline constexpr std::array<std::string_view, 5> kSpoofSets{"ports", "ipv4", "ipv6", "targets", "leaving"};
inline constexpr std::string_view kSpoofLeaving = kSpoofSets.back();

// The elements of its sets: set -> element, as nft(8) lists it, a blank on either side of a dot: "nv01 . 02:6e:…
// . 10.1.0.2".
using SpoofEntries = std::vector<std::pair<std::string, std::string>>;
// The port that an element is about.
std::string_view PortOf(std::string_view element);

// Whether there is such a table at all: somebody has to be on the networks.
bool ChecksSources(const FirewallWanted& wanted);

// What is to be observed once it is there, and what is as facts. leaving: ports of which nothing is told.
FirewallState ExpectedSpoof(const FirewallWanted& wanted);
Facts SpoofFacts(const FirewallState& state, const std::set<std::string_view>& leaving = {});
std::set<std::string_view> PortsOf(const FirewallWanted& wanted);

// The commands for nft(8) that put the table in the place of what has its name; part of the firewall's transaction.
// kept: entries of links that are on their way out, but those of `leaving`, which follow. Only where ChecksSources().
std::string SpoofTransaction(const FirewallWanted& wanted, const SpoofEntries& kept);
// And those that take it away, where it is there.
std::string NoSpoofTransaction(std::string_view table);

}  // namespace nucleus
