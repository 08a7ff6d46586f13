#include "state/parts/egress_model.hpp"

#include <array>

#include "spec/net.hpp"

namespace nucleus {

namespace {

constexpr std::string_view kOutput = "output";
constexpr std::string_view kPorts = "ports";  // where packets to an allowed network go if only some ports are

// A chain that is jumped to has to be there first.
constexpr std::array kChains{FirewallChain{.name = kPorts},
                             FirewallChain{.name = kOutput, .type = "filter", .hook = "output", .policy = "drop"},
                             FirewallChain{.name = "forward", .type = "filter", .hook = "forward", .policy = "drop"}};

bool NamesPorts(const EgressWanted& wanted) {
  return !wanted.tcp_ports.empty() || !wanted.udp_ports.empty();
}

std::string Name(std::string_view what) {
  return std::string(kEgressFact) + " " + std::string(what);
}

// As nft(8) lists it: all of IPv4 is a family, and a single address has no length.
std::string To(const spec::Ipv4Net& net) {
  if (net.prefix == 0) return "meta nfproto ipv4";
  return "ip daddr " + (net.prefix == 32 ? Format(net.base) : Format(net));
}

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
  for (const auto resolver : wanted.resolvers) {
    const auto to = "ip daddr " + Format(resolver);
    add(kOutput, "resolver " + Format(resolver) + "/udp", to + " udp dport 53 accept");
    add(kOutput, "resolver " + Format(resolver) + "/tcp", to + " tcp dport 53 accept");
  }
  for (const auto& [net, except] : wanted.allowed) {
    auto to = To(net);
    if (except) to += " ip daddr != " + Format(*except);
    add(kOutput, "allowed " + Format(net), to + (NamesPorts(wanted) ? " jump " + std::string(kPorts) : " accept"));
  }
  add(kOutput, "denied", "counter name \"" + std::string(kEgressCounter) + "\"");
  add(kOutput, "log", "limit rate 10/minute log prefix \"nucleus-egress-denied: \" level info");
  return rules;
}

FirewallState ExpectedEgress(const EgressWanted& wanted) {
  FirewallState state;
  for (const auto& chain : kChains) state.chains.emplace(chain.name, ChainText(chain));
  state.rules = EgressRules(wanted);
  state.others.push_back("counter " + std::string(kEgressCounter));
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

std::string EgressTransaction(const EgressWanted& wanted) {
  const std::string counter = "  counter " + std::string(kEgressCounter) + " { }\n";
  const auto rules = EgressRules(wanted);
  return ReplaceTable({kEgressTable, "nucleus:egress", counter, kChains, rules});
}

std::string NoEgressTransaction() {
  const std::string table = "table inet " + std::string(kEgressTable) + "\n";
  return "add " + table + "delete " + table;
}

}  // namespace nucleus
