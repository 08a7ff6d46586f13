#include "actuators/cgroup/usage.hpp"

#include <gtest/gtest.h>

namespace nucleus::cgroup {
namespace {

TEST(Usage, ReadsPressure) {
  const auto pressure = ParsePressure(
      "some avg10=12.50 avg60=0.00 avg300=0.00 total=1234\nfull avg10=0.07 avg60=0.00 avg300=0.00 total=56\n");
  ASSERT_TRUE(pressure);
  EXPECT_EQ(*pressure, (Pressure{.some_avg10 = 1250, .full_avg10 = 7, .some_total = 1234, .full_total = 56}));
  EXPECT_FALSE(ParsePressure(""));
  EXPECT_FALSE(ParsePressure("full avg10=0.07 total=56\n"));
  EXPECT_EQ(ParsePressure("some avg10=x total=-1\n"), Pressure{});
}

TEST(Usage, AddsUpDevices) {
  Usage usage;
  ParseIo("8:0 rbytes=100 wbytes=20 rios=3 wios=4 dbytes=9 dios=9\n259:1 rbytes=1 wbytes=2 rios=3 wios=4\n8:16\n",
          usage);
  EXPECT_EQ(usage.read_bytes, 101U);
  EXPECT_EQ(usage.written_bytes, 22U);
  EXPECT_EQ(usage.reads, 6U);
  EXPECT_EQ(usage.writes, 8U);
}

TEST(Usage, ReadsLinksButTheLoopback) {
  const auto links = ParseLinks(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
      "compressed\n"
      "    lo:     84       1    0    0    0     0          0         0       84       1    0    0    0     0       0  "
      "        0\n"
      "  eth0: 1000       10    0    3    0     0          0         0     2000      20    0    4    0     0       0   "
      "       0\n"
      " cut: 1 2 3\n");
  ASSERT_EQ(links.size(), 1U);
  EXPECT_EQ(links.at("eth0"), (LinkUsage{.received = 1000,
                                         .received_packets = 10,
                                         .sent = 2000,
                                         .sent_packets = 20,
                                         .received_dropped = 3,
                                         .sent_dropped = 4}));
}

TEST(Usage, OfAGroupThatIsGone) {
  const auto usage = ReadUsage("/sys/fs/cgroup/no such group");
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace nucleus::cgroup
