// What a plan says and does in the cases people meet.
#include "reconcile/planner.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "reconcile/testing/shop.hpp"

namespace nucleus::reconcile {
namespace {

using Planner = testing::ShopPlanner;
using testing::With;

TEST_F(Planner, CreatesEverythingInOrderAndASecondTimeNothing) {
  const auto plan = Planned();
  EXPECT_LT(At(plan, "network.internal/bridge"), At(plan, "topology.shop/firewall"));
  EXPECT_LT(At(plan, "topology.shop/firewall"), At(plan, "service.db/process"));
  EXPECT_LT(At(plan, "volume.data/directory"), At(plan, "service.db/process"));
  EXPECT_LT(At(plan, "service.db/process (healthy)"), At(plan, "service.migrate/process"));
  EXPECT_LT(At(plan, "service.migrate/process (completed)"), At(plan, "service.web/process"));
  EXPECT_LT(At(plan, "service.migrate/process (completed)"), At(plan, "service.migrate/process (clean up)"));
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kCreate);
  Start();
  const auto second = Planned();
  EXPECT_TRUE(second.empty());
  EXPECT_FALSE(second.HasChanges());
  EXPECT_FALSE(world.kernel.Keys().contains(world.Process("migrate")));
}

TEST_F(Planner, AMemoryLimitIsChangedLive) {
  Start();
  shop.services["db"].memory = Bytes{1} << 30;
  shop.services["db"].places["memory"] = {0, 14, 1};
  const auto plan = Planned();
  EXPECT_EQ(Steps(plan), std::vector<std::string>{"service.db/cgroup"});
  const auto* change = Find(plan, "service.db");
  ASSERT_NE(change, nullptr);
  EXPECT_EQ(change->action, Action::kLive);
  EXPECT_FALSE(change->drift);
  EXPECT_EQ(change->reasons.at(0).text, "memory 512M → 1G");
  EXPECT_EQ(change->reasons.at(0).place.line, 14u);
}

TEST_F(Planner, LabelsAreRecordedWithoutTouchingAnything) {
  Start();
  shop.services["web"].labels["tier"] = "front";
  const auto plan = Planned();
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].action, Action::kAdopt);
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kLive);
  const auto calls = world.kernel.calls();
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_EQ(world.kernel.calls(), calls);
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, ACommandIsARestartAndTakesAlongWhoAskedForIt) {
  Start();
  shop.services["db"].command = {"postgres", "-d"};
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kRestart);
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kRestart);  // restart = true
  EXPECT_EQ(Find(plan, "service.web")->reasons.at(0).type, Reason::Type::kDependency);
  EXPECT_EQ(Find(plan, "service.migrate"), nullptr);
  EXPECT_LT(At(plan, "service.web/process (undo)"), At(plan, "service.db/process (undo)"));
  EXPECT_LT(At(plan, "service.db/process (healthy)"), At(plan, "service.web/process"));
}

TEST_F(Planner, ARootfsIsAReplace) {
  Start();
  shop.services["web"].rootfs = "/srv/rootfs";
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kReplace);
  for (const auto* part : {"process", "netns", "names", "cgroup"}) {
    EXPECT_LT(At(plan, "service.web/" + std::string(part) + " (undo)"), At(plan, "service.web/" + std::string(part)));
  }
}

TEST_F(Planner, AnotherPathOfAVolumeRestartsWhoMountsIt) {
  Start();
  shop.volumes["data"].path = "/srv/other";
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "volume.data")->action, Action::kReplace);
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kRestart);
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_TRUE(world.kernel.directories().contains("/srv/data"));  // data stays
}

