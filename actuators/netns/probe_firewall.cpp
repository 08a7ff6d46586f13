// The tables of a topology: state/parts/firewall_model.hpp, spoof_model.hpp.
#include <algorithm>
#include <optional>
#include <set>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/passage.hpp"
#include "actuators/netns/probe.hpp"
#include "actuators/netns/unreadable.hpp"
#include "actuators/sys/file.hpp"
#include "state/parts/spoof_model.hpp"

namespace nucleus::netns {

namespace {

// Ports whose links are on their way out, and there yet. After a step of its own (only_asked) also those whose links
// have just gone: the step that removes them beside this one forgets them (leaving.hpp) a moment after that.
Result<std::set<std::string_view>> StillLeaving(const FirewallState& state, const std::set<std::string_view>& wanted,
                                                bool only_asked) {
  std::set<std::string_view> leaving;
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  for (const auto& [set, port] : state.elements) {
    if (set != kSpoofLeaving || wanted.contains(port)) continue;
    if (only_asked || TRY(GetLink(netlink, port))) leaving.insert(port);
  }
  return leaving;
}

// The table of family bridge, as far as somebody wants it; else it is only told that there is one.
Result<Facts> ObserveSources(const std::string& table, const FirewallWanted* wanted, bool only_asked) {
  const auto tables = TRY(DumpTables(TableFamily::kBridge));
  const auto found = std::ranges::find(tables, table, &TableInfo::name);
  if (found == tables.end()) return Facts();
  if (wanted == nullptr) return Facts{{std::string(kSpoofFact), "checked"}};
  const auto listing = TRY(ListTableJson(table, TableFamily::kBridge));
  if (!listing) return Facts();
  const auto state = TRY(ParseListing(*listing));
  Facts facts = SpoofFacts(state, TRY(StillLeaving(state, PortsOf(*wanted), only_asked)));
  if (found->dormant) facts[std::string(kSpoofFact) + " flags"] = "dormant";
  return facts;
}

Observation ObserveFirewall(const std::string& project, const FirewallWanted* wanted, bool only_asked) {
  const auto tables = DumpTables();
  if (!tables) return Unreadable(tables.error());
  const std::string name = FirewallTable(project);
  const auto table = std::ranges::find(*tables, name, &TableInfo::name);
  Observation observation;
  if (table == tables->end()) return observation;
  const auto listing = ListTableJson(name);
  if (!listing) return Unreadable(listing.error());
  if (!*listing) return observation;  // deleted between the two looks
  auto state = ParseListing(**listing);
  if (!state) return Unreadable(state.error());
  const auto label = ParseTableComment(table->comment);
  state->comment = label.comment;
  const auto setting = [&](std::optional<bool> was, const char* note, const char* path) -> std::optional<std::string> {
    if (!was) return std::nullopt;
    observation.notes[note] = *was ? "1" : "0";
    const auto value = sys::ReadFile(path);
    return value ? value->substr(0, value->find('\n')) : value.error().Message();
  };
  state->ip_forward = setting(label.ip_forward_was, "ip_forward_was", "/proc/sys/net/ipv4/ip_forward");
  state->ip6_forward = setting(label.ip6_forward_was, "ip6_forward_was", "/proc/sys/net/ipv6/conf/all/forwarding");
  observation.presence = Presence::kPresent;
  observation.facts = FirewallFacts(*state);
  if (table->dormant) observation.facts["table flags"] = "dormant";
  auto sources = ObserveSources(name, wanted, only_asked);
  if (!sources) return Unreadable(sources.error());
  observation.facts.merge(*std::move(sources));
  // After a step of its own: that has looked itself, until it was open. Who drops since is drift.
  if (wanted == nullptr || only_asked) return observation;
  const auto obstacles = FindObstacles(*wanted);
  if (!obstacles) return Unreadable(obstacles.error());
  for (const auto& obstacle : *obstacles) observation.facts["way through " + obstacle] = "closed";
  return observation;
}

}  // namespace

std::vector<Part> FirewallProber::Parts() const {
  return {Part::kFirewall};
}

Result<Observations> FirewallProber::Probe(const ProbeRequest& request) {
  Observations observations;
  for (const auto& [key, wanted] : request.parts) {
    if (key.part == Part::kFirewall)
      observations[key] = ObserveFirewall(request.project, std::get_if<FirewallWanted>(&wanted), request.only_asked);
  }
  if (!observations.empty() || request.only_asked) return observations;
  auto left_over = ObserveFirewall(request.project, nullptr, request.only_asked);
  if (left_over.presence == Presence::kPresent)
    observations[{request.project, {Kind::kTopology, ""}, Part::kFirewall}] = std::move(left_over);
  return observations;
}

}  // namespace nucleus::netns
