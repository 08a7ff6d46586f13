#include "spec/validate.hpp"

#include <algorithm>

#include "dag/graph.hpp"
#include "spec/core/nearest.hpp"

namespace nucleus::spec {

namespace {

std::string Quoted(std::string_view name) {
  return "'" + Shown(name) + "'";
}

// ", did you mean 'x'?" where one is near.
template <class Map>
std::string Suggestion(std::string_view name, const Map& known) {
  std::vector<std::string_view> names;
  for (const auto& [key, value] : known) names.push_back(key);
  const auto nearest = Nearest(name, names);
  return nearest ? ", did you mean " + Quoted(*nearest) + "?" : std::string();
}

dag::Graph DependencyGraph(const Topology& topology) {
  dag::Graph graph(topology.services.size());
  dag::Node node = 0;
  for (const auto& [name, service] : topology.services) {
    for (const auto& dependency : service.depends_on) {
      const auto on = topology.services.find(dependency.service);
      if (on == topology.services.end() || dependency.service == name) continue;
      graph.AddEdge(static_cast<dag::Node>(std::distance(topology.services.begin(), on)), node);
    }
    ++node;
  }
  return graph;
}

std::vector<std::string> NamesOf(const Topology& topology, const std::vector<dag::Node>& nodes) {
  std::vector<std::string_view> all;
  for (const auto& [name, service] : topology.services) all.push_back(name);
  std::vector<std::string> names;
  names.reserve(nodes.size());
  for (const auto node : nodes) names.emplace_back(all[node]);
  return names;
}

void ValidateDependency(const Service& service, const Dependency& dependency, const Topology& topology,
                        Reader& reader) {
  const Place place = PlaceOf(service, "depends_on");
  const auto on = topology.services.find(dependency.service);
  if (on == topology.services.end()) {
    reader.Report(place, "depends_on: there is no service " + Quoted(dependency.service) +
                             Suggestion(dependency.service, topology.services));
    return;
  }
  if (dependency.service == service.name) {
    reader.Report(place, "depends_on: " + Quoted(service.name) + " depends on itself");
    return;
  }
  if (dependency.condition == Condition::kHealthy && !on->second.health) {
    reader.Report(
        place, "depends_on: " + Quoted(dependency.service) + " is waited for to be healthy, but has no health_check");
  }
  const bool job = on->second.type == ServiceType::kJob;
  if (dependency.condition == Condition::kCompleted && !job) {
    reader.Report(place, "depends_on: " + Quoted(dependency.service) +
                             " is waited for to complete, but is no job: give it type = \"job\"");
  }
  if (dependency.condition == Condition::kHealthy && job) {
    reader.Report(place, "depends_on: " + Quoted(dependency.service) + " is a job; wait for it to be completed");
  }
}

void ValidateVolume(const Volume& volume, Reader& reader) {
  const bool persistent = volume.type == VolumeType::kPersistent;
  if (persistent && volume.path.empty()) {
    reader.Report(PlaceOf(volume, ""), "volume " + Quoted(volume.name) + ": a persistent volume needs a path");
  }
  if (!persistent && !volume.path.empty()) {
    reader.Report(PlaceOf(volume, "path"), "path: an ephemeral volume is in memory and has none");
  }
  if (persistent && volume.size != 0) {
    reader.Report(PlaceOf(volume, "size"), "size: a persistent volume has none; limit its file system instead");
  }
}

}  // namespace

void ValidateDependencies(const Topology& topology, Reader& reader) {
  for (const auto& [name, service] : topology.services) {
    for (const auto& dependency : service.depends_on) ValidateDependency(service, dependency, topology, reader);
  }
  const auto cycle = NamesOf(topology, DependencyGraph(topology).Cycle());
  if (cycle.empty()) return;
  std::string text;
  // An edge leads from what comes first to what waits for it; people read the other direction.
  for (auto name = cycle.rbegin(); name != cycle.rend(); ++name) text += *name + " -> ";
  reader.Report(PlaceOf(topology.services.at(cycle.back()), "depends_on"),
                "depends_on: services wait for each other: " + text + cycle.back());
}

std::vector<std::string> StartOrder(const Topology& topology) {
  return NamesOf(topology, DependencyGraph(topology).Order().value_or(std::vector<dag::Node>{}));
}

void Validate(const Topology& topology, Reader& reader) {
  if (topology.services.empty() && topology.networks.empty() && topology.volumes.empty()) {
    reader.Report({}, "there is no service, network or volume in it", true);
  }
  ValidateNetworks(topology, reader);
  for (const auto& [name, volume] : topology.volumes) ValidateVolume(volume, reader);
  for (const auto& [name, service] : topology.services) {
    ValidateService(service, topology, reader);
    ValidateMounts(service, topology, reader);
  }
  ValidatePorts(topology, reader);
  ValidateDependencies(topology, reader);
}

}  // namespace nucleus::spec
