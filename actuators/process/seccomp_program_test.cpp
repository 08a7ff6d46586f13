// Programs that ask: that nothing passes which the policy denies, whatever the call, and that the answer is the
// policy's.
#include "actuators/process/seccomp_program.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <sys/syscall.h>

#include <random>

#include "actuators/sys/syscall_names.hpp"

namespace nucleus::process {
namespace {

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;

using Program = std::vector<BpfInstruction>;

seccomp_data Call(int number, std::uint64_t argument = 0, std::uint32_t architecture = sys::kNativeArchitecture) {
  seccomp_data call{};
  call.nr = number;
  call.arch = architecture;
  call.args[0] = argument;
  return call;
}

// read is allowed, write is EPERM, close kills its thread, dup traps, socket is allowed for 1; the rest kills.
Program Small() {
  return {{kLoad, 0, 0, offsetof(seccomp_data, arch)},
          {kEqual, 1, 0, sys::kNativeArchitecture},
          {kReturn, 0, 0, SECCOMP_RET_KILL_PROCESS},
          {kLoad, 0, 0, offsetof(seccomp_data, nr)},
          {kEqual, 0, 1, SYS_read},
          {kReturn, 0, 0, SECCOMP_RET_ALLOW},
          {kEqual, 0, 1, SYS_write},
          {kReturn, 0, 0, SECCOMP_RET_ERRNO | EPERM},
          {kEqual, 0, 1, SYS_close},
          {kReturn, 0, 0, SECCOMP_RET_KILL_THREAD},
          {kEqual, 0, 1, SYS_dup},
          {kReturn, 0, 0, SECCOMP_RET_TRAP},
          {kEqual, 0, 3, SYS_socket},
          {kLoad, 0, 0, offsetof(seccomp_data, args)},
          {kEqual, 0, 1, 1},
          {kReturn, 0, 0, SECCOMP_RET_LOG},
          {kReturn, 0, 0, SECCOMP_RET_KILL_PROCESS}};
}

TEST(SeccompProgram, RunsAsTheKernelWould) {
  EXPECT_EQ(RunSeccomp(Small(), Call(SYS_read)), SECCOMP_RET_ALLOW);
  EXPECT_EQ(RunSeccomp(Small(), Call(SYS_write)), SECCOMP_RET_ERRNO | EPERM);
  EXPECT_EQ(RunSeccomp(Small(), Call(SYS_socket, 1)), SECCOMP_RET_LOG);
  EXPECT_EQ(RunSeccomp(Small(), Call(SYS_socket, 2)), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(RunSeccomp(Small(), Call(SYS_read, 0, 1)), SECCOMP_RET_KILL_PROCESS);
}

TEST(SeccompProgram, OneThatIsNotWellFormedKills) {
  for (const Program& program :
       {Program{}, Program{{kLoad, 0, 0, 4096}}, Program{{kLoad, 0, 0, 2}}, Program{{BPF_JMP | BPF_JA, 0, 0, ~0U}},
        Program{{kEqual, 200, 200, 0}}, Program{{BPF_ST, 0, 0, 0}}})
    EXPECT_EQ(RunSeccomp(program, Call(SYS_read)), SECCOMP_RET_KILL_PROCESS);
}

TEST(SeccompProgram, AsksAboutWhatItShouldAndNothingElse) {
  const auto action = [](Asked asked, int number) {
    return ActionOf(RunSeccomp(AskingProgram(Small(), asked, false), Call(number)));
  };
  EXPECT_EQ(action(Asked::kKills, SYS_mkdir), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(action(Asked::kKills, SYS_write), SECCOMP_RET_ERRNO);
  EXPECT_EQ(action(Asked::kKills, SYS_close), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(action(Asked::kDenials, SYS_write), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(action(Asked::kDenials, SYS_close), SECCOMP_RET_USER_NOTIF);
  for (const Asked asked : {Asked::kNothing, Asked::kKills, Asked::kDenials}) {
    EXPECT_EQ(action(asked, SYS_read), SECCOMP_RET_ALLOW);
    EXPECT_EQ(action(asked, SYS_dup), SECCOMP_RET_TRAP);
  }
  EXPECT_EQ(AskingProgram(Small(), Asked::kNothing, false), Small());
}

TEST(SeccompProgram, AsksAboutExecWhereItIsToBeLetThroughOnce) {
  const Program program = AskingProgram(Small(), Asked::kNothing, true);
  EXPECT_EQ(RunSeccomp(program, Call(SYS_execve)), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(RunSeccomp(program, Call(SYS_execve, 0, 1)), SECCOMP_RET_KILL_PROCESS) << "of another architecture";
  EXPECT_EQ(RunSeccomp(program, Call(SYS_execveat)), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(RunSeccomp(program, Call(SYS_read)), SECCOMP_RET_ALLOW);
}

TEST(SeccompProgram, ATraceAsksAboutEverything) {
  for (int number = -1; number < 600; ++number)
    EXPECT_EQ(RunSeccomp(TracingProgram(), Call(number)), SECCOMP_RET_USER_NOTIF);
}

// Of random programs: what passes in one passes in the other, and nothing that is denied does.
TEST(SeccompProgram, LetsThroughExactlyWhatThePolicyDoes) {
  std::mt19937 random(7);
  constexpr std::uint32_t kReturns[] = {SECCOMP_RET_ALLOW,       SECCOMP_RET_LOG,          SECCOMP_RET_ERRNO | 1,
                                        SECCOMP_RET_KILL_THREAD, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_TRAP};
  for (int round = 0; round < 2000; ++round) {
    Program program;
    for (int i = 0; i < 40; ++i) {
      const auto jump = [&] { return static_cast<std::uint8_t>(random() % (i < 36 ? 3 : 1)); };
      switch (random() % 3) {
        case 0:
          program.push_back({kLoad, 0, 0, static_cast<std::uint32_t>(random() % 16 * 4)});
          break;
        case 1:
          program.push_back({kEqual, jump(), jump(), static_cast<std::uint32_t>(random() % 4)});
          break;
        default:
          program.push_back({kReturn, 0, 0, kReturns[random() % std::size(kReturns)]});
      }
    }
    program.push_back({kReturn, 0, 0, SECCOMP_RET_KILL_PROCESS});
    seccomp_data call = Call(static_cast<int>(random() % 4), random() % 4);
    for (auto& argument : call.args) argument = random() % 4;
    const std::uint32_t wanted = RunSeccomp(program, call);
    for (const Asked asked : {Asked::kNothing, Asked::kKills, Asked::kDenials}) {
      const std::uint32_t made = RunSeccomp(AskingProgram(program, asked, false), call);
      EXPECT_EQ(LetsThrough(made), LetsThrough(wanted));
      if (made != SECCOMP_RET_USER_NOTIF) {
        EXPECT_EQ(made, wanted);
      }
    }
  }
}

}  // namespace
}  // namespace nucleus::process