TEST_F(Planner, DriftIsToldApartFromChanges) {
  Start();
  world.kernel.SetFact(world.Key(Kind::kService, "db", Part::kCgroup), "memory.max", "max");
  world.kernel.SetFact(world.Process("web"), "state", "exited");
  const auto plan = Planned();
  EXPECT_TRUE(Find(plan, "service.db")->drift);
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kLive);
  EXPECT_EQ(Find(plan, "service.db")->reasons.at(0).text, "memory.max max → 536870912");
  EXPECT_TRUE(Find(plan, "service.web")->drift);
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kRestart);
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, AfterARebootEverythingIsStartedAgain) {
  Start();
  world.kernel.Reboot();
  const auto plan = Planned();
  for (const auto& change : plan.changes) EXPECT_TRUE(change.drift) << change.address.Text();
  EXPECT_EQ(Find(plan, "service.migrate"), nullptr);  // it has completed
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, WhatRunsAsDesiredIsAdoptedWhenTheStoreIsLost) {
  Start();
  const auto starts = world.kernel.StartsOf(world.Process("db"));
  world.applied.topology.services.erase("db");
  world.applied.topology.volumes.erase("data");
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kAdopt);
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_EQ(world.kernel.StartsOf(world.Process("db")), starts);
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, WhatNobodyAskedForIsRemoved) {
  Start();
  shop.services.erase("web");
  const auto removed = Planned();
  EXPECT_EQ(removed.changes.front().action, Action::kDestroy);  // destroying lines come first
  EXPECT_EQ(Find(removed, "service.web")->reasons.at(0).type, Reason::Type::kRemoved);
  world.applied.topology.services.erase("web");
  const auto leftover = Planned();
  EXPECT_EQ(Find(leftover, "service.web")->reasons.at(0).type, Reason::Type::kLeftover);
  EXPECT_TRUE(world.Execute(leftover, &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, ADestroyedVolumeSaysWhatBecomesOfItsData) {
  Start();
  Options options;
  options.destroy = true;
  EXPECT_EQ(Find(world.MakePlan(nullptr, options).value(), "volume.data")->reasons.at(0).text,
            "its data stay: /srv/data");
  EXPECT_EQ(Find(world.MakePlan(nullptr, options).value(), "service.db")->reasons.at(0).text, "");
  options.delete_data = true;
  EXPECT_EQ(Find(world.MakePlan(nullptr, options).value(), "volume.data")->reasons.at(0).text,
            "its data go too: /srv/data");
}

TEST_F(Planner, AJobRunsAgainWhenItsInputsChangeOrWhenAsked) {
  Start();
  const auto job = world.Process("migrate");
  EXPECT_EQ(world.kernel.StartsOf(job), 1u);
  shop.services["migrate"].inputs["volumes:/schema.sql"] = Sha256::Of("new");
  EXPECT_EQ(Find(Planned(), "service.migrate")->action, Action::kRestart);  // so that a gate can name it
  EXPECT_TRUE(world.Converge(&shop).ok());
  EXPECT_EQ(world.kernel.StartsOf(job), 2u);
  EXPECT_FALSE(Planned().HasChanges());
  EXPECT_TRUE(world.Converge(&shop, With([](Options& options) { options.rerun = {"service.migrate"}; })).ok());
  EXPECT_EQ(world.kernel.StartsOf(job), 3u);
}

TEST_F(Planner, AFailedJobRunsAgainAndHoldsUpWhoWaitsForIt) {
  world.kernel.MakeUnhealthy(world.Process("migrate"));
  const auto ran = world.Converge(&shop);
  ASSERT_EQ(ran.failed.size(), 1u);
  EXPECT_EQ(ran.failed[0].first, "service.migrate/process (completed)");
  EXPECT_FALSE(world.kernel.Keys().contains(world.Process("web")));
  EXPECT_LT(At(Planned(), "service.migrate/process (undo)"), At(Planned(), "service.migrate/process"));
}

TEST_F(Planner, AFileIsReloadedBySignalWhereTheServiceTakesOne) {
  shop.services["web"].inputs["volumes:/etc/web.conf"] = Sha256::Of("1");
  shop.services["web"].reload_signal = 1;
  Start();
  shop.services["web"].inputs["volumes:/etc/web.conf"] = Sha256::Of("2");
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kSignal);
  EXPECT_EQ(Steps(plan), (std::vector<std::string>{"service.web/process", "service.web/process (signal)"}));
  EXPECT_EQ(Find(plan, "service.web")->reasons.at(0).text, "contents of /etc/web.conf changed");
  shop.services["web"].reload_signal = 0;
  EXPECT_EQ(Find(Planned(), "service.web")->action, Action::kRestart);
}

TEST_F(Planner, WhatASecretHoldsIsNotedWhenItIsKnownAndARestartWhenItIsAnother) {
  Start();
  for (const char* input : {"secrets:/run/secrets/a", "systemd_credentials:/run/secrets/a"}) {
    shop.services["web"].inputs[input] = Sha256::Of("1");
    const auto noted = Planned();
    ASSERT_EQ(noted.changes.size(), 1U);
    EXPECT_EQ(noted.changes[0].action, Action::kAdopt) << noted.changes[0].reasons.at(0).text;
    EXPECT_TRUE(std::ranges::all_of(noted.steps, [](const Step& step) {
      return step.action == Action::kAdopt || step.verb == Verb::kWaitStarted;
    })) << ::testing::PrintToString(Steps(noted));
    const auto starts = world.kernel.StartsOf(world.Process("web"));
    EXPECT_TRUE(world.Converge(&shop).ok());
    EXPECT_EQ(world.kernel.StartsOf(world.Process("web")), starts);
    EXPECT_FALSE(Planned().HasChanges());
    shop.services["web"].inputs[input] = Sha256::Of("2");
    EXPECT_EQ(Find(Planned(), "service.web")->action, Action::kRestart);
    EXPECT_TRUE(world.Converge(&shop).ok());
    EXPECT_EQ(world.kernel.StartsOf(world.Process("web")), starts + 1);
    EXPECT_FALSE(Planned().HasChanges());
  }
}

TEST_F(Planner, ProtectedResourcesAreNotDestroyed) {
  shop.volumes["data"].protect = true;
  Start();
  const auto refused = world.MakePlan(nullptr);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().Message().find("volume.data would be destroyed"), std::string::npos);
  shop.services["db"].memory = Bytes{1} << 30;  // what does not touch it goes on
  EXPECT_TRUE(world.Converge(&shop).ok());
}

