#include "actuators/sys/trusted.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::sys {
namespace {

class Trusted : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::mkdir((root_ + "/bin").c_str(), 0755), 0);
    ASSERT_TRUE(ReplaceFile(program_, "#!/bin/sh\n", 0755));
  }
  static bool MapsAll() {
    const auto map = ReadFile("/proc/self/uid_map");
    return map && !IsNobodyUnmapped(*map);
  }
  TemporaryDirectory directory_;
  std::string root_ = directory_.path();
  std::string program_ = root_ + "/bin/program";
};

TEST_F(Trusted, AProgramOfRootsIs) {
  EXPECT_TRUE(CheckTrusted(program_));
  EXPECT_TRUE(CheckTrusted(root_ + "//bin/./../bin/program"));
  ASSERT_EQ(::symlink("bin/program", (root_ + "/link").c_str()), 0);
  EXPECT_TRUE(CheckTrusted(root_ + "/link"));
}

TEST_F(Trusted, WhatOthersMayWriteIsNot) {
  ASSERT_EQ(::chmod(program_.c_str(), 0775), 0);
  EXPECT_FALSE(CheckTrusted(program_));
  ASSERT_EQ(::chmod(program_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root_ + "/bin").c_str(), 0777), 0);
  EXPECT_FALSE(CheckTrusted(program_));
  ASSERT_EQ(::chmod((root_ + "/bin").c_str(), 01777), 0);
  EXPECT_TRUE(CheckTrusted(program_));
  ASSERT_EQ(::chown(program_.c_str(), 12345, 0), 0);
  EXPECT_FALSE(CheckTrusted(program_));
}

TEST_F(Trusted, NobodyIsNotRoot) {
  if (!MapsAll()) GTEST_SKIP() << "65534 is not a user of this user namespace";
  ASSERT_EQ(::chown(program_.c_str(), 65534, 0), 0);
  EXPECT_FALSE(CheckTrusted(program_));
}

TEST(NobodyUnmapped, OnlyWhereTheMapLeavesHimOut) {
  EXPECT_FALSE(IsNobodyUnmapped("         0          0 4294967295\n"));
  EXPECT_FALSE(IsNobodyUnmapped("0 1000 1\n1 1 65534\n"));
  EXPECT_FALSE(IsNobodyUnmapped("65534 65534 1\n"));
  EXPECT_TRUE(IsNobodyUnmapped("0 1000 1\n"));
  EXPECT_TRUE(IsNobodyUnmapped("0 1000 1\n1 100000 65536\n"));
  EXPECT_TRUE(IsNobodyUnmapped("0 0 65534\n"));
  EXPECT_FALSE(IsNobodyUnmapped(""));
  EXPECT_FALSE(IsNobodyUnmapped("words\n"));
}

TEST_F(Trusted, NorAreOthersLinksOnTheWay) {
  const std::string link = root_ + "/link";
  ASSERT_EQ(::symlink((root_ + "/bin").c_str(), link.c_str()), 0);
  EXPECT_TRUE(CheckTrusted(link + "/program"));
  ASSERT_EQ(::lchown(link.c_str(), 12345, 12345), 0);
  EXPECT_FALSE(CheckTrusted(link + "/program"));
  ASSERT_EQ(::symlink("loop", (root_ + "/loop").c_str()), 0);
  EXPECT_FALSE(CheckTrusted(root_ + "/loop"));
}

TEST_F(Trusted, NorIsWhatIsNoProgram) {
  EXPECT_FALSE(CheckTrusted("bin/program"));
  EXPECT_FALSE(CheckTrusted(root_ + "/bin"));
  EXPECT_FALSE(CheckTrusted(root_ + "/absent"));
  ASSERT_EQ(::chmod(program_.c_str(), 0644), 0);
  EXPECT_FALSE(CheckTrusted(program_));
}

}  // namespace
}  // namespace nucleus::sys
