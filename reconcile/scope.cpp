#include "reconcile/scope.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace nucleus::reconcile {

namespace {

using Links = std::map<Address, std::vector<Address>>;

bool Holds(const spec::Topology& topology, const Address& address) {
  switch (address.kind) {
    case Kind::kNetwork:
      return topology.networks.contains(address.name);
    case Kind::kVolume:
      return topology.volumes.contains(address.name);
    case Kind::kService:
      return topology.services.contains(address.name);
    case Kind::kTopology:
    case Kind::kContainer:
      return false;
  }
  return false;
}

// What every service rests on.
Links RestsOn(const spec::Topology& topology) {
  Links links;
  for (const auto& [name, service] : topology.services) {
    auto& list = links[{Kind::kService, name}];
    for (const auto& dependency : service.depends_on) list.push_back({Kind::kService, dependency.service});
    for (const auto& network : service.networks) list.push_back({Kind::kNetwork, network});
    for (const auto& mount : service.volumes) {
      if (!mount.volume.empty()) list.push_back({Kind::kVolume, mount.volume});
    }
  }
  return links;
}

Links Reversed(const Links& links) {
  Links reversed;
  for (const auto& [from, list] : links) {
    for (const auto& to : list) reversed[to].push_back(from);
  }
  return reversed;
}

void Close(std::set<Address>& set, std::vector<Address> open, const Links& links) {
  while (!open.empty()) {
    const Address address = open.back();
    open.pop_back();
    if (!set.insert(address).second) continue;
    if (const auto found = links.find(address); found != links.end()) {
      open.insert(open.end(), found->second.begin(), found->second.end());
    }
  }
}

// The topology with every resource of one kind taken from `inside` where it is in scope, from `outside` where it is
// not.
template <class Map>
Map Mixed(Kind kind, const Map& inside, const Map& outside, const Scope& scope) {
  Map mixed;
  for (const auto& entry : inside) {
    if (scope.Has({kind, entry.first})) mixed.insert(entry);
  }
  for (const auto& entry : outside) {
    if (!scope.Has({kind, entry.first})) mixed.insert(entry);
  }
  return mixed;
}

Result<> CheckKnown(const std::set<Address>& addresses, const spec::Topology& desired, const spec::Topology& applied) {
  for (const auto& address : addresses) {
    if (Holds(desired, address) || Holds(applied, address)) continue;
    return Fail(ErrorCode::kNotFound, "plan for", address.Text(), "it is neither in the file nor applied");
  }
  return {};
}

void Collect(const spec::Topology& wished, const spec::Topology& before, const Options& options,
             std::set<Address>& in) {
  const auto needs = RestsOn(wished);
  const auto needed_before = RestsOn(before);
  const auto users = Reversed(needs);
  const auto users_before = Reversed(needed_before);
  for (const auto& address : options.targets) Close(in, {address}, Holds(wished, address) ? needs : users_before);
  if (options.targets.empty()) {
    for (const auto* topology : {&wished, &before}) {
      for (const auto& [name, network] : topology->networks) in.insert({Kind::kNetwork, name});
      for (const auto& [name, volume] : topology->volumes) in.insert({Kind::kVolume, name});
      for (const auto& [name, service] : topology->services) in.insert({Kind::kService, name});
    }
  }
  std::set<Address> out;
  for (const auto& address : options.excludes) Close(out, {address}, Holds(wished, address) ? users : needed_before);
  for (const auto& address : out) in.erase(address);
}

}  // namespace

Result<Scope> MakeScope(const spec::Topology* desired, const Applied& applied, const Options& options) {
  const spec::Topology& before = applied.topology;
  const auto own = std::make_shared<spec::Topology>();
  const spec::Topology& wished = options.destroy ? *own : desired == nullptr ? before : *desired;
  TRY(CheckKnown(options.targets, wished, before));
  TRY(CheckKnown(options.excludes, wished, before));
  Scope scope;
  scope.all = options.targets.empty() && options.excludes.empty();
  if (scope.all && !options.destroy) {
    scope.desired = &wished;
    return scope;
  }
  spec::Topology effective;
  // Destroying, nothing is desired, but it is still that project.
  effective.name = wished.name.empty() ? before.name : wished.name;
  effective.files = wished.files;
  effective.places = wished.places;
  if (!scope.all) {
    Collect(wished, before, options, scope.in);
    if (std::any_of(scope.in.begin(), scope.in.end(), [](const auto& a) { return a.kind != Kind::kVolume; })) {
      scope.in.insert({Kind::kTopology, effective.name});
    }
    effective.networks = Mixed(Kind::kNetwork, wished.networks, before.networks, scope);
    effective.volumes = Mixed(Kind::kVolume, wished.volumes, before.volumes, scope);
    effective.services = Mixed(Kind::kService, wished.services, before.services, scope);
  }
  *own = std::move(effective);
  scope.own = own;
  scope.desired = own.get();
  return scope;
}

Result<spec::Topology> EffectiveTopology(const spec::Topology* desired, const Applied& applied,
                                         const Options& options) {
  spec::Topology effective = *TRY(MakeScope(desired, applied, options)).desired;
  // What goes is what it was until it has gone.
  if (desired == nullptr) effective.single_container = applied.topology.single_container;
  return effective;
}

}  // namespace nucleus::reconcile
