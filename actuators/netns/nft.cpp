#include "actuators/netns/nft.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <cstring>
#include <utility>

#include "actuators/netns/netlink.hpp"
#include "actuators/netns/nft_library.hpp"

namespace nucleus::netns {

namespace {

ErrorCode CodeOf(std::string_view message) {
  if (message.find("Operation not permitted") != std::string_view::npos) return ErrorCode::kPermission;
  if (message.find("Operation not supported") != std::string_view::npos) return ErrorCode::kUnsupported;
  if (message.find("No such file or directory") != std::string_view::npos) return ErrorCode::kNotFound;
  return ErrorCode::kSystem;
}

Result<std::string> Run(const std::string& commands, bool json, std::string_view operation, std::string_view subject) {
  NftAnswer answer = TRY(AskNft(commands, json));
  switch (answer.outcome) {
    case NftAnswer::Outcome::kDone:
      return std::move(answer.text);
    case NftAnswer::Outcome::kRefused:
      return Fail(CodeOf(answer.text), operation, subject, answer.text);
    case NftAnswer::Outcome::kMissing:
      break;
  }
  return Fail(
      Error::Of(ErrorCode::kUnsupported, "load", "libnftables.so.1", answer.text).Hint("apt install libnftables1"));
}

Result<std::optional<std::string>> List(const std::string& operation, const std::string& what,
                                        std::string_view subject) {
  auto text = Run(operation + " " + what, true, operation, subject);
  if (text) return *std::move(text);
  if (text.error().code == ErrorCode::kNotFound) return std::nullopt;
  return Fail(std::move(text).error());
}

// User data is a list of {type, length, value}; type 0 is the comment: NFTNL_UDATA_TABLE_COMMENT of libnftnl.
std::string CommentIn(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  std::string_view data(static_cast<const char*>(nla_data(attribute)), static_cast<std::size_t>(nla_len(attribute)));
  while (data.size() >= 2) {
    const auto type = static_cast<unsigned char>(data[0]);
    const std::size_t size = static_cast<unsigned char>(data[1]);
    if (data.size() - 2 < size) break;
    const auto value = data.substr(2, size);
    if (type == 0) return std::string(value.substr(0, value.find('\0')));
    data.remove_prefix(2 + size);
  }
  return {};
}

}  // namespace

Result<std::vector<TableInfo>> DumpTables(TableFamily family, Netlink::Buffer* lent) {
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER, lent));
  auto message = NftQuestion(NFT_MSG_GETTABLE, family == TableFamily::kBridge ? NFPROTO_BRIDGE : NFPROTO_INET);
  std::vector<TableInfo> tables;
  TRY(netlink.Dump(
      message, "list nftables tables", [&] { tables.clear(); },
      [&](nlmsghdr* answer) {
        std::array<nlattr*, NFTA_TABLE_MAX + 1> attributes{};
        if (nlmsg_parse(answer, sizeof(nfgenmsg), attributes.data(), NFTA_TABLE_MAX, nullptr) < 0) return;
        const auto* flags = attributes[NFTA_TABLE_FLAGS];
        const bool dormant = flags != nullptr && (ntohl(nla_get_u32(flags)) & NFT_TABLE_F_DORMANT) != 0;
        tables.push_back({TextOf(attributes[NFTA_TABLE_NAME]), CommentIn(attributes[NFTA_TABLE_USERDATA]), dormant});
      }));
  return tables;
}

Result<> RunNft(const std::string& commands, std::string_view operation, std::string_view subject) {
  TRY(Run(commands, false, operation, subject));
  return {};
}

Result<std::optional<std::string>> ListTableJson(std::string_view table, TableFamily family) {
  const std::string of = family == TableFamily::kBridge ? "bridge " : "inet ";
  return List("list table", of + std::string(table), table);
}

Result<std::optional<std::string>> ListChainJson(std::string_view family, std::string_view table,
                                                 std::string_view chain) {
  const std::string name = std::string(family) + " " + std::string(table) + " " + std::string(chain);
  return List("list chain", name, name);
}

}  // namespace nucleus::netns
