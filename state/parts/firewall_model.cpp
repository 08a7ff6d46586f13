#include "state/parts/firewall_model.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "spec/core/hash.hpp"
#include "spec/core/units.hpp"
#include "spec/net.hpp"

namespace nucleus {

namespace {

constexpr std::string_view kForwardMark = " ip_forward_was=";
constexpr std::string_view kForward6Mark = " ip6_forward_was=";
// Every bridge of nucleus, of whatever project: names.hpp, BridgeLink().
constexpr std::string_view kAnyBridge = "\"nb*\"";
constexpr std::string_view kLoopback = "127.0.0.0/8";

std::string Join(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) text += part;
  return text;
}

std::string Quoted(std::string_view text) {
  return Join({"\"", text, "\""});
}

// As nft(8) lists a set within a rule: one alone without braces.
std::string Among(std::vector<std::string> links) {
  if (links.size() == 1) return links.front();
  std::sort(links.begin(), links.end());
  std::string text = "{ ";
  for (const auto& link : links) text += (&link == &links.front() ? "" : ", ") + link;
  return text + " }";
}

// Puts rules together; the name of a rule begins with its chain and network.
class Rules {
 public:
  void Add(std::string_view chain, std::string_view network, std::string_view what, std::string text) {
    AddTo(chain, chain, network, what, std::move(text));
  }
  // In a chain that the one of that name leads to.
  void AddTo(std::string_view at, std::string_view chain, std::string_view network, std::string_view what,
             std::string text) {
    std::string name = Join({"rule ", chain, " "});
    if (!network.empty()) name += Join({network, " "});
    name += what;
    rules_.push_back({std::string(at), std::move(name), std::move(text)});
  }
  void AddPort(std::string_view chain, std::string name, std::string text) {
    rules_.push_back({std::string(chain), std::move(name), std::move(text)});
  }
  std::vector<FirewallRule> Take() { return std::move(rules_); }

