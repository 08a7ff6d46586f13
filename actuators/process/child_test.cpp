// The interpreter on the real kernel: what the workload finds of itself and of the container. Each of these is wrong
// in a way that nobody notices until it matters, so it is read from inside.
#include "actuators/process/child.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/stat.h>

#include <map>
#include <sstream>

#include "actuators/process/child_testing.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

class ChildTest : public OfBothKinds {
 protected:
  static std::string Output(const Launch& launch) {
    const auto outcome = RunToEnd(launch);
    EXPECT_TRUE(outcome) << outcome.error().Message();
    if (!outcome) return "";
    EXPECT_EQ(outcome->status, 0) << outcome->text;
    return outcome->text;
  }
  static std::string Output(std::string command) { return Output(SmallContainer(std::move(command))); }
};

TEST_P(ChildTest, TheWorkloadIsWhoItIsToBeAndNothingMore) {
  Launch launch = SmallContainer("cat /proc/self/status");
  const auto posture = ParsePosture(Output(launch));
  ASSERT_TRUE(posture);
  EXPECT_EQ(posture->uids, (std::array<std::uint32_t, 4>{1000, 1000, 1000, 1000}));
  EXPECT_EQ(posture->gids, (std::array<std::uint32_t, 4>{1001, 1001, 1001, 1001}));
  EXPECT_EQ(posture->groups, (std::vector<std::uint32_t>{1002, 1003}));
  EXPECT_EQ(posture->capabilities, CapabilitySets{});
  EXPECT_TRUE(posture->no_new_privs);
  EXPECT_EQ(posture->seccomp, 2);
  launch.identity = {};
  EXPECT_EQ(ParsePosture(Output(launch))->capabilities, CapabilitySets{}) << "root has none either";
}

TEST_P(ChildTest, CapabilitiesThatAreKeptAreThoseAlone) {
  Launch launch = SmallContainer("cat /proc/self/status");
  constexpr std::uint64_t kBind = 1U << 10;  // CAP_NET_BIND_SERVICE
  launch.security.capabilities = {kBind, kBind, kBind, kBind, kBind};
  EXPECT_EQ(ParsePosture(Output(launch))->capabilities, launch.security.capabilities);
}

TEST_P(ChildTest, WhatIsDoneMeanwhileIsDoneBeforeItIsLookedAt) {
  const Prepared prepared = Prepare(SmallContainer("true")).value();
  std::string order;
  const auto look = [&order](pid_t) -> Result<> { return order += "look", Result<>(); };
  auto running = Spawn(prepared, {},
                       {.inspect = look,
                        .meanwhile = [&order](pid_t) -> Result<> { return order += "meanwhile ", Result<>(); },
                        .loan = lent});
  ASSERT_TRUE(running) << running.error().Message();
  EXPECT_EQ(order, "meanwhile look");
  ::waitpid(running->pid, nullptr, __WALL);
  running = Spawn(prepared, {},
                  {.inspect = look,
                   .meanwhile = [](pid_t) -> Result<> { return Fail(ErrorCode::kSystem, "do", "it", "not"); },
                   .loan = lent});
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().operation, "do");
  EXPECT_EQ(order, "meanwhile look") << "nothing was looked at, and nothing executed";
}

TEST_P(ChildTest, ItsOpenFilesAreExactlyThree) {
  const sys::Fd leak(::open("/etc/passwd", O_RDONLY));  // without CLOEXEC, and as high as one may get
  const sys::Fd high(::fcntl(leak.get(), F_DUPFD, 900));
  // The shell itself: a child that lists would have the list open too.
  EXPECT_EQ(Output("for f in /proc/self/fd/*; do echo ${f##*/}; done | cat; true").substr(0, 6), "0\n1\n2\n");
  Launch launch = SmallContainer("sleep 100");
  for (const bool init : {false, true}) {
    launch.init = init;
    const Prepared prepared = Prepare(launch).value();
    auto running = Spawn(prepared, {}, {.loan = lent});
    ASSERT_TRUE(running) << running.error().Message();
    std::string pid = std::to_string(running->pid);
    if (init) {
      EXPECT_NE(::access(("/proc/" + pid + "/fd/0").c_str(), F_OK), 0) << "the mini-init keeps none";
      pid = sys::ReadFile("/proc/" + pid + "/task/" + pid + "/children").value();
      pid = pid.substr(0, pid.find(' '));
    }
    for (int fd = 0; fd < 1024; ++fd) {
      const bool open = ::access(("/proc/" + pid + "/fd/" + std::to_string(fd)).c_str(), F_OK) == 0;
      EXPECT_EQ(open, fd < 3) << "init " << init << " descriptor " << fd;
    }
    ::kill(running->pid, SIGKILL);
    ::waitpid(running->pid, nullptr, __WALL);
  }
}

TEST_P(ChildTest, ItsNamespacesAreItsOwn) {
  const std::string links = Output("for n in mnt pid ipc uts cgroup net; do readlink /proc/self/ns/$n; done; hostname");
  std::istringstream lines(links);
  for (const char* name : {"mnt", "pid", "ipc", "uts", "cgroup", "net"}) {
    std::string inside;
    std::getline(lines, inside);
    std::array<char, 64> own{};
    ASSERT_GT(::readlink((std::string("/proc/self/ns/") + name).c_str(), own.data(), own.size() - 1), 0);
    EXPECT_TRUE(inside.starts_with(name)) << inside;
    EXPECT_NE(inside, own.data()) << name;
  }
  std::string hostname;
  std::getline(lines, hostname);
  EXPECT_EQ(hostname, "small");
}

