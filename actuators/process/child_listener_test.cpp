// Programs that ask, on the real kernel: who gets the listener, what passes, and what is said where nothing executes.
#include "actuators/process/child_listener.hpp"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>

#include "actuators/process/child_testing.hpp"
#include "actuators/process/seccomp_program.hpp"
#include "actuators/sys/seccomp_unotify.hpp"
#include "actuators/sys/syscall_names.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

class ListenerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { isolated_ = Isolate(); }
  void SetUp() override {
    if (!isolated_) GTEST_SKIP() << "needs CAP_SYS_ADMIN and " << kBusybox;
  }
  static inline bool isolated_ = false;
};

// Everything but `number` is allowed.
std::vector<BpfInstruction> AllBut(std::uint32_t number, std::uint32_t result) {
  return {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
          {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number},
          {BPF_RET | BPF_K, 0, 0, result},
          {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
}

int EndOf(const Running& running) {
  int status = 0;
  EXPECT_EQ(::waitpid(running.pid, &status, __WALL), running.pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(ListenerTest, TheFirstExecPassesAndTheNextDoesNot) {
  for (const bool init : {false, true}) {
    Launch launch = SmallContainer("exec /bin/cat /dev/null");
    launch.init = init;
    launch.security.seccomp = AllBut(SYS_execve, SECCOMP_RET_ERRNO | EPERM);
    const Prepared prepared = Prepare(launch).value();
    const auto running = Spawn(prepared, {});
    ASSERT_TRUE(running) << running.error().Message();
    ASSERT_TRUE(running->listener);
    seccomp_notif call;
    ASSERT_TRUE(sys::ReceiveCall(running->listener.get(), call));
    EXPECT_EQ(call.data.nr, SYS_execve);
    EXPECT_TRUE(sys::Refuse(running->listener.get(), call.id, EPERM));
    EXPECT_EQ(EndOf(*running), 126) << "what a shell says of a program that it may not execute";
  }
}

TEST_F(ListenerTest, AProgramThatCannotBeExecutedIsAnErrorAllTheSame) {
#ifdef NUCLEUS_SANITIZED
  GTEST_SKIP() << "both threads of the child have one thread's storage, which the sanitizers' run time does not expect";
#endif
  Launch launch = SmallContainer("true");
  MountOp script = Op(MountOp::Type::kFile, "/bin/script");
  script.data = "#!/no/such\n";
  script.mode = 0755;
  launch.mounts.insert(launch.mounts.begin() + 2, script);
  launch.argv = {"script"};
  for (const bool trace : {true, false}) {
    launch.security.seccomp_trace = trace;
    launch.security.seccomp = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS}};
    for (const bool init : {false, true}) {
      launch.init = init;
      const auto running = Spawn(Prepare(launch).value(), {});
      ASSERT_FALSE(running);
      EXPECT_EQ(ExitCodeOf(running.error()), 127) << running.error().Message();
    }
  }
}

TEST_F(ListenerTest, ATraceHasTheProgramsCallsAndNoneOfOurs) {
  Launch launch = SmallContainer("");
  launch.argv = {"true"};
  launch.security.seccomp_trace = true;
  for (const bool init : {false, true}) {
    launch.init = init;
    const auto running = Spawn(Prepare(launch).value(), {});
    ASSERT_TRUE(running) << running.error().Message();
    std::vector<int> calls;
    seccomp_notif call;
    while (sys::ReceiveCall(running->listener.get(), call)) {
      calls.push_back(call.data.nr);
      EXPECT_TRUE(sys::LetThrough(running->listener.get(), call.id));
      if (call.data.nr == SYS_exit_group) break;
    }
    ASSERT_FALSE(calls.empty());
    EXPECT_EQ(std::ranges::count(calls, SYS_sendmsg), 0);
    EXPECT_EQ(std::ranges::count(calls, SYS_execve), 0) << "ours was answered";
    EXPECT_EQ(EndOf(*running), 0);
  }
}

TEST_F(ListenerTest, TheWorkloadDoesNotHaveTheListener) {
  Launch launch = SmallContainer("for f in /proc/self/fd/*; do echo ${f##*/}; done");
  launch.security.seccomp_own = true;
  launch.security.seccomp = AllBut(SYS_swapon, SECCOMP_RET_KILL_PROCESS);
  const auto outcome = RunToEnd(launch);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->text.substr(0, 6), "0\n1\n2\n");
  EXPECT_EQ(outcome->text.find("\n4\n"), std::string::npos) << outcome->text;
}

TEST_F(ListenerTest, ManyStartsLoseNothing) {
  Launch launch = SmallContainer("");
  launch.argv = {"true"};
  launch.security.seccomp_own = true;
  launch.security.seccomp = AllBut(SYS_swapon, SECCOMP_RET_KILL_PROCESS);
  const Prepared prepared = Prepare(launch).value();
  for (int i = 0; i < 200; ++i) {
    const auto running = Spawn(prepared, {});
    ASSERT_TRUE(running) << running.error().Message();
    EXPECT_TRUE(running->listener);
    EXPECT_EQ(EndOf(*running), 0);
  }
}

}  // namespace
}  // namespace nucleus::process
