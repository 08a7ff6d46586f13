// Times the planner over a topology of many services, 20 to a network, each with a volume: the first plan (everything
// to create), the plan that finds nothing to do, the plan after one edit and the plan after a reboot.
// Prints milliseconds, the median of five, parted into what comes before and after the looking at the kernel.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "reconcile/planner.hpp"
#include "reconcile/testing/world.hpp"
#include "spec/core/heap.hpp"

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

// What a command spends on planning, in its two moves: Planner::Prepare() before anybody has looked, and
// Planner::MakePlan() afterwards. How long the looking takes is not the planner's.
struct Lap {
  double wall = 0, cpu = 0;  // milliseconds; cpu: of all threads
};
struct Times {
  Lap question, plan;
  [[nodiscard]] double wall() const { return question.wall + plan.wall; }
  [[nodiscard]] double cpu() const { return question.cpu + plan.cpu; }
};

double Milliseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

class Watch {
 public:
  // Since it was made or asked last.
  Lap Next() {
    const double wall = Milliseconds(CLOCK_MONOTONIC), cpu = Milliseconds(CLOCK_PROCESS_CPUTIME_ID);
    return {wall - std::exchange(wall_, wall), cpu - std::exchange(cpu_, cpu)};
  }

 private:
  double wall_ = Milliseconds(CLOCK_MONOTONIC), cpu_ = Milliseconds(CLOCK_PROCESS_CPUTIME_ID);
};

template <class T>
T Need(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "plan_bench: %s\n", result.error().Message().c_str());
  std::exit(1);
}

void Measure(const char* name, testing::World& world, const spec::Topology& desired) {
  Options options;
  options.directories = world.directories;
  const Question question{&desired, &world.applied, &world.host, &world.taken, options};
  std::array<Times, 5> times{};
  std::size_t changes = 0, steps = 0;
  for (auto& time : times) {
    Watch watch;
    auto planner = Need(Planner::Prepare(question));
    time.question = watch.Next();
    const auto seen = *world.kernel.Probe({desired.name, planner.parts()});
    watch.Next();
    const auto plan = Need(std::move(planner).MakePlan(seen));
    time.plan = watch.Next();
    changes = plan.changes.size();
    steps = plan.steps.size();
  }
  std::ranges::sort(times, {}, [](const Times& time) { return time.wall(); });
  const auto& time = times[times.size() / 2];
  std::printf("%-10s %8.1f ms, CPU %.1f: question %.1f, plan %.1f  (%zu changes, %zu steps)\n", name, time.wall(),
              time.cpu(), time.question.wall, time.plan.wall, changes, steps);
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
  nucleus::SetUpHeap();
  const auto count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10'000;
  return nucleus::reconcile::Run(static_cast<std::uint32_t>(count));
}
