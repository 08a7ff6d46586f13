#include "actuators/security/identity.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "actuators/sys/testing.hpp"

namespace nucleus::security {
namespace {

class IdentityTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir((root_ / "etc").c_str(), 0755), 0);
    ASSERT_TRUE(sys::ReplaceFile(root_ / "etc/passwd",
                                 "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/false\nodd:x:40:0::/:\n"
                                 "sly:x:0:5::/:\nu:x:1000:42::/home/u:\n",
                                 0644));
    ASSERT_TRUE(sys::ReplaceFile(root_ / "etc/group", "root:x:0:\nweb:x:33:\nlogs:x:70:web\nstaff:x:0:\n", 0644));
    service_.name = "a";
    service_.rootfs = root_.path();
  }
  Result<Account> Resolve(std::string user, std::string group = "", std::vector<std::string> more = {}) {
    service_.user = {.user = std::move(user), .group = std::move(group)};
    service_.additional_groups = std::move(more);
    return ResolveAccount(service_);
  }

  sys::TemporaryDirectory root_;
  spec::Service service_;
};

TEST_F(IdentityTest, NobodySaidIsRoot) {
  EXPECT_EQ(Resolve("").value().identity, (Identity{0, 0, {}}));
}

TEST_F(IdentityTest, ANameAndItsNumberAreTheSameUser) {
  for (const char* user : {"web", "33"}) {
    const auto account = Resolve(user);
    ASSERT_TRUE(account) << account.error().Message();
    EXPECT_EQ(account->identity, (Identity{33, 33, {}})) << "groups of /etc/group are not taken over (CVE-2022-36109)";
    EXPECT_EQ(account->home, "/srv");
  }
}

TEST_F(IdentityTest, ANumberWithoutAnEntryHasTheGroupOfTheSameNumber) {
  EXPECT_EQ(Resolve("1").value().identity, (Identity{1, 1, {}}));
  EXPECT_EQ(Resolve("2147483647").value().identity.uid, 2147483647U);
}

TEST_F(IdentityTest, WhatIsNoIdIsRefused) {
  for (const char* user :
       {"-1", "2147483648", "4294967295", "4294967296", "2147483648000", "0x0", "+5", " 5", "5 ", "1e3"}) {
    const auto account = Resolve(user);
    EXPECT_FALSE(account) << user << " became " << account->identity.uid;
    EXPECT_FALSE(Resolve("1", user)) << user;
    EXPECT_FALSE(Resolve("1", "1", {user})) << user;
  }
}

TEST_F(IdentityTest, AnUnknownNameSaysWhereItWasLookedUp) {
  const auto account = Resolve("ghost");
  ASSERT_FALSE(account);
  EXPECT_NE(account.error().Message().find(root_.path()), std::string::npos) << account.error().Message();
}

TEST_F(IdentityTest, AnErrorBeginsWithTheKeyThatItIsAbout) {
  EXPECT_EQ(Resolve("ghost").error().trail.front(), "user");
  EXPECT_EQ(Resolve("odd").error().trail.front(), "user");
  EXPECT_EQ(Resolve("1", "ghosts").error().trail.front(), "group");
  EXPECT_EQ(Resolve("1", "1", {"ghosts"}).error().trail.front(), "additional_groups");
}

TEST_F(IdentityTest, GroupZeroIsOnlyForWhoAsksForIt) {
  EXPECT_FALSE(Resolve("odd"));
  EXPECT_EQ(Resolve("odd", "0").value().identity.gid, 0U);
}

TEST_F(IdentityTest, AnImageMakesNobodyRoot) {
  EXPECT_FALSE(Resolve("sly"));
  EXPECT_FALSE(Resolve("1", "staff"));
  EXPECT_FALSE(Resolve("1", "1", {"staff"}));
  EXPECT_EQ(Resolve("root", "root").value().identity, (Identity{0, 0, {}}));
}

TEST_F(IdentityTest, ANumbersGroupIsNotTheImagesToSay) {
  const auto account = Resolve("1000").value();
  EXPECT_EQ(account.identity, (Identity{1000, 1000, {}}));
  EXPECT_EQ(account.home, "/home/u");
  EXPECT_EQ(Resolve("u").value().identity.gid, 42U) << "a name stands for what the image makes of it";
}

TEST_F(IdentityTest, DeclaredGroupsAreSortedAndOnce) {
  EXPECT_EQ(Resolve("web", "web", {"logs", "5", "70"}).value().identity.groups, (std::vector<std::uint32_t>{5, 70}));
}

}  // namespace
}  // namespace nucleus::security
