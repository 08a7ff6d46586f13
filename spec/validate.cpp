#include "spec/validate.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <set>

#include "dag/graph.hpp"

namespace nucleus::spec {

namespace {

std::string Quoted(std::string_view name) {
  return "'" + Shown(name) + "'";
}

// Nodes are the services in the order of their names. left_out: services whose own dependencies do not count.
dag::Graph DependencyGraph(const Topology& topology, const std::set<std::string>& left_out = {}) {
  std::vector<std::string_view> names;
  names.reserve(topology.services.size());
  for (const auto& [name, service] : topology.services) names.push_back(name);
  dag::Graph graph(names.size());
  dag::Node node = 0;
  for (const auto& [name, service] : topology.services) {
    const dag::Node self = node++;
    if (left_out.contains(name)) continue;
    for (const auto& dependency : service.depends_on) {
      const auto on = std::ranges::lower_bound(names, std::string_view(dependency.service));
      if (on == names.end() || *on != dependency.service || dependency.service == name) continue;
      graph.AddEdge(static_cast<dag::Node>(on - names.begin()), self);
    }
  }
  return graph;
}

std::vector<std::string> NamesOf(const Topology& topology, const std::vector<dag::Node>& nodes) {
  std::vector<std::string> names;
  if (nodes.empty()) return names;
  std::vector<std::string_view> all;
  for (const auto& [name, service] : topology.services) all.push_back(name);
  names.reserve(nodes.size());
  for (const auto node : nodes) names.emplace_back(all[node]);
  return names;
}

void ValidateDependency(const Service& service, const Dependency& dependency, const Topology& topology,
                        Reader& reader) {
  const Place place = PlaceOfItem(service, "depends_on", dependency.service);
  const auto on = topology.services.find(dependency.service);
  if (on == topology.services.end()) {
    reader.Report(place, "depends_on: there is no service " + Quoted(dependency.service) +
                             reader.Suggestion(dependency.service, std::views::keys(topology.services)));
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

// Directories that nobody may mean: their owner and mode would be changed, and they would go with --delete-data.
bool IsOfTheSystem(std::string_view path) {
  constexpr auto kItself =
      std::to_array<std::string_view>({"/", "/etc", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp",
                                       "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"});
  constexpr auto kWithAllBelow = std::to_array<std::string_view>(
      {"/bin", "/boot", "/dev", "/etc/cron.d", "/etc/pam.d", "/etc/ssh", "/etc/ssl", "/etc/sudoers.d", "/etc/systemd",
       "/lib", "/lib64", "/proc", "/root/.ssh", "/sbin", "/sys", "/usr"});
  for (const auto one : kItself) {
    if (path == one) return true;
  }
  for (const auto one : kWithAllBelow) {
    if (path == one || (path.starts_with(one) && path[one.size()] == '/')) return true;
  }
  return false;
}

void ValidateVolume(const Volume& volume, Reader& reader) {
  const bool persistent = volume.type == VolumeType::kPersistent;
  if (IsOfTheSystem(volume.path)) {
    reader.Report(PlaceOf(volume, "path"), "path: " + volume.path + " is a directory of the system; use one below it");
  }
  if (persistent && volume.path.empty() && !volume.places.contains("path")) {
    reader.Report(PlaceOf(volume, ""), "volume " + Quoted(volume.name) + ": a persistent volume needs a path");
  }
  if (!persistent && !volume.path.empty()) {
    reader.Report(PlaceOf(volume, "path"), "path: an ephemeral volume is in memory and has none");
  }
  if (!persistent && volume.size == 0 && volume.places.contains("size")) {
    reader.Report(PlaceOf(volume, "size"), "size: nothing fits into no memory");
  }
  if (persistent && volume.size != 0) {
    reader.Report(PlaceOf(volume, "size"), "size: a persistent volume has none; limit its file system instead");
  }
}

void ValidateVolumes(const Topology& topology, Reader& reader) {
  std::map<std::string_view, const Volume*> by_path;
  for (const auto& [name, volume] : topology.volumes) {
    ValidateVolume(volume, reader);
    if (volume.path.empty()) continue;
    const auto [other, is_new] = by_path.emplace(volume.path, &volume);
    if (is_new) continue;
    reader.Report(PlaceOf(volume, "path"), "path: " + Shown(volume.path) + " is that of volume " +
                                               Quoted(other->second->name) + " at " +
                                               reader.PlaceText(PlaceOf(*other->second, "path")));
  }
}

// Each replaces its file as a whole: of two that have the same one would be lost.
class TakenTraces {
 public:
  void Add(const Service& service, Reader& reader) {
    if (service.seccomp_log.empty()) return;
    const auto [other, is_new] = by_path_.emplace(service.seccomp_log, &service);
    if (is_new) return;
    reader.Report(PlaceOf(service, "seccomp_log"), "seccomp_log: " + Shown(service.seccomp_log) +
                                                       " is that of service " + Quoted(other->second->name) + " at " +
                                                       reader.PlaceText(PlaceOf(*other->second, "seccomp_log")));
  }

 private:
  std::map<std::string_view, const Service*> by_path_;
};

void ValidateDependenciesOf(const Service& service, const Topology& topology, Reader& reader) {
  if (service.depends_on.empty()) return;
  std::set<std::string_view> seen;
  for (const auto& dependency : service.depends_on) {
    ValidateDependency(service, dependency, topology, reader);
    if (seen.insert(dependency.service).second) continue;
    reader.Report(PlaceOfItem(service, "depends_on", dependency.service),
                  "depends_on: " + Quoted(dependency.service) + " is given twice");
  }
}

void ValidateNoCycle(const Topology& topology, Reader& reader) {
  // Each cycle is broken where it is reported, so that the next one is found as well.
  constexpr std::size_t kMostCycles = 16;
  std::set<std::string> broken;
  while (broken.size() < kMostCycles) {
    const auto cycle = NamesOf(topology, DependencyGraph(topology, broken).Cycle());
    if (cycle.empty()) return;
    std::string text;
    // An edge leads from what comes first to what waits for it; people read the other direction.
    for (auto name = cycle.rbegin(); name != cycle.rend(); ++name) text += " -> " + *name;
    const std::string& first = cycle.front();
    reader.Report(PlaceOfItem(topology.services.at(first), "depends_on", cycle.back()),
                  "depends_on: services wait for each other: " + first + text);
    broken.insert(first);
  }
}

}  // namespace

void ValidateDependencies(const Topology& topology, Reader& reader) {
  for (const auto& [name, service] : topology.services) ValidateDependenciesOf(service, topology, reader);
  ValidateNoCycle(topology, reader);
}

std::vector<std::string> StartOrder(const Topology& topology) {
  return NamesOf(topology, DependencyGraph(topology).Order().value_or(std::vector<dag::Node>{}));
}

void Validate(const Topology& topology, Reader& reader) {
  if (!reader.failed() && topology.services.empty() && topology.networks.empty() && topology.volumes.empty()) {
    reader.Report({}, "there is no service, network or volume in it", true);
  }
  Members members;
  TakenAddresses addresses;
  TakenPorts ports;
  TakenTraces traces;
  bool anyone_waits = false;
  for (const auto& [name, service] : topology.services) {
    ValidateService(service, topology, reader);
    ValidateMounts(service, topology, reader);
    ValidateDependenciesOf(service, topology, reader);
    for (const auto& network : service.networks) ++members[network];
    addresses.Add(service, reader);
    ports.Add(service, reader);
    traces.Add(service, reader);
    anyone_waits |= !service.depends_on.empty();
  }
  ValidateNetworks(topology, std::move(members), reader);
  ValidateVolumes(topology, reader);
  if (anyone_waits) ValidateNoCycle(topology, reader);
}

}  // namespace nucleus::spec
