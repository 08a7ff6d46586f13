#include "cli/since.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include "cli/table.hpp"

namespace nucleus::cli {
namespace {

TEST(Since, ReadsTimesAndHowLongAgo) {
  EXPECT_EQ(ParseSince("10m", 1'000'000), 400'000);
  EXPECT_EQ(ParseSince("1970-01-01T00:00:01Z", 0), 1'000);
  EXPECT_EQ(ParseSince("1970-01-01 00:00:01.5Z", 0), 1'500);
  EXPECT_EQ(ParseSince("1970-01-01T01:00:00.0019+01:00", 0), 1);
  EXPECT_EQ(ParseSince("1969-12-31T19:00-05:00", 0), 0);
  const std::int64_t now = 1'795'000'000'123;
  EXPECT_EQ(ParseSince(UtcTime(now), 0), now);
}

TEST(Since, LocalTimeWhereNoZoneIsSaid) {
  ::setenv("TZ", "UTC-2", 1);
  ::tzset();
  EXPECT_EQ(ParseSince("1970-01-01T02:00:01", 0), 1'000);
  EXPECT_EQ(ParseSince("1970-01-02", 0), 22LL * 3'600'000);
  ::unsetenv("TZ");
  ::tzset();
}

TEST(Since, RefusesWhatIsNeither) {
  for (const char* text : {"", "yesterday", "2026-13-01", "2026-11-24T", "2026-11-24T25:00", "2026-11-24T04:15:03X",
                           "2026-11-24T04:15.", "-5m", "2026-1-1", "2026-11-24T04:15:03+01"})
    EXPECT_FALSE(ParseSince(text, 0)) << text;
}

}  // namespace
}  // namespace nucleus::cli
