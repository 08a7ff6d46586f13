#include "state/parts/spoof_model.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include "spec/net.hpp"
#include "state/parts/netns_facts.hpp"

namespace nucleus {

namespace {

constexpr std::string_view kSources = "sources";

// A set of the table: what stands in its declaration, and what the kernel lists of it.
struct Set {
  std::string_view name;
  std::string_view declared;
  std::string_view listed;
};
constexpr std::array kSets{
    Set{kSpoofSets[0], "type ifname", "ifname"},
    Set{kSpoofSets[1], "type ifname . ether_addr . ipv4_addr", "ifname,ether_addr,ipv4_addr"},
    Set{kSpoofSets[2], "type ifname . ether_addr . ipv6_addr", "ifname,ether_addr,ipv6_addr"},
    // Older libraries do not know the field by its name: the target of a neighbour advertisement, RFC 4861.
    Set{kSpoofSets[3], "typeof iifname . @th,64,128", "ifname,integer"},
    Set{kSpoofLeaving, "type ifname", "ifname"},
};

// Before the bridge decides anything: nft(8), priorities of the bridge family. A chain that is jumped to has to be
// first.
constexpr std::array kSpoofChains{
    FirewallChain{.name = kSources},
    FirewallChain{.name = "prerouting", .type = "filter", .hook = "prerouting", .priority = -300}};

std::vector<FirewallRule> SpoofRules() {
  std::vector<FirewallRule> rules;
  const auto add = [&](std::string_view chain, std::string_view what, std::string text) {
    rules.push_back({std::string(chain), "rule sources " + std::string(what), std::move(text)});
  };
  const std::string forged = "counter name \"" + std::string(kSpoofCounter) + "\" drop";
  // First what has a tag: behind one of VLAN 0, which whoever receives it takes off, the rules for neighbours see none.
  add(kSources, "kinds", "ether type != { arp, ip, ip6 } " + forged);
  add(kSources, "ipv4", "iifname . ether saddr . ip saddr @ipv4 accept");
  add(kSources, "arp",
      "iifname . ether saddr . arp saddr ip @ipv4 iifname . arp saddr ether . arp saddr ip @ipv4 accept");
  add(kSources, "neighbours", "icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets " + forged);
  add(kSources, "ipv6", "iifname . ether saddr . ip6 saddr @ipv6 accept");
  add(kSources, kSpoofCounter, forged);
  add("prerouting", "of ports", "iifname @ports jump sources");
  return rules;
}

// fe80::/64 and the hardware address: RFC 4291, appendix A.
spec::Ipv6 LinkLocalOf(const MacAddress& mac) {
  return {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(mac[0] ^ 2), mac[1], mac[2], 0xff, 0xfe, mac[3],
           mac[4], mac[5]}};
}

std::string Hex(const spec::Ipv6& address) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "0x";
  for (const auto byte : address.bytes) (text += kDigits[byte >> 4]) += kDigits[byte & 15];
  // As a number is listed: without zeros before it.
  const auto first = std::min(text.find_first_not_of('0', 2), text.size() - 1);
  return text.erase(2, first - 2);
}

SpoofEntries EntriesOf(const FirewallWanted& wanted) {
  SpoofEntries entries;
  for (const auto& [link, address, address6] : wanted.ports) {
    const auto mac = MacOf(address);
    const auto from = link + " . " + Format(mac) + " . ";
    entries.emplace_back(kSpoofSets[0], link);
    entries.emplace_back("ipv4", from + spec::Format(address));
    if (!address6) continue;
    // Who has no address yet asks for it from none.
    entries.emplace_back("ipv6", from + spec::Format(spec::Ipv6{}));
    for (const auto& own : {*address6, LinkLocalOf(mac)}) {
      entries.emplace_back("ipv6", from + spec::Format(own));
      entries.emplace_back("targets", link + " . " + Hex(own));
    }
  }
  return entries;
}

