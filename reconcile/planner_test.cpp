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

TEST_F(Planner, AJobIsCleanedUpWhenNobodyWaitsForItAnyMore) {
  auto& on_migrate = shop.services["web"].depends_on.at(0);
  ASSERT_EQ(on_migrate.service, "migrate");
  on_migrate.condition = spec::Condition::kStarted;
  const auto plan = Planned();
  const auto& before = plan.steps.at(At(plan, "service.migrate/process (clean up)")).after;
  for (const auto* wait : {"started", "completed"}) {
    const auto step = At(plan, "service.migrate/process (" + std::string(wait) + ")");
    EXPECT_TRUE(std::ranges::count(before, step)) << wait;
  }
  Start();
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

TEST_F(Planner, WhatItsSupervisorBringsBackIsLeftToItButForACrashLoop) {
  Start();
  const auto web = world.Process("web");
  const auto says = [&](const std::string& state, const std::map<std::string, std::string>& notes) {
    world.kernel.SetFact(web, "state", state);
    for (const auto& [note, value] : notes) world.kernel.SetNote(web, note, value);
  };
  const std::map<std::string, std::string> short_run{{"started_ms", "1000"}, {"finished_ms", "3000"}, {"error", ""}};
  says("backoff", short_run);
  says("backoff", {{"restarts", "2"}});
  EXPECT_FALSE(Planned().HasChanges());
  says("backoff", {{"restarts", "3"}});
  const auto plan = Planned();
  ASSERT_NE(Find(plan, "service.web"), nullptr);
  EXPECT_EQ(Find(plan, "service.web")->reasons.at(0).text, "state backoff → running");
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kRestart);
  says("backoff", {{"finished_ms", "11000"}});  // a run that lasted
  EXPECT_FALSE(Planned().HasChanges());
  says("backoff", {{"error", "mount /srv: ENOENT"}});  // and then no other was had
  EXPECT_TRUE(Planned().HasChanges());
  says("backoff", {{"ending", "unhealthy"}, {"error", "health check failed 3 times in a row"}});  // it was had
  EXPECT_FALSE(Planned().HasChanges());
  says("starting", {});
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, WhatIsStoppedOfIllHealthComesBackByItself) {
  Start();
  const auto db = world.Process("db");
  world.kernel.SetFact(db, "state", "stopping");
  EXPECT_TRUE(Planned().HasChanges());
  world.kernel.SetNote(db, "ending", "unhealthy");
  EXPECT_FALSE(Planned().HasChanges());
  shop.services["db"].health->on_unhealthy = spec::OnUnhealthy::kStop;
  EXPECT_EQ(Find(Planned(), "service.db")->action, Action::kRestart);
}

