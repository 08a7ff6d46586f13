#include "actuators/process/log.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

std::string Text(const std::vector<LogEntry>& entries) {
  std::string text;
  for (const auto& entry : entries) text += static_cast<char>(entry.stream) + entry.text + "|";
  return text;
}

TEST(LogTest, LinesOfBothStreamsAreEntriesWithTheirTime) {
  const sys::TemporaryDirectory directory;
  auto log = LogWriter::Open(directory.path(), 1 << 20).value();
  log.Add(Stream::kOut, "one\ntw", 1);
  log.Add(Stream::kError, "bad\n", 2);
  log.Add(Stream::kOut, "o\n\n", 3);
  EXPECT_EQ(sys::ReadFile(directory / "log").value(), "1 o one\n2 e bad\n3 o two\n3 o \n");
  EXPECT_EQ(Text(LastEntries(directory.path(), 2).value()), "otwo|o|");
  log.Add(Stream::kOut, "unfinished", 4);
  EXPECT_EQ(LastEntries(directory.path(), 9)->size(), 4U);
  log.Flush(5);
  EXPECT_EQ(LastEntries(directory.path(), 1)->front().time_ms, 5);
}

TEST(LogTest, ALineWithoutEndIsCutAndTakesNoMoreMemory) {
  const sys::TemporaryDirectory directory;
  auto log = LogWriter::Open(directory.path(), 1 << 20).value();
  for (int i = 0; i < 40; ++i) log.Add(Stream::kOut, std::string(1000, 'x'), 1);
  log.Flush(2);
  const auto entries = LastEntries(directory.path(), 10).value();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].text.size(), 16U << 10);
  EXPECT_EQ(entries[0].text.size() + entries[1].text.size() + entries[2].text.size(), 40'000U);
}

TEST(LogTest, IsRotatedAndNeverLargerThanTwoFiles) {
  const sys::TemporaryDirectory directory;
  auto log = LogWriter::Open(directory.path(), 1'000).value();
  for (int i = 0; i < 500; ++i) {
    log.Add(Stream::kOut, "line " + std::to_string(i) + "\n", i);
    struct stat st{};
    ASSERT_EQ(::stat((directory / "log").c_str(), &st), 0);
    ASSERT_LE(st.st_size, 1'000);
  }
  const auto entries = LastEntries(directory.path(), 60).value();
  ASSERT_EQ(entries.size(), 60U) << "over the end of a file";
  for (std::size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].text, "line " + std::to_string(440 + i));
}

TEST(MirrorTest, WhoDoesNotReadMissesLinesAndGetsWholeOnesAgain) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  const auto received = [&] {
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t got = 0; (got = ::read(ends[1], buffer.data(), buffer.size())) > 0;)
      all.append(buffer.data(), static_cast<std::size_t>(got));
    return all;
  };
  Mirror mirror(ends[0]);
  const std::string line(3'000, 'x');
  for (int i = 0; i < 10'000; ++i) mirror.Line(line, 1'000);  // it waits for one of them, not for all
  const std::string before = received();
  EXPECT_TRUE(before.starts_with(line + "\n"));
  mirror.Line("too early", 5'999);
  EXPECT_EQ(received(), "");
  mirror.Line("once more", 6'000);
  EXPECT_EQ(received(), before.ends_with('\n') ? "once more\n" : "\nonce more\n");
  mirror.Line("and on", 6'001);
  EXPECT_EQ(received(), "and on\n");
  for (const int end : ends) ::close(end);
}

TEST(LogTest, WhereItCannotBeRotatedItDoesNotGrow) {
  const sys::TemporaryDirectory directory;
  ASSERT_EQ(::mkdir((directory / "log.1").c_str(), 0755), 0);
  auto log = LogWriter::Open(directory.path(), 1'000).value();
  for (int i = 0; i < 500; ++i) log.Add(Stream::kOut, "line\n", i);
  struct stat st{};
  ASSERT_EQ(::stat((directory / "log").c_str(), &st), 0);
  EXPECT_LE(st.st_size, 1'000);
}

TEST(LogTest, AFileThatSomebodyTookAwayIsBegunAnew) {
  const sys::TemporaryDirectory directory;
  auto log = LogWriter::Open(directory.path(), 100).value();
  log.Add(Stream::kOut, std::string(80, 'x') + "\n", 1);
  ASSERT_EQ(::unlink((directory / "log").c_str()), 0);
  log.Add(Stream::kOut, std::string(80, 'y') + "\n", 2);
  EXPECT_EQ(LastEntries(directory.path(), 5)->size(), 1U);
}

TEST(LogTest, NoLinkIsWrittenThrough) {
  const sys::TemporaryDirectory directory;
  ASSERT_EQ(::symlink((directory / "elsewhere").c_str(), (directory / "log").c_str()), 0);
  EXPECT_FALSE(LogWriter::Open(directory.path(), 100));
  EXPECT_NE(::access((directory / "elsewhere").c_str(), F_OK), 0);
}

TEST(LogTest, WhatIsNoEntryIsPassedOver) {
  const sys::TemporaryDirectory directory;
  ASSERT_TRUE(sys::ReplaceFile(directory / "log", "garbage\n1 o a\n\n99999999999999999999 o b\n2 x c\n3 e", 0644));
  EXPECT_EQ(Text(LastEntries(directory.path(), 9).value()), "oa|");
  const sys::TemporaryDirectory empty;
  EXPECT_TRUE(LastEntries(empty.path(), 9)->empty());
}

RC_GTEST_PROP(LogTest, HowTheBytesComeInPiecesMakesNoDifference, (std::vector<std::string> pieces)) {
  std::string whole;
  for (std::string& piece : pieces) {
    for (char& c : piece) c = c % 4 == 0 ? '\n' : 'a';
    whole += piece;
  }
  const auto written = [](const std::vector<std::string>& parts) {
    const sys::TemporaryDirectory directory;
    auto log = LogWriter::Open(directory.path(), 1 << 20).value();
    for (const auto& part : parts) log.Add(Stream::kOut, part, 7);
    log.Flush(7);
    return sys::ReadFile(directory / "log").value();
  };
  RC_ASSERT(written(pieces) == written({whole}));
}

RC_GTEST_PROP(EscapedTest, LetsNoControlCharacterThrough, (const std::string& text)) {
  for (const char c : Escaped(text)) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

}  // namespace
}  // namespace nucleus::process
