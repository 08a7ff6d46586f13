#include "cli/observe_wiring.hpp"

#include "actuators/cgroup/probe.hpp"
#include "actuators/mounts/probe.hpp"
#include "actuators/netns/in_use.hpp"
#include "actuators/netns/ports.hpp"
#include "actuators/netns/probe.hpp"
#include "actuators/process/probe.hpp"

namespace nucleus::cli {

Probers::Probers(const Directories& directories) {
  owned_.push_back(std::make_unique<cgroup::CgroupProber>(directories));
  auto network = std::make_unique<netns::NetnsProber>(directories);
  network_ = network.get();
  owned_.push_back(std::move(network));
  owned_.push_back(std::make_unique<netns::FirewallProber>());
  owned_.push_back(std::make_unique<netns::NamesProber>(directories));
  owned_.push_back(std::make_unique<mounts::VolumeProber>(directories));
  owned_.push_back(std::make_unique<process::ProcessProber>(directories));
  for (const auto& prober : owned_) {
    for (const Part part : prober->Parts()) by_part_[part] = prober.get();
  }
}

void Probers::Begin() const {
  network_->Begin();
}

void Probers::BeginWith(const std::string& project) const {
  network_->BeginWith(project);
}

Result<Host> LookAtHost(const std::string& project, const std::vector<std::string>& networks) {
  Host host;
  TRY(cgroup::FillHost(host, project));
  host.routes = TRY(netns::HostRoutes(project, networks));
  host.routes6 = TRY(netns::HostRoutes6(project, networks));
  return host;
}

Result<netns::LeasesInUse> LeasesInUse(const Directories& directories, const std::string& project) {
  return netns::FindLeasesInUse(directories, project);
}

spec::Outside OutsideOfFiles() {
  spec::Outside outside = spec::Outside::Real();
  // Where routes cannot be read no overlap is found here; the planner looks again.
  outside.host_routes = [] { return netns::HostRoutes("").value_or(std::vector<spec::Ipv4Net>{}); };
  return outside;
}

Result<std::vector<std::string>> HeldPorts(const std::vector<spec::PortForward>& ports,
                                           const std::function<bool(const spec::PortForward&)>& may_be_ours) {
  std::vector<std::string> out;
  for (const netns::PortHolder& holder : TRY(netns::PortHolders(ports))) {
    const bool userspace = holder.command == "slirp4netns" || holder.command.starts_with("pas");
    if (!userspace || !may_be_ours(holder.port)) out.push_back(holder.Text());
  }
  return out;
}

}  // namespace nucleus::cli
