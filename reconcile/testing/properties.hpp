// What the properties of the planner have in common: a machine in any state that it can get into, and what is asked of
// it.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>

#include "reconcile/planner.hpp"
#include "reconcile/testing/gen.hpp"
#include "reconcile/testing/world.hpp"

namespace nucleus::reconcile::testing {

inline std::string Text(const Plan& plan) {
  std::string text;
  for (const auto& change : plan.changes) {
    text += change.address.Text() + " " + std::string(ActionName(change.action));
    for (const auto& reason : change.reasons) text += " [" + reason.text + "]";
    text += "\n";
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    text +=
        std::to_string(i) + " " + plan.steps[i].Text() + " " + std::string(ActionName(plan.steps[i].action)) + " <-";
    for (const auto before : plan.steps[i].after) text += " " + std::to_string(before);
    text += "\n";
  }
  return text;
}

inline void RequireOk(const World::Ran& ran) {
  std::string why;
  for (const auto& [step, error] : ran.failed) why += step + ": " + error.Message() + "\n";
  for (const auto& step : ran.skipped) why += "skipped " + step + "\n";
  if (!why.empty()) RC_FAIL(why);
}

inline void RequireNothingToDo(World& world, const spec::Topology* desired) {
  const auto plan = world.MakePlan(desired);
  RC_ASSERT(plan.has_value());
  if (!plan->empty() || plan->HasChanges()) RC_FAIL("there is still something to do:\n" + Text(*plan));
}

// Damage that a person, the kernel or a power cut may do to what is there.
inline void Damage(World& world) {
  const auto keys = world.kernel.Keys();
  for (const auto& key : keys) {
    switch (*rc::gen::inRange(0, 12)) {
      case 0:
        world.kernel.Remove(key);
        break;
      case 1:
        world.kernel.SetFact(key, "stranger", "1");
        break;
      case 2: {
        const auto facts = world.kernel.All().at(key).facts;
        if (!facts.empty()) world.kernel.DropFact(key, facts.begin()->first);
        break;
      }
      case 3:
        if (key.part == Part::kProcess) world.kernel.SetFact(key, "state", "exited");
        break;
      default:
        break;
    }
  }
  if (*rc::gen::inRange(0, 10) == 0) world.kernel.Reboot();
}

// Brings the world into any state that applies, failures, cuts and damage can bring it to.
inline void Live(World& world) {
  const int rounds = *rc::gen::inRange(0, 3);
  for (int i = 0; i < rounds; ++i) {
    const auto topology = *AnyTopology("shop");
    const auto plan = world.MakePlan(&topology);
    RC_ASSERT(plan.has_value());
    for (const auto& step : plan->steps) {
      if (*rc::gen::inRange(0, 12) == 0) world.kernel.FailOn(step.key);
    }
    const auto cut = *rc::gen::weightedElement<bool>({{3, false}, {1, true}});
    world.Execute(*plan, &topology, cut ? *rc::gen::inRange<std::size_t>(0, plan->steps.size() + 1) : ~std::size_t{0});
    world.kernel.FailOnNothing();
    Damage(world);
  }
}

}  // namespace nucleus::reconcile::testing
