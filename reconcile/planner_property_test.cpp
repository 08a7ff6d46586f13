// Properties of one plan and its execution: for any desired and any reachable observed state.
#include "reconcile/testing/properties.hpp"
#include "state/parts/facts.hpp"

namespace nucleus::reconcile {
namespace {

using testing::AnyTopology;
using testing::Live;
using testing::RequireNothingToDo;
using testing::RequireOk;
using testing::Text;
using testing::World;

// A random topological order: repeatedly any of the steps that are free.
Plan InAnyOrder(const Plan& plan) {
  std::vector<std::uint32_t> order, place(plan.steps.size());
  std::vector<bool> done(plan.steps.size());
  while (order.size() < plan.steps.size()) {
    std::vector<std::uint32_t> free;
    for (std::uint32_t i = 0; i < plan.steps.size(); ++i) {
      const auto& after = plan.steps[i].after;
      if (!done[i] && std::all_of(after.begin(), after.end(), [&](auto b) { return done[b]; })) free.push_back(i);
    }
    const auto next = free[*rc::gen::inRange<std::size_t>(0, free.size())];
    done[next] = true;
    place[next] = static_cast<std::uint32_t>(order.size());
    order.push_back(next);
  }
  auto shuffled = plan;
  shuffled.steps.clear();
  for (const auto i : order) {
    shuffled.steps.push_back(plan.steps[i]);
    for (auto& before : shuffled.steps.back().after) before = place[before];
  }
  return shuffled;
}

TEST(PlannerProperty, AfterApplyThereIsNothingToDo) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    RequireOk(world.Converge(&desired));
    RequireNothingToDo(world, &desired);
  }));
}

TEST(PlannerProperty, FactsMatchWhereTheirMapsAreEqual) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto desired = *AnyTopology("shop");
    const auto parts = WantedParts(&desired, world.applied, world.host, world.taken, {});
    RC_ASSERT(parts.has_value());
    for (const auto& [key, wanted] : *parts) {
      const Facts facts = ExpectedFacts(wanted);
      RC_ASSERT(Matches(wanted, facts));
      auto more = facts;
      more.emplace("zz", "");
      RC_ASSERT(!Matches(wanted, more));
      for (const auto& [name, value] : facts) {
        auto less = facts, other = facts;
        less.erase(name);
        other[name] += "x";
        RC_ASSERT(!Matches(wanted, less));
        RC_ASSERT(!Matches(wanted, other));
      }
    }
  }));
}

TEST(PlannerProperty, EveryEdgePointsBackwards) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    const auto plan = world.MakePlan(&desired);
    RC_ASSERT(plan.has_value());
    std::set<std::tuple<PartKey, Verb, bool>> seen;
    for (std::uint32_t i = 0; i < plan->steps.size(); ++i) {
      const auto& step = plan->steps[i];
      for (const auto before : step.after) RC_ASSERT(before < i);
      RC_ASSERT(std::is_sorted(step.after.begin(), step.after.end()));
      RC_ASSERT(seen.emplace(step.key, step.verb, step.after_completion).second);
      RC_ASSERT(step.key.project == "shop");
    }
  }));
}

// Any order that the edges allow does; the fake kernel refuses what is out of order.
TEST(PlannerProperty, AnyOrderThatTheEdgesAllowConverges) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    const auto plan = world.MakePlan(&desired);
    RC_ASSERT(plan.has_value());
    const auto shuffled = InAnyOrder(*plan);
    RequireOk(world.Execute(shuffled, &desired));
    RequireNothingToDo(world, &desired);
  }));
}

// In whatever order the edges allow, with whatever else is changed, and with nothing else but who waits for whom.
TEST(PlannerProperty, APortIsTakenWhenNobodyHasIt) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto before = *AnyTopology("shop");
    RequireOk(world.Converge(&before));
    world.kernel.HoldPorts();
    const auto other = *AnyTopology("shop");
    auto desired = before;
    std::vector<spec::PortForward> last;
    for (auto& [name, service] : desired.services) {
      if (service.networks.empty()) continue;
      service.port_forwards.swap(last);
      if (const auto its = other.services.find(name); its != other.services.end())
        service.depends_on = its->second.depends_on;
    }
    for (const spec::Topology* next : std::initializer_list<const spec::Topology*>{&desired, &other}) {
      const auto plan = world.MakePlan(next);
      RC_ASSERT(plan.has_value());
      RequireOk(world.Execute(InAnyOrder(*plan), next));
      RequireNothingToDo(world, next);
    }
  }));
}

