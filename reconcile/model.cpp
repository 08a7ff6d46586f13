#include "reconcile/model.hpp"

#include <algorithm>
#include <atomic>
#include <span>

#include "reconcile/parallel.hpp"
#include "reconcile/same.hpp"
#include "spec/net.hpp"
#include "state/parts/facts.hpp"

namespace nucleus::reconcile {

namespace {

// Walks two maps in order of their keys and calls with both values, either of which may be null.
template <class T, class F>
void Merge(const std::map<std::string, T>& a, const std::map<std::string, T>& b, F&& call) {
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    const bool take_left = right == b.end() || (left != a.end() && left->first <= right->first);
    const bool take_right = left == a.end() || (right != b.end() && right->first <= left->first);
    const std::string& name = take_left ? left->first : right->first;
    call(name, States<T>{take_left ? &left->second : nullptr, take_right ? &right->second : nullptr});
    if (take_left) ++left;
    if (take_right) ++right;
  }
}

std::vector<std::uint32_t> Unique(std::vector<std::uint32_t> list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

std::optional<Wanted> PartOf(const Side& side, const spec::Service& service, Part part) {
  return side.Of(service, part == Part::kProcess ? spec::CanonicalFields(service) : spec::Fields(), part);
}

bool SameAsApplied(const Resource& resource) {
  const auto same = [](const auto& states) {
    return states.desired == nullptr || (states.applied != nullptr && SameMeaning(*states.desired, *states.applied));
  };
  return same(resource.network) && same(resource.volume) && same(resource.service);
}

}  // namespace

const PartState* Resource::Find(Part part) const {
  const auto end = parts.begin() + static_cast<std::ptrdiff_t>(part_count);
  const auto found = std::find_if(parts.begin(), end, [&](const auto& state) { return state.part == part; });
  return found == end ? nullptr : &*found;
}

PartState* Resource::Find(Part part) {
  return const_cast<PartState*>(std::as_const(*this).Find(part));
}

Action Resource::action() const {
  Action greatest = Action::kNone;
  for (const auto& [action, reason] : reasons) greatest = std::max(greatest, action);
  return greatest;
}

bool Resource::Restarts() const {
  const auto* process = Find(Part::kProcess);
  if (process == nullptr || !desired || !applied) return false;
  return process->made_anew();
}

void Resource::Because(Action action, Reason::Type type, std::string text, std::string field, spec::Place place) {
  reasons.push_back({action, {type, std::move(text), std::move(field), place}});
  if (type != Reason::Type::kDrift && type != Reason::Type::kDependency) drift_cause = false;
}

Model::Model(const Question& question, const Scope& scope) : question_(&question), scope_(&scope) {
  AddKnown();
  AddPlaces();
}

std::string Model::KeeperOfData(const spec::Volume& goes) const {
  std::call_once(keepers_asked_, [this] {
    for (const auto& resource : resources) {
      const auto* stays = resource.in_scope ? resource.volume.desired : resource.volume.applied;
      if (stays != nullptr && stays->type == spec::VolumeType::kPersistent)
        keepers_.Add(stays->path, resource.address.Text());
    }
    for (const auto& [path, whose] : question_->taken->volumes) keepers_.Add(path, whose);
  });
  return keepers_.Of(goes.path);
}

const Side& Model::applied() const {
  std::call_once(applied_asked_, [this] {
    applied_leases_ = AppliedLeases(*question_->applied);
    applied_.emplace(question_->applied->topology, *applied_leases_, *question_->host, question_->options.directories);
  });
  return *applied_;
}

void Model::AddPlaces() {
  places_.reserve(PartsOf(Kind::kService).size() * resources.size());
  for (auto& resource : resources) {
    if (!resource.in_scope) continue;
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      auto& state = resource.parts[i];
      const auto node =
          parts_.emplace_hint(parts_.end(), PartKey{project(), resource.address, state.part}, BridgeWanted());
      places_.push_back({&resource, &state, node});
    }
  }
}

