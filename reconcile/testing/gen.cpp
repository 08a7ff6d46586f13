#include "reconcile/testing/gen.hpp"

#include <array>
#include <string>

namespace nucleus::reconcile::testing {

namespace {

constexpr std::array kNetworks = {"back", "front"};
constexpr std::array kVolumes = {"cache", "data"};
constexpr std::array kServices = {"api", "db", "migrate", "web"};

bool Coin() {
  return *rc::gen::arbitrary<bool>();
}
int Upto(int end) {
  return *rc::gen::inRange(0, end);
}

spec::Network AnyNetwork(const std::string& name, std::uint32_t index) {
  spec::Network network;
  network.name = name;
  if (Coin()) {
    const std::uint32_t second = 40 + index * 2 + static_cast<std::uint32_t>(Upto(2));
    network.subnet = spec::Ipv4Net{{(10u << 24) | (second << 16)}, 24};
  }
  network.internal = Coin();
  if (Coin()) network.mtu = 1400;
  return network;
}

spec::Volume AnyVolume(const std::string& name) {
  spec::Volume volume;
  volume.name = name;
  volume.type = Coin() ? spec::VolumeType::kPersistent : spec::VolumeType::kEphemeral;
  if (volume.type == spec::VolumeType::kPersistent) {
    volume.path = "/srv/" + name + std::to_string(Upto(2));
  } else {
    volume.size = static_cast<Bytes>(1 + Upto(2)) << 20;
  }
  if (Coin()) volume.owner = {"70", "70"};
  return volume;
}

void AddNetworks(spec::Service& service, const spec::Topology& topology, std::uint16_t port) {
  for (const auto& [name, network] : topology.networks) {
    if (Coin()) service.networks.push_back(name);
  }
  if (!service.networks.empty() && Coin()) {
    service.port_forwards.push_back({std::nullopt, static_cast<std::uint16_t>(port + Upto(2) * 100), 80, {}});
    if (Upto(3) != 0) service.nat_backend = spec::NatBackend::kUserspace;
  }
}

void AddFiles(spec::Service& service, const spec::Topology& topology) {
  for (const auto& [name, volume] : topology.volumes) {
    if (Coin()) service.volumes.push_back({name, "", "/var/" + name, false, false});
  }
  if (Coin()) {
    service.volumes.push_back({"", "/etc/app.conf", "/etc/app.conf", true, false});
    service.inputs["volumes:/etc/app.conf"] = Sha256::Of(std::to_string(Upto(3)));
    if (Coin()) service.reload_signal = 1;
  }
}

void AddDependencies(spec::Service& service, const spec::Topology& topology) {
  for (const auto& [name, other] : topology.services) {
    if (!Coin()) continue;
    spec::Dependency dependency{name, spec::Condition::kStarted, Coin()};
    if (other.type == spec::ServiceType::kJob) {
      if (Coin()) dependency.condition = spec::Condition::kCompleted;
    } else if (other.health) {
      dependency.condition = spec::Condition::kHealthy;
    }
    service.depends_on.push_back(dependency);
  }
}

spec::Service AnyService(const std::string& name, const spec::Topology& topology, std::uint16_t port) {
  spec::Service service;
  service.name = name;
  service.mode = spec::ServiceMode::kAgent;
  if (name == "migrate") {
    service.type = spec::ServiceType::kJob;
    service.restart = spec::RestartPolicy::kNo;
  }
  service.command = {"/bin/" + name, std::to_string(Upto(2))};
  if (Coin()) service.rootfs = "/rootfs" + std::to_string(Upto(2));
  if (Coin()) service.memory = static_cast<Bytes>(1 + Upto(3)) << 28;
  if (Coin()) service.milli_cpus = 500u * static_cast<std::uint32_t>(1 + Upto(3));
  if (Coin()) service.labels["tier"] = std::to_string(Upto(2));
  if (Coin() && service.type == spec::ServiceType::kService) {
    service.health.emplace();
    service.health->interval = Duration(1000 * (1 + Upto(2)));
    service.health->probe = spec::TcpProbe{80};
  }
  if (Upto(4) == 0) service.io_limits.push_back({"8:0", Bytes{1} << 20, {}, {}, {}});
  AddNetworks(service, topology, port);
  AddFiles(service, topology);
  AddDependencies(service, topology);
  return service;
}

}  // namespace

rc::Gen<spec::Topology> AnyTopology(const std::string& project) {
  return rc::gen::exec([project] {
    spec::Topology topology;
    topology.name = project;
    std::uint32_t index = 0;
    for (const auto* name : kNetworks) {
      if (Coin()) topology.networks.emplace(name, AnyNetwork(name, index));
      ++index;
    }
    for (const auto* name : kVolumes) {
      if (Coin()) topology.volumes.emplace(name, AnyVolume(name));
    }
    // A port moves from one of them to another from topology to topology.
    const auto shift = static_cast<std::size_t>(Upto(static_cast<int>(std::size(kServices))));
    std::size_t at = 0;
    for (const auto* name : kServices) {
      const auto port = static_cast<std::uint16_t>(8080 + (at++ + shift) % std::size(kServices));
      if (Upto(4) != 0) topology.services.emplace(name, AnyService(name, topology, port));
    }
    return topology;
  });
}

}  // namespace nucleus::reconcile::testing
