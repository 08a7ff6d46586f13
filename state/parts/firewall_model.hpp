// The firewall of a project as plain data: which chains and rules its nftables table has, and how they read as facts.
//
// One model serves three readers: the actuator prints it as one transaction, ExpectedFacts() turns it into the facts a
// perfect table would be observed to have, and the prober turns the kernel's listing into the same shape. So a rule is
// written down once, in the spelling that nft(8) lists it in. Pure; no I/O.
//
// What the rules do, chain by chain:
//   guard        Packets to or from 127.0.0.0/8 that arrive over a bridge are dropped. A bridge has route_localnet set,
//                so that the answers to a port published on 127.0.0.1 find their way; without the guard a container
//                could talk to everything that listens on the host's loopback.
//   forward      A network without a way out is closed both ways. Containers on one bridge reach each other; what else
//                comes from a network has an address of it, which is asked of every packet, in a chain for each
//                network. Answers, and what was sent to a published port, pass: a packet of a connection comes by five
//                rules, or three where it is none of ours, however many networks there are; seen with 20 of them, rules
//                one after the other took a fifth of all that a small packet takes of a processor. Nothing else enters
//                a bridge, and no bridge leads into another one of nucleus, of this project or any other. Out goes only
//                what has an address of the network, and belongs to a connection: the kernel translates no other
//                packet, and it would leave under the address it has here. IPv6 goes by the same rules where a network
//                has it; loopback needs no guard there: the kernel drops ::1 on a wire.
//   input        A network without a way out does not lead to the host itself either, whatever address of the host's is
//                asked for: only answers to what the host has asked come in. From other networks the host's own
//                firewall decides, as it does for whoever else reaches the host.
//   prerouting   Ports published to the outside and to containers. A port published on a loopback address has no rule
//                here: a neighbour on the wire could send a packet addressed to 127.0.0.1, and address translation
//                comes before the kernel's check for such Martians.
//   output       The same ports for the host itself.
//   received     What comes from a network, and
//   sent         what goes into one, by a connection that was translated on its way in, goes by the chain `ports`: the
//                port that it came by is still published for that address, or the packet is dropped. Translation is
//                decided by the first packet alone, so a connection would outlive its port else.
//   postrouting  Masquerading: of what leaves a network (not of IPv6 addresses that the world can answer to); of a
//                container that comes back to its own network through a published port (the answer would else go
//                straight back on the bridge, untranslated); of loopback sources; and of everything that reaches a
//                network without a way out, whose services have no route back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/parts/parts.hpp"

namespace nucleus {

struct FirewallChain {
  std::string_view name;
  std::string_view type = {};  // "filter", "nat"
  std::string_view hook = {};  // "": none, other chains lead there
  int priority = 0;
  std::string_view policy = "accept";
};

struct FirewallRule {
  std::string chain;
  std::string name;  // the fact's name: "rule forward front isolation", "port service.web 127.0.0.1:8080/tcp"
  std::string text;  // as nft lists it, without the comment
  bool operator==(const FirewallRule&) const = default;
};

// A table as it is or should be.
struct FirewallState {
  std::string comment;                        // without the forwarding mark
  std::optional<std::string> ip_forward;      // the sysctl's value, where the table says that it needs forwarding
  std::optional<std::string> ip6_forward;     // net.ipv6.conf.all.forwarding, the same
  std::map<std::string, std::string> chains;  // name -> "filter prerouting -300 accept"
  std::vector<FirewallRule> rules;            // in the order of the listing
  std::vector<std::pair<std::string, std::string>> elements;  // set -> element: "nv01 . 02:6e:0a:00:00:01 . 10.0.0.1"
  std::vector<std::string> others;                            // besides chains and rules: "set foo"
  std::map<std::string, std::uint64_t> counters;              // name -> packets; told, not compared
  bool reordered = false;  // rules of one chain are not in the order they were made in
};

// At most this many bytes in the comment of a table or rule; NFTNL_UDATA_COMMENT_MAXLEN.
inline constexpr std::size_t kFirewallCommentMax = 128;

// In the order in which they are made. Their names are views into what is wanted.
std::vector<FirewallChain> FirewallChains(const FirewallWanted& wanted);
std::vector<FirewallRule> FirewallRules(const FirewallWanted& wanted);
// Whether the host has to forward packets between links for it.
bool NeedsForwarding(const FirewallWanted& wanted);
bool NeedsForwarding6(const FirewallWanted& wanted);

// What is to be observed once it is there, and both sides as facts.
FirewallState ExpectedFirewall(const FirewallWanted& wanted);
Facts FirewallFacts(const FirewallState& state);

// The comment of a rule says its place in the table and its name: "3 rule forward front isolation".
std::string RuleComment(std::size_t place, std::string_view name);
struct RuleLabel {
  std::optional<std::size_t> place;  // none: not made by us
  std::string name;
};
RuleLabel ParseRuleComment(std::string_view chain, std::string_view comment);

// The comment of a table: "nucleus:shop", and where it needs forwarding what net.ipv4.ip_forward, or the setting of
// IPv6, was before the first table of nucleus: "nucleus:shop ip_forward_was=0 ip6_forward_was=0".
struct TableLabel {
  std::string comment;
  std::optional<bool> ip_forward_was, ip6_forward_was;
};
std::string TableComment(const TableLabel& label);
TableLabel ParseTableComment(std::string_view comment);

// A chain as it is listed: "filter prerouting -300 accept", and "no hook" where it has none.
std::string ChainText(const FirewallChain& chain);

// A table to be made.
struct TableText {
  std::string_view name;
  std::string_view comment;
  std::string_view objects;  // lines before its chains
  std::span<const FirewallChain> chains;
  std::span<const FirewallRule> rules;
  std::string_view family = "inet";
};
// Its lines of chains; chains that are there already only get the rules.
std::string ChainTexts(std::span<const FirewallChain> chains, std::span<const FirewallRule> rules);
// The commands for nft(8), to be run as one transaction, that put it in the place of what has its name.
std::string ReplaceTable(const TableText& table);
// The same for the table of a project.
std::string FirewallTransaction(const FirewallWanted& wanted, std::string_view table_comment);

}  // namespace nucleus
