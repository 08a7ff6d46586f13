#include "actuators/netns/leaving.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "actuators/netns/netlink.hpp"
#include "state/parts/spoof_model.hpp"

namespace nucleus::netns {

namespace {

// Of an element, as the kernel has it: the name of a link in IFNAMSIZ bytes, then what it is concatenated with.
using Key = std::string;

std::string_view LinkOf(const Key& key) {
  const auto name = std::string_view(key).substr(0, IFNAMSIZ);
  return name.substr(0, name.find('\0'));
}

Message ToSet(std::uint8_t type, const std::string& table, std::string_view set) {
  auto message = NftMessage(type, 0, NFPROTO_BRIDGE);
  message.PutText(NFTA_SET_ELEM_LIST_TABLE, table).PutText(NFTA_SET_ELEM_LIST_SET, set);
  return message;
}

void AddKeys(nlmsghdr* answer, std::vector<Key>& keys) {
  std::array<nlattr*, NFTA_SET_ELEM_LIST_MAX + 1> list{};
  if (nlmsg_parse(answer, sizeof(nfgenmsg), list.data(), NFTA_SET_ELEM_LIST_MAX, nullptr) < 0) return;
  nlattr* elements = list[NFTA_SET_ELEM_LIST_ELEMENTS];
  if (elements == nullptr) return;
  nlattr* entry = nullptr;
  int left = 0;
  nla_for_each_nested(entry, elements, left) {
    std::array<nlattr*, NFTA_SET_ELEM_MAX + 1> element{};
    std::array<nlattr*, NFTA_DATA_MAX + 1> data{};
    if (nla_parse_nested(element.data(), NFTA_SET_ELEM_MAX, entry, nullptr) < 0) continue;
    if (element[NFTA_SET_ELEM_KEY] == nullptr) continue;
    if (nla_parse_nested(data.data(), NFTA_DATA_MAX, element[NFTA_SET_ELEM_KEY], nullptr) < 0) continue;
    const nlattr* value = data[NFTA_DATA_VALUE];
    if (value == nullptr) continue;
    keys.emplace_back(static_cast<const char*>(nla_data(value)), static_cast<std::size_t>(nla_len(value)));
  }
}

// None where there is no such table.
Result<std::vector<Key>> KeysOf(Netlink& netlink, const std::string& table, std::string_view set) {
  auto message = ToSet(NFT_MSG_GETSETELEM, table, set);
  std::vector<Key> keys;
  const auto dumped = netlink.Dump(
      message, "list addresses of links", [&] { keys.clear(); }, [&](nlmsghdr* answer) { AddKeys(answer, keys); });
  if (!dumped && dumped.error().sys_errno != ENOENT) return Fail(dumped.error());
  return keys;
}

Message Removal(const std::string& table, std::string_view set, std::span<const Key> keys) {
  auto message = ToSet(NFT_MSG_DELSETELEM, table, set);
  message.PutNested(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, [&](Message& list) {
    for (const auto& key : keys) {
      list.PutNested(NFTA_LIST_ELEM | NLA_F_NESTED, [&](Message& element) {
        element.PutNested(NFTA_SET_ELEM_KEY | NLA_F_NESTED,
                          [&](Message& data) { data.PutBytes(NFTA_DATA_VALUE, key.data(), key.size()); });
      });
    }
  });
  return message;
}

}  // namespace

Result<bool> HasLeavingPorts(const std::string& table) {
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  return !TRY(KeysOf(netlink, table, kSpoofLeaving)).empty();
}

Result<> ForgetGonePorts(const std::string& table) {
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  auto gone = TRY(KeysOf(netlink, table, kSpoofLeaving));
  if (gone.empty()) return {};
  auto links = TRY(Netlink::Open(NETLINK_ROUTE));
  for (auto key = gone.begin(); key != gone.end();) {
    key = TRY(GetLink(links, LinkOf(*key))) ? gone.erase(key) : key + 1;
  }
  constexpr std::size_t kOfMessage = 32;  // a message is a page
  std::vector<Message> batch;
  for (const auto set : kSpoofSets) {
    auto keys = TRY(KeysOf(netlink, table, set));
    std::erase_if(keys, [&](const Key& key) { return std::ranges::find(gone, LinkOf(key), LinkOf) == gone.end(); });
    for (std::size_t i = 0; i < keys.size(); i += kOfMessage)
      batch.push_back(Removal(table, set, std::span(keys).subspan(i, std::min(kOfMessage, keys.size() - i))));
  }
  return netlink.DoBatch(batch, NFNL_SUBSYS_NFTABLES, "forget ports that are gone", table);
}

}  // namespace nucleus::netns