void Model::AddWanted(const Leases& desired_leases) {
  desired_.emplace(*scope_->desired, desired_leases, *question_->host, question_->options.directories);
  // The costly part, and every part on its own: what it should be, which for a process takes the whole service.
  ForEachInParallel(places_.size(), [&](std::size_t index) {
    auto& [resource, state, node, none] = places_[index];
    if (state == resource->parts.data() && resource->desired && resource->applied) {
      resource->same = SameAsApplied(*resource);
    }
    auto wanted = resource->desired ? WantedOf(*resource, state->part) : Was(*resource, state->part);
    none = !wanted;
    if (none) return;
    node->second = *std::move(wanted);
    state->asked = &node->second;
    if (resource->desired) state->want = &node->second;
  });
  for (const auto& place : places_) {
    if (place.none) parts_.erase(place.node);
  }
  places_ = {};
}

void Model::See(const Observations& seen) {
  std::atomic<std::size_t> known = 0;
  ForEachPieceInParallel(resources.size(),
                         [&](std::size_t begin, std::size_t end) { known += Look(seen, begin, end); });
  if (known < seen.size()) AddStrangers(seen);
  for (std::uint32_t i = 0; i < resources.size(); ++i) {
    const auto& address = resources[i].address;
    index_.at(static_cast<std::size_t>(address.kind)).emplace(address.name, i);
  }
}

// Observations are sorted as resources are, so one walk finds all.
std::size_t Model::Look(const Observations& seen, std::size_t begin, std::size_t end) {
  std::size_t known = 0;
  auto at = seen.lower_bound(PartKey{project(), resources[begin].address, Part{}});
  for (auto& resource : std::span(resources).subspan(begin, end - begin)) {
    for (; at != seen.end() && at->first.project == project() && at->first.address <= resource.address; ++at) {
      if (at->first.address != resource.address) continue;
      ++known;
      auto* part = resource.Find(at->first.part);
      if (part == nullptr) continue;
      part->seen = &at->second;
      part->matches = part->present() && part->want != nullptr && Matches(*part->want, part->seen->facts);
    }
  }
  return known;
}

Resource& Model::Add(Address address) {
  Resource& resource = resources.emplace_back();
  resource.address = std::move(address);
  resource.in_scope = scope_->Has(resource.address);
  for (const auto part : PartsOf(resource.address.kind)) resource.parts[resource.part_count++].part = part;
  return resource;
}

void Model::AddKnown() {
  const auto& wished = *scope_->desired;
  const auto& before = question_->applied->topology;
  resources.reserve(1 + wished.networks.size() + wished.volumes.size() + wished.services.size());
  if (!wished.networks.empty() || !before.networks.empty()) {
    Resource& resource = Add({Kind::kTopology, project()});
    resource.desired = !wished.networks.empty();
    resource.applied = !before.networks.empty();
  }
  Merge(wished.networks, before.networks, [&](const auto& name, States<spec::Network> states) {
    Resource& resource = Add({Kind::kNetwork, name});
    resource.network = states;
    resource.desired = states.desired != nullptr;
    resource.applied = states.applied != nullptr;
  });
  Merge(wished.volumes, before.volumes, [&](const auto& name, States<spec::Volume> states) {
    Resource& resource = Add({Kind::kVolume, name});
    resource.volume = states;
    resource.desired = states.desired != nullptr;
    resource.applied = states.applied != nullptr;
  });
  Merge(wished.services, before.services, [&](const auto& name, States<spec::Service> states) {
    Resource& resource = Add({Kind::kService, name});
    resource.service = states;
    resource.desired = states.desired != nullptr;
    resource.applied = states.applied != nullptr;
  });
}

