// What a plan says and does in the cases people meet.
#include "reconcile/planner.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "reconcile/testing/world.hpp"

namespace nucleus::reconcile {
namespace {

using testing::World;

// A database with its volume, a job that loads it, and a web server on a published port.
spec::Topology Shop() {
  spec::Topology shop;
  shop.name = "shop";
  shop.networks["internal"] = {"internal", spec::Ipv4Net{{0x0a2a0000}, 24}, {}, {}, false, 0, {}};
  spec::Volume data;
  data.name = "data";
  data.path = "/srv/data";
  shop.volumes["data"] = data;
  spec::Service db;
  db.name = "db";
  db.mode = spec::ServiceMode::kAgent;
  db.command = {"postgres"};
  db.memory = Bytes{512} << 20;
  db.networks = {"internal"};
  db.volumes = {{"data", "", "/var/lib/data", false, false}};
  db.health.emplace();
  spec::Service migrate = db;
  migrate.name = "migrate";
  migrate.type = spec::ServiceType::kJob;
  migrate.command = {"load"};
  migrate.volumes.clear();
  migrate.health.reset();
  migrate.depends_on = {{"db", spec::Condition::kHealthy, false}};
  spec::Service web = migrate;
  web.name = "web";
  web.type = spec::ServiceType::kService;
  web.command = {"serve"};
  web.port_forwards = {{std::nullopt, 8080, 80, spec::Protocol::kTcp}};
  web.depends_on = {{"migrate", spec::Condition::kCompleted, false}, {"db", spec::Condition::kHealthy, true}};
  shop.services = {{"db", db}, {"migrate", migrate}, {"web", web}};
  return shop;
}

template <class Set>
Options With(Set set) {
  Options options;
  set(options);
  return options;
}

class Planner : public ::testing::Test {
 protected:
  void Start() {
    const auto ran = world.Converge(&shop);
    for (const auto& [step, error] : ran.failed) ADD_FAILURE() << step << ": " << error.Message();
    ASSERT_TRUE(ran.ok());
  }
  Plan Planned(const Options& options = {}) {
    auto plan = world.MakePlan(&shop, options);
    EXPECT_TRUE(plan.has_value()) << plan.error().Message();
    return plan.value_or(Plan{});
  }
  static std::vector<std::string> Steps(const Plan& plan) {
    std::vector<std::string> steps;
    for (const auto& step : plan.steps) steps.push_back(step.Text());
    return steps;
  }
  static const Change* Find(const Plan& plan, const std::string& address) {
    const auto found = std::find_if(plan.changes.begin(), plan.changes.end(),
                                    [&](const auto& change) { return change.address.Text() == address; });
    return found == plan.changes.end() ? nullptr : &*found;
  }
  static std::size_t At(const Plan& plan, const std::string& step) {
    const auto steps = Steps(plan);
    const auto found = std::find(steps.begin(), steps.end(), step);
    EXPECT_NE(found, steps.end()) << "no step " << step;
    return static_cast<std::size_t>(found - steps.begin());
  }

