#include "reconcile/applied.hpp"

#include "reconcile/allocate.hpp"

#include "spec/load.hpp"

namespace nucleus::reconcile {

namespace {

Result<> AddResource(const state::ResourceRow& row, spec::Topology& topology) {
  const std::string& name = row.address.name;
  switch (row.address.kind) {
    case Kind::kNetwork:
      topology.networks.emplace(name, TRY(spec::NetworkFromJson(row.spec_json)));
      return {};
    case Kind::kVolume:
      topology.volumes.emplace(name, TRY(spec::VolumeFromJson(row.spec_json)));
      return {};
    case Kind::kService:
    case Kind::kContainer:
      topology.services.emplace(name, TRY(spec::ServiceFromJson(row.spec_json)));
      return {};
    case Kind::kTopology:
      return {};
  }
  return {};
}

}  // namespace

Result<Applied> ToApplied(const std::string& project, const std::optional<state::ProjectRow>& row) {
  Applied applied;
  applied.topology.name = project;
  if (!row) return applied;
  applied.revision = row->revision;
  applied.topology.single_container = row->single_container;
  applied.by_command = row->origin != state::Origin::kFiles;
  applied.addresses = row->addresses;
  applied.subnets = row->subnets;
  applied.completed_jobs = row->completed_jobs;
  for (const auto& resource : row->resources)
    TRY_IN(project + "/" + resource.address.Text(), AddResource(resource, applied.topology));
  return applied;
}

Taken ToTaken(const state::HostLeases& leases, const std::string& project) {
  Taken taken;
  for (const auto& [owner, subnet] : leases.subnets) {
    if (owner != project) taken.subnets.emplace_back(subnet.second, owner + "/" + subnet.first);
  }
  for (const auto& [owner, subnet] : leases.subnets6) {
    if (owner != project) taken.subnets6.emplace_back(subnet.second, owner + "/" + subnet.first);
  }
  for (const auto& [owner, port] : leases.ports) {
    if (owner != project) taken.ports.emplace_back(port.second, owner + "/" + port.first);
  }
  return taken;
}

Result<std::vector<std::pair<std::string, std::string>>> VolumesOfOthers(state::Store& store,
                                                                         const std::string& project) {
  std::vector<std::pair<std::string, std::string>> volumes;
  for (const auto& other : TRY(store.Projects())) {
    if (other == project) continue;
    const auto row = TRY(store.LoadProject(other));
    const auto applied = TRY(ToApplied(other, row));
    for (const auto& [name, volume] : applied.topology.volumes) {
      if (volume.type == spec::VolumeType::kPersistent)
        volumes.emplace_back(volume.path, other + "/" + Address{Kind::kVolume, name}.Text());
    }
  }
  return volumes;
}

state::Store::Ports PortsOf(const spec::Topology& topology) {
  state::Store::Ports ports;
  for (const auto& [name, service] : topology.services) {
    for (const auto& port : service.port_forwards) ports.emplace_back(name, port);
  }
  return ports;
}

state::Store::NewRevision RevisionOf(const Plan& plan, const spec::Topology& desired, std::string summary) {
  state::Store::NewRevision revision{.project = plan.project,
                                     .single_container = desired.single_container,
                                     .origin = {},
                                     .spec_json = spec::ToJson(desired),
                                     .summary = std::move(summary),
                                     .plan_digest = plan.digest.Hex(),
                                     .base_revision = plan.base_revision,
                                     .addresses = plan.addresses,
                                     .subnets = plan.subnets,
                                     .subnets6 = {},
                                     .ports = PortsOf(desired)};
  for (const auto& [name, network] : desired.networks) {
    if (network.subnet6) revision.subnets6.emplace(SubnetKey(name), *network.subnet6);
  }
  return revision;
}

}  // namespace nucleus::reconcile