TEST_P(ChildTest, MountsAreThoseThatWereAskedForWithTheirFlags) {
  std::istringstream lines(Output("cat /proc/self/mountinfo"));
  std::map<std::string, std::string> options;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point, flags;
    words >> id >> parent >> device >> root >> point >> flags;
    options[point] = flags;
    EXPECT_EQ(line.find("shared:"), std::string::npos) << line;
    EXPECT_EQ(line.find("master:"), std::string::npos) << line;
  }
  EXPECT_EQ(options.size(), 6U);
  EXPECT_TRUE(options["/"].starts_with("ro,nosuid,nodev")) << options["/"];
  EXPECT_TRUE(options["/proc"].starts_with("rw,nosuid,nodev,noexec")) << options["/proc"];
  EXPECT_TRUE(options["/dev/null"].starts_with("ro,nosuid,noexec")) << options["/dev/null"];
  EXPECT_TRUE(options["/bin/busybox"].starts_with("ro,nosuid")) << options["/bin/busybox"];
}

TEST_P(ChildTest, NothingOfWhoeverStartedItIsInherited) {
  struct sigaction before{}, ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGUSR1, &ignore, &before);
  sigset_t blocked, mask;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::sigprocmask(SIG_BLOCK, &blocked, &mask);
  ::setenv("HOST_SECRET", "x", 1);
  const int persona = ::personality(ADDR_NO_RANDOMIZE);
  const std::string text = Output(
      "grep -E 'Sig(Ign|Blk)' /proc/self/status; echo [$HOST_SECRET$CANARY]; "
      "grep . /proc/self/personality; umask");
  ::personality(static_cast<unsigned long>(persona));
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_NE(text.find("SigBlk:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find("SigIgn:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find("[1]"), std::string::npos) << text;
  EXPECT_NE(text.find("00000000\n0022"), std::string::npos) << text;
}

TEST_P(ChildTest, RootCannotChangeTheMachinesDevicesThroughWhatItIsGiven) {
  struct stat before{}, after{};
  ASSERT_EQ(::stat("/dev/null", &before), 0);
  Launch launch = SmallContainer(
      "echo x > /dev/null && echo wrote; chmod 0666 /dev/null || echo refused; "
      "chmod 0666 /proc/self/fd/0 || echo refused");
  launch.identity = {};
  const std::string text = Output(launch);
  EXPECT_TRUE(text.starts_with("wrote\n")) << text;
  EXPECT_NE(text.find("refused"), text.rfind("refused")) << text;
  ASSERT_EQ(::stat("/dev/null", &after), 0);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

TEST_P(ChildTest, LandlockRulesHoldWhateverTheWorkingDirectory) {
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) < 1) GTEST_SKIP() << "this kernel has no Landlock";
  constexpr std::uint64_t kExecuteReadFileReadDir = 1 | 4 | 8;
  constexpr std::uint64_t kWrite = 2 | 1U << 8;
  Launch launch = SmallContainer("echo x > /tmp/yes && echo yes; (echo x > /dev/no) 2>&1; ls /");
  launch.identity = {};
  launch.security.landlock = {.enabled = true,
                              .required = true,
                              .min_abi = 1,
                              .handled_fs = (1U << 13) - 1,
                              .scoped = 0,
                              .rules = {{"/", kExecuteReadFileReadDir}, {"/tmp", kWrite}, {"/missing", kWrite}}};
  for (const char* workdir : {"/", "/tmp", "/proc"}) {
    launch.workdir = workdir;
    const std::string text = Output(launch);
    EXPECT_TRUE(text.starts_with("yes\n")) << workdir << ": " << text;
    EXPECT_NE(text.find("/dev/no: Permission denied"), std::string::npos) << workdir << ": " << text;
    EXPECT_NE(text.find("tmp"), std::string::npos) << workdir << ": " << text;
  }
}

TEST_P(ChildTest, TheMiniInitCannotBeTracedAndReapsAndEndsWithTheCodeOfTheWorkload) {
  Launch launch = SmallContainer("ls /proc/1/fd 2>&1; cat /proc/1/environ 2>&1; (sleep 0 &) ; echo $$; exit 7");
  launch.init = true;
  launch.identity = {};
  const auto outcome = RunToEnd(launch);
  ASSERT_TRUE(outcome) << outcome.error().Message();
  EXPECT_EQ(outcome->status, 7);
  EXPECT_EQ(outcome->text.find("CANARY"), std::string::npos) << outcome->text;
  EXPECT_NE(outcome->text.find("ermission denied"), std::string::npos) << outcome->text;
  EXPECT_EQ(outcome->text.substr(outcome->text.size() - 2), "2\n") << "the workload is the init's child";
}

TEST_P(ChildTest, TheWorkloadDiesWithWhoeverStartedIt) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const sys::Fd read(ends[0]);
  sys::Fd write(ends[1]);
  for (const bool init : {false, true}) {
    Launch launch = SmallContainer("sleep 100");
    launch.init = init;
    const Prepared prepared = Prepare(launch).value();
    const pid_t starter = ::fork();
    ASSERT_GE(starter, 0);
    if (starter == 0) {
      const auto running = Spawn(prepared, {}, {.loan = lent});
      const pid_t pid = running ? running->pid : 0;
      (void)!::write(write.get(), &pid, sizeof pid);
      ::pause();
      ::_exit(0);
    }
    pid_t pid = 0;
    ASSERT_EQ(::read(read.get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    ASSERT_GT(pid, 0);
    const sys::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    ::kill(starter, SIGKILL);
    ::waitpid(starter, nullptr, 0);
    pollfd poller{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&poller, 1, 5000), 1) << "init " << init;
    // Where this process is the first of its namespace, it has inherited what is left of it.
    while (::waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Child, ChildTest, testing::Bool(), KindOf);

}  // namespace
}  // namespace nucleus::process
