#include "actuators/netns/probe.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "actuators/netns/early_look.hpp"
#include "actuators/netns/host_view.hpp"
#include "actuators/netns/inside.hpp"
#include "actuators/netns/routing.hpp"
#include "actuators/netns/unreadable.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

// ---- bridges ----

Facts RoutingOf(const Link& link) {
  auto netlink = Netlink::Open(NETLINK_ROUTE);
  const auto lost = netlink ? LostRoutesOf(*netlink, link) : Result<std::vector<LostRoute>>(Fail(netlink.error()));
  if (!lost) return {{"routes", lost.error().Message()}};
  return LostRouteFaults(*lost);
}

// others: bridges that have its alias as well. v6: it is to have IPv6.
Observation ObserveBridge(const HostView& host, const Link* link, const std::vector<const Link*>& others, bool v6) {
  Observation observation;
  if (link == nullptr) return observation;
  observation.presence = Presence::kPresent;
  observation.facts = {{"link", link->name},
                       {"type", link->kind.empty() ? "hardware" : link->kind},
                       {"alias", link->alias},
                       {"address", host.snapshot().AddressesOf(link->index)},
                       {"mac", Format(link->mac)},
                       {"mtu", std::to_string(link->mtu)},
                       {"up", link->up ? "yes" : "no"},
                       {"learns of group frames", link->learns_of_groups ? "yes" : "no"}};
  observation.facts.merge(ReadSysctls(BridgeSysctls(v6), link->name));
  observation.facts.merge(RoutingOf(*link));
  observation.notes["index"] = std::to_string(link->index);
  for (const Link* other : others) {
    if (other != link) observation.facts["link " + other->name] = "a second one with its alias";
  }
  return observation;
}

// ---- network namespaces ----

struct NetnsJob {
  PartKey key;
  std::vector<const Link*> host_ends;  // links on the host with the service's alias
  const NetnsWanted* wanted = nullptr;
};

// What a link inside is for; null where it is for none of the networks.
const NetnsWanted::Attachment* AttachmentOf(const Link& link, const HostView& host, const NetnsWanted* wanted) {
  const Link* end = wanted == nullptr ? nullptr : host.Find(link.peer);
  if (end == nullptr || !IsAttachment(link, *end)) return nullptr;
  const Link* bridge = host.Find(end->master);
  const auto attachment = std::ranges::find_if(wanted->attachments, [&](const NetnsWanted::Attachment& candidate) {
    if (end->name == candidate.host_link) return true;
    // One that somebody has renamed is still where it was.
    const bool there = bridge != nullptr && bridge->name == candidate.bridge && end->alias == wanted->alias;
    return there && host.Find(candidate.host_link) == nullptr;
  });
  return attachment == wanted->attachments.end() ? nullptr : &*attachment;
}

// What it is called in a fact: after the network that it is for, or, where that is no more among those of the service,
// after the one that it still is in.
std::string FactNameOf(const Link* link, const HostView& host, const NetnsJob& job) {
  if (link == nullptr) return "?";
  if (const auto* attachment = AttachmentOf(*link, host, job.wanted)) return NetworkFact(attachment->network);
  const Link* end = host.Find(link->peer);
  const Link* bridge = end == nullptr ? nullptr : host.Find(end->master);
  const auto network = bridge == nullptr ? std::nullopt : OwnerOf(*bridge, job.key.project);
  if (!network || network->kind != Kind::kNetwork || !IsAttachment(*link, *end)) return link->name;
  const bool ours = end->name == VethLink(job.key.project, job.key.address, network->name);
  return ours ? NetworkFact(network->name) : link->name;
}

// What has become of the settings that it begins with.
std::string SettingsText(const Link& link, bool v6) {
  std::string text = link.takes_redirects ? ", takes redirects" : "";
  if (!v6 && link.ipv6 && link.ipv6->disable_ipv6 == 0) text += ", has IPv6";
  return text;
}

