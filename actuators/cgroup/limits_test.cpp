// The pure parts, and reading against a directory that stands in for the cgroup root.
#include "actuators/cgroup/limits.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include "actuators/cgroup/probe.hpp"
#include "actuators/cgroup/write_limits.hpp"
#include "actuators/sys/cgroup_events.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cgroup {
namespace {

void Put(const std::string& path, std::string_view text) {
  const auto made = sys::ReplaceFile(path, text, 0644);
  ASSERT_TRUE(made) << made.error().Message();
}

Facts Apply(Facts facts, const std::vector<LimitWrite>& writes) {
  for (const auto& write : writes) facts[write.fact] = write.value;
  return facts;
}

TEST(IoMax, ReadsTheKernelsLines) {
  const auto facts = ParseIoMax("8:16 rbps=2097152 wbps=max riops=max wiops=120\n259:0 wiops=7 later=1 rbps=max\n");
  EXPECT_EQ(facts, (Facts{{"io.max:8:16", "rbps=2097152 wbps=max riops=max wiops=120"},
                          {"io.max:259:0", "rbps=max wbps=max riops=max wiops=7"}}));
  EXPECT_TRUE(ParseIoMax("").empty());
  EXPECT_TRUE(ParseIoMax("\n\n").empty());
}

TEST(Events, FindsAKeyAndNotAPrefixOfOne) {
  EXPECT_EQ(FindKey("populated 1\nfrozen 0\n", "populated"), 1U);
  EXPECT_EQ(FindKey("populated 1\nfrozen 0\n", "frozen"), 0U);
  EXPECT_EQ(FindKey("oom 3\noom_kill 2\noom_group_kill 1\n", "oom_kill"), 2U);
  EXPECT_EQ(FindKey("oom_kill x\n", "oom_kill"), std::nullopt);
  EXPECT_EQ(FindKey("", "oom_kill"), std::nullopt);
}

TEST(PlanWrites, RaisesMaxBeforeHighAndLowersItAfter) {
  const Facts low{{"memory.high", "100"}, {"memory.max", "200"}};
  const Facts high{{"memory.high", "1000"}, {"memory.max", "2000"}};
  EXPECT_EQ(PlanWrites(low, high), (std::vector<LimitWrite>{{"memory.max", "2000"}, {"memory.high", "1000"}}));
  EXPECT_EQ(PlanWrites(high, low), (std::vector<LimitWrite>{{"memory.high", "100"}, {"memory.max", "200"}}));
  EXPECT_EQ(PlanWrites(low, {}), (std::vector<LimitWrite>{{"memory.max", "max"}, {"memory.high", "max"}}));
}

TEST(PlanWrites, TakesBackDevicesThatAreNotWanted) {
  const Facts current{{"io.max:8:0", "rbps=1 wbps=max riops=max wiops=max"}};
  EXPECT_EQ(PlanWrites(current, {}), (std::vector<LimitWrite>{{"io.max:8:0", std::string(kIoStandard)}}));
  EXPECT_TRUE(PlanWrites(current, current).empty());
}

// Limits as the planner makes them: any subset, any value.
rc::Gen<Facts> AnyLimits() {
  return rc::gen::exec([] {
    Facts facts;
    for (const auto& file : LimitFiles()) {
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          break;
        case 1:
          facts[std::string(file.name)] = file.standard;
          break;
        default:
          facts[std::string(file.name)] = std::to_string(*rc::gen::inRange(1, 5) * 4096);
      }
    }
    for (const char* device : {"8:0", "8:16"}) {
      if (*rc::gen::arbitrary<bool>()) {
        facts[std::string(kIoPrefix) + device] =
            "rbps=" + std::to_string(*rc::gen::inRange(1, 3)) + " wbps=max riops=max wiops=max";
      }
    }
    return facts;
  });
}

// All that is not said is as in a new group.
Facts Meaning(const Facts& facts) {
  const auto is_standard = [](const auto& fact) {
    if (fact.first.starts_with(kIoPrefix)) return fact.second == kIoStandard;
    return std::ranges::any_of(
        LimitFiles(), [&](const auto& file) { return fact.first == file.name && fact.second == file.standard; });
  };
  Facts meaning;
  for (const auto& fact : facts) {
    if (!is_standard(fact)) meaning.emplace(fact.first, fact.second);
  }
  return meaning;
}

RC_GTEST_PROP(PlanWrites, LeadsToWhatIsWantedAndThenHasNothingToDo, ()) {
  const auto current = *AnyLimits();
  const auto wanted = *AnyLimits();
  const auto after = Apply(current, PlanWrites(current, wanted));
  RC_ASSERT(Meaning(after) == Meaning(wanted));
  RC_ASSERT(PlanWrites(after, wanted).empty());
}

RC_GTEST_PROP(PlanWrites, WritesOnlyWhatDiffers, ()) {
  const auto limits = *AnyLimits();
  RC_ASSERT(PlanWrites(limits, limits).empty());
}

class FakeRoot : public ::testing::Test {
 protected:
  FakeRoot() { (void)sys::MakeDirectories(Group("web"), 0755); }
  [[nodiscard]] std::string Group(const std::string& name) const {
    return dir_.path() + "/nucleus/shop/service." + name;
  }
  [[nodiscard]] sys::CgroupRoot Root() const {
    return {.mount = dir_.path(), .base = dir_.path(), .controllers = {"memory", "pids"}, .writable = true};
  }
  static PartKey Key(const std::string& name) { return {"shop", {Kind::kService, name}, Part::kCgroup}; }
  static CgroupWanted Wanted(const std::string& name, Facts limits) {
    return {.path = "nucleus/shop/service." + name,
            .owner_tag = "shop/service." + name,
            .limits = std::move(limits),
            .unavailable = {}};
  }
  sys::TemporaryDirectory dir_;
};

