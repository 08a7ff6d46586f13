#include "actuators/netns/egress.hpp"

#include <algorithm>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/nft.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

Result<Egress> ReadEgress(bool listed) {
  Egress egress;
  const auto tables = TRY(DumpTables());
  egress.present = std::ranges::any_of(tables, [](const TableInfo& table) { return table.name == kEgressTable; });
  if (!egress.present) return egress;
  if (!listed) {
    egress.facts[std::string(kEgressFact) + " rules"] = "present";
    return egress;
  }
  const auto listing = TRY(ListTableJson(kEgressTable));
  const auto state = TRY(ParseListing(listing));
  egress.facts = EgressFacts(state);
  const auto denied = state.counters.find(std::string(kEgressCounter));
  if (denied != state.counters.end()) egress.denied = denied->second;
  return egress;
}

}  // namespace nucleus::netns
