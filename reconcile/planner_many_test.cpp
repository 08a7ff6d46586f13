// A topology of so many services that it is planned in pieces and by several threads; and that by one of them.
#include <gtest/gtest.h>
#include <sched.h>

#include <set>
#include <string>

#include "reconcile/planner.hpp"
#include "reconcile/testing/shop.hpp"
#include "spec/core/threads.hpp"
#include "state/parts/facts.hpp"

namespace nucleus::reconcile {
namespace {

constexpr int kServices = 1'500;

std::string NameOf(int number) {
  std::string digits = std::to_string(number);
  return "s" + std::string(4 - digits.size(), '0') + digits;
}

// For as long as it is there all threads that are started have one processor; sched_setaffinity(2).
class OneProcessor {
 public:
  OneProcessor() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0 && cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &before_)) CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OneProcessor() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;

 private:
  cpu_set_t before_{};
};

class ManyServices : public testing::ShopPlanner {
 protected:
  void SetUp() override {
    if (Processors() < 2) GTEST_SKIP() << "a machine of one processor plans with one thread";
    const auto like = shop.services.at("web");
    shop.networks["internal"].subnet = spec::Ipv4Net{{0x0a2a0000}, 16};
    for (int i = 0; i < kServices; ++i) {
      auto service = like;
      service.name = NameOf(i);
      service.port_forwards.clear();
      service.depends_on.clear();
      if (i % 7 == 3) service.depends_on = {{NameOf(i - 1), spec::Condition::kStarted, false}};
      shop.services[service.name] = service;
    }
  }

  static std::string Text(const Plan& plan) {
    std::string text = plan.digest.Hex() + "\n";
    for (const auto& change : plan.changes) {
      text += change.address.Text() + " " + std::to_string(static_cast<int>(change.action));
      for (const auto& reason : change.reasons) text += ", " + reason.text;
      text += "\n";
    }
    for (const auto& step : plan.steps) {
      text += step.Text();
      for (const auto after : step.after) text += " " + std::to_string(after);
      if (step.wanted != nullptr)
        for (const auto& [name, value] : ExpectedFacts(*step.wanted))
          text.append(" ").append(name).append("=") += value;
      text += "\n";
    }
    return text;
  }

  // By several threads, and then by one.
  Plan PlannedBothWays() {
    auto plan = Planned();
    const OneProcessor one;
    EXPECT_EQ(Processors(), 1u);
    EXPECT_TRUE(Text(plan) == Text(Planned())) << "another plan by one thread";
    return plan;
  }

  static std::set<std::string> Changed(const Plan& plan) {
    std::set<std::string> names;
    for (const auto& change : plan.changes) names.insert(change.address.name);
    return names;
  }
};

TEST_F(ManyServices, ArePlannedAsByOneThread) {
  const auto created = PlannedBothWays();
  EXPECT_GE(created.changes.size(), kServices + 0u);
  Start();
  EXPECT_TRUE(PlannedBothWays().empty());
}

TEST_F(ManyServices, AreEachSeen) {
  Start();
  std::set<std::string> drifted;
  for (const int i : {0, 1, 9, 10, 11, 12, 15, 16, 63, 64, 65, 127, 128, 700, 701, 1'300, 1'498, 1'499}) {
    drifted.insert(NameOf(i));
    const auto part = i % 2 == 0 ? Part::kCgroup : Part::kNetns;
    world.kernel.SetFact(world.Key(Kind::kService, NameOf(i), part), i % 2 == 0 ? "memory.max" : "lo", "other");
  }
  EXPECT_EQ(Changed(PlannedBothWays()), drifted);
  const auto ran = world.Converge(&shop);
  EXPECT_TRUE(ran.ok());
  EXPECT_TRUE(PlannedBothWays().empty());
}

TEST_F(ManyServices, ThatAreNotWantedGo) {
  Start();
  std::set<std::string> gone;
  for (const int i : {0, 5, 62, 64, 67, 900, 1'499}) {
    gone.insert(NameOf(i));
    shop.services.erase(NameOf(i));
  }
  const auto plan = PlannedBothWays();
  for (const auto& change : plan.changes)
    EXPECT_TRUE(change.action != Action::kDestroy || gone.contains(change.address.name)) << change.address.Text();
  for (const auto& name : gone) {
    const auto* change = Find(plan, "service." + name);
    ASSERT_NE(change, nullptr) << name;
    EXPECT_EQ(change->action, Action::kDestroy);
  }
  EXPECT_TRUE(world.Converge(&shop).ok());
  EXPECT_TRUE(PlannedBothWays().empty());
  for (const auto& key : world.kernel.Keys()) EXPECT_FALSE(gone.contains(key.address.name)) << key.address.Text();
}

}  // namespace
}  // namespace nucleus::reconcile
