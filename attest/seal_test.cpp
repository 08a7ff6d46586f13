#include "attest/seal.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"
#include "attest/verify.hpp"

namespace nucleus::attest {
namespace {

class SealTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir((dir_ / "usr").c_str(), 0755), 0);
    Write("usr/a", "one");
    Write("b", "two");
    ASSERT_EQ(::symlink("/etc/shadow", (dir_ / "out").c_str()), 0);
    root_ = sys::Open(dir_.path(), O_PATH | O_DIRECTORY).value();
  }
  void Write(const std::string& name, std::string_view data) { ASSERT_TRUE(sys::ReplaceFile(dir_ / name, data, 0644)); }
  Result<Sealed> Do(Format format = Format::kExtended) { return Seal(root_.get(), "root", format); }
  std::string Text() { return sys::ReadFile(dir_ / kManifestName).value_or("none"); }

  sys::TemporaryDirectory dir_;
  sys::Fd root_;
};

TEST_F(SealTest, PlainIsExactlyAsPromised) {
  const auto sealed = Do(Format::kPlain);
  ASSERT_TRUE(sealed) << sealed.error().Message();
  EXPECT_EQ(Text(), Sha256::Of("two").Hex() + "\tb\n" + Sha256::Of("one").Hex() + "\tusr/a\n");
  EXPECT_EQ(sealed->files, 2U);
  EXPECT_EQ(sealed->bytes, 6U);
  EXPECT_EQ(sealed->manifest, Sha256::Of(Text()));
}

TEST_F(SealTest, ExtendedHoldsEverythingAndFollowsNothing) {
  const auto sealed = Do();
  ASSERT_TRUE(sealed) << sealed.error().Message();
  const std::string text = Text();
  EXPECT_TRUE(text.starts_with("nucleus-rootfs-manifest 2\nd\t0700\t")) << text;
  EXPECT_NE(text.find("\t/etc/shadow\tout\n"), std::string::npos) << text;
  EXPECT_EQ(sealed->entries, 5U);
}

TEST_F(SealTest, TwiceIsTheSameWhateverTheThreads) {
  for (int i = 0; i < 300; ++i) Write("usr/file" + std::to_string(i), std::to_string(i));
  ASSERT_TRUE(Do());
  const std::string first = Text();
  for (const unsigned threads : {1U, 2U, 7U}) {
    ASSERT_TRUE(Seal(root_.get(), "root", Format::kExtended, {.threads = threads}));
    EXPECT_EQ(Text(), first);
  }
  struct stat st{};
  ASSERT_EQ(::stat((dir_ / kManifestName).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777U, 0644U);
}

TEST_F(SealTest, ALinkInTheManifestsPlaceIsReplacedAndNotFollowed) {
  const sys::TemporaryDirectory elsewhere;
  ASSERT_TRUE(sys::ReplaceFile(elsewhere / "canary", "alive", 0644));
  ASSERT_EQ(::symlink((elsewhere / "canary").c_str(), (dir_ / kManifestName).c_str()), 0);
  ASSERT_TRUE(Do());
  EXPECT_EQ(sys::ReadFile(elsewhere / "canary").value_or(""), "alive");
  EXPECT_TRUE(Text().starts_with("nucleus-rootfs-manifest"));
}

TEST_F(SealTest, WhatAKilledSealLeftIsNotSealed) {
  Write("..nucleus-rootfs-sha256.0123456789abcdef", "half");
  const auto sealed = Do();
  ASSERT_TRUE(sealed) << sealed.error().Message();
  EXPECT_EQ(sealed->files, 2U);
}

TEST_F(SealTest, SpecialFilesAreOfTheExtendedFormatOnly) {
  ASSERT_EQ(::mkfifo((dir_ / "usr/pipe").c_str(), 0600), 0);
  ASSERT_TRUE(Do());
  EXPECT_NE(
      Text().find("s\t0600\t" + std::to_string(::getuid()) + "\t" + std::to_string(::getgid()) + "\t-\tp\tusr/pipe\n"),
      std::string::npos)
      << Text();
  ASSERT_TRUE(Do(Format::kPlain));
  EXPECT_EQ(Text().find("usr/pipe"), std::string::npos);
}

TEST_F(SealTest, ANewlineIsRefusedInThePlainFormatOnly) {
  Write("a\nb", "x");
  EXPECT_FALSE(Do(Format::kPlain));
  EXPECT_EQ(Text(), "none");
  ASSERT_TRUE(Do());
  EXPECT_NE(Text().find("\ta\\x0ab\n"), std::string::npos);
  EXPECT_FALSE(Verify(root_.get(), "root").value().difference);
}

TEST_F(SealTest, AnInterruptLeavesTheOldOne) {
  ASSERT_TRUE(Do());
  const std::string before = Text();
  Write("c", "new");
  const std::atomic<bool> stop = true;
  const auto sealed = Seal(root_.get(), "root", Format::kExtended, {.stop = &stop});
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(Text(), before);
}

}  // namespace
}  // namespace nucleus::attest