// Its poststop hooks run yet.
TEST_F(Planner, WhatHasEndedAndIsStillStoppingIsJudgedByItsExitCode) {
  shop.services = {{"db", shop.services["db"]}};
  shop.services["db"].restart = spec::RestartPolicy::kOnFailure;
  Start();
  world.applied.by_command = true;
  const auto db = world.Process("db");
  const auto drifts = [&](const std::string& state, const std::string& code) {
    world.kernel.SetFact(db, "state", state);
    world.kernel.SetNote(db, "exit_code", code);
    return Planned(With([](Options& options) { options.drift_only = true; })).HasChanges();
  };
  for (const std::string state : {"stopping", "exited"}) {
    EXPECT_FALSE(drifts(state, "0")) << state;
    EXPECT_TRUE(drifts(state, "1")) << state;
  }
  EXPECT_TRUE(drifts("stopping", "")) << "it has not ended";
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

// Another name for the same directory, in this file or in another project's, is no reason to lose what is in it.
TEST_F(Planner, DataThatAnotherVolumeHasStay) {
  Start();
  Options options;
  options.delete_data = true;
  const auto removal = [](const Plan& plan) {
    const auto step = std::ranges::find_if(plan.steps, [](const Step& one) {
      return one.verb == Verb::kUndo && one.key.address == Address{Kind::kVolume, "data"};
    });
    return step == plan.steps.end() ? std::optional<bool>() : step->delete_data;
  };
  const auto plan_with = [&](const std::string& path) {
    auto changed = shop;
    auto volume = changed.volumes.extract("data");
    volume.key() = "rows";
    volume.mapped().path = path;
    changed.volumes.insert(std::move(volume));
    for (auto& [name, service] : changed.services) {
      for (auto& mount : service.volumes) {
        if (mount.volume == "data") mount.volume = "rows";
      }
    }
    return world.MakePlan(&changed, options).value();
  };
  for (const std::string path : {"/srv/data", "/srv", "/srv/data/below", "/"}) {
    const auto plan = plan_with(path);
    EXPECT_EQ(removal(plan), false) << path;
    EXPECT_EQ(Find(plan, "volume.data")->reasons.at(0).text,
              "not in the file any more; its data stay, volume.rows has them: /srv/data");
  }
  for (const std::string path : {"/srv/data2", "/srv/dat", "/srv/other"}) EXPECT_EQ(removal(plan_with(path)), true);
  options.destroy = true;
  EXPECT_EQ(removal(world.MakePlan(nullptr, options).value()), true);
  world.taken.volumes = {{"/srv/data", "other/volume.x"}};
  EXPECT_EQ(removal(world.MakePlan(nullptr, options).value()), false);
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

TEST_F(Planner, AFileThatIsNamedFirstOrNoMoreIsOneChange) {
  Start();
  const auto reasons = [this] {
    std::vector<std::string> texts;
    const auto plan = Planned();
    EXPECT_EQ(Find(plan, "service.web")->action, Action::kRestart);
    for (const auto& reason : Find(plan, "service.web")->reasons) texts.push_back(reason.text);
    return texts;
  };
  shop.services["web"].seccomp_profile = "/etc/p.json";
  shop.services["web"].inputs["seccomp_profile"] = Sha256::Of("1");
  EXPECT_EQ(reasons(), std::vector<std::string>{"seccomp_profile set"});
  ASSERT_TRUE(world.Converge(&shop).ok());
  shop.services["web"].inputs["seccomp_profile"] = Sha256::Of("2");
  EXPECT_EQ(reasons(), std::vector<std::string>{"contents of seccomp_profile changed"});
  ASSERT_TRUE(world.Converge(&shop).ok());
  shop.services["web"].seccomp_profile.clear();
  shop.services["web"].inputs.clear();
  EXPECT_EQ(reasons(), std::vector<std::string>{"seccomp_profile removed"});
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

TEST_F(Planner, ASecretThatComesOrGoesBesideOthersIsSetOrRemovedAndHasNotChanged) {
  auto& web = shop.services["web"];
  for (const char* name : {"a", "b"}) {
    const std::string path = std::string("/run/secrets/") + name;
    web.secrets.push_back({.source = std::string("/srv/") + name, .destination = path});
    web.inputs["secrets:" + path] = Sha256::Of(name);
  }
  Start();
  const auto said = [&] {
    std::vector<std::string> texts;
    const auto plan = Planned();
    for (const auto& reason : Find(plan, "service.web")->reasons) texts.push_back(reason.text);
    return texts;
  };
  auto& third = web.secrets.emplace_back();
  third = {.source = "/srv/c", .destination = "/run/secrets/c"};
  web.inputs["secrets:" + third.destination] = Sha256::Of("c");
  const auto more = said();
  EXPECT_NE(std::ranges::find(more, "secret /run/secrets/c set"), more.end()) << ::testing::PrintToString(more);
  web.secrets.pop_back();
  web.inputs.erase("secrets:/run/secrets/c");
  web.secrets.pop_back();
  web.inputs.erase("secrets:/run/secrets/b");
  const auto one = said();
  EXPECT_NE(std::ranges::find(one, "secret /run/secrets/b removed"), one.end()) << ::testing::PrintToString(one);
  web.secrets.clear();
  web.inputs.erase("secrets:/run/secrets/a");
  EXPECT_EQ(said(), std::vector<std::string>{"secrets removed"});
  ASSERT_TRUE(world.Converge(&shop).ok());
  web.secrets.push_back({.source = "/srv/a", .destination = "/run/secrets/a"});
  web.inputs["secrets:/run/secrets/a"] = Sha256::Of("a");
  EXPECT_EQ(said(), std::vector<std::string>{"secrets set"});
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
