// nftables: tables by netlink, rules by libnftables, which is asked only where there are some; nft_library.hpp.
//
// In the network namespace of the calling thread. Needs CAP_NET_ADMIN, for reading too (kPermission without).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/netns/netlink.hpp"
#include "spec/core/error.hpp"

namespace nucleus::netns {

inline constexpr std::string_view kTablePrefix = "nucleus_";  // names.hpp, FirewallTable()

struct TableInfo {
  std::string name;
  std::string comment;
  bool dormant = false;  // it is there, and does nothing
};

enum class TableFamily : std::uint8_t { kInet, kBridge };

// The tables of a family. Without the library: this says in microseconds that there is nothing to list.
// lent: see Netlink::Buffer.
Result<std::vector<TableInfo>> DumpTables(TableFamily family = TableFamily::kInet, Netlink::Buffer* lent = nullptr);

// One transaction: all commands take effect, or none. kUnsupported where the library is missing.
Result<> RunNft(const std::string& commands, std::string_view operation, std::string_view subject);
// `list table inet NAME` as JSON: libnftables-json(5). None where it is not there, any more perhaps.
Result<std::optional<std::string>> ListTableJson(std::string_view table, TableFamily family = TableFamily::kInet);

// The same of one chain of anybody's table.
Result<std::optional<std::string>> ListChainJson(std::string_view family, std::string_view table,
                                                 std::string_view chain);

}  // namespace nucleus::netns