 private:
  std::vector<FirewallRule> rules_;
};

void AddGuard(const FirewallWanted& wanted, Rules& rules) {
  if (wanted.networks.empty()) return;
  const auto from = Join({"iifname ", kAnyBridge});
  rules.Add("guard", "", "loopback destination", Join({from, " ip daddr ", kLoopback, " drop"}));
  rules.Add("guard", "", "loopback source", Join({from, " ip saddr ", kLoopback, " drop"}));
}

// What comes from a network: in a chain of its own, which has the name of its bridge.
void AddFrom(const FirewallWanted::Net& net, Rules& rules) {
  const auto link = Quoted(net.link);
  const auto add = [&](std::string_view what, std::string text) {
    rules.AddTo(net.link, "forward", net.network, what, std::move(text));
  };
  // What stays on a bridge comes by here with br_netfilter only, and has been looked at: spoof_model.hpp.
  add("same bridge", Join({"oifname ", link, " accept"}));
  if (net.internal) return add("no way out", "drop");
  add("source", Join({"ip saddr != ", Format(net.subnet), " drop"}));
  add("source of IPv6",
      net.subnet6 ? Join({"ip6 saddr != ", Format(*net.subnet6), " drop"}) : "meta nfproto ipv6 drop");
}

void AddForward(const FirewallWanted& wanted, Rules& rules) {
  std::vector<std::string> jumps, internal;
  for (const auto& net : wanted.networks) {
    AddFrom(net, rules);
    jumps.push_back(Join({Quoted(net.link), " : jump ", net.link}));
    if (net.internal) internal.push_back(Quoted(net.link));
  }
  // Every packet that the machine forwards comes by here: one look-up says whether it is from any of the networks, and
  // those of a connection need no more.
  std::sort(jumps.begin(), jumps.end());
  std::string map;
  for (const auto& jump : jumps) map += (map.empty() ? "" : ", ") + jump;
  if (!map.empty()) rules.Add("forward", "", "of networks", Join({"iifname vmap { ", map, " }"}));
  if (!internal.empty()) {
    rules.Add("forward", "", "no way in", Join({"oifname ", Among(std::move(internal)), " drop"}));
  }
  rules.Add("forward", "", "answers", "ct state established,related accept");
  rules.Add("forward", "", "published", "ct status dnat accept");  // to what is published: AddConnections()
  for (const auto& net : wanted.networks) {
    const auto link = Quoted(net.link);
    const auto from = Join({"iifname ", link});
    if (net.internal) continue;
    rules.Add("forward", net.network, "isolation", Join({"oifname ", link, " drop"}));
    rules.Add("forward", net.network, "other networks", Join({from, " oifname ", kAnyBridge, " drop"}));
    // What belongs to no connection is not translated, and would leave under the address it has here. Neighbours and
    // listeners of IPv6 are followed by none (nf_conntrack_proto_icmpv6.c), though they be sent to far away.
    rules.Add("forward", net.network, "no connection", Join({from, " ct state invalid,untracked drop"}));
    rules.Add("forward", net.network, "way out", Join({from, " ip saddr ", Format(net.subnet), " accept"}));
    if (net.subnet6) {
      rules.Add("forward", net.network, "way out of IPv6",
                Join({from, " ip6 saddr ", Format(*net.subnet6), " accept"}));
    }
    rules.Add("forward", net.network, "foreign source", Join({from, " drop"}));
  }
}

void AddInput(const FirewallWanted& wanted, Rules& rules) {
  for (const auto& net : wanted.networks) {
    if (!net.internal) continue;
    const auto from = Join({"iifname ", Quoted(net.link)});
    rules.Add("input", net.network, "answers", Join({from, " ct direction reply ct state established,related accept"}));
    if (net.subnet6) {
      // Without these nobody there finds the host, nor the host anybody.
      rules.Add("input", net.network, "neighbours ask", Join({from, " icmpv6 type nd-neighbor-solicit accept"}));
      rules.Add("input", net.network, "neighbours tell", Join({from, " icmpv6 type nd-neighbor-advert accept"}));
    }
    rules.Add("input", net.network, "no way to the host", Join({from, " drop"}));
  }
}

std::string PortName(const FirewallWanted::Forward& forward) {
  constexpr std::size_t kFits = 60;  // with the address of a port, in a comment: kFirewallCommentMax
  const auto& port = forward.port;
  std::string name = "port ";
  if (!forward.service.starts_with("service.") && !forward.service.starts_with("container.")) name += "service.";
  name += forward.service;
  if (name.size() > kFits) name = name.substr(0, kFits - 17) + "~" + Sha256::Of(name).Hex().substr(0, 16);
  name += " ";
  if (port.host_ip) {
    const auto address = Format(*port.host_ip);
    name += (spec::IsV6(*port.host_ip) ? "[" + address + "]" : address) + ":";
  }
  name += std::to_string(port.host_port);
  return name + (port.protocol == spec::Protocol::kTcp ? "/tcp" : "/udp");
}

// What a packet to a published port is sent on with, once its address has matched.
std::string Translation(const spec::PortForward& port, std::string_view family, std::string_view to) {
  return Join({port.protocol == spec::Protocol::kTcp ? "tcp" : "udp", " dport ", std::to_string(port.host_port),
               " dnat ", family, " to ", to, ":", std::to_string(port.container_port)});
}

bool EveryAddress(const spec::PortForward& port) {
  return !port.host_ip || spec::IsUnspecified(*port.host_ip);
}

constexpr std::string_view kLocal = "fib daddr type local ";

void AddPort(const FirewallWanted::Forward& forward, std::string_view chain, Rules& rules) {
  const auto& port = forward.port;
  const bool outside = chain == "prerouting";
  if (!port.host_ip || !spec::IsV6(*port.host_ip)) {
    const auto translation = Translation(port, "ip", Format(forward.to));
    if (!EveryAddress(port)) {
      if (!outside || !spec::IsLoopback(*port.host_ip)) {
        rules.AddPort(chain, PortName(forward), Join({"ip daddr ", Format(*port.host_ip), " ", translation}));
      }
    } else if (outside) {
      rules.AddPort(chain, PortName(forward), Join({kLocal, "ip daddr != ", kLoopback, " ", translation}));
    } else {
      rules.AddPort(chain, PortName(forward), Join({kLocal, translation}));
    }
  }
  if (forward.to6 && (!port.host_ip || spec::IsV6(*port.host_ip))) {
    const auto translation = Translation(port, "ip6", "[" + Format(*forward.to6) + "]");
    // What is sent from ::1 leaves by no link: the service's own address answers there.
    const auto to =
        EveryAddress(port) ? Join({kLocal, "ip6 daddr != ::1 "}) : Join({"ip6 daddr ", Format(*port.host_ip), " "});
    rules.AddPort(chain, PortName(forward), to + translation);
  }
}

void AddPorts(const FirewallWanted& wanted, Rules& rules) {
  for (const std::string_view chain : {"prerouting", "output"}) {
    for (const auto& forward : wanted.forwards) AddPort(forward, chain, rules);
  }
}

// Ports of one service that follow each other, at the same addresses of the machine.
bool Continues(const FirewallWanted::Forward& last, const FirewallWanted::Forward& next) {
  return next.service == last.service && next.to == last.to && next.to6 == last.to6 &&
         next.port.protocol == last.port.protocol && next.port.host_ip == last.port.host_ip &&
         next.port.host_port == last.port.host_port + 1;
}

// A connection that was translated on its way in stays open as long as the port that it came by is published: what is
// translated is decided once, by its first packet, so every packet is looked at. family: "ip" or "ip6".
void AllowConnections(const FirewallWanted::Forward& first, const FirewallWanted::Forward& last,
                      std::string_view family, std::string_view to, Rules& rules) {
  const auto& port = first.port;
  auto text = Join({"ct reply ", family, " saddr ", to});
  if (!EveryAddress(port)) text += Join({" ct original ", family, " daddr ", Format(*port.host_ip)});
  text += Join({" meta l4proto ", port.protocol == spec::Protocol::kTcp ? "tcp" : "udp", " ct original proto-dst ",
                std::to_string(port.host_port)});
  if (&first != &last) text += "-" + std::to_string(last.port.host_port);
  rules.AddPort("ports", PortName(first), text + " return");
}

void AddConnections(const FirewallWanted& wanted, Rules& rules) {
  if (wanted.networks.empty()) return;
  const auto& forwards = wanted.forwards;
  for (std::size_t i = 0, end = 0; i < forwards.size(); i = end) {
    for (end = i + 1; end < forwards.size() && Continues(forwards[end - 1], forwards[end]);) ++end;
    const auto &first = forwards[i], &last = forwards[end - 1];
    const auto& at = first.port.host_ip;
    if (!at || !spec::IsV6(*at)) AllowConnections(first, last, "ip", Format(first.to), rules);
    if (first.to6 && (!at || spec::IsV6(*at))) AllowConnections(first, last, "ip6", Format(*first.to6), rules);
  }
  rules.Add("ports", "", "not published", "drop");
  std::vector<std::string> links;
  for (const auto& net : wanted.networks) links.push_back(Quoted(net.link));
  const auto ours = Among(std::move(links));
  rules.Add("received", "", "of ports", Join({"iifname ", ours, " ct status dnat ct direction reply jump ports"}));
  rules.Add("sent", "", "to ports", Join({"oifname ", ours, " ct status dnat ct direction original jump ports"}));
}

void AddMasquerade(const FirewallWanted& wanted, Rules& rules) {
  std::set<std::string_view> published;  // links behind which a published port is
  for (const auto& forward : wanted.forwards) published.insert(forward.link);
  for (const auto& net : wanted.networks) {
    const auto into = Join({"oifname ", Quoted(net.link)});
    const auto subnet = Format(net.subnet);
    if (published.contains(net.link)) {
      if (net.internal) {
        rules.Add("postrouting", net.network, "host access", Join({into, " ct status dnat masquerade"}));
      } else {
        rules.Add("postrouting", net.network, "hairpin",
                  Join({into, " ip saddr ", subnet, " ct status dnat masquerade"}));
        rules.Add("postrouting", net.network, "loopback", Join({into, " ip saddr ", kLoopback, " masquerade"}));
        if (net.subnet6) {
          rules.Add("postrouting", net.network, "hairpin of IPv6",
                    Join({into, " ip6 saddr ", Format(*net.subnet6), " ct status dnat masquerade"}));
        }
      }
    }
    if (net.internal) continue;
    rules.Add("postrouting", net.network, "masquerade",
              Join({"ip saddr ", subnet, " oifname != ", Quoted(net.link), " masquerade"}));
    if (net.subnet6 && spec::IsUniqueLocal(net.subnet6->base)) {
      rules.Add("postrouting", net.network, "masquerade of IPv6",
                Join({"ip6 saddr ", Format(*net.subnet6), " oifname != ", Quoted(net.link), " masquerade"}));
    }
  }
}

}  // namespace

