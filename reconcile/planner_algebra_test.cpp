// Properties of several plans after each other: partial ones and whole ones, there and back, damage and repair.
#include "reconcile/testing/properties.hpp"

namespace nucleus::reconcile {
namespace {

using testing::AnyTopology;
using testing::Damage;
using testing::Live;
using testing::RequireNothingToDo;
using testing::RequireOk;
using testing::Text;
using testing::World;

std::set<Address> AddressesOf(const spec::Topology& topology) {
  std::set<Address> all;
  for (const auto& [name, network] : topology.networks) all.insert({Kind::kNetwork, name});
  for (const auto& [name, volume] : topology.volumes) all.insert({Kind::kVolume, name});
  for (const auto& [name, service] : topology.services) all.insert({Kind::kService, name});
  return all;
}

// --target or --exclude of some of what there is.
Options AnyPart(const World& world, const spec::Topology& desired) {
  auto known = AddressesOf(desired);
  known.merge(AddressesOf(world.applied.topology));
  Options options;
  const bool targets = *rc::gen::arbitrary<bool>();
  for (const auto& address : known) {
    if (*rc::gen::inRange(0, 3) == 0) (targets ? options.targets : options.excludes).insert(address);
  }
  return options;
}

std::set<std::pair<PartKey, Verb>> StepsOf(const Plan& plan) {
  std::set<std::pair<PartKey, Verb>> steps;
  for (const auto& step : plan.steps) steps.emplace(step.key, step.verb);
  return steps;
}

TEST(PlannerAlgebra, APartialPlanStaysWithinItsPartAndWithinTheWhole) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto before = *AnyTopology("shop");
    RequireOk(world.Converge(&before));
    const auto desired = *AnyTopology("shop");
    const auto options = AnyPart(world, desired);
    const auto whole = world.MakePlan(&desired);
    const auto part = world.MakePlan(&desired, options);
    RC_ASSERT(whole.has_value());
    if (!part) return;  // networks that move past each other can be refused one by one
    const auto all = StepsOf(*whole);
    for (const auto& step : part->steps) {
      // What all share, the firewall and the names of those beside it, is as far as the part goes.
      if (step.key.part == Part::kFirewall || step.key.part == Part::kNames) continue;
      // What is signalled here may be made anew there, for the sake of a network that is left out here.
      if (step.verb == Verb::kSignal && all.contains({step.key, Verb::kUndo})) continue;
      if (!all.contains({step.key, step.verb}))
        RC_FAIL("not in the whole: " + step.Text() + "\n" + Text(*part) + "\n" + Text(*whole));
    }
    for (const auto& change : part->changes) RC_ASSERT(!options.excludes.contains(change.address));
  }));
}

TEST(PlannerAlgebra, ThePartsThenTheWholeIsTheWhole) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      const auto plan = world.MakePlan(&desired, AnyPart(world, desired));
      if (plan) world.Execute(*plan, &desired);
    }
    RequireOk(world.Converge(&desired));
    RequireNothingToDo(world, &desired);
  }));
}

TEST(PlannerAlgebra, ThereAndBackIsIdentity) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto first = *AnyTopology("shop");
    const auto second = *AnyTopology("shop");
    RequireOk(world.Converge(&first));
    RequireOk(world.Converge(&second));
    RequireOk(world.Converge(&first));  // rollback(n)
    const auto there = world.kernel.All();
    const auto calls = world.kernel.calls();
    RequireOk(world.Converge(&first));  // apply(n)
    RC_ASSERT(world.kernel.All() == there);
    RC_ASSERT(world.kernel.calls() == calls);
    RequireNothingToDo(world, &first);
  }));
}

TEST(PlannerAlgebra, RepairGivesBackWhatWas) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto desired = *AnyTopology("shop");
    RequireOk(world.Converge(&desired));
    const auto before = world.kernel.All();
    Damage(world);
    RequireOk(world.Converge(&desired));
    RC_ASSERT(world.kernel.All() == before);
  }));
}

