#include "spec/core/names.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

namespace nucleus {
namespace {

const Address kWeb{Kind::kService, "web"};

// Every test runs in a process of its own under ctest, yet not under --gtest_repeat: put back what was there.
class Environment : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("NUCLEUS_STATE_DIR");
    unsetenv("NUCLEUS_RUNTIME_DIR");
  }
  void TearDown() override { SetUp(); }
};

TEST_F(Environment, FlagBeatsVariableBeatsDefault) {
  if (geteuid() == 0) {
    const auto usual = Directories::Resolve("", "");
    ASSERT_TRUE(usual);
    EXPECT_EQ(usual->state, "/var/lib/nucleus");
    EXPECT_EQ(usual->runtime, "/run/nucleus");
  }
  setenv("NUCLEUS_STATE_DIR", "/s/", 1);
  setenv("NUCLEUS_RUNTIME_DIR", "/r/../q", 1);
  EXPECT_EQ(Directories::Resolve("", "")->state, "/s");
  EXPECT_EQ(Directories::Resolve("", "")->runtime, "/q");
  EXPECT_EQ(Directories::Resolve("/flag", "")->state, "/flag");
  EXPECT_EQ(Directories::Resolve("", "here")->runtime, (std::filesystem::current_path() / "here").string());
}

TEST(Names, PathsOfDifferentThingsDiffer) {
  const Directories d{"/s", "/r"};
  const std::set<std::string> paths{d.AppliedDb(),
                                    d.KeyFile(),
                                    d.ObservedDb(),
                                    d.HostLock(),
                                    d.ProjectLock("p"),
                                    d.ProjectDir("p"),
                                    d.VolumeMount("p", "web"),
                                    d.ServiceDir("p", kWeb),
                                    d.NetnsPin("p", kWeb),
                                    d.ContextCache()};
  EXPECT_EQ(paths.size(), 10u);
  EXPECT_EQ(d.ServiceDir("p", kWeb), "/r/projects/p/service.web");
}

TEST(Names, LinksFitAndTellProjectsApart) {
  EXPECT_LE(BridgeLink("shop", std::string(63, 'x')).size(), 15u);
  EXPECT_LE(VethLink("shop", kWeb, std::string(63, 'x')).size(), 15u);
  const std::set<std::string> names{BridgeLink("shop", "a"), BridgeLink("shop2", "a"),    BridgeLink("shop", "2a"),
                                    BridgeLink("shop", "b"), VethLink("shop", kWeb, "a"), VethLink("shop", kWeb, "b")};
  EXPECT_EQ(names.size(), 6u);
  EXPECT_NE(FirewallTable("shop"), FirewallTable("shop2"));
  EXPECT_EQ(LinkAlias("shop", kWeb), "nucleus:shop/service.web");
  EXPECT_EQ(CgroupPath("shop", kWeb), "nucleus/shop/service.web");
  EXPECT_EQ(FirewallComment("shop"), "nucleus:shop");
}

TEST(Names, AUnitIsCalledAsTheIdOfItsContainerBegins) {
  EXPECT_EQ(UnitName("0123456789ab"), "nucleus-0123456789ab.service");  // of one that nobody gave a name
  const std::string digits = UnitDigits("agent");
  EXPECT_EQ(digits.size(), 12U);
  EXPECT_EQ(digits.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(UnitName("agent"), "nucleus-" + digits + ".service");
  EXPECT_NE(UnitDigits("agent2"), digits);
  EXPECT_NE(UnitDigits("0123456789AB"), "0123456789AB");
}

}  // namespace
}  // namespace nucleus