// As Ipv6LinkSysctls() has them. A setting that this kernel does not have counts as held.
Facts Ipv6Facts(const Link& link) {
  static constexpr std::array<std::pair<std::string_view, int Ipv6Settings::*>, 5> kSettings{
      {{"accept_ra", &Ipv6Settings::accept_ra},
       {"autoconf", &Ipv6Settings::autoconf},
       {"accept_redirects", &Ipv6Settings::accept_redirects},
       {"accept_dad", &Ipv6Settings::accept_dad},
       {"disable_ipv6", &Ipv6Settings::disable_ipv6}}};
  Facts facts;
  for (const auto& [path, expected] : Ipv6LinkSysctls()) {
    auto& fact = facts[SettingName(path)] = expected;
    const auto found =
        std::ranges::find(kSettings, path.substr(path.rfind('/') + 1), [](const auto& s) { return s.first; });
    if (link.ipv6 && found != kSettings.end()) fact = std::to_string(*link.ipv6.*found->second);
  }
  return facts;
}

void ObserveEgress(const Inside& inside, const NetnsWanted* netns, Observation& observation) {
  const auto& egress = inside.egress;
  if (!egress) {
    observation.facts["egress rules"] = egress.error().Message();
    return;
  }
  observation.facts.merge(egress->facts);
  if (egress->present) observation.notes["egress_denied"] = std::to_string(egress->Denied());
  const Link* lo = inside.snapshot.Find("lo");
  if (egress->present || netns == nullptr || lo == nullptr) return;
  // It would be believed of the same rules at another time.
  if (!netns->egress && IsLackMark(lo->alias)) observation.facts["mark of lacking egress rules"] = "left over";
  if (!netns->egress || !netns->egress->may_lack) return;
  // Those that this machine does not have count as held.
  const auto why = ReadLackMark(*netns->egress, lo->alias);
  if (!why) return;
  observation.facts.merge(EgressFacts(ExpectedEgress(*netns->egress)));
  observation.notes[std::string(kEgressLackNote)] = *why;
}

Observation ObserveNetns(const HostView& host, const NetnsJob& job, const Seen& seen) {
  Observation observation;
  const auto& [pin, inside] = seen;
  if (!pin) return Unreadable(pin.error());
  if (pin->state == PinState::kAbsent && job.host_ends.empty()) return observation;
  if (pin->state == PinState::kMounted && !inside) return Unreadable(inside.error());
  // Rules that are there, and cannot be listed. Those of somebody else's making can.
  if (pin->state == PinState::kMounted && !inside->egress && inside->egress.error().code != ErrorCode::kCorrupt)
    return Unreadable(inside->egress.error());
  observation.presence = Presence::kPresent;
  switch (pin->state) {
    case PinState::kAbsent:
      break;
    case PinState::kNoMount:
      observation.facts["pin"] = "a file without a namespace";
      break;
    case PinState::kForeign:
      observation.facts["pin"] = "not a network namespace of its own";
      break;
    case PinState::kMounted:
      observation.facts["pin"] = "mounted";
      observation.notes["inode"] = std::to_string(pin->inode);
      break;
  }

  std::set<const Link*> paired;
  if (pin->state == PinState::kMounted) {
    const Snapshot& snapshot = inside->snapshot;
    observation.facts.merge(inside->sysctls);
    const bool routes_itself = job.wanted != nullptr && job.wanted->routes_itself;
    if (!routes_itself) observation.facts.merge(RoutingFaults(snapshot, inside->rules));
    ObserveEgress(*inside, job.wanted, observation);
    std::map<std::string, std::string> facts;  // of as many links and routes as the workload likes
    for (const auto& link : snapshot.links) {
      if (link.name == "lo") facts["lo"] = link.up ? "up" : "down";
      // Tunnels and the like that the kernel puts into every namespace are nobody's doing.
      if (link.kind != "veth") continue;
      const auto name = FactNameOf(&link, host, job);
      const auto* attachment = AttachmentOf(link, host, job.wanted);
      const bool v6 = (attachment != nullptr && attachment->v6) || HasIpv6Address(snapshot, link.index);
      facts[name] = InsideText(snapshot.AddressesOf(link.index), link.mac, link.mtu, link.up) + SettingsText(link, v6);
      if (v6) {
        for (const auto& [setting, value] : Ipv6Facts(link)) facts[name + " " + setting] = value;
      }
      const Link* end = host.Find(link.peer);
      if (end == nullptr || end->kind != "veth" || end->peer != link.index) continue;
      const Link* bridge = host.Find(end->master);
      paired.insert(end);
      facts[name + " host end"] =
          HostEndText(end->name, bridge == nullptr ? "" : bridge->name, end->mtu, end->up, end->hairpin, end->alias);
    }
    const bool userspace = job.wanted != nullptr && job.wanted->userspace;
    if (const auto fault = userspace ? UserspaceFault(snapshot, job.wanted->userspace_v6) : std::nullopt)
      facts["link of its program in user space"] = *fault;
    for (const auto& route : snapshot.DefaultRoutes()) {
      const Link* link = snapshot.Find(route.index);
      if (userspace && link != nullptr && link->kind == "tun") continue;
      std::string& routes = facts[std::string(route.IsV6() ? kDefaultRoute6 : kDefaultRoute)];
      if (!routes.empty()) routes += ", ";
      routes += RouteText(route.gateway.value_or(spec::Ipv4{}), FactNameOf(link, host, job));
    }
    for (const auto& route : snapshot.OtherRoutes()) {
      const Link* link = snapshot.Find(route.index);
      // Over a link that a workload has made, a tunnel say, it may send what it likes.
      if (link == nullptr || link->kind != "veth") continue;
      facts["route " + spec::Format(route.to)] =
          RouteText(route.gateway.value_or(spec::Ipv4{}), FactNameOf(link, host, job));
    }
    observation.facts.merge(Facts(std::move(facts)));
  }
  for (const Link* end : job.host_ends) {
    if (!paired.contains(end)) observation.facts["link " + end->name] = "without its other end in the namespace";
  }
  return observation;
}

