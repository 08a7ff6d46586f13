#include "cli/published_ports.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "actuators/netns/userspace_program.hpp"
#include "cli/observe_wiring.hpp"
#include "reconcile/place.hpp"
#include "spec/net.hpp"

namespace nucleus::cli {

namespace {

// What of the machine's a service takes: without an address both families, where it has both.
std::vector<spec::PortForward> TakenBy(const spec::Service& service, const spec::Topology& topology) {
  auto ports = service.port_forwards;
  const auto first =
      service.networks.empty() ? topology.networks.end() : topology.networks.find(service.networks.front());
  if (first == topology.networks.end() || !first->second.subnet6) return ports;
  for (const auto& port : service.port_forwards) {
    if (port.host_ip) continue;
    ports.push_back(port);
    ports.back().host_ip = spec::Ipv6{};
  }
  return ports;
}

using PortNumber = std::pair<spec::Protocol, std::uint16_t>;

PortNumber PortNumberOf(const spec::PortForward& port) {
  return {port.protocol, port.host_port};
}

bool Runs(const World& world, const std::string& service) {
  const auto process = world.observed.parts.find({world.project, {Kind::kService, service}, Part::kProcess});
  return process != world.observed.parts.end() && process->second.presence == Presence::kPresent;
}

// By programs in user space, whose ports are sockets: of services of the project, which give them up in this plan.
std::set<PortNumber> GivenUp(const World& world, const spec::Topology& desired) {
  std::set<PortNumber> ours;
  for (const auto& [name, service] : world.applied.topology.services) {
    if (!spec::IsUserspace(service.nat_backend) || !Runs(world, name)) continue;
    const auto after = desired.services.find(name);
    const auto keeps = after == desired.services.end() ? std::vector<spec::PortForward>() : after->second.port_forwards;
    for (const auto& port : service.port_forwards) {
      if (std::ranges::find(keeps, port) == keeps.end()) ours.insert(PortNumberOf(port));
    }
  }
  return ours;
}

// An ordinary user's machine is reached by a program in user space, which tells ports apart by their numbers.
Result<> CheckNestedPorts(const spec::Topology& desired) {
  std::map<PortNumber, std::string> taken;
  for (const auto& [name, service] : desired.services) {
    for (const auto& port : service.port_forwards) {
      const auto [other, fresh] = taken.try_emplace(PortNumberOf(port), name);
      if (fresh) continue;
      return Fail(Error::Of(ErrorCode::kUnsupported, "publish a port of", "service." + name,
                            spec::Format(port) + ": '" + other->second + "' has the number on another address, " +
                                "which root alone can tell apart")
                      .Hint("nothing was changed"));
    }
    if (const auto able = netns::FindUserspaceProgram(spec::NatBackend::kUserspace, service.port_forwards); !able)
      return Fail(Error(able.error()).In("service." + name));
  }
  return {};
}

}  // namespace

// Ours are no sockets but in user space, so a listener is a stranger else.
Result<> CheckPublishedPorts(const World& world, const spec::Topology* desired) {
  if (desired == nullptr) return {};
  if (world.observed.host.nested) return CheckNestedPorts(*desired);
  const auto ours = GivenUp(world, *desired);
  for (const auto& [name, service] : desired->services) {
    std::vector<spec::PortForward> fresh;
    const auto& applied = world.applied.topology;
    const auto before = applied.services.find(name);
    const auto had = before == applied.services.end() ? fresh : TakenBy(before->second, applied);
    for (const spec::PortForward& port : TakenBy(service, *desired)) {
      if (std::ranges::find(had, port) == had.end()) fresh.push_back(port);
    }
    if (fresh.empty()) continue;
    // Its own since an apply that was cut short, or another one's.
    const bool maybe_own = spec::IsUserspace(service.nat_backend) && Runs(world, name);
    const auto held =
        TRY(HeldPorts(fresh, [&](const auto& port) { return maybe_own || ours.contains(PortNumberOf(port)); }));
    if (held.empty()) continue;
    std::string all;
    for (const std::string& text : held) all += (all.empty() ? "" : "; ") + text;
    return Fail(
        Error::Of(ErrorCode::kConflict, "publish a port of", "service." + name, all)
            .Hint("stop what holds it, or publish another port; nothing was changed")
            .In(reconcile::ExactPlaceText(reconcile::FindPlace(service.places, "port_forwards"), desired->files)));
  }
  return {};
}

}  // namespace nucleus::cli
