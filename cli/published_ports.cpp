#include "cli/published_ports.hpp"

#include <algorithm>
#include <map>

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

// An ordinary user's machine is reached by a program in user space, which tells ports apart by their numbers.
Result<> CheckNestedPorts(const spec::Topology& desired) {
  std::map<std::pair<spec::Protocol, std::uint16_t>, std::string> taken;
  for (const auto& [name, service] : desired.services) {
    for (const auto& port : service.port_forwards) {
      const auto [other, fresh] = taken.try_emplace({port.protocol, port.host_port}, name);
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

// Ours are no sockets, so a listener is always a stranger.
Result<> CheckPublishedPorts(const World& world, const spec::Topology* desired) {
  if (desired == nullptr) return {};
  if (world.observed.host.nested) return CheckNestedPorts(*desired);
  for (const auto& [name, service] : desired->services) {
    std::vector<spec::PortForward> fresh;
    const auto& applied = world.applied.topology;
    const auto before = applied.services.find(name);
    const auto had = before == applied.services.end() ? fresh : TakenBy(before->second, applied);
    for (const spec::PortForward& port : TakenBy(service, *desired)) {
      if (std::ranges::find(had, port) == had.end()) fresh.push_back(port);
    }
    if (fresh.empty()) continue;
    // Those of a program in user space are sockets, and may be its own since an apply that was cut short.
    const auto process = world.observed.parts.find({world.project, {Kind::kService, name}, Part::kProcess});
    const bool maybe_own = spec::IsUserspace(service.nat_backend) && process != world.observed.parts.end() &&
                           process->second.presence == Presence::kPresent;
    const auto held = TRY(HeldPorts(fresh, maybe_own));
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