// For nft(8), which wants names of links in quotation marks.
std::string Quoted(const std::string& element) {
  const auto port = PortOf(element);
  return "\"" + std::string(port) + "\"" + element.substr(port.size());
}

std::string SetText(const Set& of, const SpoofEntries& entries) {
  std::string text = "  set " + std::string(of.name) + " {\n    " + std::string(of.declared) + "\n";
  std::string elements;
  for (const auto& [set, element] : entries) {
    if (set == of.name) elements += (elements.empty() ? "" : ", ") + Quoted(element);
  }
  if (!elements.empty()) text += "    elements = { " + elements + " }\n";
  return text + "  }\n";
}

}  // namespace

std::string_view PortOf(std::string_view element) {
  return element.substr(0, element.find(' '));
}

bool ChecksSources(const FirewallWanted& wanted) {
  return !wanted.ports.empty();
}

std::set<std::string_view> PortsOf(const FirewallWanted& wanted) {
  std::set<std::string_view> ports;
  for (const auto& port : wanted.ports) ports.insert(port.link);
  return ports;
}

FirewallState ExpectedSpoof(const FirewallWanted& wanted) {
  FirewallState state;
  for (const auto& chain : kSpoofChains) state.chains.emplace(chain.name, ChainText(chain));
  state.rules = SpoofRules();
  state.others = {"counter " + std::string(kSpoofCounter)};
  for (const auto& set : kSets) state.others.push_back("set " + std::string(set.name) + " " + std::string(set.listed));
  state.elements = EntriesOf(wanted);
  return state;
}

namespace {

// What the sets have of each port, in the order of the ports.
Facts EntryFacts(const SpoofEntries& elements, const std::set<std::string_view>& leaving) {
  std::vector<const SpoofEntries::value_type*> entries;
  entries.reserve(elements.size());
  for (const auto& entry : elements) {
    if (!leaving.contains(PortOf(entry.second))) entries.push_back(&entry);
  }
  std::ranges::sort(entries, {}, [](const auto* entry) {
    return std::tuple<std::string_view, std::string_view, std::string_view>(PortOf(entry->second), entry->first,
                                                                            entry->second);
  });
  Facts facts;
  for (const auto* entry : entries) {
    const auto& [set, element] = *entry;
    const auto port = PortOf(element);
    auto& value = facts[std::string(kSpoofFact) + " of " + std::string(port)];
    if (!value.empty()) value += ", ";
    value += set + element.substr(port.size());
  }
  return facts;
}

}  // namespace

Facts SpoofFacts(const FirewallState& state, const std::set<std::string_view>& leaving) {
  Facts all = FirewallFacts(state);
  all.erase("comment");  // of the table, whose name says enough
  Facts facts;
  const std::string prefix = std::string(kSpoofFact) + " ";
  for (auto& [name, value] : all) facts[name.starts_with("rule sources") ? name : prefix + name] = std::move(value);
  facts.merge(EntryFacts(state.elements, leaving));
  return facts;
}

std::string SpoofTransaction(const FirewallWanted& wanted, const SpoofEntries& kept) {
  auto entries = EntriesOf(wanted);
  entries.insert(entries.end(), kept.begin(), kept.end());
  for (const auto& [set, port] : kept) {
    if (set == kSpoofSets[0]) entries.emplace_back(kSpoofLeaving, port);
  }
  std::string objects = "  counter " + std::string(kSpoofCounter) + " { }\n";
  for (const auto& set : kSets) objects += SetText(set, entries);
  const auto rules = SpoofRules();
  return ReplaceTable({.name = wanted.table,
                       .comment = wanted.comment,
                       .objects = objects,
                       .chains = kSpoofChains,
                       .rules = rules,
                       .family = "bridge"});
}

std::string NoSpoofTransaction(std::string_view table) {
  return "delete table bridge " + std::string(table) + "\n";
}

}  // namespace nucleus
