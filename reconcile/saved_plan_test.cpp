#include "reconcile/saved_plan.hpp"

#include <gtest/gtest.h>

#include "spec/core/nesting.hpp"
#include "spec/load.hpp"

namespace nucleus::reconcile {
namespace {

const PartKey kCgroup{"shop", {Kind::kService, "db"}, Part::kCgroup};

spec::Topology Shop() {
  spec::Topology topology;
  topology.name = "shop";
  spec::Service db;
  db.name = "db";
  db.mode = spec::ServiceMode::kAgent;
  db.command = {"/bin/db", "--data", "/data"};
  db.memory = 512 << 20;
  topology.services["db"] = db;
  spec::Network front;
  front.name = "front";
  topology.networks["front"] = front;
  return topology;
}

SavedPlan Saved() {
  SavedPlan saved;
  saved.project = "shop";
  saved.sources = {"/srv/shop.toml"};
  saved.desired = Shop();
  saved.options.targets = {{Kind::kService, "db"}};
  saved.options.rerun = {"migrate"};
  saved.options.delete_data = true;
  saved.base_revision = 7;
  saved.seen[kCgroup] = {Presence::kPresent, {{"memory.max", "536870912"}}, {{"populated", "1"}}, ""};
  saved.digest = Sha256::Of("plan");
  saved.document = "{\"a\":\"\\u0001\"}\n";
  return saved;
}

TEST(SavedPlan, ReadsBackWhatWasWritten) {
  const SavedPlan saved = Saved();
  const std::string text = Encode(saved);
  EXPECT_TRUE(LooksLikeSavedPlan(text));
  const auto again = DecodeSavedPlan(text);
  ASSERT_TRUE(again) << again.error().Message();
  EXPECT_EQ(again->project, saved.project);
  EXPECT_EQ(again->sources, saved.sources);
  ASSERT_TRUE(again->desired);
  EXPECT_EQ(spec::ToJson(*again->desired), spec::ToJson(*saved.desired));
  EXPECT_EQ(again->options.targets, saved.options.targets);
  EXPECT_EQ(again->options.rerun, saved.options.rerun);
  EXPECT_TRUE(again->options.delete_data);
  EXPECT_EQ(again->base_revision, 7u);
  EXPECT_EQ(again->seen.at(kCgroup).facts, saved.seen.at(kCgroup).facts);
  EXPECT_EQ(again->digest, saved.digest);
  EXPECT_EQ(again->document, saved.document);
  EXPECT_EQ(Encode(*again), [&] {
    SavedPlan without_notes = saved;
    without_notes.seen.at(kCgroup).notes = {};
    return Encode(without_notes);
  }());
}

TEST(SavedPlan, RefusesGarbage) {
  const std::string good = Encode(Saved());
  EXPECT_FALSE(LooksLikeSavedPlan("name = \"shop\"\n"));
  EXPECT_FALSE(DecodeSavedPlan(""));
  EXPECT_FALSE(DecodeSavedPlan("{}"));
  for (std::size_t cut = 0; cut < good.size() - 2; cut += 7) EXPECT_FALSE(DecodeSavedPlan(good.substr(0, cut))) << cut;
  std::string other = good;
  other.replace(other.find("\"format_version\": 1"), 19, "\"format_version\": 2");
  EXPECT_EQ(DecodeSavedPlan(other).error().code, ErrorCode::kUnsupported);
}

TEST(SavedPlan, RefusesWhatIsNestedTooDeeply) {
  for (const auto* unit : {"[", "{\"a\":", "[[{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += unit;
    const auto decoded = DecodeSavedPlan(text);
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().Message().find("nested too deeply"), std::string::npos);
  }
  // What is in a string does not nest.
  EXPECT_FALSE(IsNestedTooDeeply("\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '[') + "\""));
}

TEST(SavedPlan, RefusesNumbersThatAreNone) {
  const std::string good = Encode(Saved());
  for (const std::string key : {"format_version", "base_revision"}) {
    const auto begin = good.find("\"" + key + "\": ") + key.size() + 4;
    const auto end = good.find(',', begin);
    for (const std::string number : {"1e118", "-1", "1.5", "99999999999999999999999", "true"}) {
      std::string other = good;
      other.replace(begin, end - begin, number);
      const auto decoded = DecodeSavedPlan(other);
      ASSERT_FALSE(decoded) << key << " " << number;
      EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt) << key << " " << number;
    }
  }
}

TEST(SavedPlan, IsNotStaleWhereNothingChanged) {
  const SavedPlan saved = Saved();
  const spec::Topology desired = Shop();
  Plan plan;
  plan.digest = saved.digest;
  EXPECT_TRUE(StaleBecause(saved, {7, &desired, &saved.seen, &plan}).empty());
}

TEST(SavedPlan, NamesEveryDifference) {
  const SavedPlan saved = Saved();
  spec::Topology desired = Shop();
  desired.services["db"].memory = 1024 << 20;
  desired.services["web"] = desired.services["db"];
  desired.services["web"].name = "web";
  desired.networks.clear();
  Observations seen = saved.seen;
  seen[kCgroup].facts["memory.max"] = "max";
  seen[{"shop", {Kind::kService, "db"}, Part::kProcess}] = {Presence::kPresent, {}, {}, ""};
  const auto because = StaleBecause(saved, {8, &desired, &seen, nullptr});
  std::string all;
  for (const auto& line : because) all += line + "\n";
  EXPECT_NE(all.find("revision: is 8, was 7"), std::string::npos) << all;
  EXPECT_NE(all.find("service.db: memory 512M → 1G, in the file"), std::string::npos) << all;
  EXPECT_NE(all.find("service.web: is new in the file"), std::string::npos) << all;
  EXPECT_NE(all.find("network.front: is gone from the file"), std::string::npos) << all;
  EXPECT_NE(all.find("service.db/cgroup: memory.max is max, was 536870912"), std::string::npos) << all;
  EXPECT_NE(all.find("service.db/process: is present, was absent"), std::string::npos) << all;
  EXPECT_EQ(because.size(), 6u) << all;
}

TEST(SavedPlan, AnotherPlanFromTheSameInputsIsStaleToo) {
  const SavedPlan saved = Saved();
  Plan plan;
  plan.digest = Sha256::Of("another");
  EXPECT_EQ(StaleBecause(saved, {7, nullptr, &saved.seen, &plan}).size(), 1u);
}

}  // namespace
}  // namespace nucleus::reconcile