std::string ChainText(const FirewallChain& chain) {
  if (chain.hook.empty()) return "no hook";
  return Join({chain.type, " ", chain.hook, " ", std::to_string(chain.priority), " ", chain.policy});
}

std::vector<FirewallChain> FirewallChains(const FirewallWanted& wanted) {
  std::vector<FirewallChain> chains;
  if (!wanted.networks.empty()) chains.push_back({.name = "ports"});  // what is jumped to is there first
  for (const auto& net : wanted.networks) chains.push_back({.name = net.link});
  // Before connection tracking; where filters sit; where destinations and sources are translated: nft(8), priorities.
  // What the machine sends has its link for certain after it has been translated.
  chains.insert(chains.end(), {{"guard", "filter", "prerouting", -300},
                               {"forward", "filter", "forward", 0},
                               {"input", "filter", "input", 0},
                               {"received", "filter", "prerouting", 0},
                               {"sent", "filter", "postrouting", 0},
                               {"prerouting", "nat", "prerouting", -100},
                               {"output", "nat", "output", -100},
                               {"postrouting", "nat", "postrouting", 100}});
  return chains;
}

std::vector<FirewallRule> FirewallRules(const FirewallWanted& wanted) {
  Rules rules;
  AddConnections(wanted, rules);
  AddGuard(wanted, rules);
  AddForward(wanted, rules);
  AddInput(wanted, rules);
  AddPorts(wanted, rules);
  AddMasquerade(wanted, rules);
  return rules.Take();
}

