#include "actuators/sys/id_ranges.hpp"

#include <gtest/gtest.h>

namespace nucleus::sys {
namespace {

TEST(IdMap, ReadsWhatTheKernelWrites) {
  const auto map = ParseIdMap("         0       1000          1\n         1     100000      65536\n");
  EXPECT_EQ(map, (std::vector<IdMapLine>{{0, 1000, 1}, {1, 100000, 65536}}));
  EXPECT_FALSE(IsWhole(map));
  EXPECT_TRUE(IsWhole(ParseIdMap("         0          0 4294967295\n")));
}

TEST(IdMap, LeavesOutWhatDoesNotRead) {
  EXPECT_TRUE(ParseIdMap("0 1000\n").empty());
  EXPECT_TRUE(ParseIdMap("0 1000 x\n").empty());
  EXPECT_TRUE(ParseIdMap("0 1000 0\n").empty());
  EXPECT_TRUE(ParseIdMap("0 4294967295 2\n").empty());
  EXPECT_TRUE(ParseIdMap("0 1 2 3\n").empty());
}

TEST(Subordinate, FindsTheUserByNameAndByNumber) {
  const std::string_view text = "ann:100000:65536\nbob:165536:65536\n1001:300000:10\nann:400000:5\n";
  EXPECT_EQ(ParseSubordinate(text, "ann", 1000), (std::vector<IdSpan>{{100000, 65536}, {400000, 5}}));
  EXPECT_EQ(ParseSubordinate(text, "bob", 1001), (std::vector<IdSpan>{{165536, 65536}, {300000, 10}}));
  EXPECT_TRUE(ParseSubordinate(text, "eve", 1002).empty());
  EXPECT_TRUE(ParseSubordinate(text, "", 1002).empty());
}

TEST(Subordinate, PassesOverLinesThatAreNoRange) {
  for (const auto* line : {"ann", "ann:", "ann:1", "ann:1:", "ann:1:0", "ann:x:1", "ann:1:x", "ann:1:2:3",
                           "ann:4294967295:2", "ann:-1:5", ":1:2"})
    EXPECT_TRUE(ParseSubordinate(line, "ann", 1000).empty()) << line;
}

}  // namespace
}  // namespace nucleus::sys