TEST_F(Planner, LimitsWithoutAControllerAreWarnedOfAndCountForNothing) {
  world.host.controllers.clear();
  const auto plan = Planned();
  EXPECT_TRUE(plan.unheld.contains("service.db memory"));
  Start();
  const auto second = Planned();
  EXPECT_FALSE(second.HasChanges());
  EXPECT_TRUE(second.unheld.contains("service.db memory"));
  shop.services["db"].mode = spec::ServiceMode::kProduction;
  EXPECT_FALSE(world.MakePlan(&shop).has_value());
  // The controller appears: now it is held.
  shop.services["db"].mode = spec::ServiceMode::kAgent;
  world.host.controllers = {"memory"};
  EXPECT_EQ(At(Planned(), "service.db/cgroup"), 0u);
}

TEST_F(Planner, TargetsComeWithWhatTheyRestOnAndExcludesWithWhoRestsOnThem) {
  const auto target = Planned(With([](Options& options) { options.targets = {{Kind::kService, "migrate"}}; }));
  EXPECT_NE(Find(target, "service.db"), nullptr);
  EXPECT_NE(Find(target, "network.internal"), nullptr);
  EXPECT_EQ(Find(target, "service.web"), nullptr);
  const auto exclude = Planned(With([](Options& options) { options.excludes = {{Kind::kService, "migrate"}}; }));
  EXPECT_NE(Find(exclude, "service.db"), nullptr);
  EXPECT_EQ(Find(exclude, "service.web"), nullptr);
  EXPECT_FALSE(
      world.MakePlan(&shop, With([](Options& options) { options.targets = {{Kind::kService, "wbe"}}; })).has_value());
}

TEST_F(Planner, WhatMayNotBeReadIsSaidAndNotTakenForUnchanged) {
  Start();
  world.kernel.Hide(true);
  shop.services["db"].memory = Bytes{1} << 30;
  const auto plan = Planned();
  EXPECT_TRUE(Find(plan, "service.web")->unknown);
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kNone);
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kLive);
}

TEST_F(Planner, AnUnhealthyServiceIsWaitedForAgain) {
  world.kernel.MakeUnhealthy(world.Process("db"));
  EXPECT_FALSE(world.Converge(&shop).ok());
  const auto again = Planned();
  EXPECT_EQ(Find(again, "service.db")->action, Action::kAdopt);
  At(again, "service.db/process (healthy)");
}

TEST_F(Planner, WhatIsFoundInTheNewPlaceOfAVolumeIsNoDrift) {
  Start();
  shop.volumes["data"].path = "/srv/moved";
  for (const auto& reason : Find(Planned(), "volume.data")->reasons) EXPECT_NE(reason.type, Reason::Type::kDrift);
}

}  // namespace
}  // namespace nucleus::reconcile
