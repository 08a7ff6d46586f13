#include "actuators/netns/passage.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "actuators/netns/netlink.hpp"
#include "actuators/netns/nft.hpp"
#include "spec/core/link_names.hpp"
#include "spec/core/names.hpp"
#include "spec/core/nesting.hpp"

namespace nucleus::netns {

namespace {

using nlohmann::json;

constexpr int kPassageTries = 5;  // to open a way while others change their rules

constexpr std::array<std::string_view, 2> kDirections{"iifname", "oifname"};

struct Chain {
  std::string family;  // "ip", "ip6", "inet"
  std::string table;
  std::string name;
  bool forwards = false;  // at the hook of what is forwarded
  bool drops = false;     // by its policy
};

std::optional<std::uint32_t> Number(nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) != sizeof(std::uint32_t)) return std::nullopt;
  return be32toh(nla_get_u32(attribute));
}

// None: of a family whose packets are not forwarded here.
std::optional<Chain> ChainOf(nlmsghdr* answer) {
  std::array<nlattr*, NFTA_CHAIN_MAX + 1> attributes{};
  if (nlmsg_parse(answer, sizeof(nfgenmsg), attributes.data(), NFTA_CHAIN_MAX, nullptr) < 0) return std::nullopt;
  const auto family = static_cast<const nfgenmsg*>(nlmsg_data(answer))->nfgen_family;
  Chain chain;
  if (family == NFPROTO_IPV4) chain.family = "ip";
  if (family == NFPROTO_IPV6) chain.family = "ip6";
  if (family == NFPROTO_INET) chain.family = "inet";
  if (chain.family.empty()) return std::nullopt;
  chain.table = TextOf(attributes[NFTA_CHAIN_TABLE]);
  chain.name = TextOf(attributes[NFTA_CHAIN_NAME]);
  if (attributes[NFTA_CHAIN_HOOK] == nullptr) return chain;
  std::array<nlattr*, NFTA_HOOK_MAX + 1> hook{};
  if (nla_parse_nested(hook.data(), NFTA_HOOK_MAX, attributes[NFTA_CHAIN_HOOK], nullptr) < 0) return chain;
  chain.forwards = Number(hook[NFTA_HOOK_HOOKNUM]) == NF_INET_FORWARD;
  chain.drops = chain.forwards && Number(attributes[NFTA_CHAIN_POLICY]) == NF_DROP;
  return chain;
}

// Of everybody but us.
Result<std::vector<Chain>> DumpChains() {
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  auto message = NftMessage(NFT_MSG_GETCHAIN, 0, NFPROTO_UNSPEC);
  std::vector<Chain> chains;
  TRY(netlink.Dump(
      message, "list nftables chains", [&] { chains.clear(); },
      [&](nlmsghdr* answer) {
        auto chain = ChainOf(answer);
        if (chain && !chain->table.starts_with(kTablePrefix)) chains.push_back(*std::move(chain));
      }));
  return chains;
}

std::string Named(const Chain& chain) {
  return chain.family + " " + chain.table + " " + chain.name;
}

struct OwnRule {
  std::uint64_t handle = 0;
  std::string match;  // "iifname nb0123456789"; "" where it is something else by now
};

std::string MatchOf(const json& rule) {
  try {
    const auto& expressions = rule.at("expr");
    if (expressions.size() != 2 || !expressions.at(1).contains("accept")) return {};
    const auto& match = expressions.at(0).at("match");
    if (match.at("op") != "==") return {};
    return match.at("left").at("meta").at("key").get<std::string>() + " " + match.at("right").get<std::string>();
  } catch (const json::exception&) {
    return {};
  }
}

using RulesByTable = std::map<std::string, std::vector<OwnRule>>;

// Rules of ours in a chain of somebody else's, by the table that they are for. None: the chain has gone since.
Result<std::optional<RulesByTable>> OwnRules(const Chain& chain) {
  const auto text = TRY(ListChainJson(chain.family, chain.table, chain.name));
  if (!text) return std::nullopt;
  const auto corrupt = [] { return Fail(ErrorCode::kCorrupt, "read", "nftables listing", "not what nft(8) writes"); };
  if (IsNestedTooDeeply(*text)) return corrupt();
  const auto document = json::parse(*text, nullptr, false);
  if (!document.is_object() || !document.contains("nftables") || !document["nftables"].is_array()) return corrupt();
  RulesByTable own;
  const auto& list = document["nftables"];
  for (const auto& item : list) {
    if (!item.is_object() || !item.contains("rule") || !item["rule"].is_object()) continue;
    const auto& rule = item["rule"];
    const auto handle = rule.find("handle"), comment = rule.find("comment");
    if (comment == rule.end() || !comment->is_string() || handle == rule.end() || !handle->is_number_unsigned())
      continue;
    own[comment->get<std::string>()].push_back({handle->get<std::uint64_t>(), MatchOf(rule)});
  }
  return own;
}

// Whose bridges are to pass: a table of ours, and the links.
struct Passage {
  std::string table;
  std::vector<std::string> links;
};

Passage PassageOf(const FirewallWanted& firewall) {
  Passage passage{firewall.table, {}};
  for (const auto& net : firewall.networks) passage.links.push_back(net.link);
  return passage;
}

