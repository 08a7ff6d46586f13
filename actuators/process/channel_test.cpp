#include "actuators/process/channel.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actuators/process/running.hpp"
#include "actuators/sys/clone3.hpp"
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

TEST(SupervisorLock, OneOfAnotherPidNamespaceIsNotTakenForNobody) {
  const sys::TemporaryDirectory directory;
  const auto lock = TakeSupervisorLock(directory.path());
  ASSERT_TRUE(lock);
  const pid_t inside = sys::Clone3(CLONE_NEWUSER | CLONE_NEWPID, -1, nullptr);
  if (inside < 0) GTEST_SKIP() << "clone3 with a user and a pid namespace: " << ErrnoName(errno);
  if (inside == 0) {
    const auto found = FindSupervisor(directory.path());
    const auto pid = SupervisorOf(directory.path());
    const auto claimed = ClaimDirectory(directory.path());
    const bool right = !found && found.error().code == ErrorCode::kConflict && !pid &&
                       pid.error().code == ErrorCode::kConflict && !claimed &&
                       claimed.error().code == ErrorCode::kLocked;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(inside, &status, 0), inside);
  EXPECT_EQ(status, 0);
}

TEST(SupervisorLock, WhoCleansUpIsNoSupervisorAndIsWaitedFor) {
  const sys::TemporaryDirectory directory;
  const std::string claimed = directory.path() + "/container";
  ASSERT_EQ(::mkdir(claimed.c_str(), 0755), 0);
  int held[2], seen[2];
  ASSERT_EQ(::pipe(held), 0);
  ASSERT_EQ(::pipe(seen), 0);
  const pid_t cleaner = ::fork();
  if (cleaner == 0) {
    const auto lock = TakeCleanersLock(claimed);
    (void)!::write(held[1], lock ? "y" : "n", 1);
    char byte = 0;
    (void)!::read(seen[0], &byte, 1);
    ::usleep(50'000);
    ::unlink((claimed + "/" + std::string(kLockFile)).c_str());
    ::rmdir(claimed.c_str());
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(held[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto supervisor = FindSupervisor(claimed);
  EXPECT_TRUE(supervisor && !*supervisor);
  const auto lock = TakeSupervisorLock(claimed);
  EXPECT_TRUE(!lock && lock.error().code == ErrorCode::kLocked);
  ASSERT_EQ(::write(seen[1], "+", 1), 1);
  const auto mine = ClaimDirectory(claimed);
  EXPECT_TRUE(mine) << mine.error().Message();
  EXPECT_TRUE(!TakeCleanersLock(directory.path() + "/nowhere"));
  ::waitpid(cleaner, nullptr, 0);
}

TEST(SupervisorLock, IsHadOnceWhoCleansUpIsDone) {
  const sys::TemporaryDirectory directory;
  int held[2];
  ASSERT_EQ(::pipe(held), 0);
  const pid_t cleaner = ::fork();
  if (cleaner == 0) {
    const auto lock = TakeCleanersLock(directory.path());
    (void)!::write(held[1], lock ? "y" : "n", 1);
    ::usleep(100'000);
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(held[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto lock = AwaitSupervisorLock(directory.path());
  EXPECT_TRUE(lock) << lock.error().Message();
  ::waitpid(cleaner, nullptr, 0);
  EXPECT_FALSE(AwaitSupervisorLock(directory / "missing"));
  EXPECT_NE(::access((directory / "missing").c_str(), F_OK), 0);
}

TEST(SupervisorLock, WhoCleansUpOnlyWhereThereIsOneMakesNone) {
  const sys::TemporaryDirectory directory;
  EXPECT_FALSE(TakeCleanersLockIfThere(directory.path()));
  EXPECT_NE(::access((directory / kLockFile).c_str(), F_OK), 0);
  ASSERT_TRUE(TakeSupervisorLock(directory.path()));  // and lets go of it
  EXPECT_TRUE(TakeCleanersLockIfThere(directory.path()));
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
