#include "actuators/sys/living_thread.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <thread>
#include <utility>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::sys {
namespace {

// Its first thread exits, another waits to be killed.
pid_t StartWithoutFirst() {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  std::thread([] {
    while (true) ::pause();
  }).detach();
  ::syscall(SYS_exit, 0);
  ::_exit(1);
}

// Linux 6.9.
bool EntersByThread() {
  utsname system{};
  int major = 0, minor = 0;
  EXPECT_EQ(::uname(&system), 0);
  EXPECT_EQ(std::sscanf(system.release, "%d.%d", &major, &minor), 2);
  return std::pair(major, minor) >= std::pair(6, 9);
}

TEST(LivingThread, IsAnotherThanTheFirstThatHasExited) {
  const pid_t pid = StartWithoutFirst();
  const Fd pidfd(PidfdOpen(pid));
  const std::string proc = "/proc/" + std::to_string(pid);
  while (ReadFile(proc + "/status").value().find("State:\tZ") == std::string::npos) ::sched_yield();
  EXPECT_FALSE(WaitForExit(pidfd, 0).value());

  const auto thread = LivingThread(pid);
  ASSERT_TRUE(thread);
  EXPECT_NE(*thread, pid);
  EXPECT_EQ(ProcOf(pid), proc + "/task/" + std::to_string(*thread));
  EXPECT_EQ(::access((proc + "/root/proc").c_str(), F_OK), -1);
  EXPECT_EQ(::access((ProcOf(pid) + "/root/proc").c_str(), F_OK), 0);
  const Fd entered = ThreadToEnter(pidfd);
  EXPECT_EQ(static_cast<bool>(entered), EntersByThread());
  EXPECT_EQ(static_cast<bool>(OpenThread(pidfd, *thread)), EntersByThread());
  EXPECT_FALSE(OpenThread(pidfd, ::getpid())) << "as where the number is another's by now";

  ::kill(pid, SIGKILL);
  ASSERT_TRUE(WaitForExit(pidfd, 60'000).value());
  EXPECT_FALSE(LivingThread(pid));
  EXPECT_FALSE(ThreadToEnter(pidfd));
  ::waitpid(pid, nullptr, 0);
  EXPECT_EQ(ProcOf(pid), proc);
  EXPECT_FALSE(ThreadToEnter(pidfd));
}

TEST(LivingThread, WhyThereIsNoneToEnterBy) {
  const std::string_view why = WhyNotEntered();
  EXPECT_EQ(why.find("Linux before 6.9") == why.npos, EntersByThread()) << why;
}

TEST(LivingThread, IsTheFirstAsARule) {
  EXPECT_EQ(LivingThread(::getpid()), ::getpid());
  EXPECT_EQ(ProcOf(::getpid()), "/proc/" + std::to_string(::getpid()));
  EXPECT_FALSE(ThreadToEnter(Fd(PidfdOpen(::getpid()))));
}

}  // namespace
}  // namespace nucleus::sys
