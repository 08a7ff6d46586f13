#include "actuators/sys/accounts.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/sys/testing.hpp"

namespace nucleus::sys {
namespace {

TEST(ParsePasswd, TakesGoodLinesAndPassesOverOthers) {
  const auto users = ParsePasswd(
      "root:x:0:0:root:/root:/bin/sh\n"
      "# comment\n\n:x:5:5::/:\nshort:x:1\nlong:x:1:1:a:/b:/c:d\n"
      "minus:x:-1:0::/:/bin/sh\nhuge:x:4294967295:1::/:\nwrap:x:4294967296:1::/:\nhex:x:0x1:1::/:\n"
      "evil=x:x:7:7::/:\npg:x:70:70:,,:relative:\nlast:x:9:9::/last:/bin/false");
  ASSERT_EQ(users.size(), 3U);
  EXPECT_EQ(users[0], (UserEntry{"root", 0, 0, "/root", "/bin/sh"}));
  EXPECT_EQ(users[1], (UserEntry{"pg", 70, 70, "/", ""}));
  EXPECT_EQ(users[2], (UserEntry{"last", 9, 9, "/last", "/bin/false"}));
}

TEST(ParsePasswd, TheFirstEntryDecides) {
  const auto users = ParsePasswd("a:x:1:11::/:\na:x:2:12::/:\nb:x:1:13::/:\n");
  EXPECT_EQ(FindUser(users, "a")->uid, 1U);
  EXPECT_EQ(FindUser(users, 1U)->gid, 11U);
  EXPECT_EQ(FindUser(users, "c"), nullptr);
}

TEST(ParseId, Limits) {
  EXPECT_EQ(*ParseId("0"), 0U);
  EXPECT_EQ(*ParseId("2147483647"), 2147483647U);
  EXPECT_FALSE(ParseId("postgres")->has_value());
  EXPECT_FALSE(ParseId("0x10")->has_value());
  EXPECT_FALSE(ParseId("")->has_value());
  for (const char* bad : {"-1", "+1", "2147483648", "4294967295", "4294967296", "99999999999999999999"}) {
    EXPECT_FALSE(ParseId(bad).has_value()) << bad;
  }
}

TEST(ReadFileInRoot, StaysInsideAndNeverHangs) {
  TemporaryDirectory root;
  const std::string etc = root / "etc";
  ASSERT_EQ(::mkdir(etc.c_str(), 0755), 0);
  ASSERT_TRUE(ReplaceFile(root / "outside", "inside the root", 0644));
  EXPECT_EQ(*ReadFileInRoot(root.path(), "etc/passwd"), std::nullopt);

  ASSERT_EQ(::symlink("../../../../../outside", (etc + "/passwd").c_str()), 0);
  EXPECT_EQ(*ReadFileInRoot(root.path(), "etc/passwd"), "inside the root");
  ASSERT_EQ(::unlink((etc + "/passwd").c_str()), 0);

  ASSERT_EQ(::symlink("/proc/self/fd/0", (etc + "/passwd").c_str()), 0);
  EXPECT_EQ(*ReadFileInRoot(root.path(), "etc/passwd"), std::nullopt);
  ASSERT_EQ(::unlink((etc + "/passwd").c_str()), 0);

  ASSERT_EQ(::mkfifo((etc + "/passwd").c_str(), 0644), 0);
  EXPECT_EQ(ReadFileInRoot(root.path(), "etc/passwd").error().code, ErrorCode::kInvalid);
  ASSERT_EQ(::unlink((etc + "/passwd").c_str()), 0);

  ASSERT_TRUE(ReplaceFile(etc + "/passwd", std::string((1 << 20) + 1, 'x'), 0644));
  EXPECT_EQ(ReadFileInRoot(root.path(), "etc/passwd").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace nucleus::sys
