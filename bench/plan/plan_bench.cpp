// Times the planner over a topology of many services, 20 to a network, each with a volume: the first plan (everything
// to create), the plan that finds nothing to do, the plan after one edit and the plan after a reboot.
// Prints milliseconds, the median of five.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "reconcile/planner.hpp"
#include "reconcile/testing/world.hpp"

namespace nucleus::reconcile {
namespace {

constexpr std::uint32_t kPerNetwork = 20;

spec::Topology Many(std::uint32_t count) {
  spec::Topology topology;
  topology.name = "many";
  for (std::uint32_t i = 0; i < count; ++i) {
    spec::Service service;
    service.name = "service" + std::to_string(i);
    service.mode = spec::ServiceMode::kAgent;
    service.command = {"/bin/serve", "--number", std::to_string(i)};
    service.environment = {{"MODE", "fast"}, {"NUMBER", std::to_string(i)}};
    service.memory = Bytes{512} << 20;
    service.milli_cpus = 500;
    service.health.emplace();
    const std::string network = "net" + std::to_string(i / kPerNetwork);
    service.networks = {network};
    if (!topology.networks.contains(network)) {
      spec::Network net;
      net.name = network;
      net.subnet = spec::Ipv4Net{{(10u << 24) + ((i / kPerNetwork) << 8)}, 24};
      topology.networks.emplace(network, net);
    }
    spec::Volume volume;
    volume.name = "data" + std::to_string(i);
    volume.path = "/srv/" + volume.name;
    topology.volumes.emplace(volume.name, volume);
    service.volumes = {{volume.name, "", "/data", false, false}};
    if (i % kPerNetwork != 0) {
      service.depends_on = {{"service" + std::to_string(i - 1), spec::Condition::kHealthy, false}};
    }
    topology.services.emplace(service.name, service);
  }
  return topology;
}

double Milliseconds(const Input& input, std::size_t& changes, std::size_t& steps) {
  std::array<double, 5> times{};
  for (auto& time : times) {
    const auto begin = std::chrono::steady_clock::now();
    const auto plan = MakePlan(input);
    time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    if (!plan) {
      std::fprintf(stderr, "plan_bench: %s\n", plan.error().Message().c_str());
      std::exit(1);
    }
    changes = plan->changes.size();
    steps = plan->steps.size();
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void Measure(const char* name, testing::World& world, const spec::Topology& desired) {
  Options options;
  options.directories = world.directories;
  const auto begin = std::chrono::steady_clock::now();
  ProbeRequest request;
  request.project = desired.name;
  request.parts = *WantedParts(&desired, world.applied, world.host, world.taken, options);
  const auto asked = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  const Observed observed{world.host, *world.kernel.Probe(request)};
  std::size_t changes = 0, steps = 0;
  const double took = Milliseconds({&desired, &world.applied, &observed, &world.taken, options}, changes, steps);
  std::printf("%-10s plan %8.1f ms  (%zu changes, %zu steps; question to the probers %.1f ms)\n", name, took, changes,
              steps, asked);
}

int Run(std::uint32_t count) {
  auto topology = Many(count);
  testing::World world("many");
  std::printf("%u services\n", count);
  Measure("create", world, topology);
  const auto ran = world.Converge(&topology);
  if (!ran.ok()) {
    std::fprintf(stderr, "plan_bench: could not converge\n");
    return 1;
  }
  Measure("unchanged", world, topology);
  auto edited = topology;
  edited.services.begin()->second.memory = Bytes{1} << 30;
  Measure("one edit", world, edited);
  world.kernel.Reboot();
  Measure("reboot", world, topology);
  return 0;
}

}  // namespace
}  // namespace nucleus::reconcile

int main(int argc, char** argv) {
  const auto count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10'000;
  return nucleus::reconcile::Run(static_cast<std::uint32_t>(count));
}