  World world;
  spec::Topology shop = Shop();
};

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

TEST_F(Planner, AReplacedNetworkReplacesWhoIsOnIt) {
  Start();
  shop.networks["internal"].subnet = spec::Ipv4Net{{0x0a2b0000}, 24};
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "network.internal")->action, Action::kReplace);
  EXPECT_EQ(Find(plan, "service.db")->action, Action::kReplace);
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kReplace);
  EXPECT_LT(At(plan, "service.db/netns (undo)"), At(plan, "network.internal/bridge (undo)"));
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, NetworksAreAddedAndRemovedLive) {
  shop.networks["front"] = {"front", spec::Ipv4Net{{0x0a2b0000}, 24}, {}, {}, false, 0, {}};
  shop.services["web"].networks = {"front", "internal"};
  Start();
  const auto starts = world.kernel.StartsOf(world.Process("web"));
  const auto addresses = world.applied.addresses;

  // One network goes altogether and another one comes, for a service and for one that stays.
  shop.networks.erase("front");
  shop.networks["back"] = {"back", spec::Ipv4Net{{0x0a2c0000}, 24}, {}, {}, true, 0, {}};
  shop.services["web"].networks = {"internal", "back"};
  const auto plan = Planned();
  const auto* change = Find(plan, "service.web");
  ASSERT_NE(change, nullptr);
  EXPECT_EQ(change->action, Action::kLive);
  EXPECT_EQ(change->reasons.at(0).text, "networks front, internal → internal, back");
  EXPECT_EQ(plan.addresses.at("service.web/internal"), addresses.at("service.web/internal"));
  EXPECT_LT(At(plan, "network.back/bridge"), At(plan, "topology.shop/firewall"));
  EXPECT_LT(At(plan, "topology.shop/firewall"), At(plan, "service.web/netns"));
  EXPECT_LT(At(plan, "service.web/netns"), At(plan, "network.front/bridge (undo)"));
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());

  // To none at all, and back.
  shop.services["web"].networks.clear();
  shop.services["web"].port_forwards.clear();
  EXPECT_EQ(Find(Planned(), "service.web")->action, Action::kLive);
  EXPECT_TRUE(world.Execute(Planned(), &shop).ok());
  shop.services["web"].networks = {"back"};
  EXPECT_EQ(Find(Planned(), "service.web")->action, Action::kLive);
  EXPECT_TRUE(world.Execute(Planned(), &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());
  EXPECT_EQ(world.kernel.StartsOf(world.Process("web")), starts);

  // The host's network is another kind of namespace.
  shop.services["web"].networks.clear();
  shop.services["web"].network = spec::NetworkKind::kHost;
  EXPECT_EQ(Find(Planned(), "service.web")->action, Action::kReplace);
}

TEST_F(Planner, RulesOfANetworkStayWhileAServiceOnItIsStopped) {
  shop.networks["front"] = {"front", spec::Ipv4Net{{0x0a2b0000}, 24}, {}, {}, false, 0, {}};
  shop.services["web"].networks = {"front"};
  Start();
  shop.networks.erase("front");
  shop.services.erase("web");
  const auto plan = Planned();
  EXPECT_LT(At(plan, "service.web/netns (undo)"), At(plan, "topology.shop/firewall"));
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_FALSE(Planned().HasChanges());
}