bool NeedsForwarding(const FirewallWanted& wanted) {
  for (const auto& net : wanted.networks) {
    if (!net.internal) return true;
  }
  return false;
}

bool NeedsForwarding6(const FirewallWanted& wanted) {
  for (const auto& net : wanted.networks) {
    if (!net.internal && net.subnet6) return true;
  }
  return false;
}

FirewallState ExpectedFirewall(const FirewallWanted& wanted) {
  FirewallState state;
  state.comment = wanted.comment;
  if (NeedsForwarding(wanted)) state.ip_forward = "1";
  if (NeedsForwarding6(wanted)) state.ip6_forward = "1";
  for (const auto& chain : FirewallChains(wanted)) state.chains.emplace(chain.name, ChainText(chain));
  state.rules = FirewallRules(wanted);
  return state;
}

namespace {

Facts RuleFacts(const std::vector<FirewallRule>& rules) {
  std::vector<const FirewallRule*> by_name;
  by_name.reserve(rules.size());
  for (const auto& rule : rules) by_name.push_back(&rule);
  std::ranges::stable_sort(by_name, {}, [](const auto* rule) { return std::string_view(rule->name); });
  Facts facts;
  for (const auto* rule : by_name) {
    // A port has a rule in two chains; a rule that is there twice shows as a changed one.
    std::string& value = facts[rule->name];
    if (!value.empty()) value += "; ";
    value += Join({rule->chain, ": ", rule->text});
  }
  return facts;
}

}  // namespace

