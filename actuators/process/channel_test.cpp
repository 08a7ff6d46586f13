#include "actuators/process/channel.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "actuators/process/running.hpp"
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

TEST(CheckpointLock, GoesWithItsHolder) {
  const sys::TemporaryDirectory directory;
  EXPECT_FALSE(IsHeldForCheckpoint(directory.path()));
  {
    const auto hold = HoldForCheckpoint(directory.path());
    ASSERT_TRUE(hold);
    EXPECT_TRUE(IsHeldForCheckpoint(directory.path()));
    const auto second = HoldForCheckpoint(directory.path());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kLocked);
  }
  EXPECT_FALSE(IsHeldForCheckpoint(directory.path()));
}

}  // namespace
}  // namespace nucleus::process