TEST(PlannerProperty, AnyFailureThenRetryConverges) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    const auto plan = world.MakePlan(&desired);
    RC_ASSERT(plan.has_value());
    for (const auto& step : plan->steps) {
      if (*rc::gen::inRange(0, 4) == 0) world.kernel.FailOn(step.key);
    }
    world.Execute(*plan, &desired);
    world.kernel.FailOnNothing();
    RequireOk(world.Converge(&desired));
    RequireNothingToDo(world, &desired);
  }));
}

TEST(PlannerProperty, DestroyReturnsToTheStart) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    Options options;
    options.delete_data = *rc::gen::arbitrary<bool>();
    RequireOk(world.Converge(nullptr, options));
    RC_ASSERT(world.kernel.Keys().empty());
    RC_ASSERT(world.applied.topology.services.empty() && world.applied.topology.networks.empty() &&
              world.applied.topology.volumes.empty());
    RequireNothingToDo(world, nullptr);
  }));
}

TEST(PlannerProperty, EqualInputsGiveEqualPlans) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    auto shuffled = desired;
    for (auto& [name, service] : shuffled.services) {
      // Order that has no meaning; places have none either.
      std::reverse(service.port_forwards.begin(), service.port_forwards.end());
      service.places["memory"] = {1, 2, 3};
    }
    const auto a = world.MakePlan(&desired);
    const auto b = world.MakePlan(&shuffled);
    RC_ASSERT(a.has_value() && b.has_value());
    RC_ASSERT(Text(*a) == Text(*b));
    RC_ASSERT(a->digest == b->digest);
  }));
}

TEST(PlannerProperty, NothingOfAnotherProjectIsTouched) {
  EXPECT_TRUE(rc::check([] {
    World world;
    // The same names, in a project whose name begins with ours, and a container started by hand.
    const PartKey other{"shop2", {Kind::kService, "web"}, Part::kProcess};
    const PartKey by_hand{"shop", {Kind::kContainer, "web"}, Part::kProcess};
    Live(world);
    const auto desired = *AnyTopology("shop");
    Options options;
    options.directories = world.directories;
    ProbeRequest request{"shop", *WantedParts(&desired, world.applied, world.host, world.taken, options), false};
    Observed observed{world.host, *world.kernel.Probe(request)};
    for (const auto& key : {other, by_hand}) {
      observed.parts[key].presence = Presence::kPresent;
      observed.parts[key].facts["state"] = "running";
    }
    const auto plan = MakePlan({&desired, &world.applied, &observed, &world.taken, options});
    RC_ASSERT(plan.has_value());
    for (const auto& step : plan->steps) RC_ASSERT(step.key != other && step.key != by_hand);
  }));
}

// What keeps its digest keeps its process, whatever else changes.
TEST(PlannerProperty, AnUnchangedPlanStartsNothing) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto desired = *AnyTopology("shop");
    RequireOk(world.Converge(&desired));
    auto edited = desired;
    for (auto& [name, service] : edited.services) {
      service.memory = Bytes{3} << 30;
      service.labels["edited"] = "yes";
      service.restart = spec::RestartPolicy::kAlways;
      service.port_forwards.clear();
      service.dns = {spec::Ipv4{0x01010101}};
    }
    std::map<PartKey, std::size_t> starts;
    for (const auto& [name, service] : desired.services) {
      starts[world.Process(name)] = world.kernel.StartsOf(world.Process(name));
    }
    RequireOk(world.Converge(&edited));
    for (const auto& [key, count] : starts) RC_ASSERT(world.kernel.StartsOf(key) == count);
    RequireNothingToDo(world, &edited);
  }));
}

}  // namespace
}  // namespace nucleus::reconcile