// What is in nobody's state, between what is.
void Model::AddStrangers(const Observations& seen) {
  const auto known = resources.size();
  std::size_t at = 0;
  std::vector<std::pair<Address, std::vector<std::pair<Part, const Observation*>>>> strangers;
  for (const auto& [key, observation] : seen) {
    // Another project's, or one started by hand: not ours to touch, whatever the prober says.
    if (key.project != project() || key.address.kind == Kind::kContainer) continue;
    if (observation.presence != Presence::kPresent) continue;
    while (at < known && resources[at].address < key.address) ++at;
    if (at < known && resources[at].address == key.address) continue;
    if (strangers.empty() || strangers.back().first != key.address) strangers.push_back({key.address, {}});
    strangers.back().second.push_back({key.part, &observation});
  }
  if (strangers.empty()) return;
  for (auto& [address, parts] : strangers) {
    Resource& resource = Add(address);
    for (const auto& [part, observation] : parts) {
      if (auto* state = resource.Find(part)) state->seen = observation;
    }
  }
  std::sort(resources.begin(), resources.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
}

std::optional<Wanted> Model::WantedOf(const Resource& resource, Part part) const {
  if (resource.network.desired) return desired_->Bridge(*resource.network.desired);
  if (resource.volume.desired) return desired_->Directory(*resource.volume.desired);
  if (resource.service.desired) return PartOf(*desired_, *resource.service.desired, part);
  return desired_->Firewall();
}

const Wanted* Model::Want(const Resource& resource, Part part) const {
  if (resource.job_done) return nullptr;
  const auto* state = resource.Find(part);
  return state == nullptr ? nullptr : state->want;
}

std::shared_ptr<const Wanted> Model::GiveUp(const Resource& resource, Part part) {
  if (Want(resource, part) == nullptr) return nullptr;
  auto wanted = std::make_shared<Wanted>(std::move(*resource.Find(part)->want));
  OwnService(*wanted);
  return wanted;
}

std::optional<Wanted> Model::Was(const Resource& resource, Part part) const {
  if (!resource.applied) return std::nullopt;
  const auto* state = resource.Find(part);
  if (!resource.desired && state != nullptr && state->asked != nullptr) return *state->asked;
  if (resource.network.applied) return applied().Bridge(*resource.network.applied);
  if (resource.volume.applied) return applied().Directory(*resource.volume.applied);
  if (const auto* service = resource.service.applied) return PartOf(applied(), *service, part);
  return applied().Firewall();
}

bool Model::HadBeen(const Resource& resource, Part part) const {
  if (!resource.applied) return false;
  if (const auto* service = resource.service.applied) return applied().Has(*service, part);
  return true;  // a topology without networks has no resource of its own
}

std::vector<std::pair<spec::PortForward, Address>> Model::PortsThatMove(const Resource& giver) const {
  std::vector<std::pair<spec::PortForward, Address>> moving;
  const auto& [desired, applied] = giver.service;
  if (desired == nullptr || applied == nullptr || !spec::IsUserspace(applied->nat_backend)) return moving;
  for (const auto& port : applied->port_forwards) {
    if (std::ranges::find(desired->port_forwards, port) != desired->port_forwards.end()) continue;
    const auto taker = std::ranges::find_if(resources, [&](const Resource& other) {
      const auto* service = other.service.desired;
      return &other != &giver && other.in_scope && service != nullptr && spec::IsUserspace(service->nat_backend) &&
             std::ranges::any_of(service->port_forwards, [&](const auto& its) { return spec::Collide(its, port); });
    });
    if (taker != resources.end()) moving.emplace_back(port, taker->address);
  }
  return moving;
}

std::optional<std::uint32_t> Model::IndexOf(Kind kind, std::string_view name) const {
  const auto& names = index_.at(static_cast<std::size_t>(kind));
  const auto found = names.find(name);
  if (found == names.end()) return std::nullopt;
  return found->second;
}

std::vector<std::uint32_t> Model::NetworksOf(const spec::Service* service) const {
  std::vector<std::uint32_t> list;
  if (service == nullptr) return list;
  for (const auto& name : service->networks) {
    if (const auto index = IndexOf(Kind::kNetwork, name)) list.push_back(*index);
  }
  return Unique(std::move(list));
}

std::vector<std::uint32_t> Model::VolumesOf(const spec::Service* service) const {
  std::vector<std::uint32_t> list;
  if (service == nullptr) return list;
  for (const auto& mount : service->volumes) {
    if (mount.volume.empty()) continue;
    if (const auto index = IndexOf(Kind::kVolume, mount.volume)) list.push_back(*index);
  }
  return Unique(std::move(list));
}

std::vector<std::uint32_t> Model::DependenciesOf(const spec::Service* service) const {
  std::vector<std::uint32_t> list;
  if (service == nullptr) return list;
  for (const auto& dependency : service->depends_on) {
    if (const auto index = IndexOf(Kind::kService, dependency.service)) list.push_back(*index);
  }
  return Unique(std::move(list));
}

}  // namespace nucleus::reconcile