TEST_F(FakeRoot, ReadsWhatIsWantedAndWhatIsUnusual) {
  Put(Group("web") + "/memory.max", "max\n");
  Put(Group("web") + "/memory.high", "max\n");
  Put(Group("web") + "/pids.max", "7\n");
  Put(Group("web") + "/io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n8:1 rbps=max wbps=max riops=max wiops=max\n");
  const auto facts = ReadLimits(Group("web"), {{"memory.max", "4096"}, {"io.max:9:9", "x"}, {"cpu.max", "1 1"}});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_EQ(*facts, (Facts{{"memory.max", "max"},
                           {"pids.max", "7"},
                           {"io.max:8:0", "rbps=1 wbps=max riops=max wiops=max"},
                           {"io.max:9:9", std::string(kIoStandard)}}));
}

TEST_F(FakeRoot, ProbesWhatWasAskedForAndFindsOrphans) {
  ASSERT_TRUE(sys::SetXattr(Group("web"), kTagOwner, "shop/service.web"));
  Put(Group("web") + "/pids.max", "7\n");
  ASSERT_TRUE(sys::MakeDirectories(Group("old"), 0755));
  ASSERT_TRUE(sys::SetXattr(Group("old"), kTagOwner, "shop/service.old"));
  ASSERT_TRUE(sys::MakeDirectories(Group("begun"), 0755));    // killed before the tag
  ASSERT_TRUE(sys::MakeDirectories(Group("foreign"), 0755));  // somebody else's
  ASSERT_TRUE(sys::SetXattr(Group("foreign"), kTagOwner, "other/service.x"));
  ASSERT_TRUE(sys::MakeDirectories(dir_ / "nucleus/shop/supervisors", 0755));
  ASSERT_TRUE(sys::MakeDirectories(dir_ / "nucleus/shop2/service.web", 0755));

  CgroupProber prober(Directories{.state = "/var/lib/nucleus", .runtime = std::string(kRootsRuntime)}, Root());
  ProbeRequest request{.project = "shop", .parts = {}};
  request.parts[Key("web")] = Wanted("web", {{"pids.max", "7"}});
  request.parts[Key("none")] = Wanted("none", {});
  const auto seen = prober.Probe(request);
  ASSERT_TRUE(seen) << seen.error().Message();
  ASSERT_EQ(seen->size(), 4U);
  const auto& web = seen->at(Key("web"));
  EXPECT_EQ(web.presence, Presence::kPresent);
  EXPECT_EQ(web.facts, ExpectedFacts(Wanted("web", {{"pids.max", "7"}})));
  EXPECT_EQ(seen->at(Key("none")).presence, Presence::kAbsent);
  EXPECT_EQ(seen->at(Key("old")).facts.at("owner"), "shop/service.old");
  EXPECT_FALSE(seen->at(Key("begun")).facts.contains("owner"));
  EXPECT_FALSE(seen->contains(Key("foreign")));
}

TEST_F(FakeRoot, AProjectThatIsNotThereHasNothing) {
  CgroupProber prober(Directories{.state = "/var/lib/nucleus", .runtime = std::string(kRootsRuntime)}, Root());
  const auto seen = prober.Probe({.project = "none", .parts = {}});
  ASSERT_TRUE(seen) << seen.error().Message();
  EXPECT_TRUE(seen->empty());
}

TEST_F(FakeRoot, WritesGoToTheFilesOfTheLimits) {
  for (const char* name : {"memory.max", "memory.high", "pids.max", "memory.swap.max"}) {
    Put(Group("web") + "/" + name, "max\n");
  }
  Put(Group("web") + "/memory.current", "0\n");
  Put(Group("web") + "/io.max", "");
  const auto written = WriteLimits(Group("web"), {{"memory.max", "8192"}, {"io.max:8:0", "rbps=1"}});
  ASSERT_TRUE(written) << written.error().Message();
  EXPECT_EQ(sys::ReadFile(Group("web") + "/memory.max").value(), "8192");
  EXPECT_EQ(sys::ReadFile(Group("web") + "/memory.high").value(), "max\n") << "what is right is not written";
  EXPECT_EQ(sys::ReadFile(Group("web") + "/io.max").value(), "8:0 rbps=1");
}

TEST_F(FakeRoot, MemoryInUseIsNotLimitedAway) {
  Put(Group("web") + "/memory.max", "max\n");
  Put(Group("web") + "/memory.high", "max\n");
  Put(Group("web") + "/memory.current", "10000000\n");
  const auto written = WriteLimits(Group("web"), {{"memory.max", "8192"}});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kConflict);
  EXPECT_NE(written.error().Message().find("10000000 bytes are in use"), std::string::npos);
  EXPECT_EQ(sys::ReadFile(Group("web") + "/memory.max").value(), "max\n");
  EXPECT_EQ(sys::ReadFile(Group("web") + "/memory.high").value(), "max") << "put back";
}

TEST_F(FakeRoot, ALimitTheKernelLeavesOutIsNamed) {
  const auto written = WriteLimits(Group("web"), {{"memory.swap.max", "0"}});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(written.error().Message().find("memory.swap.max"), std::string::npos);
}

}  // namespace
}  // namespace nucleus::cgroup
