#include "actuators/sys/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "actuators/sys/device.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::sys {
namespace {

struct stat Stat(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}

bool Exists(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}

TEST(File, DescriptorsAreClosedByExec) {
  const auto fd = Open("/dev/null", O_RDONLY);
  ASSERT_TRUE(fd);
  EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(File, ReadsWhatSizeSaysNothingAbout) {
  const auto text = ReadFile("/proc/self/mountinfo");
  ASSERT_TRUE(text) << text.error().Message();
  EXPECT_GT(text->size(), 20U);
}

TEST(File, ReadRefusesMoreThanTheLimit) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(ReplaceFile(dir / "f", std::string(1000, 'x'), 0600));
  EXPECT_EQ(ReadFile(dir / "f", 1000).value().size(), 1000U);
  const auto text = ReadFile(dir / "f", 999);
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().Message().find(dir / "f"), std::string::npos);
}

TEST(File, MissingIsAnErrorOrNothingAsAsked) {
  const TemporaryDirectory dir;
  EXPECT_EQ(ReadFile(dir / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ReadFileIfThere(dir / "none").value(), std::nullopt);
}

TEST(File, ReplaceKeepsModeAndLeavesNothingBeside) {
  const TemporaryDirectory dir;
  const mode_t before = ::umask(077);
  EXPECT_TRUE(ReplaceFile(dir / "f", "one", 0644));
  EXPECT_TRUE(ReplaceFile(dir / "f", "two", 0640, true));
  ::umask(before);
  EXPECT_EQ(ReadFile(dir / "f").value(), "two");
  EXPECT_EQ(Stat(dir / "f").st_mode & 07777, 0640U);
  ASSERT_EQ(::unlink((dir / "f").c_str()), 0);
  EXPECT_EQ(::rmdir(dir.path().c_str()), 0) << "a temporary file was left";
}

TEST(File, TheLastOneOutRemovesASharedDirectoryAndNobodyTripsOverIt) {
  const TemporaryDirectory dir;
  const auto come_and_go = [&](const std::string& own) {
    for (int i = 0; i < 2000; ++i) {
      const auto made = MakeDirectories(own, 0755);
      ASSERT_TRUE(made) << made.error().Message();
      RemoveIfEmpty(own, 2);
    }
  };
  {
    std::jthread a(come_and_go, dir / "shared/a");
    std::jthread b(come_and_go, dir / "shared/b");
  }
  RemoveIfEmpty(dir / "shared/a", 2);
  EXPECT_NE(::access((dir / "shared").c_str(), F_OK), 0);

  ASSERT_TRUE(MakeDirectories(dir / "shared/a", 0755));
  ASSERT_TRUE(ReplaceFile(dir / "shared/kept", "", 0600));
  RemoveIfEmpty(dir / "shared/a", 2);
  EXPECT_EQ(::access((dir / "shared/kept").c_str(), F_OK), 0);
}

TEST(File, WhatAKilledReplacementLeftIsRemovedAndNothingElse) {
  const TemporaryDirectory dir;
  for (const auto* name : {"f", ".f.0123456789abcdef", ".f.0123456789abcde", ".g.0123456789abcdef"})
    ASSERT_TRUE(RewriteInPlace(dir / name, "", 0600));
  RemoveTemporaries(dir / "f");
  EXPECT_NE(::access((dir / ".f.0123456789abcdef").c_str(), F_OK), 0);
  for (const auto* name : {"f", ".f.0123456789abcde", ".g.0123456789abcdef"})
    EXPECT_EQ(::access((dir / name).c_str(), F_OK), 0) << name;
  RemoveTemporaries(dir / "none/f");
}

TEST(File, ReadersOfAReplacedFileSeeOneOfItsVersions) {
  const TemporaryDirectory dir;
  const std::string path = dir / "f";
  const std::string a(100'000, 'a');
  const std::string b(100'000, 'b');
  ASSERT_TRUE(ReplaceFile(path, a, 0600));
  std::jthread writer([&](const std::stop_token& stop) {
    for (bool flip = false; !stop.stop_requested(); flip = !flip) EXPECT_TRUE(ReplaceFile(path, flip ? a : b, 0600));
  });
  for (int i = 0; i < 200; ++i) {
    const auto text = ReadFile(path);
    ASSERT_TRUE(text);
    ASSERT_TRUE(*text == a || *text == b);
  }
}

// Somebody who has it mounted, and could otherwise have us wait for as long as fs.lease-break-time says.
TEST(File, ALeaseOnWhatIsRewrittenIsNamed) {
  const TemporaryDirectory dir;
  const std::string path = dir / "hosts";
  ASSERT_TRUE(RewriteInPlace(path, "first\n", 0644));
  ::signal(SIGIO, SIG_IGN);  // that it is to be given up
  Fd holder = Open(path, O_RDONLY).value();
  if (::fcntl(holder.get(), F_SETLEASE, F_RDLCK) != 0) GTEST_SKIP() << "this file system has no leases";
  const auto refused = RewriteInPlace(path, "second\n", 0644);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_EQ(ReadFile(path).value(), "first\n");
  holder.reset();
  EXPECT_TRUE(RewriteInPlace(path, "second\n", 0644));
}

TEST(File, RewriteKeepsTheInodeAndRefusesALink) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(RewriteInPlace(dir / "hosts", "a long first version\n", 0644));
  const auto inode = Stat(dir / "hosts").st_ino;
  ASSERT_TRUE(RewriteInPlace(dir / "hosts", "short\n", 0644));
  EXPECT_EQ(ReadFile(dir / "hosts").value(), "short\n");
  EXPECT_EQ(Stat(dir / "hosts").st_ino, inode);
  ASSERT_EQ(::symlink((dir / "hosts").c_str(), (dir / "link").c_str()), 0);
  EXPECT_FALSE(RewriteInPlace(dir / "link", "x", 0644));
  EXPECT_EQ(ReadFile(dir / "hosts").value(), "short\n");
}

TEST(File, KernelFileErrorsNamePathAndData) {
  const auto missing = WriteKernelFile("/proc/sys/kernel/nucleus_none", "1");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  // Refused by the kernel whoever asks: no such oom_score_adj.
  const auto refused = WriteKernelFile("/proc/self/oom_score_adj", "4711\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().Message(), "write /proc/self/oom_score_adj \"4711\": Invalid argument (EINVAL)");
}

TEST(File, MakesDirectoriesOfTheModeAskedFor) {
  const TemporaryDirectory dir;
  const mode_t before = ::umask(077);
  const auto made = MakeDirectories(dir / "a//b/c/", 0755);
  ::umask(before);
  ASSERT_TRUE(made) << made.error().Message();
  EXPECT_EQ(Stat(dir / "a/b/c").st_mode & 07777, 0755U);
  EXPECT_TRUE(MakeDirectories(dir / "a/b/c", 0700));
  EXPECT_EQ(Stat(dir / "a/b/c").st_mode & 07777, 0755U) << "what exists stays as it is";
}

TEST(File, MakeDirectoriesFollowsNoLink) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(MakeDirectories(dir / "target", 0755));
  ASSERT_EQ(::symlink("target", (dir / "link").c_str()), 0);
  const auto made = MakeDirectories(dir / "link/inside", 0755);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().Message().find("symbolic link"), std::string::npos) << made.error().Message();
  EXPECT_FALSE(Exists(dir / "target/inside"));
  EXPECT_FALSE(MakeDirectories("relative", 0755));
  EXPECT_FALSE(MakeDirectories(dir / "a/../b", 0755));
}

