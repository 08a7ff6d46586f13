#include "actuators/netns/firewall_listing.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "spec/core/nesting.hpp"

namespace nucleus::netns {

namespace {

using nlohmann::json;

std::string Member(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string Value(const json& value, bool quoted);

// Elements of a set or map within a rule are listed in no order.
std::string Braced(std::vector<std::string> elements) {
  std::sort(elements.begin(), elements.end());
  std::string text;
  for (const auto& element : elements) text += (text.empty() ? "{ " : ", ") + element;
  return text + " }";
}

std::string Among(const json& set, bool quoted) {
  std::vector<std::string> elements;
  for (const auto& element : set) elements.push_back(Value(element, quoted));
  return Braced(std::move(elements));
}

// Names of links are quoted in the text form; everything else is bare.
std::string Value(const json& value, bool quoted) {
  if (value.is_string()) return quoted ? '"' + value.get<std::string>() + '"' : value.get<std::string>();
  if (value.is_number()) return value.dump();
  if (value.is_array()) {
    std::string text;
    for (const auto& item : value) {
      if (!text.empty()) text += ',';
      text += Value(item, quoted);
    }
    return text;
  }
  if (value.is_object() && value.size() == 1) {
    if (value.contains("prefix")) {
      const auto& prefix = value["prefix"];
      if (prefix.is_object() && prefix.contains("len")) return Member(prefix, "addr") + "/" + prefix["len"].dump();
    }
    if (value.contains("set") && value["set"].is_array()) return Among(value["set"], quoted);
    if (value.contains("range") && value["range"].is_array() && value["range"].size() == 2)
      return Value(value["range"][0], quoted) + "-" + Value(value["range"][1], quoted);
    if (value.contains("|") && value["|"].is_array()) return Value(value["|"], quoted);
  }
  return value.dump();
}

// Of an object of one member: items() would refer to a temporary of its own.
std::pair<const std::string&, const json&> OnlyMember(const json& object) {
  const auto only = object.begin();
  return {only.key(), only.value()};
}

std::string Joined(const json& concatenated, std::string (*text)(const json&)) {
  std::string all;
  for (const auto& one : concatenated) all += (all.empty() ? "" : " . ") + text(one);
  return all;
}

// The left side of a match: "iifname", "ip saddr", "ct status", "fib daddr type"; several of them with dots between.
std::string Selector(const json& left) {
  if (left.is_object() && left.size() == 1) {
    const auto& [kind, detail] = OnlyMember(left);
    if (kind == "concat" && detail.is_array()) return Joined(detail, Selector);
    if (detail.is_object()) {
      if (kind == "meta") {
        const std::string key = Member(detail, "key");
        return key == "nfproto" || key == "l4proto" ? "meta " + key : key;  // written out, others are not
      }
      // Of a neighbour's advertisement: libraries of nftables 1.1 know the field by its name, older ones do not.
      if (kind == "payload" && Member(detail, "protocol") == "icmpv6" && Member(detail, "field") == "taddr")
        return "@th,64,128";
      if (kind == "payload" && detail.contains("base"))
        return "@" + Member(detail, "base") + "," + Value(detail.value("offset", json()), false) + "," +
               Value(detail.value("len", json()), false);
      if (kind == "payload" && detail.contains("field"))
        return Member(detail, "protocol") + " " + Member(detail, "field");
      if (kind == "ct" && detail.size() == 1) return "ct " + Member(detail, "key");
      if (kind == "ct" && detail.size() == 2 && detail.contains("dir"))
        return "ct " + Member(detail, "dir") + " " + Member(detail, "key");
      if (kind == "fib" && detail.contains("flags")) {
        return "fib " + Value(detail["flags"], false) + " " + Member(detail, "result");
      }
    }
  }
  return left.dump();
}

std::string Match(const json& match) {
  if (!match.is_object() || !match.contains("left") || !match.contains("right")) return match.dump();
  const std::string selector = Selector(match["left"]);
  const std::string op = Member(match, "op");
  // A match of flags ("in") and of equality are both written without an operator.
  const std::string between = op == "==" || op == "in" || op.empty() ? " " : " " + op + " ";
  const json& right = match["right"];
  const bool in_set = right.is_string() && right.get_ref<const std::string&>().starts_with('@');
  return selector + between + Value(right, selector.ends_with("ifname") && !in_set);
}

// Where a packet goes by the link it has come from.
std::string Map(const json& map) {
  if (!map.is_object() || !map.contains("key") || !map.contains("data") || !map["data"].is_object()) return map.dump();
  const auto& data = map["data"];
  if (!data.contains("set") || !data["set"].is_array()) return map.dump();
  const std::string selector = Selector(map["key"]);
  std::vector<std::string> elements;
  for (const auto& element : data["set"]) {
    if (!element.is_array() || element.size() != 2 || !element[1].is_object() || !element[1].contains("jump")) {
      return map.dump();
    }
    elements.push_back(Value(element[0], selector.ends_with("ifname")) + " : jump " +
                       Member(element[1]["jump"], "target"));
  }
  return selector + " vmap " + Braced(std::move(elements));
}

std::string Dnat(const json& dnat) {
  if (!dnat.is_object() || dnat.size() != 3 || !dnat.contains("addr") || !dnat.contains("port")) {
    return "dnat " + dnat.dump();
  }
  const std::string family = Member(dnat, "family");
  std::string address = Value(dnat["addr"], false);
  if (family == "ip6") address = "[" + address + "]";
  return "dnat " + family + " to " + address + ":" + Value(dnat["port"], false);
}

// Of packets; a burst of five is what nft(8) has where none is named.
std::string Limit(const json& limit) {
  constexpr int kBurst = 5;
  if (!limit.is_object() || limit.size() != 3 || limit.value("burst", 0) != kBurst || !limit.contains("rate")) {
    return "limit " + limit.dump();
  }
  return "limit rate " + Value(limit["rate"], false) + "/" + Member(limit, "per");
}

std::string Log(const json& log) {
  if (!log.is_object() || log.size() != 2 || !log.contains("prefix") || !log.contains("level")) {
    return "log " + log.dump();
  }
  return "log prefix \"" + Member(log, "prefix") + "\" level " + Member(log, "level");
}

std::string Statement(const json& statement) {
  if (!statement.is_object() || statement.size() != 1) return statement.dump();
  const auto& [kind, detail] = OnlyMember(statement);
  if (kind == "match") return Match(detail);
  if (kind == "dnat") return Dnat(detail);
  if (kind == "vmap") return Map(detail);
  if (detail.is_null()) return kind;  // accept, drop, masquerade
  if (kind == "counter" && detail.is_string()) return "counter name \"" + detail.get<std::string>() + '"';
  if (kind == "jump" && detail.is_object() && detail.size() == 1) return "jump " + Member(detail, "target");
  if (kind == "limit") return Limit(detail);
  if (kind == "log") return Log(detail);
  return statement.dump();
}

std::string RuleText(const json& rule) {
  std::string text;
  if (!rule.contains("expr") || !rule["expr"].is_array()) return text;
  for (const auto& statement : rule["expr"]) {
    if (!text.empty()) text += ' ';
    text += Statement(statement);
  }
  return text;
}

std::string TextOfChain(const json& chain) {
  if (!chain.contains("hook")) return "no hook";
  const auto priority = chain.find("prio");
  return Member(chain, "type") + " " + Member(chain, "hook") + " " +
         (priority == chain.end() ? std::string() : priority->dump()) + " " + Member(chain, "policy");
}

void AddRule(const json& rule, std::map<std::string, std::size_t>& last_place, FirewallState& state) {
  const std::string chain = Member(rule, "chain");
  RuleLabel label = ParseRuleComment(chain, Member(rule, "comment"));
  if (label.place) {
    std::size_t& last = last_place[chain];
    if (*label.place < last) state.reordered = true;
    last = *label.place;
  }
  state.rules.push_back({chain, std::move(label.name), RuleText(rule)});
}

// The type of what is compared with a set that was declared by that: newer libraries list such a set as it was
// declared.
std::string TypeOf(const json& expression) {
  if (expression.is_object() && expression.contains("concat") && expression["concat"].is_array()) {
    std::string all;
    for (const auto& one : expression["concat"]) all += (all.empty() ? "" : ",") + TypeOf(one);
    return all;
  }
  const std::string selector = Selector(expression);
  if (selector == "iifname") return "ifname";
  return selector.starts_with('@') ? "integer" : selector;
}

// What it is a set of, and its flags; not its elements.
std::string SetText(const json& set) {
  std::string text;
  if (const auto type = set.find("type"); type != set.end())
    text += ' ' + (type->is_object() && type->contains("typeof") ? TypeOf((*type)["typeof"]) : Value(*type, false));
  if (const auto flags = set.find("flags"); flags != set.end()) text += ' ' + Value(*flags, false);
  return text;
}

std::string Element(const json& element) {
  if (element.is_object() && element.size() == 1 && element.contains("concat") && element["concat"].is_array())
    return Joined(element["concat"], Element);
  return Value(element, false);
}

void AddElements(const json& set, FirewallState& state) {
  const auto elements = set.find("elem");
  if (elements == set.end() || !elements->is_array()) return;
  for (const auto& element : *elements) state.elements.emplace_back(Member(set, "name"), Element(element));
}

FirewallState Read(const json& document) {
  FirewallState state;
  std::map<std::string, std::size_t> last_place;
  for (const auto& item : document.at("nftables")) {
    for (const auto& [kind, object] : item.items()) {
      if (kind == "metainfo" || kind == "table") continue;
      if (kind == "chain") {
        state.chains[Member(object, "name")] = TextOfChain(object);
      } else if (kind == "rule") {
        AddRule(object, last_place, state);
      } else {
        state.others.push_back(kind + " " + Member(object, "name") + (kind == "set" ? SetText(object) : ""));
        if (kind == "set") AddElements(object, state);
        if (kind == "counter") state.counters[Member(object, "name")] = object.value("packets", std::uint64_t{0});
      }
    }
  }
  return state;
}

}  // namespace

Result<FirewallState> ParseListing(std::string_view text) {
  if (IsNestedTooDeeply(text)) return Fail(ErrorCode::kCorrupt, "read", "nftables listing", "nested too deeply");
  try {
    return Read(json::parse(text));
  } catch (const json::exception& error) {
    return Fail(ErrorCode::kCorrupt, "read", "nftables listing", error.what());
  }
}

}  // namespace nucleus::netns
