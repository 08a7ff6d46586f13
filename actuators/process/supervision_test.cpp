#include "actuators/process/supervision.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nucleus::process {
namespace {

TEST(BackoffTest, DoublesUpToTheMaximumAndStartsAnewOnceItRan) {
  Policy policy;
  policy.backoff_first_ms = 100;
  policy.backoff_max_ms = 1'000;
  Backoff backoff;
  for (const Millis wait : {100, 200, 400, 800, 1'000, 1'000}) EXPECT_EQ(backoff.Next(policy, 5), wait);
  EXPECT_EQ(backoff.Next(policy, kStableAfterMs), 100);
  EXPECT_EQ(backoff.Next(policy, kStableAfterMs - 1), 200);
}

RC_GTEST_PROP(BackoffTest, IsNeverZeroNorAboveTheMaximum, (std::uint32_t first, std::uint32_t max)) {
  Policy policy;
  policy.backoff_first_ms = first;
  policy.backoff_max_ms = max;
  Backoff backoff;
  Millis before = 0;
  for (int i = 0; i < 80; ++i) {
    const Millis wait = backoff.Next(policy, 0);
    RC_ASSERT(wait >= 1);
    RC_ASSERT(wait <= std::max<Millis>(max, 1));
    RC_ASSERT(wait >= before);
    before = wait;
  }
}

TEST(ShouldRestartTest, FollowsThePolicy) {
  struct Case {
    spec::RestartPolicy policy;
    bool job;
    int code;
    bool restart;
  };
  using enum spec::RestartPolicy;
  constexpr Case kCases[] = {
      {kNo, false, 1, false},       {kNo, true, 1, false},        {kOnFailure, false, 0, false},
      {kOnFailure, false, 1, true}, {kOnFailure, true, 0, false}, {kOnFailure, true, 137, true},
      {kAlways, false, 0, true},    {kAlways, false, 1, true},    {kAlways, true, 0, false},
      {kAlways, true, 1, true},
  };
  for (const Case& one : kCases) {
    Policy policy;
    policy.restart = one.policy;
    EXPECT_EQ(ShouldRestart(policy, one.job, one.code), one.restart)
        << static_cast<int>(one.policy) << " job " << one.job << " code " << one.code;
  }
}

spec::HealthCheck Check() {
  spec::HealthCheck check;
  check.interval = Duration(1'000);
  check.retries = 3;
  check.start_period = Duration(0);
  return check;
}
using Health = Status::Health;

TEST(HealthTrackerTest, IsProbedInQuickSuccessionUntilItIsHealthy) {
  HealthTracker tracker;
  tracker.Start(Check(), 0);
  EXPECT_EQ(tracker.state(), Health::kStarting);
  EXPECT_EQ(tracker.next(), 50);
  EXPECT_FALSE(tracker.Result(false, 50));
  EXPECT_EQ(tracker.next(), 100);
  EXPECT_FALSE(tracker.Result(false, 100));
  EXPECT_EQ(tracker.next(), 200);
  EXPECT_EQ(tracker.failures(), 0U) << "not before an interval is over";
  EXPECT_TRUE(tracker.Result(true, 200));
  EXPECT_EQ(tracker.state(), Health::kHealthy);
  EXPECT_EQ(tracker.next(), 1'200);
}

TEST(HealthTrackerTest, IsUnhealthyAfterAsManyFailuresInARow) {
  HealthTracker tracker;
  tracker.Start(Check(), 0);
  ASSERT_TRUE(tracker.Result(true, 100));
  EXPECT_FALSE(tracker.Result(false, 1'100));
  EXPECT_FALSE(tracker.Result(true, 2'100)) << "a good one in between counts the bad ones away";
  EXPECT_FALSE(tracker.Result(false, 3'100));
  EXPECT_FALSE(tracker.Result(false, 4'100));
  EXPECT_TRUE(tracker.Result(false, 5'100));
  EXPECT_EQ(tracker.state(), Health::kUnhealthy);
  EXPECT_EQ(tracker.failures(), 3U);
  EXPECT_TRUE(tracker.Result(true, 6'100));
  EXPECT_EQ(tracker.state(), Health::kHealthy);
}

TEST(HealthTrackerTest, FailuresOfTheStartPeriodDoNotCount) {
  auto check = Check();
  check.start_period = Duration(10'000);
  HealthTracker tracker;
  tracker.Start(check, 0);
  for (Millis now = 50; now < 10'000; now = tracker.next()) EXPECT_FALSE(tracker.Result(false, now)) << now;
  EXPECT_EQ(tracker.failures(), 0U);
  Millis now = tracker.next();
  while (!tracker.Result(false, now)) now = tracker.next();
  EXPECT_GE(now, 12'000) << "and then at most one an interval";
}

RC_GTEST_PROP(HealthTrackerTest, NeverProbesInThePastAndBecomesUnhealthyOnlyByFailures,
              (const std::vector<bool>& results, std::uint16_t interval, std::uint8_t retries)) {
  auto check = Check();
  check.interval = Duration(interval);
  check.retries = retries;
  HealthTracker tracker;
  tracker.Start(check, 0);
  std::uint32_t in_a_row = 0;
  for (const bool healthy : results) {
    const Millis now = tracker.next();
    const auto before = tracker.state();
    in_a_row = healthy ? 0 : in_a_row + 1;
    const bool changed = tracker.Result(healthy, now);
    RC_ASSERT(changed == (tracker.state() != before));
    RC_ASSERT(tracker.next() > now);
    RC_ASSERT(tracker.failures() <= in_a_row);
    RC_ASSERT(!healthy || tracker.state() == Health::kHealthy);
    RC_ASSERT(tracker.state() != Health::kUnhealthy || in_a_row >= std::max<std::uint32_t>(retries, 1));
  }
}

}  // namespace
}  // namespace nucleus::process
