#include "actuators/sys/pending_signals.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <csignal>

namespace nucleus::sys {
namespace {

class PendingSignalsTest : public testing::Test {
 protected:
  void SetUp() override {
    ::sigemptyset(&held_);
    for (const int signal : {SIGTERM, SIGHUP, SIGUSR1, SIGRTMIN + 1}) ::sigaddset(&held_, signal);
    ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
  }
  void TearDown() override {
    const timespec now{};
    while (::sigtimedwait(&held_, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  sigset_t held_{}, before_{};
};

TEST_F(PendingSignalsTest, OneThatIsHeldBackIsSeenAndStays) {
  EXPECT_EQ(PendingEnd(true), 0);
  const PendingSignals signals(true);
  ::kill(::getpid(), SIGTERM);
  signals.come()->wait(false);
  EXPECT_EQ(PendingEnd(true), SIGTERM);
}

TEST_F(PendingSignalsTest, AnotherMeansAnEndWhereThatWasSaid) {
  ::kill(::getpid(), SIGRTMIN + 1);
  EXPECT_EQ(PendingEnd(true), 0);
  EXPECT_EQ(PendingEnd(true, SIGRTMIN + 1), SIGRTMIN + 1);
}

TEST_F(PendingSignalsTest, OthersAndThoseThatAreIgnoredDoNotCount) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  ::kill(::getpid(), SIGHUP);
  ::kill(::getpid(), SIGUSR1);
  EXPECT_EQ(PendingEnd(true), 0);
  std::signal(SIGHUP, before);
}

}  // namespace
}  // namespace nucleus::sys
