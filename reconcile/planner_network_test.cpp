// The same about networks: who is on them, which addresses they have, and who is in the way.
#include "reconcile/planner.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "reconcile/testing/shop.hpp"

namespace nucleus::reconcile {
namespace {

using Planner = testing::ShopPlanner;
using testing::With;

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

TEST_F(Planner, APortInUserSpaceIsTakenWhenWhoHadItHasEnded) {
  for (auto& [name, service] : shop.services) service.nat_backend = spec::NatBackend::kUserspace;
  Start();
  auto api = shop.services["web"];
  api.name = "api";
  shop.services.erase("web");
  shop.services["api"] = api;
  const auto waits_for = [&](const std::string& step, const std::string& other) {
    const auto plan = Planned();
    return std::ranges::count(plan.steps.at(At(plan, step)).after, At(plan, other)) == 1;
  };
  EXPECT_TRUE(waits_for("service.api/process", "service.web/process (undo)"));
  EXPECT_TRUE(world.Execute(Planned(), &shop).ok());
  // Two that change places: by nothing but their ports, and while both are made anew.
  shop.services["db"].port_forwards = {{std::nullopt, 9090, 80, spec::Protocol::kTcp}};
  Start();
  for (const char* command : {"", "other"}) {
    std::swap(shop.services["db"].port_forwards, shop.services["api"].port_forwards);
    if (*command != '\0') shop.services["db"].command = shop.services["api"].command = {command};
    EXPECT_TRUE(waits_for("service.db/process", "service.api/process (undo)"));
    EXPECT_TRUE(waits_for("service.api/process", "service.db/process (undo)"));
    EXPECT_TRUE(world.Execute(Planned(), &shop).ok());
    EXPECT_FALSE(Planned().HasChanges());
  }
}

TEST_F(Planner, WhoGivesAPortInUserSpaceToAnotherIsRestarted) {
  for (auto& [name, service] : shop.services) service.nat_backend = spec::NatBackend::kUserspace;
  auto& web = shop.services["web"];
  auto& api = shop.services["api"] = web;
  api.name = "api";
  api.port_forwards.clear();
  api.depends_on = web.depends_on = {};
  web.places["port_forwards"] = {0, 7, 1};
  world.kernel.HoldPorts();
  Start();
  // To what it waits for from now on, and back from there.
  web.depends_on = {{"api", spec::Condition::kStarted, false}};
  for (const auto& [giver, taker] :
       {std::pair("service.web", "service.api"), std::pair("service.api", "service.web")}) {
    std::swap(web.port_forwards, api.port_forwards);
    const auto plan = Planned();
    const auto* change = Find(plan, giver);
    ASSERT_NE(change, nullptr);
    EXPECT_EQ(change->action, Action::kRestart);
    EXPECT_EQ(change->reasons.back().text, std::string("its port 8080 goes to ") + taker);
    EXPECT_EQ(change->reasons.back().place.line, giver == std::string("service.web") ? 7U : 0U);
    EXPECT_EQ(Find(plan, taker)->action, Action::kLive);
    EXPECT_TRUE(world.Execute(plan, &shop).ok());
    EXPECT_FALSE(Planned().HasChanges());
  }
  // Nobody takes it.
  web.port_forwards[0].host_port = 8081;
  EXPECT_EQ(Find(Planned(), "service.web")->action, Action::kLive);
}

TEST_F(Planner, APortOfWhatStaysAsItIsIsRefused) {
  shop.files = {"shop.toml"};
  shop.services["db"].places["port_forwards"] = {0, 7, 1};
  Start();
  std::swap(shop.services["web"].port_forwards, shop.services["db"].port_forwards);
  const auto plan = [&](std::set<Address> targets) {
    return world.MakePlan(&shop, With([&](Options& options) { options.targets = std::move(targets); }));
  };
  const auto refused = plan({{Kind::kService, "db"}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_NE(refused.error().Message().find("service.web has the port, and is left as it is <- shop.toml:7:1"),
            std::string::npos)
      << refused.error().Message();
  EXPECT_TRUE(plan({{Kind::kService, "db"}, {Kind::kService, "web"}}).has_value());
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
  const auto own = names.hosts.find("10.42.0.4\tweb shop-web\n");
  EXPECT_NE(own, std::string::npos);
  EXPECT_EQ(names.hosts.find("10.42.0.4\t", own + 1), std::string::npos) << "told twice\n" << names.hosts;
  EXPECT_EQ(names.resolv_conf, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  EXPECT_EQ(names.hostname, "web");
}

}  // namespace
}  // namespace nucleus::reconcile
