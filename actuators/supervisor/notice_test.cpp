#include "actuators/supervisor/notice.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace nucleus::process {
namespace {

void Hold(int how) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(how, &all, nullptr);
}

void Rest(long milliseconds) {
  const timespec rest{.tv_sec = 0, .tv_nsec = milliseconds * 1'000'000};
  ::nanosleep(&rest, nullptr);
}

// A process that does so until it is killed.
class Doing {
 public:
  template <class What>
  explicit Doing(What what) : pid_(::fork()) {
    while (pid_ == 0) what();
  }
  ~Doing() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// As a shell does around vfork(2).
TEST(WouldNotice, WhoHoldsAllBackForAMomentDoesNot) {
  const Doing shell([] {
    Hold(SIG_BLOCK);
    Rest(4);
    Hold(SIG_UNBLOCK);
    Rest(1);
  });
  int times = 0;  // a machine that is busy may leave it standing in the midst of it
  for (int i = 0; i < 50; ++i) times += WouldNotice(shell.pid(), SIGTERM) ? 1 : 0;
  EXPECT_LT(times, 25);
}

TEST(WouldNotice, WhoWaitsForSignalsDoes) {
  Hold(SIG_BLOCK);
  const Doing waiting([] { Rest(1000); });
  Hold(SIG_UNBLOCK);
  EXPECT_TRUE(WouldNotice(waiting.pid(), SIGTERM));
}

TEST(WouldNotice, WhoHandlesItDoes) {
  const auto before = ::signal(SIGTERM, [](int) {});
  const Doing handling([] { Rest(1000); });
  ::signal(SIGTERM, before);
  EXPECT_TRUE(WouldNotice(handling.pid(), SIGTERM));
  EXPECT_FALSE(WouldNotice(handling.pid(), SIGINT));
  EXPECT_TRUE(WouldNotice(handling.pid(), SIGKILL));
}

}  // namespace
}  // namespace nucleus::process
