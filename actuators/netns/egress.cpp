#include "actuators/netns/egress.hpp"

#include <sched.h>

#include <algorithm>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/nft_library.hpp"
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

std::optional<std::string> WhyNoEgressRules() {
  EgressWanted some;
  some.allowed.push_back({spec::Ipv4Net{}, std::nullopt, false});
  some.tcp_ports = {443};
  some.udp_ports = {443};
  some.v6 = HasIpv6();
  some.domains = {"example.org"};
  std::optional<std::string> why;
  (void)OnThread([&]() -> Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return FailSys("make", "network namespace");
    auto answer = TRY(AskNft(EgressTransaction(some), false));
    if (answer.outcome != NftAnswer::Outcome::kDone) why = std::move(answer.text);
    return {};
  });
  return why;
}

}  // namespace nucleus::netns