// One probe: what was asked for, and what carries the project's tags.
class Look {
 public:
  // early: what was looked at before; null: nothing.
  Look(const Directories& directories, const ProbeRequest& request, EarlyLook* early)
      : directories_(directories), request_(request) {
    if (early == nullptr) return;
    early_ = early->Take();
    for (std::size_t i = 0; i < early_->places.size(); ++i) early_places_.emplace(early_->places[i].pin, i);
  }

  Result<Observations> Take() {
    const auto host = TRY(TakeHost());
    CollectLinks(host);
    if (!request_.only_asked) {
      for (const auto& address : PinnedServices(directories_, request_.project)) netns_[Key(address, Part::kNetns)];
    }
    for (const auto& [key, wanted] : request_.parts) {
      if (key.part == Part::kBridge) {
        // The name decides; the alias finds what was renamed.
        auto& links = bridges_[key];
        const Link* link = host.Find(LinkOf(key, wanted));
        if (link != nullptr) links.insert(links.begin(), link);
      }
      if (key.part == Part::kNetns) netns_[key];
    }
    for (const auto& [key, links] : bridges_) {
      observations_[key] = ObserveBridge(host, links.empty() ? nullptr : links.front(), links, HasV6(key));
    }
    ObserveNamespaces(host);
    return std::move(observations_);
  }

 private:
  Result<HostView> TakeHost() {
    if (early_ && early_->host) return *std::move(early_->host);
    return request_.only_asked ? HostView::Take(AskedLinks()) : HostView::Take();
  }

  // None: nobody has looked, or for something else.
  std::optional<Seen> SeenEarly(const Place& place) {
    const auto found = early_places_.find(place.pin);
    if (found == early_places_.end()) return std::nullopt;
    auto& seen = early_->seen[found->second];
    if (!seen) return std::nullopt;
    return AsAsked(*std::move(seen), early_->places[found->second].scope, place.scope);
  }

  std::vector<Seen> LookInsideAll(const std::vector<Place>& places) {
    std::vector<std::optional<Seen>> known;
    std::vector<Place> unknown;
    for (const auto& place : places) {
      known.push_back(SeenEarly(place));
      if (!known.back()) unknown.push_back(place);
    }
    auto looked = LookInside(unknown);
    std::vector<Seen> all;
    std::size_t next = 0;
    for (auto& seen : known) all.push_back(seen ? *std::move(seen) : std::move(looked[next++]));
    return all;
  }

  [[nodiscard]] PartKey Key(const Address& address, Part part) const { return {request_.project, address, part}; }

