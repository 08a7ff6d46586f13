#include "actuators/process/hold.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

struct HoldTest : ::testing::Test {
  sys::TemporaryDirectory top;
  // As long as they come: an address of a socket has less room.
  std::string directory = top / (std::string(100, 'p') + "/service." + std::string(60, 's'));
};

TEST_F(HoldTest, GoesOnWithThePipeThatItIsSent) {
  auto hold = HoldSocket::Make(directory);
  ASSERT_TRUE(hold) << hold.error().Message();
  struct stat st{};
  ASSERT_EQ(::stat((directory + "/hold").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0600U);
  const auto guard = KeepHold(directory);
  ASSERT_TRUE(guard && *guard);
  auto awaited = std::async([&] { return hold->Await({}); });
  EXPECT_TRUE(IsHeld(directory));  // to look is no matter
  const auto go = ConnectHold(directory);
  ASSERT_TRUE(go && *go);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_TRUE(sys::SendFd((*go)->get(), ends[1]));
  ::close(ends[1]);
  {
    const auto pipe = awaited.get();
    ASSERT_TRUE(pipe) << pipe.error().Message();
    EXPECT_TRUE(sys::WriteAll(pipe->get(), "up", "pipe"));
  }
  EXPECT_EQ(sys::ReadAll(ends[0], "pipe").value(), "up");
  ::close(ends[0]);
  EXPECT_FALSE(IsHeld(directory));
}

TEST_F(HoldTest, GivesUpWithWhoeverMakesTheContainer) {
  auto hold = HoldSocket::Make(directory);
  ASSERT_TRUE(hold);
  auto guard = KeepHold(directory);
  ASSERT_TRUE(guard && *guard);
  auto awaited = std::async([&] { return hold->Await({}); });
  guard = std::optional<sys::Fd>();
  const auto pipe = awaited.get();
  ASSERT_FALSE(pipe);
  EXPECT_EQ(pipe.error().code, ErrorCode::kInterrupted);
  EXPECT_FALSE(IsHeld(directory));
}

TEST_F(HoldTest, OneThatWasKilledWaitsNoMore) {
  EXPECT_FALSE(ConnectHold(directory).value().has_value());
  {
    ASSERT_TRUE(HoldSocket::Make(directory));
  }
  EXPECT_FALSE(IsHeld(directory));
  EXPECT_FALSE(ConnectHold(directory).value().has_value());
  EXPECT_TRUE(HoldSocket::Make(directory));
}

TEST_F(HoldTest, WhatMakesItAgainReadsBack) {
  EXPECT_EQ(ReadAgain(directory).value(), std::nullopt);
  ASSERT_TRUE(WriteAgain(directory, {}));
  EXPECT_EQ(ReadAgain(directory).value(), std::vector<std::string>());
  const std::vector<std::string> command{"/bin/nucleus", "", "a b\n"};
  ASSERT_TRUE(WriteAgain(directory, command));
  EXPECT_EQ(ReadAgain(directory).value(), command);
  ASSERT_TRUE(ForgetAgain(directory));
  ASSERT_TRUE(ForgetAgain(directory));
  EXPECT_EQ(ReadAgain(directory).value(), std::nullopt);
}

TEST_F(HoldTest, WhatFailedMayComeThroughAnotherTime) {
  for (const int code : {0, 5}) {
    auto hold = HoldSocket::Make(directory);
    ASSERT_TRUE(hold);
    ASSERT_TRUE(WriteAgain(directory, {"/bin/nucleus"}));
    const pid_t child = ::fork();
    if (child == 0) ::_exit(code);
    const auto pipe = hold->Await(sys::Fd(sys::PidfdOpen(child)));
    ASSERT_FALSE(pipe);
    EXPECT_EQ(pipe.error().code, code == 0 ? ErrorCode::kInterrupted : ErrorCode::kLocked);
    EXPECT_EQ(ReadAgain(directory).value().has_value(), code != 0);
    EXPECT_FALSE(IsHeld(directory));
  }
}

}  // namespace
}  // namespace nucleus::process
