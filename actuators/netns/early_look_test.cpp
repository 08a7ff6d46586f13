// What is looked at before anybody asks, against the real kernel, in namespaces of its own.
#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <thread>

#include "actuators/netns/early_look.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/testing.hpp"

namespace nucleus::netns {
namespace {

class EarlyLookAtHost : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::Isolated()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for namespaces of its own";
    shop_.Network("front", "10.77.1.0/24")
        .Service("web", {{"front", "10.77.1.2"}})
        .Service("db", {{"front", "10.77.1.3"}});
    ASSERT_TRUE(site_.Apply(shop_));
  }
  void TearDown() override {
    if (!testing::Isolated()) return;
    EXPECT_TRUE(site_.Undo(shop_));
  }

  Result<> InWeb(const std::function<Result<>(Netlink&)>& change) {
    return testing::RunInside(shop_.Pin("web"), [&]() -> Result<> {
      auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
      return change(netlink);
    });
  }
  static Result<> LoopbackDown(Netlink& netlink) {
    LinkChange down;
    down.up = false;
    return ChangeLink(netlink, 1, "lo", down);
  }

  // What the links' prober says, as text.
  std::string Told() {
    const auto seen = site_.links.Probe({.project = "shop", .parts = shop_.parts()});
    if (!seen) return seen.error().Message();
    std::string text;
    for (const auto& [key, now] : *seen) {
      text += key.Text() + "\n";
      for (const auto& [name, value] : now.facts) text += "  " + name + ": " + value + "\n";
    }
    return text;
  }

  // All that this process has begun has ended.
  static bool IsAlone() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks)) == 1;
  }

  // A rule of the workload's own, and more addresses than anybody needs.
  static Result<> AddRuleAndAddresses(Netlink& netlink, std::uint32_t addresses) {
    Message rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
    fib_rule_hdr header{};
    header.family = AF_INET;
    header.action = FR_ACT_TO_TBL;
    header.table = RT_TABLE_MAIN;
    rule.Header(header).Put(FRA_PRIORITY, std::uint32_t{7}).Put(FRA_FWMARK, std::uint32_t{7});
    TRY(netlink.Do(rule, "add", "routing rule"));
    for (std::uint32_t i = 0; i < addresses; ++i) {
      Message address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
      ifaddrmsg on{};
      on.ifa_family = AF_INET;
      on.ifa_prefixlen = 32;
      on.ifa_index = 1;
      address.Header(on).PutAddress(IFA_LOCAL, spec::Ipv4{0x0A640001 + i});
      TRY(netlink.Do(address, "add", "address"));
    }
    return {};
  }

  testing::Site site_;
  testing::Project shop_{site_.directories, "shop"};
};

TEST_F(EarlyLookAtHost, IsWhatWouldBeObserved) {
  const auto late = Told();
  for (const std::string project : {"shop", "another"}) {
    site_.links.Begin();
    site_.links.BeginWith(project);
    EXPECT_EQ(Told(), late) << project;
  }
  site_.links.Begin();  // nobody says of what
}

TEST_F(EarlyLookAtHost, LooksAtAllThatIsPinned) {
  EarlyLook early(site_.directories);
  early.Of("shop");
  const auto found = early.Take();
  ASSERT_EQ(found.places.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(found.seen[i] && found.seen[i]->inside) << found.places[i].pin;
}

TEST_F(EarlyLookAtHost, IsTheAnswer) {
  const auto before = Told();
  site_.links.Begin();
  site_.links.BeginWith("shop");
  while (!IsAlone()) std::this_thread::yield();
  ASSERT_TRUE(InWeb(LoopbackDown));
  EXPECT_EQ(Told(), before);  // of the insides: there is no more to be looked at
  EXPECT_NE(Told(), before);
}

TEST_F(EarlyLookAtHost, IsUsedOnce) {
  site_.links.Begin();
  site_.links.BeginWith("shop");
  const auto early = Told();
  EXPECT_TRUE(InWeb(LoopbackDown));
  EXPECT_NE(Told(), early);
}

TEST_F(EarlyLookAtHost, LinksAreLookedAtAgainWhereTheFileTookItsTime) {
  const auto before = Told();
  site_.links.Begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // longer than links last
  auto netlink = Netlink::Open(NETLINK_ROUTE).value();
  LinkChange smaller;
  smaller.mtu = 1400;
  const std::string bridge = BridgeLink("shop", "front");
  ASSERT_TRUE(ChangeLink(netlink, static_cast<int>(::if_nametoindex(bridge.c_str())), bridge, smaller));
  site_.links.BeginWith("shop");
  const auto early = Told();
  EXPECT_NE(early, before);
  EXPECT_EQ(early, Told());
}

// Whose rules are its own affair is not known before the file was read.
TEST_F(EarlyLookAtHost, RulesAreComparedWhereTheyAreAskedFor) {
  ASSERT_TRUE(InWeb([](Netlink& netlink) { return AddRuleAndAddresses(netlink, 300); }));
  for (const bool its_own : {true, false}) {
    shop_.Get<NetnsWanted>("service.web/netns").routes_itself = its_own;
    const auto late = Told();
    EXPECT_EQ(late.find("routing rule 7") == std::string::npos, its_own) << late;
    site_.links.Begin();
    site_.links.BeginWith("shop");
    EXPECT_EQ(Told(), late);
  }
}

// Egress rules are listed where some are wanted: a workload may have made any number of them.
TEST_F(EarlyLookAtHost, ListsNoEgressRules) {
  const auto make = [] {
    return RunNft("add table inet nucleus_egress; add chain inet nucleus_egress c", "make", "table");
  };
  ASSERT_TRUE(testing::RunInside(shop_.Pin("web"), make));
  EarlyLook early(site_.directories);
  early.Of("shop");
  const auto found = early.Take();
  for (const auto& seen : found.seen) EXPECT_TRUE(seen->inside->egress && seen->inside->egress->state.chains.empty());
  for (const bool wanted : {false, true}) {
    if (wanted) shop_.Get<NetnsWanted>("service.web/netns").egress = EgressWanted{};
    const auto late = Told();
    site_.links.Begin();
    site_.links.BeginWith("shop");
    EXPECT_EQ(Told(), late) << wanted;
  }
}

// setrlimit(2): a user may have so many threads; root any number.
TEST_F(EarlyLookAtHost, WithoutAThreadLinksAreLookedAtAllTheSame) {
  const auto look = [&] {
    constexpr rlimit kOne{1, 1};
    constexpr uid_t kNobodyElses = 64999;
    if (::setrlimit(RLIMIT_NPROC, &kOne) != 0 || ::setuid(kNobodyElses) != 0) std::_Exit(2);
    site_.links.Begin();
    site_.links.BeginWith("shop");
    std::cerr << Told();
    std::_Exit(0);
  };
  EXPECT_EXIT(look(), ::testing::ExitedWithCode(0), "address: 10.77.1.1/24");
}

}  // namespace
}  // namespace nucleus::netns
