// What others and the kernel do beside a step: bridges go, chains come and go, tables are deleted, ports leave.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "actuators/netns/egress.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/passage.hpp"
#include "actuators/netns/testing.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {
namespace {

using testing::Project;
using testing::Site;

void Done(const Result<>& result) {
  ASSERT_TRUE(result) << result.error().Message();
}

// Both in turn, in a thread of its own, for as long as it lives.
class Alternating {
 public:
  Alternating(std::string come, std::string go)
      : thread_([this, come = std::move(come), go = std::move(go)] {
          while (!end_) {
            (void)RunNft(come, "test", "come");
            (void)RunNft(go, "test", "go");
            ++rounds_;
          }
          (void)RunNft(go, "test", "go");
        }) {}
  ~Alternating() { end_ = true; }
  [[nodiscard]] int rounds() const { return rounds_; }

 private:
  std::atomic<bool> end_ = false;
  std::atomic<int> rounds_ = 0;
  std::jthread thread_;
};

class Beside : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::Isolated()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for namespaces of its own";
    shop_.Network("front", "10.77.1.0/24").Service("web", {{"front", "10.77.1.2"}});
  }
  void TearDown() override {
    if (testing::Isolated()) Done(site_.Undo(shop_));
  }
  FirewallWanted& Firewall() { return shop_.Get<FirewallWanted>("topology/firewall"); }
  Result<> ApplyFirewall() { return site_.actuator.Apply(shop_.Key("topology/firewall"), Firewall(), {}); }

  Site site_;
  Project shop_{site_.directories, "shop"};
};

TEST_F(Beside, BridgesThatGoWhileTheyAreTakenDown) {
  Done(site_.Apply(shop_));
  auto netlink = Netlink::Open(NETLINK_ROUTE).value();
  constexpr int kTimes = 10, kBridges = 8;
  for (int time = 0; time < kTimes; ++time) {
    std::vector<Link> bridges;
    for (int i = 0; i < kBridges; ++i) {
      const std::string name = "nbgone" + std::to_string(i);
      Done(CreateBridge(netlink, name, {2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)}));
      bridges.push_back(GetLink(netlink, name).value().value());
      LinkChange change;
      change.alias = Firewall().comment + "/network.gone" + std::to_string(i);
      change.up = true;
      Done(ChangeLink(netlink, bridges.back().index, name, change));
    }
    const std::jthread remover([&] {
      auto own = Netlink::Open(NETLINK_ROUTE).value();
      for (auto link = bridges.rbegin(); link != bridges.rend(); ++link) (void)DeleteLink(own, link->index, link->name);
    });
    Done(ApplyFirewall());
  }
}

TEST_F(Beside, ABridgeKeepsItsMtuWhenItsLastPortLeaves) {
  auto& bridge = shop_.Get<BridgeWanted>("network.front/bridge");
  bridge.mtu = 1400;
  shop_.Get<NetnsWanted>("service.web/netns").attachments.front().mtu = 1400;
  Done(site_.Apply(shop_));
  EXPECT_EQ(site_.Drift(shop_), "");
  Done(site_.actuator.Undo(shop_.Key("service.web/netns"), nullptr, {}, {}));
  auto netlink = Netlink::Open(NETLINK_ROUTE).value();
  EXPECT_EQ(GetLink(netlink, bridge.link).value().value().mtu, 1400U);
}

constexpr int kRounds = 50;
constexpr std::string_view kDropping =
    "add table ip filter\nadd chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }\n";

TEST_F(Beside, WhoDropsAfterAStepIsDriftAndNoFailureOfTheStep) {
  Done(RunNft(std::string(kDropping), "test", "drop"));
  Done(site_.Apply(shop_));
  EXPECT_EQ(site_.Drift(shop_), "");
  Done(RunNft("flush chain ip filter FORWARD", "test", "flush"));
  EXPECT_EQ(site_.Drift(shop_, true), "");
  EXPECT_EQ(site_.Drift(shop_), "topology/firewall: way through ip filter FORWARD: (none) -> closed\n");
  Done(ApplyFirewall());
  EXPECT_EQ(site_.Drift(shop_), "");
  Done(RunNft("delete table ip filter", "test", "delete"));
}

TEST_F(Beside, AChainThatIsGoneIsNoObstacle) {
  const auto link = Firewall().networks.front().link;
  std::string open(kDropping);
  for (const std::string direction : {"iifname", "oifname"})
    open += "add rule ip filter FORWARD " + direction + " " + link + " accept comment \"" + Firewall().table + "\"\n";
  const Alternating chain(open, "delete table ip filter");
  while (chain.rounds() < kRounds) {
    const auto obstacles = FindObstacles(Firewall());
    ASSERT_TRUE(obstacles) << obstacles.error().Message();
    ASSERT_EQ(*obstacles, std::vector<std::string>());
  }
}

TEST_F(Beside, EgressRulesThatAreGoneAreNone) {
  EgressWanted wanted;
  const Alternating table(EgressTransaction(wanted), NoEgressTransaction());
  while (table.rounds() < kRounds) {
    const auto egress = ReadEgress(true);
    ASSERT_TRUE(egress) << egress.error().Message();
  }
}

}  // namespace
}  // namespace nucleus::netns