TEST(File, RemoveTreeRemovesLinksAndNotWhatTheyLeadTo) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(MakeDirectories(dir / "kept/sub", 0755));
  ASSERT_TRUE(ReplaceFile(dir / "kept/file", "x", 0600));
  ASSERT_TRUE(MakeDirectories(dir / "tree/a/b", 0755));
  ASSERT_TRUE(ReplaceFile(dir / "tree/a/file", "x", 0400));
  ASSERT_EQ(::symlink((dir / "kept").c_str(), (dir / "tree/a/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir / "tree/fifo").c_str(), 0600), 0);
  const auto removed = RemoveTree(dir / "tree");
  ASSERT_TRUE(removed) << removed.error().Message();
  EXPECT_FALSE(Exists(dir / "tree"));
  EXPECT_TRUE(Exists(dir / "kept/sub"));
  EXPECT_TRUE(Exists(dir / "kept/file"));
  EXPECT_TRUE(RemoveTree(dir / "tree")) << "absent is success";
  EXPECT_TRUE(RemoveTree(dir / "kept/file")) << "a file is a small tree";
}

TEST(File, RemoveTreeOfALinkRemovesTheLink) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(MakeDirectories(dir / "kept", 0755));
  ASSERT_EQ(::symlink("kept", (dir / "link").c_str()), 0);
  EXPECT_TRUE(RemoveTree(dir / "link"));
  EXPECT_TRUE(Exists(dir / "kept"));
  EXPECT_FALSE(Exists(dir / "link"));
}

TEST(File, RemoveTreeIsNotStoppedByDepth) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(MakeDirectories(dir / "tree", 0755));
  Fd at = Open(dir / "tree", O_PATH | O_DIRECTORY).value();
  for (int i = 0; i < 3000; ++i) {  // deeper than descriptors are many, longer than PATH_MAX
    ASSERT_EQ(::mkdirat(at.get(), "deep", 0755), 0);
    at.reset(::openat(at.get(), "deep", O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at);
  }
  at.reset();
  const auto removed = RemoveTree(dir / "tree");
  EXPECT_TRUE(removed) << removed.error().Message();
  EXPECT_FALSE(Exists(dir / "tree"));
}

TEST(File, XattrsReadBack) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(ReplaceFile(dir / "f", "", 0600));
  const auto set = SetXattr(dir / "f", "user.nucleus.test", "value");
  if (!set && set.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << "no user xattrs on /tmp";
  ASSERT_TRUE(set) << set.error().Message();
  EXPECT_EQ(GetXattr(dir / "f", "user.nucleus.test").value(), "value");
  EXPECT_EQ(GetXattr(dir / "f", "user.nucleus.none").value(), std::nullopt);
  const std::string big(1000, 'x');
  ASSERT_TRUE(SetXattr(dir / "f", "user.nucleus.test", big));
  EXPECT_EQ(GetXattr(dir / "f", "user.nucleus.test").value(), big);
}

TEST(Device, NumbersStayAndOthersAreRefused) {
  EXPECT_EQ(DeviceNumber("8:0").value(), "8:0");
  EXPECT_EQ(DeviceNumber("/dev/null").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(DeviceNumber("/dev/nucleus-none").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(DeviceNumber("8:"));
}

}  // namespace
}  // namespace nucleus::sys
