#include "cli/watch_calm.hpp"

#include <gtest/gtest.h>

namespace nucleus::cli {
namespace {

const Digest kPlan = Sha256::Of("plan"), kOther = Sha256::Of("other");

TEST(WatchCalm, WithoutEventsNothingIsLookedAt) {
  WatchCalm calm(0);
  calm.Looked(100, 105);
  EXPECT_EQ(calm.Next(), std::nullopt);
}

TEST(WatchCalm, AFlockOfEventsIsOneLook) {
  WatchCalm calm(0);
  calm.Looked(0, 0);
  calm.Heard(1'000);
  EXPECT_EQ(calm.Next(), 1'100);
  calm.Heard(1'090);
  EXPECT_EQ(calm.Next(), 1'190);
  calm.Looked(1'190, 1'195);
  EXPECT_EQ(calm.Next(), std::nullopt);
}

TEST(WatchCalm, EventsWithoutEndDoNotKeepFromLooking) {
  WatchCalm calm(0);
  calm.Looked(0, 0);
  for (int now = 1'000; now <= 3'000; now += 50) calm.Heard(now);
  EXPECT_EQ(calm.Next(), 2'000);
}

TEST(WatchCalm, WhoLooksForLongLooksSeldom) {
  WatchCalm calm(0);
  calm.Looked(1'000, 1'500);
  calm.Heard(1'600);
  EXPECT_EQ(calm.Next(), 6'500);
}

TEST(WatchCalm, WhatHasNoEventsIsLookedAtNowAndThen) {
  WatchCalm calm(300'000);
  calm.Looked(0, 5);
  EXPECT_EQ(calm.Next(), 300'005);
}

TEST(WatchCalm, TheSameInVainIsTriedLessAndLessOften) {
  WatchCalm calm(0);
  WatchCalm::Millis now = 0, last_wait = 0;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(calm.MayTry(kPlan, now));
    calm.Tried(kPlan, now);
    EXPECT_FALSE(calm.MayTry(kPlan, now));
    EXPECT_TRUE(calm.MayTry(kOther, now));
    calm.Await(kPlan);
    ASSERT_TRUE(calm.Next());
    last_wait = *calm.Next() - now;
    now = *calm.Next();
  }
  EXPECT_EQ(last_wait, WatchCalm::kLongestWait);
  calm.Forget();
  EXPECT_TRUE(calm.MayTry(kPlan, now - 1));
}

TEST(WatchCalm, WhatWasLongAgoIsForgotten) {
  WatchCalm calm(0);
  for (int i = 0; i < 10; ++i) calm.Tried(kPlan, 0);
  const WatchCalm::Millis later = WatchCalm::kLongestWait + WatchCalm::kForgetAfter + 1;
  calm.Tried(kPlan, later);
  EXPECT_TRUE(calm.MayTry(kPlan, later + WatchCalm::kFirstWait));
}

}  // namespace
}  // namespace nucleus::cli