  [[nodiscard]] bool HasV6(const PartKey& key) const {
    const auto wanted = request_.parts.find(key);
    const auto* bridge = wanted == request_.parts.end() ? nullptr : std::get_if<BridgeWanted>(&wanted->second);
    return bridge != nullptr && bridge->v6;
  }

  [[nodiscard]] std::string LinkOf(const PartKey& key, const Wanted& wanted) const {
    const auto* bridge = std::get_if<BridgeWanted>(&wanted);
    return bridge != nullptr ? bridge->link : BridgeLink(request_.project, key.address.name);
  }

  [[nodiscard]] std::set<std::string> AskedLinks() const {
    std::set<std::string> names;
    for (const auto& [key, wanted] : request_.parts) {
      if (key.part == Part::kBridge) names.insert(LinkOf(key, wanted));
      const auto* netns = std::get_if<NetnsWanted>(&wanted);
      if (netns == nullptr) continue;
      for (const auto& attachment : netns->attachments) {
        names.insert(attachment.bridge);
        names.insert(attachment.host_link);
      }
    }
    return names;
  }

  void CollectLinks(const HostView& host) {
    for (const auto& link : host.snapshot().links) {
      const auto address = OwnerOf(link, request_.project);
      if (!address) continue;
      const auto part = address->kind == Kind::kNetwork ? Part::kBridge : Part::kNetns;
      if (request_.only_asked && !request_.parts.contains(Key(*address, part))) continue;
      if (address->kind == Kind::kNetwork) {
        if (link.kind == "bridge") bridges_[Key(*address, Part::kBridge)].push_back(&link);
      } else if (IsService(*address)) {
        netns_[Key(*address, Part::kNetns)].push_back(&link);
      }
    }
  }

  void ObserveNamespaces(const HostView& host) {
    std::vector<NetnsJob> jobs;
    std::vector<Place> places;
    for (auto& [key, ends] : netns_) {
      const auto wanted = request_.parts.find(key);
      const auto* netns = wanted == request_.parts.end() ? nullptr : std::get_if<NetnsWanted>(&wanted->second);
      Place& place = places.emplace_back();
      place.pin = netns != nullptr ? netns->pin : directories_.NetnsPin(request_.project, key.address);
      Scope& scope = place.scope;
      if (netns != nullptr) {
        scope.egress = netns->egress.has_value();
        scope.rules = !netns->routes_itself;
        scope.v6 = netns->userspace_v6 || std::ranges::any_of(netns->attachments, [](const auto& attachment) {
                     return attachment.v6.has_value();
                   });
      }
      // Also of a network that it is to leave.
      for (const Link* end : ends) scope.v6 = scope.v6 || HasIpv6Address(host.snapshot(), end->master);
      jobs.push_back({key, std::move(ends), netns});
    }
    const auto seen = LookInsideAll(places);
    for (std::size_t i = 0; i < jobs.size(); ++i) observations_[jobs[i].key] = ObserveNetns(host, jobs[i], seen[i]);
  }

  const Directories& directories_;
  const ProbeRequest& request_;
  std::optional<EarlyLook::Found> early_;
  std::unordered_map<std::string, std::size_t> early_places_;  // of pins
  Observations observations_;
  std::map<PartKey, std::vector<const Link*>> bridges_;
  std::map<PartKey, std::vector<const Link*>> netns_;
};

}  // namespace

NetnsProber::NetnsProber(Directories directories) : directories_(std::move(directories)) {}
NetnsProber::~NetnsProber() = default;

void NetnsProber::Begin() {
  early_ = std::make_unique<EarlyLook>(directories_);
}

void NetnsProber::BeginWith(const std::string& project) {
  early_->Of(project);
}

std::vector<Part> NetnsProber::Parts() const {
  return {Part::kBridge, Part::kNetns};
}

Result<Observations> NetnsProber::Probe(const ProbeRequest& request) {
  const bool fits = early_ && !request.only_asked && early_->project() == request.project;
  const auto early = fits ? std::move(early_) : nullptr;
  return TRY_IN("network of " + request.project, Look(directories_, request, early.get()).Take());
}

}  // namespace nucleus::netns
