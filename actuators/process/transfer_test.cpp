#include "actuators/process/transfer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

struct Sides {
  sys::Fd send, receive;
};
Sides MakeSides() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  return {sys::Fd(ends[0]), sys::Fd(ends[1])};
}

class Transfer : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir((top_ / "from").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir((top_ / "to").c_str(), 0755), 0);
  }
  // What both sides say.
  Result<std::uint64_t> Copy(const std::string& name, const std::string& as) {
    const sys::Fd from = sys::Open(top_ / "from", O_PATH | O_DIRECTORY).value();
    const sys::Fd to = sys::Open(top_ / "to", O_PATH | O_DIRECTORY).value();
    Sides sides = MakeSides();
    auto sent = std::async(std::launch::async, [&] {
      auto report = Send(from.get(), name, sides.send.get());
      sides.send.reset();
      return report;
    });
    auto received = Receive(to.get(), as, ::getuid(), ::getgid(), sides.receive.get());
    sides.receive.reset();
    if (auto report = sent.get(); !report && received) return Fail(report.error());
    return received;
  }
  [[nodiscard]] std::string Written(const std::string& name) const {
    return sys::ReadFile(top_ / ("to/" + name)).value_or("(none)");
  }
  sys::TemporaryDirectory top_;
};

TEST_F(Transfer, AFileTakesTheNamesPlaceAndNothingIsWrittenThroughIt) {
  ASSERT_EQ(::mkdir((top_ / "from/d").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((top_ / "to/d").c_str(), 0755), 0);
  ASSERT_TRUE(sys::ReplaceFile(top_ / "from/d/b", "new", 0640));
  ASSERT_TRUE(sys::ReplaceFile(top_ / "outside", "old", 0600));
  ASSERT_EQ(::symlink((top_ / "outside").c_str(), (top_ / "to/d/b").c_str()), 0);
  ASSERT_EQ(::chmod((top_ / "from/d/b").c_str(), 06750), 0);
  EXPECT_EQ(Copy("d", "d"), 0U);
  EXPECT_EQ(Written("d/b"), "new");
  EXPECT_EQ(sys::ReadFile(top_ / "outside"), "old");
  struct stat st{};
  ASSERT_EQ(::lstat((top_ / "to/d/b").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777U, 0750U);
}

TEST_F(Transfer, NeitherALinkThatIsNamedNorWhatIsNoFileIsReplaced) {
  ASSERT_TRUE(sys::ReplaceFile(top_ / "from/file", "new", 0640));
  ASSERT_EQ(::symlink("anywhere", (top_ / "from/link").c_str()), 0);
  ASSERT_EQ(::symlink((top_ / "outside").c_str(), (top_ / "to/a").c_str()), 0);
  ASSERT_EQ(::mkfifo((top_ / "to/b").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir((top_ / "from/d").c_str(), 0755), 0);
  ASSERT_TRUE(sys::ReplaceFile(top_ / "from/d/f", "new", 0640));
  ASSERT_EQ(::mkdir((top_ / "to/d").c_str(), 0755), 0);
  ASSERT_EQ(::mkfifo((top_ / "to/d/f").c_str(), 0600), 0);
  for (const auto& [name, as] : {std::pair("file", "a"), {"file", "b"}, {"link", "a"}, {"link", "b"}, {"d", "d"}}) {
    const auto copied = Copy(name, as);
    ASSERT_FALSE(copied) << name << as;
    EXPECT_EQ(copied.error().code, ErrorCode::kInvalid) << copied.error().Message();
  }
  struct stat st{};
  ASSERT_EQ(::lstat((top_ / "to/a").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  for (const char* fifo : {"to/b", "to/d/f"}) {
    ASSERT_EQ(::lstat((top_ / fifo).c_str(), &st), 0);
    EXPECT_TRUE(S_ISFIFO(st.st_mode)) << fifo;
  }
  EXPECT_NE(::access((top_ / "outside").c_str(), F_OK), 0);
}

TEST_F(Transfer, ADirectoryThatIsALinkIsNotEntered) {
  ASSERT_EQ(::mkdir((top_ / "from/d").c_str(), 0755), 0);
  ASSERT_TRUE(sys::ReplaceFile(top_ / "from/d/file", "x", 0644));
  ASSERT_EQ(::mkdir((top_ / "outside").c_str(), 0755), 0);
  ASSERT_EQ(::symlink((top_ / "outside").c_str(), (top_ / "to/d").c_str()), 0);
  EXPECT_FALSE(Copy("d", "d"));
  EXPECT_NE(::access((top_ / "outside/file").c_str(), F_OK), 0);
  EXPECT_EQ(Copy("d", "e"), 0U);
  EXPECT_EQ(Written("e/file"), "x");
}

TEST_F(Transfer, WhatIsNeitherIsLeftOut) {
  ASSERT_EQ(::mkdir((top_ / "from/d").c_str(), 0700), 0);
  ASSERT_EQ(::mkfifo((top_ / "from/d/fifo").c_str(), 0644), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (top_ / "from/d/link").c_str()), 0);
  EXPECT_EQ(Copy("d", "d"), 1U);
  struct stat st{};
  ASSERT_EQ(::lstat((top_ / "to/d/link").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_NE(::access((top_ / "to/d/fifo").c_str(), F_OK), 0);
}

TEST_F(Transfer, ASideThatGivesUpHoldsTheOtherUpNoLonger) {
  EXPECT_FALSE(Copy("none", "x"));
  ASSERT_TRUE(sys::ReplaceFile(top_ / "from/a", "new", 0640));
  ASSERT_EQ(::mkdir((top_ / "to/a").c_str(), 0755), 0);
  const auto copied = Copy("a", "a");
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().sys_errno, EISDIR);
}

// Whoever sends may be anybody: what it says is a name is not taken for one.
TEST_F(Transfer, OnlyNamesAreTaken) {
  const sys::Fd to = sys::Open(top_ / "to", O_PATH | O_DIRECTORY).value();
  for (const std::string name : {"", ".", "..", "../x", "a/b"}) EXPECT_FALSE(Copy("none", name)) << name;
  ASSERT_TRUE(sys::ReplaceFile(top_ / "from/a", "new", 0640));
  for (const std::string name : {"", ".", "..", "../x", "a/b"}) EXPECT_FALSE(Copy("a", name)) << name;
  Sides sides = MakeSides();
  ASSERT_EQ(::send(sides.send.get(), "nonsense", 8, 0), 8);
  EXPECT_FALSE(Receive(to.get(), "x", ::getuid(), ::getgid(), sides.receive.get()));
}

}  // namespace
}  // namespace nucleus::process
