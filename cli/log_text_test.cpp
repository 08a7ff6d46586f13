#include "cli/log_text.hpp"

#include <gtest/gtest.h>

namespace nucleus::cli {
namespace {

TEST(LogText, ShowsTheTextOfEntriesCutAnywhere) {
  const std::string file = "1000 o one\n1500 e two two\n2000 o \n2500 o three\n";
  for (std::size_t cut = 0; cut <= file.size(); ++cut) {
    LogText log({});
    std::string out = log.Add(file.substr(0, cut));
    out += log.Add(file.substr(cut));
    EXPECT_EQ(out + log.Flush(), "one\ntwo two\n\nthree\n") << cut;
  }
}

TEST(LogText, PassesOverWhatIsNoEntry) {
  LogText log({});
  EXPECT_EQ(log.Add("garbage\n\n12 x y\n12 o\n99999999999999999999999 o big\n7 o fine\n"), "fine\n");
}

TEST(LogText, ShowsTimes) {
  LogText log({.timestamps = true});
  EXPECT_EQ(log.Add("1000 o one\n"), "1970-01-01T00:00:01.000Z one\n");
}

TEST(LogText, KeepsAWorkloadFromDrivingTheTerminal) {
  LogText log({.clean = true});
  EXPECT_EQ(log.Add("1 o \x1b[31mred\x1b[2J\ta\x07\n"), "\x1b[31mred\\x1b[2J\ta\\x07\x1b[0m\n");
  LogText raw({});
  EXPECT_EQ(raw.Add("1 o \x1b[2J\n"), "\x1b[2J\n");
}

TEST(LogText, ATerminalsEndOfALineIsShownAsOne) {
  LogText log({.clean = true});
  EXPECT_EQ(log.Add("1 o a\rb\r\n2 o \r\n"), "a\\x0db\n\n");
  LogText raw({});
  EXPECT_EQ(raw.Add("1 o a\r\n"), "a\r\n");
}

TEST(LogText, AnEntryWithoutItsEndIsShownAtLast) {
  LogText log({});
  EXPECT_EQ(log.Add("1 o cut"), "");
  EXPECT_EQ(log.Flush(), "cut\n");
  EXPECT_EQ(log.Flush(), "");
}

}  // namespace
}  // namespace nucleus::cli
