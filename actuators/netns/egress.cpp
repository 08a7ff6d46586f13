#include "actuators/netns/egress.hpp"

#include <algorithm>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/nft.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

Result<Egress> ReadEgress(bool listed) {
  Egress egress;
  const auto tables = TRY(DumpTables());
  const auto table = std::ranges::find(tables, kEgressTable, &TableInfo::name);
  egress.present = table != tables.end();
  if (!egress.present) return egress;
  if (!listed) {
    egress.facts[std::string(kEgressFact) + " rules"] = "present";
    return egress;
  }
  const auto listing = TRY(ListTableJson(kEgressTable));
  const auto state = TRY(ParseListing(listing));
  egress.facts = EgressFacts(state);
  if (table->dormant) egress.facts[std::string(kEgressFact) + " flags"] = "dormant";
  const auto denied = state.counters.find(std::string(kEgressCounter));
  if (denied != state.counters.end()) egress.denied = denied->second;
  return egress;
}

}  // namespace nucleus::netns
