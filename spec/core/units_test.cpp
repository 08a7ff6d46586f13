#include "spec/core/units.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <csignal>

namespace nucleus {
namespace {

TEST(Bytes, ReadsEveryForm) {
  EXPECT_EQ(*ParseBytes("0"), 0u);
  EXPECT_EQ(*ParseBytes("4096"), 4096u);
  EXPECT_EQ(*ParseBytes("4096B"), 4096u);
  for (const auto* text : {"512M", "512m", "512Mi", "512MB", "512MiB", "512mb"}) {
    EXPECT_EQ(*ParseBytes(text), 512u << 20) << text;
  }
  EXPECT_EQ(*ParseBytes("1.5G"), 3u << 29);
  EXPECT_EQ(*ParseBytes("0.3K"), 307u);  // rounded down
  EXPECT_EQ(*ParseBytes("2T"), std::uint64_t{2} << 40);
  EXPECT_EQ(*ParseBytes("18446744073709551615"), UINT64_MAX);
}

TEST(Bytes, RefusesGarbage) {
  for (const auto* text : {"",
                           "M",
                           "-1",
                           "+1",
                           " 1M",
                           "1M ",
                           "1 M",
                           "1.M",
                           ".5M",
                           "1.5",
                           "1Q",
                           "1MM",
                           "1Mx",
                           "0x10",
                           "1e3",
                           "16777216T",
                           "18446744073709551616",
                           "1.1234567890G",
                           "nan",
                           "inf",
                           "1,5G"}) {
    EXPECT_FALSE(ParseBytes(text)) << text;
  }
}

RC_GTEST_PROP(Bytes, ParseUndoesFormat, (std::uint64_t value)) {
  RC_ASSERT(*ParseBytes(FormatBytes(value)) == value);
}

TEST(Bytes, FormatsTheLargestUnit) {
  EXPECT_EQ(FormatBytes(0), "0");
  EXPECT_EQ(FormatBytes(1000), "1000");
  EXPECT_EQ(FormatBytes(512u << 20), "512M");
  EXPECT_EQ(FormatBytes(1u << 30), "1G");
}

TEST(Duration, ReadsEveryForm) {
  using namespace std::chrono_literals;
  EXPECT_EQ(*ParseDuration("30"), 30s);
  EXPECT_EQ(*ParseDuration("0"), 0s);
  EXPECT_EQ(*ParseDuration("30s"), 30s);
  EXPECT_EQ(*ParseDuration("5m"), 5min);
  EXPECT_EQ(*ParseDuration("1h30m"), 90min);
  EXPECT_EQ(*ParseDuration("250ms"), 250ms);
  EXPECT_EQ(*ParseDuration("2d"), 48h);
  EXPECT_EQ(*ParseDuration("1m250ms"), 60'250ms);
  EXPECT_EQ(*ParseDuration("1.5s"), 1500ms);
}

TEST(Duration, RefusesGarbage) {
  for (const auto* text : {"", "s", "-5s", "5 s", "5x", "30s1m", "1m1m", "1h30", "5min", "5S", "1e3s",
                           "999999999999999999d", "9223372036854775808ms"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

RC_GTEST_PROP(Duration, ParseUndoesFormat, ()) {
  const auto value = *rc::gen::oneOf(rc::gen::inRange<std::int64_t>(0, 200'000'000),
                                     rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                                                  [](std::uint64_t v) { return static_cast<std::int64_t>(v >> 1); }));
  RC_ASSERT(ParseDuration(FormatDuration(Duration(value)))->count() == value);
}

TEST(MilliCpus, ReadsAndRefuses) {
  EXPECT_EQ(*ParseMilliCpus("2"), 2000u);
  EXPECT_EQ(*ParseMilliCpus("0.5"), 500u);
  EXPECT_EQ(*ParseMilliCpus("1.25"), 1250u);
  EXPECT_EQ(*ParseMilliCpus("0.001"), 1u);
  EXPECT_EQ(*ParseMilliCpus("8192"), 8'192'000u);
  for (const auto* text : {"", "0", "0.000", "-1", "0.0001", "8193", "1.", ".5", "two", "1m"}) {
    EXPECT_FALSE(ParseMilliCpus(text)) << text;
  }
}

RC_GTEST_PROP(MilliCpus, ParseUndoesFormat, ()) {
  const auto value = *rc::gen::inRange<std::uint32_t>(1, 8'192'001);
  RC_ASSERT(*ParseMilliCpus(FormatMilliCpus(value)) == value);
}

TEST(Signals, EveryNameReadsBack) {
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == 32 || signal == 33) continue;
    EXPECT_EQ(*ParseSignal(SignalName(signal)), signal);
    EXPECT_EQ(*ParseSignal(std::to_string(signal)), signal);
  }
  EXPECT_EQ(*ParseSignal("term"), SIGTERM);
  EXPECT_EQ(*ParseSignal("RTMIN+3"), SIGRTMIN + 3);
  EXPECT_EQ(*ParseSignal("SIGRTMAX-1"), SIGRTMAX - 1);
  EXPECT_EQ(*ParseSignal("SIGIO"), SIGIO);
  for (const auto* text :
       {"", "0", "32", "33", "65", "SIG", "SIGFOO", "-9", "RTMIN-1", "RTMIN+", "RTMIN+99", "RTMAX+1", "9x"}) {
    EXPECT_FALSE(ParseSignal(text)) << text;
  }
}

TEST(Unsigned, TakesTheWholeText) {
  EXPECT_EQ(*ParseUnsigned("42"), 42u);
  for (const auto* text : {"", "-1", "+1", " 1", "1 ", "1.0", "18446744073709551616"})
    EXPECT_FALSE(ParseUnsigned(text));
}

}  // namespace
}  // namespace nucleus
