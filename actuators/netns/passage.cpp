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
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "actuators/netns/netlink.hpp"
#include "actuators/netns/nft.hpp"
#include "spec/core/nesting.hpp"

namespace nucleus::netns {

namespace {

using nlohmann::json;

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
  Message message((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETCHAIN, 0);
  nfgenmsg header{};
  header.nfgen_family = NFPROTO_UNSPEC;
  header.version = NFNETLINK_V0;
  message.Header(header);
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

// The rules of that owner in a chain.
Result<std::vector<OwnRule>> OwnRules(const Chain& chain, const std::string& owner) {
  const auto text = ListChainJson(chain.family, chain.table, chain.name);
  std::vector<OwnRule> own;
  if (!text && text.error().code == ErrorCode::kNotFound) return own;  // gone since
  if (!text) return Fail(text.error());
  const auto corrupt = [] { return Fail(ErrorCode::kCorrupt, "read", "nftables listing", "not what nft(8) writes"); };
  if (IsNestedTooDeeply(*text)) return corrupt();
  const auto document = json::parse(*text, nullptr, false);
  if (!document.is_object() || !document.contains("nftables") || !document["nftables"].is_array()) return corrupt();
  const auto& list = document["nftables"];
  for (const auto& item : list) {
    if (!item.is_object() || !item.contains("rule") || !item["rule"].is_object()) continue;
    const auto& rule = item["rule"];
    const auto handle = rule.find("handle");
    if (rule.contains("comment") && rule["comment"] == owner && handle != rule.end() && handle->is_number_unsigned())
      own.push_back({handle->get<std::uint64_t>(), MatchOf(rule)});
  }
  return own;
}

std::set<std::string> MatchesFor(const FirewallWanted& firewall) {
  std::set<std::string> matches;
  for (const auto& net : firewall.networks) {
    for (const auto direction : kDirections) matches.insert(std::string(direction) + " " + net.link);
  }
  return matches;
}

std::string Deleted(const std::string& chain, std::uint64_t handle) {
  return "delete rule " + chain + " handle " + std::to_string(handle) + "\n";
}

}  // namespace

Result<std::vector<Obstacle>> FindObstacles(const FirewallWanted& firewall) {
  std::vector<Obstacle> obstacles;
  const auto wanted = MatchesFor(firewall);
  for (const auto& chain : TRY(DumpChains())) {
    if (!chain.drops || wanted.empty()) continue;
    Obstacle obstacle{Named(chain), {}};
    std::set<std::string> there;
    for (const auto& rule : TRY(OwnRules(chain, firewall.table))) {
      there.insert(rule.match);
      obstacle.stale.push_back(rule.handle);
    }
    if (there != wanted || obstacle.stale.size() != wanted.size()) obstacles.push_back(std::move(obstacle));
  }
  return obstacles;
}

Result<> OpenPassages(const FirewallWanted& wanted) {
  for (const auto& [chain, stale] : TRY(FindObstacles(wanted))) {
    std::string commands;
    for (const auto handle : stale) commands += Deleted(chain, handle);
    for (const auto& net : wanted.networks) {
      for (const auto direction : kDirections) {
        commands += "add rule " + chain + " " + std::string(direction) + " \"" + net.link + "\" accept comment \"" +
                    wanted.table + "\"\n";
      }
    }
    auto opened = RunNft(commands, "let bridges pass", chain);
    if (opened || opened.error().code == ErrorCode::kNotFound) continue;  // who has gone since drops nothing
    return Fail(std::move(opened).error().Hint("it drops what it does not know, and cannot be changed by others"));
  }
  return {};
}

Result<> ClosePassages(const std::string& table) {
  for (const auto& chain : TRY(DumpChains())) {
    if (!chain.forwards) continue;
    // What cannot be read is not where we have put anything.
    const auto own = OwnRules(chain, table);
    if (!own || own->empty()) continue;
    std::string commands;
    for (const auto& rule : *own) commands += Deleted(Named(chain), rule.handle);
    const auto closed = RunNft(commands, "take rules from", Named(chain));
    if (!closed && closed.error().code != ErrorCode::kNotFound) return closed;
  }
  return {};
}

}  // namespace nucleus::netns
