#include "cli/usage_report.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace nucleus::cli {
namespace {

Sample At(std::int64_t time_ms, std::uint64_t cpu) {
  Sample sample;
  sample.name = "shop/web";
  sample.id = "0123";
  sample.time_ms = time_ms;
  sample.started_ms = 1'000;
  sample.usage.cpu = cpu;
  return sample;
}

TEST(UsageReport, SharesAreSinceTheLookBeforeOrTheStart) {
  const Sample before = At(3'000, 500'000), now = At(4'000, 1'250'000);
  EXPECT_EQ(CpuShare(now, &before), 750U);
  EXPECT_EQ(CpuShare(now, nullptr), 416U);
  const Sample restarted = At(4'000, 100);
  EXPECT_EQ(CpuShare(restarted, &before), 0U) << "it began anew";
  EXPECT_FALSE(CpuShare(At(1'000, 5), nullptr));
}

TEST(UsageReport, WhatIsNotToBeHadIsADash) {
  Sample sample = At(2'000, 1'000'000);
  sample.usage.memory = 3 << 20;
  sample.usage.memory_limit = 64 << 20;
  sample.links = cgroup::Links{{"eth0", {.received = 2048, .sent = 10}}, {"eth1", {.received = 1024}}};
  const std::string text = UsageText({sample}, {});
  EXPECT_NE(text.find("shop/web  100.0  1.0s      3.0M / 64.0M  -     -     3.0K / 10B    -              - - -\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(MissingControllers({sample}), "pids, io");
  const std::string json = UsageJson({sample}, {});
  EXPECT_NE(json.find("\"count\":null"), std::string::npos);
  EXPECT_NE(json.find("\"limit_bytes\":67108864"), std::string::npos);
  EXPECT_NE(json.find("\"percent\":100.0"), std::string::npos);
  EXPECT_EQ(std::ranges::count(UsageLines({sample, sample}, {}), '\n'), 2);
}

TEST(UsageReport, TheMachinesLinksAreNobodys) {
  Sample sample = At(2'000, 0);
  sample.host_network = true;
  sample.links = cgroup::Links{{"eth0", {.received = 2048}}};
  EXPECT_NE(UsageText({sample}, {}).find("  host  "), std::string::npos);
  EXPECT_NE(UsageJson({sample}, {}).find("\"network\":null"), std::string::npos);
}

}  // namespace
}  // namespace nucleus::cli
