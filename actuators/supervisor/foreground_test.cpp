// A supervisor in the foreground of a terminal, with a real workload.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "actuators/process/channel.hpp"
#include "actuators/process/child_testing.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

class ForegroundTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { isolated_ = Isolate(); }
  void SetUp() override {
    if (!isolated_) GTEST_SKIP() << "needs CAP_SYS_ADMIN and " << kBusybox;
    ASSERT_TRUE(master_ && ::grantpt(master_.get()) == 0 && ::unlockpt(master_.get()) == 0);
  }
  void TearDown() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void Start(Launch launch) {
    launch.terminal = true;
    launch.mounts.push_back(Filesystem("/dev/pts", "devpts", kMountNoSuid | kMountNoExec, "newinstance,ptmxmode=0666"));
    pid_ = ::fork();
    if (pid_ == 0) ::_exit(Attach(std::move(launch)));
  }
  int Attach(Launch launch) {
    ::setsid();
    const int slave = ::open(::ptsname(master_.get()), O_RDWR);
    for (const int standard : {0, 1, 2}) ::dup2(slave, standard);
    const auto lock = ClaimDirectory(directory_.path());
    if (!lock) return 125;
    auto supervisor = Supervisor::Attach(directory_.path(), *lock, std::move(launch));
    if (!supervisor) {
      ::dprintf(STDERR_FILENO, "%s\n", supervisor.error().Message().c_str());
      return 125;
    }
    supervisor->Run();
    return supervisor->exit_code();
  }
  // What is written, up to the words; all of it where they never come.
  std::string Until(const std::string& words) {
    std::string said;
    std::array<char, 4096> piece{};
    pollfd poll{master_.get(), POLLIN, 0};
    while (said.find(words) == std::string::npos && ::poll(&poll, 1, kPatienceMs) > 0) {
      const ssize_t got = ::read(master_.get(), piece.data(), piece.size());
      if (got <= 0) break;
      said.append(piece.data(), static_cast<std::size_t>(got));
    }
    return said;
  }
  void Type(const std::string& keys) {
    ASSERT_EQ(::write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // -1: it goes on.
  int ExitCode() {
    for (int i = 0; i < kPatienceMs / 10; ++i) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      ::usleep(10'000);
    }
    return -1;
  }

  static constexpr int kPatienceMs = 15'000;
  static inline bool isolated_ = false;
  sys::TemporaryDirectory directory_;
  sys::Fd master_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  pid_t pid_ = 0;
};

// What is typed meanwhile goes in by another way than later; without a handler the kernel would drop it.
TEST_F(ForegroundTest, AKeyEndsWhatHasNoHandlerDuringPoststartToo) {
  Launch launch = SmallContainer("echo ready; exec sleep 1000");
  spec::Hook& hook = launch.hooks.poststart.emplace_back();
  hook.path = "/usr/bin/sleep";
  hook.args = {"sleep", "1000"};
  hook.timeout = Duration(1'000'000);
  Start(launch);
  const std::string said = Until("ready");
  ASSERT_NE(said.find("ready"), std::string::npos) << said;
  Type("\x1c");  // for SIGINT a shell has a handler until it has become what it executes
  EXPECT_EQ(ExitCode(), 128 + SIGQUIT);
}

}  // namespace
}  // namespace nucleus::process
