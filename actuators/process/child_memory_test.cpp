// Children that share the memory of their parent until they execute: which do, and that neither of both is worse for
// it.
#include <gtest/gtest.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <fstream>
#include <thread>

#include "actuators/process/beside_thread.hpp"
#include "actuators/process/child_data.hpp"
#include "actuators/process/child_testing.hpp"
#include "actuators/sys/cgroupfs.hpp"

namespace nucleus::process {
namespace {

// kcmp(2).
bool SharesOurMemory(pid_t pid) {
  return ::syscall(SYS_kcmp, ::getpid(), pid, KCMP_VM, 0, 0) == 0;
}

class MemoryTest : public OfBothKinds {
 protected:
  // Of a child on its way, while it waits; none: it did not start.
  static std::optional<bool> Shares(const Launch& launch) {
    bool shares = false;
    const Prepared prepared = Prepare(launch).value();
    const auto look = [&shares](pid_t pid) -> Result<> { return shares = SharesOurMemory(pid), Result<>(); };
    const auto running = Spawn(prepared, {}, {.inspect = look, .loan = lent});
    if (!running) return std::nullopt;
    EXPECT_FALSE(SharesOurMemory(running->pid)) << "it has executed";
    ::kill(running->pid, SIGKILL);
    ::waitpid(running->pid, nullptr, __WALL);
    return shares;
  }
};

TEST_P(MemoryTest, IsSharedWhereItIsLentAndMayBe) {
  Launch launch = SmallContainer("sleep 100");
  EXPECT_EQ(Shares(launch), lent != nullptr);
  launch.init = true;
  EXPECT_EQ(Shares(launch), false) << "the mini-init goes on in it";
  launch.init = false;
  launch.time_namespace = true;
  EXPECT_EQ(Shares(launch), false) << "the kernel wants its own";
}

TEST_P(MemoryTest, IsLentToOneAfterTheOther) {
  for (int i = 0; i < 50; ++i) {
    const auto good = RunToEnd(SmallContainer("echo $$"));
    ASSERT_TRUE(good) << good.error().Message();
    EXPECT_EQ(good->text, "1\n");
    Launch missing = SmallContainer("");
    missing.argv = {"nowhere"};
    const auto bad = RunToEnd(missing);
    ASSERT_FALSE(bad);
    EXPECT_EQ(ExitCodeOf(bad.error()), 127);
  }
}

// errno, and whatever else the C library keeps for a thread, is the child's own: ours is what it was, call by call,
// while it makes calls that fail.
TEST_P(MemoryTest, HasAnErrnoForEach) {
  std::atomic<bool> ends = false;
  std::atomic<int> wrong = 0, looks = 0;
  std::thread looker([&] {
    for (; !ends; ++looks)
      if (::close(-1) != -1 || errno != EBADF) ++wrong;
  });
  Launch launch = SmallContainer("true");
  launch.argv = {"nowhere"};
  launch.env = {"PATH=/a:/b:/c:/d:/e:/f:/g:/h:/i:/j:/k"};
  for (int i = 0; i < 20; ++i) {
    const Prepared prepared = Prepare(launch).value();
    const auto spin = [&](pid_t) -> Result<> {
      for (int k = 0; k < 2000; ++k)
        if (::access("/", F_OK) != 0 || ::close(-1) != -1 || errno != EBADF) ++wrong;
      return {};
    };
    const auto running = Spawn(prepared, {}, {.meanwhile = spin, .loan = lent});
    ASSERT_FALSE(running);
    EXPECT_EQ(ExitCodeOf(running.error()), 127);
  }
  ends = true;
  looker.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(looks, 0);
}

// What it leaves in what was prepared is not the next one's: of file systems that are gone, the kernel gives the
// numbers to others.
TEST_P(MemoryTest, IsAsItWasForTheNextOne) {
  const Prepared prepared = Prepare(SmallContainer("true")).value();
  const Buffers& data = prepared.buffers();
  for (int i = 0; i < 3; ++i) {
    const auto running = Spawn(prepared, {}, {.loan = lent});
    ASSERT_TRUE(running) << running.error().Message();
    ::waitpid(running->pid, nullptr, __WALL);
    constexpr std::size_t kMade = 3;  // the root, /dev, /tmp
    EXPECT_EQ(data.own_device_count, lent != nullptr ? kMade : 0);
  }
}

TEST_P(MemoryTest, OfOneThatIsKilledOnItsWayIsOurs) {
  const Prepared prepared = Prepare(SmallContainer("true")).value();
  const std::size_t room = prepared.buffers().own_devices.size();
  for (int i = 0; i < 60; ++i) {
    const auto kill = [i](pid_t pid) -> Result<> {
      ::usleep(static_cast<::useconds_t>(i * 40));
      ::kill(pid, SIGKILL);
      return {};
    };
    const auto running = Spawn(prepared, {}, {.meanwhile = kill, .loan = lent});
    if (running) ::waitpid(running->pid, nullptr, __WALL);
    ASSERT_LE(prepared.buffers().own_device_count, room);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG | __WALL), -1);
  ASSERT_TRUE(RunToEnd(SmallContainer("true")));
}

// In a group, one that is killed before it is ready is made once more, from what was prepared for the first.
TEST_P(MemoryTest, OfOneThatIsMadeOnceMoreIsAsTheFirstHadIt) {
  const auto root = sys::FindCgroupRoot();
  if (!root || !root->writable) GTEST_SKIP() << "no cgroup2 that may be written";
  const std::string group = root->base + "/nucleus-test-" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(group.c_str(), 0755), 0) << group;
  Launch launch = SmallContainer("exit 7");
  launch.cgroup = group;
  const Prepared prepared = Prepare(launch).value();
  const Buffers& data = prepared.buffers();
  // Where it is slow to be killed it is ready by then, and its end is that of a workload: once more.
  int made = 0, status = 0;
  for (int tries = 0; made < 2 && tries < 100; ++tries) {
    made = 0;
    const auto kill_first = [&](pid_t pid) -> Result<> {
      if (++made > 1) return {};
      ::usleep(tries % 2 == 0 ? 300 : 0);
      ::kill(pid, SIGKILL);
      return {};
    };
    const auto running = Spawn(prepared, {}, {.meanwhile = kill_first, .loan = lent});
    ASSERT_TRUE(running) << running.error().Message();
    ::waitpid(running->pid, &status, __WALL);
  }
  EXPECT_EQ(made, 2);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_LE(data.own_device_count, data.own_devices.size());
  EXPECT_EQ(::rmdir(group.c_str()), 0);
}

int InFork(const std::function<bool()>& holds) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(holds() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(BesideThreadTest, DoesItsWorkAndSaysWhatCameOfIt) {
  BesideThread good([] { return Result<>(); });
  EXPECT_TRUE(good.Get());
  EXPECT_TRUE(good.Get()) << "said once more";
  BesideThread bad([]() -> Result<> { return Fail(ErrorCode::kSystem, "do", "it", "not"); });
  EXPECT_EQ(bad.Get().error().operation, "do");
  const BesideThread never_asked([] { return Result<>(); });
}

// Processes of one memory have one score: the child's way back to 0 would be ours too.
TEST(BesideThreadTest, LendsNothingWithAScoreOfItsOwn) {
  EXPECT_EQ(InFork([] {
              std::ofstream("/proc/self/oom_score_adj") << "300";
              BesideThread beside([] { return Result<>(); });
              return beside.Get() && beside.loan() == nullptr;
            }),
            0);
}

INSTANTIATE_TEST_SUITE_P(Child, MemoryTest, testing::Bool(), KindOf);

}  // namespace
}  // namespace nucleus::process
