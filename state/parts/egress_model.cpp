#include "state/parts/egress_model.hpp"

#include <array>

#include "spec/core/hash.hpp"
#include "spec/net.hpp"

namespace nucleus {

namespace {

constexpr std::string_view kOutput = "output";
constexpr std::string_view kForward = "forward";
constexpr std::string_view kPorts = "ports";  // where packets to an allowed network go if only some ports are

// A chain that is jumped to has to be there first.
constexpr std::array kChains{FirewallChain{.name = kPorts},
                             FirewallChain{.name = kOutput, .type = "filter", .hook = "output", .policy = "drop"},
                             FirewallChain{.name = kForward, .type = "filter", .hook = "forward", .policy = "drop"}};

bool NamesPorts(const EgressWanted& wanted) {
  return !wanted.tcp_ports.empty() || !wanted.udp_ports.empty();
}

std::string Name(std::string_view what) {
  return std::string(kEgressFact) + " " + std::string(what);
}

std::string_view DestinationOf(bool v6) {
  return v6 ? "ip6 daddr " : "ip daddr ";
}

// As nft(8) lists it: all of a family is that, and a single address has no length.
template <class Net>
std::string To(const Net& net, bool v6, int whole) {
  if (net.prefix == 0) return v6 ? "meta nfproto ipv6" : "meta nfproto ipv4";
  return std::string(DestinationOf(v6)) + (net.prefix == whole ? Format(net.base) : Format(net));
}

std::string To(const spec::IpNet& net) {
  if (const auto* v4 = std::get_if<spec::Ipv4Net>(&net)) return To(*v4, false, 32);
  return To(std::get<spec::Ipv6Net>(net), true, 128);
}

// Which names they are belongs to the rule: with another list it is another one, and what the old one let through is
// forgotten. A long list does not fit a comment.
std::string DomainsName(const std::vector<std::string>& domains) {
  constexpr std::size_t kFits = 80;
  std::string all;
  for (const auto& domain : domains) all += (all.empty() ? "" : ",") + domain;
  if (all.size() <= kFits) return "domains " + all;
  return "domains " + std::to_string(domains.size()) + " " + Sha256::Of(all).Hex();
}

// Of addresses, and of what type.
std::vector<std::pair<std::string_view, std::string_view>> Sets(const EgressWanted& wanted) {
  std::vector<std::pair<std::string_view, std::string_view>> sets;
  if (!wanted.domains.empty()) sets.emplace_back(kEgressSet, "ipv4_addr");
  if (!wanted.domains.empty() && wanted.v6) sets.emplace_back(kEgressSet6, "ipv6_addr");
  return sets;
}

std::string SetTexts(const EgressWanted& wanted) {
  std::string text;
  for (const auto& [name, type] : Sets(wanted))
    text.append("  set ").append(name).append(" { type ").append(type).append("; flags timeout; }\n");
  return text;
}

constexpr std::string_view kSetWord = "set ";

}  // namespace

std::vector<FirewallRule> EgressRules(const EgressWanted& wanted) {
  std::vector<FirewallRule> rules;
  const auto add = [&](std::string_view chain, std::string_view what, std::string text) {
    rules.push_back({std::string(chain), Name(what), std::move(text)});
  };
  for (const auto port : wanted.tcp_ports) {
    const auto text = "tcp dport " + std::to_string(port);
    add(kPorts, text, text + " accept");
  }
  for (const auto port : wanted.udp_ports) {
    const auto text = "udp dport " + std::to_string(port);
    add(kPorts, text, text + " accept");
  }
  add(kOutput, "loopback", "oifname \"lo\" accept");
  add(kOutput, "answers", "ct direction reply ct state established,related accept");
  add(kOutput, "errors", "ct state related accept");
  if (wanted.v6) {
    add(kOutput, "neighbour solicitations", "icmpv6 type nd-neighbor-solicit accept");
    add(kOutput, "neighbour advertisements", "icmpv6 type nd-neighbor-advert accept");
    add(kOutput, "listener reports", "icmpv6 type mld2-listener-report drop");
  }
  for (const auto& resolver : wanted.resolvers) {
    const auto to = std::string(DestinationOf(spec::IsV6(resolver))) + Format(resolver);
    add(kOutput, "resolver " + Format(resolver) + "/udp", to + " udp dport 53 accept");
    add(kOutput, "resolver " + Format(resolver) + "/tcp", to + " tcp dport 53 accept");
  }
  const std::string by_port = NamesPorts(wanted) ? " jump " + std::string(kPorts) : " accept";
  for (const auto& [net, except, every_port] : wanted.allowed) {
    auto to = To(net);
    if (except) to += " " + std::string(DestinationOf(spec::IsV6(*except))) + "!= " + Format(*except);
    add(kOutput, "allowed " + Format(net), to + (every_port ? " accept" : by_port));
  }
  if (!wanted.domains.empty())
    add(kOutput, DomainsName(wanted.domains), "ip daddr @" + std::string(kEgressSet) + by_port);
  if (!wanted.domains.empty() && wanted.v6)
    add(kOutput, "IPv6 of " + DomainsName(wanted.domains), "ip6 daddr @" + std::string(kEgressSet6) + by_port);
  add(kOutput, "denied", "counter name \"" + std::string(kEgressCounter) + "\"");
  add(kOutput, "log", "limit rate 10/minute log prefix \"nucleus-egress-denied: \" level info");
  add(kOutput, "dropped", "drop");
  add(kForward, "forwarded", "drop");
  return rules;
}

FirewallState ExpectedEgress(const EgressWanted& wanted) {
  FirewallState state;
  for (const auto& chain : kChains) state.chains.emplace(chain.name, ChainText(chain));
  state.rules = EgressRules(wanted);
  state.others.push_back("counter " + std::string(kEgressCounter));
  for (const auto& [name, type] : Sets(wanted))
    state.others.push_back("set " + std::string(name) + " " + std::string(type) + " timeout");
  return state;
}

Facts EgressFacts(const FirewallState& state) {
  Facts facts = FirewallFacts(state);
  facts.erase("comment");  // of the table, whose name says enough
  Facts named;
  for (auto& [name, value] : facts) {
    named[name.starts_with(kEgressFact) ? name : Name(name)] = std::move(value);
  }
  return named;
}

std::string EgressTransaction(const EgressWanted& wanted, std::uint64_t denied) {
  const std::string count = denied == 0 ? "" : "packets " + std::to_string(denied) + " bytes 0 ";
  const std::string objects = "  counter " + std::string(kEgressCounter) + " { " + count + "}\n" + SetTexts(wanted);
  const auto rules = EgressRules(wanted);
  return ReplaceTable({kEgressTable, "nucleus:egress", objects, kChains, rules});
}

std::optional<std::string> EgressRulesTransaction(const EgressWanted& wanted, const FirewallState& seen) {
  if (seen.chains != ExpectedEgress(wanted).chains || !seen.counters.contains(std::string(kEgressCounter)))
    return std::nullopt;
  const std::string table = "inet " + std::string(kEgressTable);
  std::string text = "flush table " + table + "\n";
  for (const std::string_view other : seen.others) {
    const bool is_set = other.starts_with(kSetWord);
    if (!is_set && other != "counter " + std::string(kEgressCounter)) return std::nullopt;
    const auto name = other.substr(kSetWord.size(), other.find(' ', kSetWord.size()) - kSetWord.size());
    if (is_set) text.append("delete set ").append(table).append(" ").append(name).append("\n");
  }
  const auto rules = EgressRules(wanted);
  return text + "table " + table + " {\n" + SetTexts(wanted) + ChainTexts(kChains, rules) + "}\n";
}

std::string NoEgressTransaction() {
  const std::string table = "table inet " + std::string(kEgressTable) + "\n";
  return "add " + table + "delete " + table;
}

std::string NoEgressRulesTransaction() {
  const std::string table = "inet " + std::string(kEgressTable);
  std::string text = "add table " + table + "\nflush table " + table + "\n";
  for (const auto& chain : kChains) {
    const std::string one = "chain " + table + " " + std::string(chain.name) + "\n";
    text += "add " + one + "delete " + one;
  }
  return text;
}

}  // namespace nucleus
