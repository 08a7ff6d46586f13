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

#include "actuators/netns/netlink.hpp"
#include "actuators/netns/nft.hpp"
#include "spec/core/nesting.hpp"

namespace nucleus::netns {

namespace {

using nlohmann::json;

constexpr std::string_view kComment = "nucleus: bridges have rules of their own";
constexpr std::string_view kUsersChain = "DOCKER-USER";
constexpr std::array<std::string_view, 2> kMatches{"iifname \"nb*\"", "oifname \"nb*\""};

struct Chain {
  std::string family;
  std::string table;
  std::string name;
  bool forwards = false;  // at the hook of what is forwarded
  bool drops = false;     // by its policy
};

std::string Text(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* data = static_cast<const char*>(nla_data(attribute));
  return std::string(data, strnlen(data, static_cast<std::size_t>(nla_len(attribute))));
}

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
  chain.table = Text(attributes[NFTA_CHAIN_TABLE]);
  chain.name = Text(attributes[NFTA_CHAIN_NAME]);
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

// The handles of our rules in a chain.
Result<std::vector<std::uint64_t>> OwnRules(const Chain& chain) {
  const auto text = ListChainJson(chain.family, chain.table, chain.name);
  std::vector<std::uint64_t> handles;
  if (!text && text.error().code == ErrorCode::kNotFound) return handles;  // gone since
  if (!text) return Fail(text.error());
  const auto corrupt = [] { return Fail(ErrorCode::kCorrupt, "read", "nftables listing", "not what nft(8) writes"); };
  if (IsNestedTooDeeply(*text)) return corrupt();
  const auto document = json::parse(*text, nullptr, false);
  const auto list = document.find("nftables");
  if (!document.is_object() || list == document.end() || !list->is_array()) return corrupt();
  for (const auto& item : *list) {
    const auto rule = item.find("rule");
    if (!item.is_object() || rule == item.end() || !rule->is_object()) continue;
    const auto comment = rule->find("comment");
    const auto handle = rule->find("handle");
    if (comment != rule->end() && *comment == kComment && handle != rule->end() && handle->is_number_unsigned())
      handles.push_back(handle->get<std::uint64_t>());
  }
  return handles;
}

std::string Named(const Chain& chain) {
  return chain.family + " " + chain.table + " " + chain.name;
}

}  // namespace

Result<std::vector<Obstacle>> FindObstacles() {
  const auto chains = TRY(DumpChains());
  std::vector<Obstacle> obstacles;
  for (const auto& chain : chains) {
    if (!chain.drops) continue;
    Chain into = chain;
    into.name = kUsersChain;
    const bool has_users = std::ranges::any_of(chains, [&](const Chain& other) { return Named(other) == Named(into); });
    if (!has_users) into.name = chain.name;
    if (TRY(OwnRules(into)).size() >= kMatches.size()) continue;
    obstacles.push_back({chain.family, chain.table, chain.name, into.name});
  }
  return obstacles;
}

Result<> OpenPassages() {
  std::string commands;
  for (const auto& obstacle : TRY(FindObstacles())) {
    for (const auto match : kMatches) {
      commands += "insert rule " + obstacle.family + " " + obstacle.table + " " + obstacle.into + " " +
                  std::string(match) + " accept comment \"" + std::string(kComment) + "\"\n";
    }
  }
  return commands.empty() ? Result<>() : RunNft(commands, "let bridges pass", "the rules of others");
}

Result<> ClosePassages() {
  std::string commands;
  for (const auto& chain : TRY(DumpChains())) {
    if (!chain.forwards && chain.name != kUsersChain) continue;
    for (const auto handle : TRY(OwnRules(chain)))
      commands += "delete rule " + Named(chain) + " handle " + std::to_string(handle) + "\n";
  }
  return commands.empty() ? Result<>() : RunNft(commands, "take rules from", "the rules of others");
}

}  // namespace nucleus::netns