bool IsOpen(const Passage& passage, const std::vector<OwnRule>& rules) {
  std::set<std::string> wanted, there;
  for (const auto& link : passage.links) {
    for (const auto direction : kDirections) wanted.insert(std::string(direction) + " " + link);
  }
  for (const auto& rule : rules) there.insert(rule.match);
  return there == wanted && rules.size() == wanted.size();
}

// The table that a bridge of ours is to have by its alias, LinkAlias(); "" where it is none.
std::string TableOf(const Link& bridge) {
  constexpr std::string_view kTag = "nucleus:";
  const std::string_view alias = bridge.alias;
  const auto slash = alias.find('/');
  if (!alias.starts_with(kTag) || slash == std::string_view::npos) return {};
  const auto address = Address::Parse(alias.substr(slash + 1));
  if (!address || address->kind != Kind::kNetwork) return {};
  return FirewallTable(TableProject(alias.substr(kTag.size(), slash - kTag.size()), address->name));
}

// Of all other projects and of containers started by hand: bridges that are there, and have their table.
Result<std::vector<Passage>> OtherPassages(const std::string& but) {
  std::map<std::string, Passage> passages;
  for (auto& table : TRY(DumpTables())) {
    if (table.name.starts_with(kTablePrefix) && table.name != but) passages[table.name].table = table.name;
  }
  std::vector<Passage> found;
  if (passages.empty()) return found;
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  for (const auto& link : TRY(DumpLinks(netlink, "bridge"))) {
    const auto passage = passages.find(TableOf(link));
    if (passage != passages.end()) passage->second.links.push_back(link.name);
  }
  for (auto& [table, passage] : passages) {
    if (!passage.links.empty()) found.push_back(std::move(passage));
  }
  return found;
}

std::string Added(const std::string& chain, const Passage& passage) {
  std::string commands;
  for (const auto& link : passage.links) {
    for (const auto direction : kDirections) {
      commands += "add rule " + chain + " " + std::string(direction) + " \"" + link + "\" accept comment \"" +
                  passage.table + "\"\n";
    }
  }
  return commands;
}

std::string Deleted(const std::string& chain, const std::vector<OwnRule>& rules) {
  std::string commands;
  for (const auto& rule : rules) commands += "delete rule " + chain + " handle " + std::to_string(rule.handle) + "\n";
  return commands;
}

Result<std::vector<Chain>> DroppingChains() {
  auto chains = TRY(DumpChains());
  std::erase_if(chains, [](const Chain& chain) { return !chain.drops; });
  return chains;
}

Result<> OpenOnce(const FirewallWanted& wanted, const std::vector<Chain>& chains) {
  const auto passage = PassageOf(wanted);
  const auto others = TRY(OtherPassages(wanted.table));
  for (const auto& chain : chains) {
    auto own = TRY(OwnRules(chain));
    if (!own) continue;
    const auto name = Named(chain);
    auto& rules = (*own)[passage.table];
    std::string commands;
    if (!IsOpen(passage, rules)) commands = Deleted(name, rules) + Added(name, passage);
    // One that is half there is in the midst of a change, or its project's own to repair.
    for (const auto& other : others) {
      if (!own->contains(other.table)) commands += Added(name, other);
    }
    if (commands.empty()) continue;
    auto opened = RunNft(commands, "let bridges pass", name);
    // The chain has gone since, or one of the rules: which of them is asked afterwards.
    if (opened || opened.error().code == ErrorCode::kNotFound) continue;
    return Fail(std::move(opened).error().Hint("it drops what it does not know, and cannot be changed by others"));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> FindObstacles(const FirewallWanted& firewall) {
  std::vector<std::string> obstacles;
  const auto passage = PassageOf(firewall);
  if (passage.links.empty()) return obstacles;
  for (const auto& chain : TRY(DroppingChains())) {
    auto own = TRY(OwnRules(chain));
    if (own && !IsOpen(passage, (*own)[passage.table])) obstacles.push_back(Named(chain));
  }
  return obstacles;
}

Result<> OpenPassages(const FirewallWanted& wanted) {
  std::vector<std::string> obstacles;
  for (int i = 0; i < kPassageTries; ++i) {
    const auto chains = TRY(DroppingChains());
    if (chains.empty()) return {};
    TRY(OpenOnce(wanted, chains));
    obstacles = TRY(FindObstacles(wanted));
    if (obstacles.empty()) return {};
  }
  return Fail(Error::Of(ErrorCode::kConflict, "let bridges pass", obstacles.front(),
                        "somebody takes the rules away as often as they are put there")
                  .Hint("see who writes to it, nft monitor, and apply once it is at rest"));
}

Result<> ClosePassages(const std::string& table) {
  for (const auto& chain : TRY(DumpChains())) {
    if (!chain.forwards) continue;
    // What cannot be read is not where we have put anything.
    const auto own = OwnRules(chain);
    if (!own || !*own) continue;
    const auto rules = (*own)->find(table);
    if (rules == (*own)->end()) continue;
    const auto closed = RunNft(Deleted(Named(chain), rules->second), "take rules from", Named(chain));
    if (!closed && closed.error().code != ErrorCode::kNotFound) return closed;
  }
  return {};
}

}  // namespace nucleus::netns