TEST(PlannerAlgebra, DamageAloneIsDriftAloneAndWithoutItThereIsNone) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto desired = *AnyTopology("shop");
    RequireOk(world.Converge(&desired));
    Damage(world);
    Options options;
    options.drift_only = true;
    const auto drift = world.MakePlan(nullptr, options);
    const auto plan = world.MakePlan(&desired);
    RC_ASSERT(drift.has_value() && plan.has_value());
    RC_ASSERT(StepsOf(*drift) == StepsOf(*plan));
    for (const auto& change : plan->changes) {
      if (!change.drift && change.action != Action::kNone) RC_FAIL("not told as drift:\n" + Text(*plan));
    }
  }));
}

TEST(PlannerAlgebra, WithoutTheStoreWhatRunsAsDesiredIsAdoptedAndUntouched) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto desired = *AnyTopology("shop");
    RequireOk(world.Converge(&desired));
    const auto leases = world.applied;
    world.applied = {};
    world.applied.topology.name = "shop";
    world.applied.addresses = leases.addresses;  // the prober finds them
    world.applied.subnets = leases.subnets;
    std::map<PartKey, std::size_t> starts;
    for (const auto& [name, service] : desired.services) {
      if (service.type == spec::ServiceType::kService)
        starts[world.Process(name)] = world.kernel.StartsOf(world.Process(name));
    }
    RequireOk(world.Converge(&desired));
    for (const auto& [key, count] : starts) RC_ASSERT(world.kernel.StartsOf(key) == count);
    RequireNothingToDo(world, &desired);
  }));
}

TEST(PlannerAlgebra, WhatBelongsToAnotherProjectOutlivesEverything) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    Observations foreign;
    for (const std::string project : {"shop2", "sho", "shop-db"}) {
      const PartKey names{project, {Kind::kService, "web"}, Part::kNames};
      const PartKey bridge{project, {Kind::kNetwork, "front"}, Part::kBridge};
      RC_ASSERT(world.kernel.Apply(names, NamesWanted{}, {}).has_value());
      const BridgeWanted wanted{.link = "nb" + project, .alias = {}, .gateway = {}};
      RC_ASSERT(world.kernel.Apply(bridge, wanted, {}).has_value());
      for (const auto& key : {names, bridge}) foreign[key] = world.kernel.All().at(key);
    }
    const auto desired = *AnyTopology("shop");
    if (*rc::gen::arbitrary<bool>()) RequireOk(world.Converge(&desired));
    RequireOk(world.Converge(nullptr));
    RC_ASSERT(world.kernel.All() == foreign);
  }));
}

TEST(PlannerAlgebra, OneApplyConvergesAfterAnySubsetFailedAnyNumberOfTimes) {
  EXPECT_TRUE(rc::check([] {
    World world;
    Live(world);
    const auto desired = *AnyTopology("shop");
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      const auto plan = world.MakePlan(&desired);
      RC_ASSERT(plan.has_value());
      for (const auto& step : plan->steps) {
        if (*rc::gen::inRange(0, 3) == 0) world.kernel.FailOn(step.key);
      }
      world.Execute(*plan, &desired);
      world.kernel.FailOnNothing();
    }
    RequireOk(world.Converge(&desired));
    RequireNothingToDo(world, &desired);
  }));
}

TEST(PlannerAlgebra, WhatIsReplacedOnDemandIsThatAlone) {
  EXPECT_TRUE(rc::check([] {
    World world;
    const auto desired = *AnyTopology("shop");
    RequireOk(world.Converge(&desired));
    if (desired.services.empty()) return;
    const auto name = *rc::gen::elementOf([&] {
      std::vector<std::string> names;
      for (const auto& [known, service] : desired.services) names.push_back(known);
      return names;
    }());
    Options options;
    (*rc::gen::arbitrary<bool>() ? options.replace : options.rerun) = {name};
    const auto plan = world.MakePlan(&desired, options);
    RC_ASSERT(plan.has_value());
    for (const auto& change : plan->changes) {
      const bool asked = change.address == Address{Kind::kService, name};
      const bool follows = std::ranges::all_of(
          change.reasons, [](const Reason& reason) { return reason.type == Reason::Type::kDependency; });
      if (!asked && !follows) RC_FAIL("neither asked for nor a consequence:\n" + Text(*plan));
    }
    RequireOk(world.Execute(*plan, &desired));
    RequireNothingToDo(world, &desired);
  }));
}

}  // namespace
}  // namespace nucleus::reconcile
