#include "actuators/supervisor/notice.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>

#include "actuators/sys/file.hpp"

namespace nucleus::process {
namespace {

void Hold(int how) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(how, &all, nullptr);
}

void Rest(long milliseconds) {
  const timespec rest{.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000};
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
TEST(ReceptionOf, WhoHoldsAllBackForAMomentDoesNotTakeIt) {
  const Doing shell([] {
    Hold(SIG_BLOCK);
    Rest(4);
    Hold(SIG_UNBLOCK);
    Rest(1);
  });
  int times = 0;  // a machine that is busy may leave it standing in the midst of it
  for (int i = 0; i < 50; ++i) times += ReceptionOf(shell.pid(), SIGTERM) == Reception::kTaken ? 1 : 0;
  EXPECT_LT(times, 25);
}

TEST(ReceptionOf, WhoHoldsItBackTakesIt) {
  Hold(SIG_BLOCK);
  const Doing waiting([] { Rest(1000); });
  Hold(SIG_UNBLOCK);
  EXPECT_EQ(ReceptionOf(waiting.pid(), SIGTERM), Reception::kTaken);
}

// While it waits /proc shows nothing that it holds back.
TEST(ReceptionOf, WhoWaitsForItTakesIt) {
  sigset_t waited, before;
  ::sigemptyset(&waited);
  for (const int signal : {SIGTERM, SIGRTMAX}) ::sigaddset(&waited, signal);
  ::sigprocmask(SIG_BLOCK, &waited, &before);
  const Doing waiting([&waited] { ::sigwaitinfo(&waited, nullptr); });
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  const std::string status = "/proc/" + std::to_string(waiting.pid()) + "/status";
  while (sys::ReadFile(status).value().find("SigBlk:\t0000000000000000\n") == std::string::npos) Rest(1);
  EXPECT_EQ(ReceptionOf(waiting.pid(), SIGTERM), Reception::kTaken);
  EXPECT_EQ(ReceptionOf(waiting.pid(), SIGRTMAX), Reception::kTaken);
  EXPECT_EQ(ReceptionOf(waiting.pid(), SIGUSR1), Reception::kByDefault);
}

TEST(ReceptionOf, WhoIgnoresItIgnoresIt) {
  const auto before = ::signal(SIGTERM, SIG_IGN);
  const Doing ignoring([] { Rest(1000); });
  ::signal(SIGTERM, before);
  EXPECT_EQ(ReceptionOf(ignoring.pid(), SIGTERM), Reception::kIgnored);
}

TEST(ReceptionOf, WhoDoesNotRestIsJudgedAsWell) {
  const Doing busy([] {});
  EXPECT_EQ(ReceptionOf(busy.pid(), SIGTERM), Reception::kByDefault);
}

TEST(ReceptionOf, WhoHandlesItTakesIt) {
  const auto before = ::signal(SIGTERM, [](int) {});
  const Doing handling([] { Rest(1000); });
  ::signal(SIGTERM, before);
  EXPECT_EQ(ReceptionOf(handling.pid(), SIGTERM), Reception::kTaken);
  EXPECT_EQ(ReceptionOf(handling.pid(), SIGINT), Reception::kByDefault);
  EXPECT_EQ(ReceptionOf(handling.pid(), SIGKILL), Reception::kTaken);
}

// It is the first line of /proc/PID/status.
TEST(ReceptionOf, WhoIsNamedAsAFieldIsJudgedAsAnother) {
  for (const char* name : {"SigCgt:ffffffff", "SigBlk:ffffffff", "SigIgn:ffffffff"}) {
    const Doing named([name] {
      ::prctl(PR_SET_NAME, name);
      Rest(1000);
    });
    const std::string comm = "/proc/" + std::to_string(named.pid()) + "/comm";
    while (sys::ReadFile(comm).value() != std::string(name) + "\n") Rest(1);
    EXPECT_EQ(ReceptionOf(named.pid(), SIGTERM), Reception::kByDefault) << name;
  }
}

}  // namespace
}  // namespace nucleus::process
