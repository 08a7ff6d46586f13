// The lock of a project: named holder, patience, and that it ends with its holder, however that ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <fstream>
#include <thread>

#include "state/testing.hpp"

namespace nucleus::state {
namespace {

using Clock = std::chrono::steady_clock;

class LockTest : public StoreTest {
 protected:
  Result<ProjectLock> Take(const char* project, int patience_ms) {
    return ProjectLock::Take(directories_, project, {.time = Duration(patience_ms)});
  }
  // A child that holds the lock of "shop", and does `after` with it.
  pid_t Holder(const std::function<void()>& after) {
    std::array<int, 2> ready{};
    EXPECT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
    const pid_t child = InChild([&] {
      const auto lock = Take("shop", 0);
      if (!lock || ::write(ready[1], "x", 1) != 1) return 1;
      after();
      return 0;
    });
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "the child did not get the lock";
    ::close(ready[0]);
    return child;
  }
};

TEST_F(LockTest, IsTakenOnceAndGivenBack) {
  {
    auto lock = Take("shop", 0);
    ASSERT_OK(lock);
    EXPECT_OK(Take("shop-two", 0)) << "another project";
    const ProjectLock moved = std::move(*lock);
    EXPECT_EQ(Take("shop", 0).error().code, ErrorCode::kLocked);
  }
  EXPECT_OK(Take("shop", 0));
}

TEST_F(LockTest, TheHolderIsNamed) {
  const pid_t child = Holder([] {
    while (true) ::pause();
  });
  const auto start = Clock::now();
  const auto lock = Take("shop", 120);
  const auto waited = Clock::now() - start;
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, ErrorCode::kLocked);
  EXPECT_NE(lock.error().Message().find("process " + std::to_string(child) + " ("), std::string::npos)
      << lock.error().Message();
  EXPECT_GE(waited, std::chrono::milliseconds(110));
  EXPECT_LT(waited, std::chrono::seconds(5));
  std::string pid;
  std::ifstream(directories_.ProjectLock("shop")) >> pid;
  EXPECT_EQ(pid, std::to_string(child));
  ::kill(child, SIGKILL);
  StatusOf(child);
  EXPECT_OK(Take("shop", 0)) << "a killed holder has let go";
}

TEST_F(LockTest, AnInterruptEndsThePatienceButTakesNothingFromWhoNeedsNone) {
  const pid_t child = Holder([] {
    while (true) ::pause();
  });
  const LockPatience interrupted{.time = std::chrono::hours(1), .is_interrupted = [] { return true; }};
  const auto lock = ProjectLock::Take(directories_, "shop", interrupted);
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, ErrorCode::kInterrupted);
  EXPECT_NE(lock.error().Message().find("held by process " + std::to_string(child) + " ("), std::string::npos)
      << lock.error().Message();
  ::kill(child, SIGKILL);
  StatusOf(child);
  EXPECT_OK(ProjectLock::Take(directories_, "shop", interrupted)) << "it is free";
}

TEST_F(LockTest, PatienceIsRewarded) {
  const pid_t child = Holder([] { std::this_thread::sleep_for(std::chrono::milliseconds(100)); });
  const auto start = Clock::now();
  EXPECT_OK(Take("shop", 10'000));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
  StatusOf(child);
}

TEST_F(LockTest, IsNotInheritedByExec) {
  const pid_t child = Holder([] { ::execl("/bin/sleep", "sleep", "60", nullptr); });
  EXPECT_OK(Take("shop", 5000)) << "the program that the holder became still has it";
  EXPECT_EQ(::kill(child, 0), 0);
  ::kill(child, SIGKILL);
  StatusOf(child);
}

TEST_F(LockTest, OneAtATime) {
  const std::string path = base_ + "/inside";
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(InChild([&] {
      for (int round = 0; round < 10; ++round) {
        const auto lock = Take("shop", 30'000);
        if (!lock) return 1;
        const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) return 2;  // somebody else is inside
        ::close(fd);
        ::unlink(path.c_str());
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(StatusOf(child), 0);
}

}  // namespace
}  // namespace nucleus::state
