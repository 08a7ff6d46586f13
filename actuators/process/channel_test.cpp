#include "actuators/process/channel.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "actuators/process/posture.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

std::string WithoutZero(std::string text) {
  std::erase(text, '\0');
  return text;
}

RC_GTEST_PROP(ReadyTest, AnErrorComesOutAsItWentIn,
              (const std::string& operation, const std::string& subject, const std::string& cause,
               const std::vector<std::string>& trail, int number)) {
  Error error;
  error.code = static_cast<ErrorCode>(*rc::gen::inRange(0, static_cast<int>(ErrorCode::kInternal) + 1));
  error.operation = WithoutZero(operation);
  error.subject = WithoutZero(subject);
  error.cause = WithoutZero(cause);
  error.sys_errno = number;
  for (const auto& text : trail) error.trail.push_back(WithoutZero(text));
  const auto back = DecodeReady(EncodeReady(Fail(error)));
  RC_ASSERT(!back.has_value());
  RC_ASSERT(back.error().code == error.code);
  RC_ASSERT(back.error().Message() == error.Message());
  RC_ASSERT(back.error().trail == error.trail);
}

RC_GTEST_PROP(ReadyTest, OnlyTheOneMessageIsSuccess, (const std::string& message)) {
  RC_ASSERT(DecodeReady(message).has_value() == (message == "+"));
}

TEST(ReadyTest, SilenceIsAFailure) {
  EXPECT_TRUE(DecodeReady(EncodeReady({})));
  for (const char* message : {"", "-", "++", "-1", "x"}) EXPECT_FALSE(DecodeReady(message)) << message;
  EXPECT_FALSE(
      DecodeReady(std::string_view("-99\0"
                                   "0\0a\0b\0c\0d\0",
                                   13)));
}

TEST(SupervisorLockTest, SaysWhoHoldsItAndGoesWithItsHolder) {
  const sys::TemporaryDirectory directory;
  EXPECT_FALSE(FindSupervisor(directory.path())->has_value());
  EXPECT_FALSE(FindSupervisor(directory / "missing")->has_value());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto lock = TakeSupervisorLock(directory.path());
    (void)!::write(ends[1], lock ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ends[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto found = FindSupervisor(directory.path());
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->pid, holder);
  const auto second = TakeSupervisorLock(directory.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kLocked);
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_FALSE(FindSupervisor(directory.path())->has_value());
  EXPECT_TRUE(TakeSupervisorLock(directory.path()));
}

constexpr std::string_view kStatus =
    "Name:\tsh (x)\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t1\n"
    "Uid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t8 7 \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
    "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    "Seccomp_filters:\t1\n";

Launch Asked() {
  Launch launch;
  launch.identity = {5, 6, {7, 8}};
  launch.security.seccomp = {{}};
  return launch;
}

std::string Changed(std::string_view from, std::string_view to) {
  std::string text(kStatus);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(PostureTest, WhatWasAskedForIsNoMismatch) {
  const auto posture = ParsePosture(kStatus);
  ASSERT_TRUE(posture);
  EXPECT_EQ(posture->parent, 1);
  EXPECT_TRUE(Mismatches(*posture, Asked()).empty());
}

TEST(PostureTest, EveryProtectionThatIsMissingIsSeen) {
  const std::pair<std::string_view, std::string_view> changes[] = {
      {"Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t0\t5"},
      {"Gid:\t6\t6\t6\t6", "Gid:\t0\t0\t0\t0"},
      {"Groups:\t8 7", "Groups:\t8 7 0"},
      {"CapInh:\t0000000000000000", "CapInh:\t0000000000000400"},
      {"CapPrm:\t0000000000000000", "CapPrm:\t1"},
      {"CapEff:\t0000000000000000", "CapEff:\t1"},
      {"CapBnd:\t0000000000000000", "CapBnd:\t000001ffffffffff"},
      {"CapAmb:\t0000000000000000", "CapAmb:\t2"},
      {"NoNewPrivs:\t1", "NoNewPrivs:\t0"},
      {"Seccomp:\t2", "Seccomp:\t0"},
  };
  for (const auto& [from, to] : changes) {
    const auto posture = ParsePosture(Changed(from, to));
    ASSERT_TRUE(posture) << to;
    EXPECT_EQ(Mismatches(*posture, Asked()).size(), 1U) << to;
  }
}

TEST(PostureTest, WhatDoesNotReadIsNotTakenForGood) {
  for (const char* from :
       {"State:\tS (sleeping)", "Uid:\t5\t5\t5\t5", "CapAmb:\t0000000000000000", "Seccomp:\t2", "PPid:\t1"}) {
    EXPECT_FALSE(ParsePosture(Changed(from, "X:\t1"))) << from;
  }
  EXPECT_FALSE(ParsePosture(Changed("Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t5")));
  EXPECT_FALSE(ParsePosture(Changed("Seccomp:\t2", "Seccomp:\t2x")));
}

TEST(PostureTest, OurselvesAreNoContainer) {
  const auto checked = CheckPosture(::getpid(), Asked());
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().Message().find("mnt namespace is ours"), std::string::npos) << checked.error().Message();
}

}  // namespace
}  // namespace nucleus::process