TEST_F(Planner, LinksThatAnApplyLeftHalfChangedAreSetRightWithoutARestart) {
  shop.networks["front"] = {"front", spec::Ipv4Net{{0x0a2b0000}, 24}, {}, {}, false, 0, {}};
  shop.services["web"].networks = {"front", "internal"};
  Start();
  const auto starts = world.kernel.StartsOf(world.Process("web"));
  world.kernel.DropFact(world.Key(Kind::kService, "web", Part::kNetns), "network front");
  shop.networks.erase("front");
  shop.services["web"].networks = {"internal"};
  const auto plan = Planned();
  EXPECT_EQ(Find(plan, "service.web")->action, Action::kLive);
  EXPECT_LT(At(plan, "service.web/netns"), At(plan, "network.front/bridge (undo)"));
  EXPECT_TRUE(world.Execute(plan, &shop).ok());
  EXPECT_EQ(world.kernel.StartsOf(world.Process("web")), starts);
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

TEST_F(Planner, TakenPortsAndSubnetsAreRefused) {
  world.taken.ports = {{{spec::Ipv4{0x7f000001}, 8080, 9, spec::Protocol::kTcp}, "blog/web"}};
  EXPECT_NE(world.MakePlan(&shop).error().Message().find("blog/web"), std::string::npos);
  world.taken.ports[0].first.protocol = spec::Protocol::kUdp;
  EXPECT_TRUE(world.MakePlan(&shop).has_value());
  shop.files = {"shop.toml"};
  shop.services["web"].places["port_forwards"] = {0, 7, 1};
  world.taken.ports[0].first.protocol = spec::Protocol::kTcp;
  EXPECT_NE(world.MakePlan(&shop).error().Message().find("<- shop.toml:7:1"), std::string::npos);
  world.taken.ports.clear();
  shop.networks["internal"].places["subnet"] = {0, 3, 1};
  world.taken.subnets = {{spec::Ipv4Net{{0x0a2a0000}, 16}, "blog/back"}};
  EXPECT_NE(world.MakePlan(&shop).error().Message().find("blog/back <- shop.toml:3:1"), std::string::npos);
}

TEST_F(Planner, WhatAWayOutInUserSpaceHasItselfIsRefused) {
  shop.files = {"shop.toml"};
  auto& network = shop.networks["internal"];
  network.places["subnet"] = {0, 3, 1};
  network.places["subnet6"] = {0, 4, 1};
  const auto refused = [&](std::string_view words) {
    const auto plan = world.MakePlan(&shop);
    return !plan && plan.error().Message().find(words) != std::string::npos;
  };
  network.subnet6 = spec::Ipv6Net{{{0xfd}}, 48};
  EXPECT_TRUE(world.MakePlan(&shop).has_value());
  world.host.nested = true;
  EXPECT_TRUE(refused("overlaps fd00::/64, which its way out in user space has <- shop.toml:4:1"));
  network.subnet6.reset();
  EXPECT_TRUE(world.MakePlan(&shop).has_value());
  network.subnet = spec::Ipv4Net{{0x0a000000}, 16};
  EXPECT_TRUE(refused("10.0.0.0/16 overlaps 10.0.2.0/24, which its way out in user space has <- shop.toml:3:1"));
  world.host.nested = false;
  EXPECT_FALSE(refused("user space"));
  shop.services["db"].nat_backend = spec::NatBackend::kPasta;
  EXPECT_TRUE(refused("user space"));
  // Where it is so already, it can be looked at and taken away.
  world.applied.topology = shop;
  EXPECT_FALSE(refused("user space"));
}

TEST_F(Planner, AWayOutThatIsDownIsToldAsSuch) {
  world.Converge(&shop);
  world.kernel.SetFact(world.Key(Kind::kTopology, "shop", Part::kFirewall), "way out", "publish port 80: it is taken");
  const auto plan = Planned();
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(plan.changes.front().reasons.front().text, "way out: publish port 80: it is taken → up");
}

TEST_F(Planner, SubnetsAndAddressesAreChosenLowestAndKept) {
  shop.networks["internal"].subnet.reset();
  world.host.routes = {spec::Ipv4Net{{0x0a590000}, 24}};
  const auto plan = Planned();
  EXPECT_EQ(plan.subnets.at("network.internal"), (spec::Ipv4Net{{0x0a590100}, 24}));
  EXPECT_EQ(plan.addresses.at("service.db/internal"), spec::Ipv4{0x0a590102});
  EXPECT_EQ(plan.addresses.at("service.web/internal"), spec::Ipv4{0x0a590104});
  Start();
  spec::Service added = shop.services["web"];
  added.name = "admin";
  added.port_forwards.clear();
  shop.services["admin"] = added;
  world.host.routes.clear();
  const auto second = Planned();
  EXPECT_EQ(second.subnets.at("network.internal"), plan.subnets.at("network.internal"));
  EXPECT_EQ(second.addresses.at("service.db/internal"), spec::Ipv4{0x0a590102});
  EXPECT_EQ(second.addresses.at("service.admin/internal"), spec::Ipv4{0x0a590105});
  shop.networks["internal"].subnet = spec::Ipv4Net{{0x0a2a0000}, 30};
  EXPECT_NE(world.MakePlan(&shop).error().Message().find("has none left"), std::string::npos);
}

TEST_F(Planner, HostsFilesNameEverybodyOnCommonNetworks) {
  const auto wanted = WantedParts(&shop, world.applied, world.host, world.taken,
                                  With([&](Options& options) { options.directories = world.directories; }));
  ASSERT_TRUE(wanted.has_value());
  const auto& names = std::get<NamesWanted>(wanted->at(world.Key(Kind::kService, "web", Part::kNames)));
  EXPECT_NE(names.hosts.find("10.42.0.2\tdb shop-db\n"), std::string::npos);
  EXPECT_NE(names.hosts.find("10.42.0.4\tweb shop-web\n"), std::string::npos);
  EXPECT_EQ(names.resolv_conf, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  EXPECT_EQ(names.hostname, "web");
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