Facts FirewallFacts(const FirewallState& state) {
  Facts facts;
  facts["comment"] = state.comment;
  if (state.ip_forward) facts["ip_forward"] = *state.ip_forward;
  if (state.ip6_forward) facts["ip6_forward"] = *state.ip6_forward;
  for (const auto& [name, text] : state.chains) facts["chain " + name] = text;
  facts.merge(RuleFacts(state.rules));
  std::map<std::string, std::string> others;
  for (const auto& other : state.others) others.emplace(other, "present");
  facts.merge(Facts(std::move(others)));
  if (state.reordered) facts["order of rules"] = "changed";
  return facts;
}

std::string RuleComment(std::size_t place, std::string_view name) {
  return Join({std::to_string(place), " ", name});
}

RuleLabel ParseRuleComment(std::string_view chain, std::string_view comment) {
  if (const auto blank = comment.find(' '); blank != std::string_view::npos) {
    const auto name = comment.substr(blank + 1);
    const auto place = ParseUnsigned(comment.substr(0, blank));
    if (place && (name.starts_with("rule ") || name.starts_with("port ") || name.starts_with("egress ")))
      return {*place, std::string(name)};
  }
  return {std::nullopt, Join({"rule ", chain, " ", comment.empty() ? "(unnamed)" : comment})};
}

std::string TableComment(const TableLabel& label) {
  const auto mark = [](std::string_view text, std::optional<bool> was) {
    return was ? Join({text, *was ? "1" : "0"}) : std::string();
  };
  return label.comment + mark(kForwardMark, label.ip_forward_was) + mark(kForward6Mark, label.ip6_forward_was);
}

namespace {

// Takes a mark off the end of a comment.
std::optional<bool> TakeMark(std::string_view& comment, std::string_view mark) {
  const auto at = comment.rfind(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const auto value = comment.substr(at + mark.size());
  if (value != "0" && value != "1") return std::nullopt;
  comment = comment.substr(0, at);
  return value == "1";
}

}  // namespace

TableLabel ParseTableComment(std::string_view comment) {
  TableLabel label;
  label.ip6_forward_was = TakeMark(comment, kForward6Mark);
  label.ip_forward_was = TakeMark(comment, kForwardMark);
  label.comment = comment;
  return label;
}

std::string ChainTexts(std::span<const FirewallChain> chains, std::span<const FirewallRule> rules) {
  std::string text;
  for (const auto& chain : chains) {
    text += Join({"  chain ", chain.name, " {\n"});
    if (!chain.hook.empty()) {
      text += Join({"    type ", chain.type, " hook ", chain.hook, " priority ", std::to_string(chain.priority),
                    "; policy ", chain.policy, ";\n"});
    }
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const auto& rule = rules[i];
      if (rule.chain != chain.name) continue;
      text += Join({"    ", rule.text, " comment ", Quoted(RuleComment(i + 1, rule.name)), "\n"});
    }
    text += "  }\n";
  }
  return text;
}

std::string ReplaceTable(const TableText& table) {
  // Deleting what is not there is an error, adding what is there is none: so add, delete, and make anew.
  const auto name = Join({"table ", table.family, " ", table.name});
  return Join({"add ", name, "\ndelete ", name, "\nadd ", name, " {\n  comment ", Quoted(table.comment), "\n",
               table.objects, ChainTexts(table.chains, table.rules), "}\n"});
}

std::string FirewallTransaction(const FirewallWanted& wanted, std::string_view table_comment) {
  const auto chains = FirewallChains(wanted);
  const auto rules = FirewallRules(wanted);
  return ReplaceTable({wanted.table, table_comment, "", chains, rules});
}

}  // namespace nucleus
