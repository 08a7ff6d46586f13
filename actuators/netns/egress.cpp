#include "actuators/netns/egress.hpp"

#include <algorithm>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/nft.hpp"
#include "spec/core/hash.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

constexpr std::string_view kMark = "nucleus: no egress rules ";

std::string LackMarkOf(const EgressWanted& wanted) {
  constexpr std::size_t kEnough = 16;
  return std::string(kMark) + Sha256::Of(EgressTransaction(wanted)).Hex().substr(0, kEnough) + ": ";
}

}  // namespace

std::uint64_t Egress::Denied() const {
  const auto counter = state.counters.find(std::string(kEgressCounter));
  return counter != state.counters.end() ? counter->second : 0;
}

Result<Egress> ReadEgress(bool listed, Netlink::Buffer* lent) {
  Egress egress;
  const auto tables = TRY(DumpTables(TableFamily::kInet, lent));
  const auto table = std::ranges::find(tables, kEgressTable, &TableInfo::name);
  if (table == tables.end()) return egress;
  if (!listed) {
    egress.present = true;
    egress.facts[std::string(kEgressFact) + " rules"] = "present";
    return egress;
  }
  const auto listing = TRY(ListTableJson(kEgressTable));
  if (!listing) return egress;  // deleted between the two looks
  egress.present = true;
  egress.state = TRY(ParseListing(*listing));
  egress.facts = EgressFacts(egress.state);
  egress.dormant = table->dormant;
  if (egress.dormant) egress.facts[std::string(kEgressFact) + " flags"] = "dormant";
  return egress;
}

bool CannotBeHad(const Error& error) {
  // Of the kernel: EOPNOTSUPP and ENOENT, as nft.cpp reads what libnftables says.
  return error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kNotFound;
}

std::string LackMark(const EgressWanted& wanted, std::string_view why) {
  constexpr std::size_t kMost = 255;  // IFALIASZ, and its end
  return (LackMarkOf(wanted) + std::string(why)).substr(0, kMost);
}

std::optional<std::string> ReadLackMark(const EgressWanted& wanted, std::string_view alias) {
  const std::string mark = LackMarkOf(wanted);
  if (!alias.starts_with(mark)) return std::nullopt;
  return std::string(alias.substr(mark.size()));
}

bool IsLackMark(std::string_view alias) {
  return alias.starts_with(kMark);
}

}  // namespace nucleus::netns
