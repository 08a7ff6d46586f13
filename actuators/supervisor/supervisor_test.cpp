// The supervisor as a program, with real workloads.
#include "actuators/supervisor/supervisor.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <sstream>
#include <thread>

#include "actuators/process/channel.hpp"
#include "actuators/process/child_testing.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/process/start_supervisor.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/process.hpp"
#include "actuators/sys/testing.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {
namespace {

using State = Status::State;
using Health = Status::Health;

class SupervisorTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { isolated_ = Isolate(); }
  void SetUp() override {
    if (!isolated_) GTEST_SKIP() << "needs CAP_SYS_ADMIN and " << kBusybox;
  }
  void TearDown() override {
    Signal(SIGKILL);
    if (group_.empty()) return;
    (void)sys::WriteKernelFile(group_ + "/cgroup.kill", "1");
    for (int i = 0; i < 200 && (::rmdir((group_ + "/probe").c_str()), ::rmdir(group_.c_str())) != 0 && errno == EBUSY;
         ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  Result<> Start(const Launch& launch) {
    TRY(sys::ReplaceFile(directory_ / kLaunchFile, Encode(launch), 0600));
    return StartSupervisor(NUCLEUS_SUPERVISOR, directory_.path(), "");
  }
  // A control group of the test's own; false: this machine has none.
  bool MakeGroup(Launch& launch) {
    const auto root = sys::FindCgroupRoot();
    if (!root || !root->writable) return false;
    group_ = root->base + "/nucleus-test-" + std::to_string(::getpid());
    if (::mkdir(group_.c_str(), 0755) != 0 && errno != EEXIST) return false;
    launch.cgroup = group_;
    return true;
  }
  [[nodiscard]] Status Now() const {
    const auto text = sys::ReadFile(directory_ / kStatusFile);
    auto status = text ? DecodeStatus(*text) : Fail(text.error());
    return status ? *status : Status{};
  }
  Status Until(const std::function<bool(const Status&)>& good, int seconds = 15) const {
    for (int i = 0; i < seconds * 100; ++i) {
      if (auto status = Now(); good(status)) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "it did not come to that; the last status:\n" << Encode(Now());
    return Now();
  }
  // Its last word is the status; then it goes, and the lock with it.
  Status UntilEnded() const {
    return Until([this](const Status& s) {
      return (s.state == State::kExited || s.state == State::kFailed) &&
             !FindSupervisor(directory_.path())->has_value();
    });
  }
  void UntilLogged(const std::string& text) const {
    Until([&](const Status&) {
      return sys::ReadFileIfThere(directory_ / kLogFile).value_or(std::nullopt).value_or("").find(text) !=
             std::string::npos;
    });
  }
  void Signal(int signal) const {
    const auto holder = FindSupervisor(directory_.path());
    if (holder && *holder) (void)sys::SendSignal((*holder)->pidfd, signal, "supervisor");
    if (signal == SIGKILL && holder && *holder) (void)sys::WaitForExit((*holder)->pidfd, 5'000);
  }
  // The first word of each.
  [[nodiscard]] std::vector<std::string> Events() const {
    std::vector<std::string> events;
    const auto text = sys::ReadFile(directory_ / kEventsFile);
    std::istringstream lines(text ? *text : "");
    for (std::string line; std::getline(lines, line);) {
      LogEntry entry;
      if (ParseEntry(line, entry)) events.push_back(entry.text.substr(0, entry.text.find(' ')));
    }
    return events;
  }
  static Launch WithHealth(std::string workload, std::string probe) {
    Launch launch = SmallContainer(std::move(workload));
    launch.policy.has_health = true;
    launch.policy.health.probe = spec::CommandProbe{{"sh", "-c", std::move(probe)}};
    launch.policy.health.interval = Duration(100);
    launch.policy.health.timeout = Duration(5'000);
    launch.policy.health.retries = 2;
    launch.policy.health.on_unhealthy = spec::OnUnhealthy::kNone;
    launch.policy.health.start_period = Duration(0);
    return launch;
  }

  static inline bool isolated_ = false;
  sys::TemporaryDirectory directory_;
  std::string group_;
};

TEST_F(SupervisorTest, TellsTheExitCode) {
  ASSERT_TRUE(Start(SmallContainer("exit 3")));
  const Status status = UntilEnded();
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_EQ(status.state, State::kExited);
  EXPECT_EQ(status.workload.pid, 0);
  EXPECT_FALSE(FindSupervisor(directory_.path())->has_value());
}

TEST_F(SupervisorTest, TellsTheSignalBehindAMiniInit) {
  Launch launch = SmallContainer("kill -SEGV $$");
  launch.init = true;
  ASSERT_TRUE(Start(launch));
  EXPECT_EQ(UntilEnded().exit_code, 128 + SIGSEGV);
}

TEST_F(SupervisorTest, AStartThatFailsIsToldToWhoeverStartsAndLeavesNobody) {
  Launch launch = SmallContainer("");
  launch.argv = {"none"};
  const auto started = Start(launch);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().Message().find("execute none: it is in no directory of PATH"), std::string::npos);
  EXPECT_EQ(Now().state, State::kFailed);
  EXPECT_EQ(Now().exit_code, 127);
  EXPECT_FALSE(FindSupervisor(directory_.path())->has_value());
}

TEST_F(SupervisorTest, StartsOnceWhoCleansUpThereIsDone) {
  int held[2];
  ASSERT_EQ(::pipe(held), 0);
  const pid_t cleaner = ::fork();
  if (cleaner == 0) {
    const auto lock = TakeCleanersLock(directory_.path());
    (void)!::write(held[1], lock ? "y" : "n", 1);
    ::usleep(300'000);
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(held[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto started = Start(SmallContainer("exit 3"));
  EXPECT_TRUE(started) << started.error().Message();
  EXPECT_EQ(UntilEnded().exit_code, 3);
  ::waitpid(cleaner, nullptr, 0);
}

TEST_F(SupervisorTest, RestartsWithBackOffAndEndsBetweenTwoRuns) {
  Launch launch = SmallContainer("exit 1");
  launch.policy.restart = spec::RestartPolicy::kOnFailure;
  launch.policy.backoff_first_ms = 20;
  launch.policy.backoff_max_ms = 60'000;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(Start(launch));
  Until([](const Status& s) { return s.restarts >= 5; });
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(20 + 40 + 80 + 160 + 320 - 40));
  Until([](const Status& s) { return s.state == State::kBackoff; });
  Signal(SIGTERM);
  EXPECT_EQ(UntilEnded().exit_code, 1);
}

TEST_F(SupervisorTest, ASignalIsEnoughForWhoListensAndForceIsForWhoDoesNot) {
  struct Case {
    const char* command;
    bool init;
    int code;
  };
  constexpr Case kCases[] = {{"trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done", false, 5},
                             {"trap 'exit 6' TERM; echo up; while :; do sleep 0.1; done", true, 6},
                             {"echo up; exec sleep 100", true, 128 + SIGTERM},
                             {"echo up; exec sleep 100", false, 128 + SIGKILL},
                             {"trap '' TERM; echo up; while :; do sleep 0.1; done", true, 128 + SIGKILL}};
  for (const Case& one : kCases) {
    Launch launch = SmallContainer(one.command);
    launch.init = one.init;
    launch.policy.stop_timeout_ms = 400;
    launch.policy.restart = spec::RestartPolicy::kAlways;  // not after a stop
    ASSERT_TRUE(Start(launch));
    UntilLogged(" up");
    Signal(SIGTERM);
    EXPECT_EQ(UntilEnded().exit_code, one.code) << one.command << " init " << one.init;
    ::unlink((directory_ / kLogFile).c_str());
  }
}

TEST_F(SupervisorTest, IsToldHowLongAStopMayTakeAndLaterLess) {
  Launch launch = SmallContainer("trap '' TERM; echo up; while :; do sleep 0.1; done");
  launch.init = true;
  launch.policy.stop_timeout_ms = 3'600'000;
  ASSERT_TRUE(Start(launch));
  UntilLogged(" up");
  const auto stop = [this](int timeout_ms) {
    const auto holder = FindSupervisor(directory_.path());
    ASSERT_TRUE(holder && *holder);
    ASSERT_TRUE(sys::QueueSignal((*holder)->pidfd, StopSignal(), timeout_ms, "supervisor"));
  };
  stop(-1);
  Until([](const Status& s) { return s.state == State::kStopping; });
  stop(100);
  const Status status = UntilEnded();
  EXPECT_EQ(status.exit_code, 128 + SIGKILL);
  EXPECT_EQ(status.ending, Status::Ending::kStopped);
  EXPECT_EQ(Events(), (std::vector<std::string>{"start", "stop", "exit"}));
}

TEST_F(SupervisorTest, NotesWhatBecomesOfTheWorkload) {
  Launch launch = SmallContainer("exit 1");
  launch.policy.restart = spec::RestartPolicy::kOnFailure;
  launch.policy.backoff_first_ms = 1;
  launch.policy.backoff_max_ms = 1;
  ASSERT_TRUE(Start(launch));
  Until([](const Status& s) { return s.restarts >= 1; });
  Signal(SIGTERM);
  EXPECT_EQ(UntilEnded().id, launch.id);
  auto events = Events();
  ASSERT_GE(events.size(), 4U);
  events.resize(4);
  EXPECT_EQ(events, (std::vector<std::string>{"start", "exit", "restart", "start"}));
}

TEST_F(SupervisorTest, DoesNotProbeWhatStandsStill) {
  Launch launch = WithHealth("sleep 100", "exit 0");
  launch.policy.health.timeout = Duration(1'000);
  launch.policy.health.retries = 1;
  if (!MakeGroup(launch)) GTEST_SKIP() << "no cgroup2 to write to";
  ASSERT_TRUE(Start(launch));
  Until([](const Status& s) { return s.health == Health::kHealthy; });
  const auto has = [this](std::string_view event) { return std::ranges::count(Events(), event) != 0; };
  ASSERT_TRUE(sys::WriteKernelFile(group_ + "/cgroup.freeze", "1"));
  Until([&](const Status&) { return has("pause"); });
  std::this_thread::sleep_for(std::chrono::seconds(3));  // several intervals, and the timeout
  EXPECT_EQ(Now().health, Health::kHealthy);
  EXPECT_EQ(Now().state, State::kRunning);
  ASSERT_TRUE(sys::WriteKernelFile(group_ + "/cgroup.freeze", "0"));
  Until([&](const Status&) { return has("unpause"); });
  EXPECT_EQ(Now().health, Health::kHealthy);
}

TEST_F(SupervisorTest, AKilledSupervisorTakesTheWorkloadAlong) {
  for (const bool init : {false, true}) {
    Launch launch = SmallContainer("sleep 100");
    launch.init = init;
    ASSERT_TRUE(Start(launch));
    const auto workload = sys::OpenIdentified(Now().workload);
    ASSERT_TRUE(workload && *workload);
    Signal(SIGKILL);
    EXPECT_TRUE(sys::WaitForExit(**workload, 5'000).value()) << "init " << init;
  }
}

TEST_F(SupervisorTest, HealthFollowsTheProbe) {
  Launch launch = WithHealth("sleep 2; touch /tmp/ok; sleep 2; rm /tmp/ok; exec sleep 100", "test -e /tmp/ok");
  launch.policy.health.start_period = Duration(10'000);
  ASSERT_TRUE(Start(launch));
  EXPECT_EQ(Now().health, Health::kStarting);
  Until([](const Status& s) { return s.health == Health::kHealthy; });
  const Status sick = Until([](const Status& s) { return s.health == Health::kUnhealthy; });
  EXPECT_EQ(sick.state, State::kRunning);
  EXPECT_EQ(sick.probe_output, "exit code 1");
  EXPECT_GE(sick.probe_failures, 2U);
}

TEST_F(SupervisorTest, OnUnhealthyItIsRestartedOrStopped) {
  Launch launch = WithHealth("trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done", "exit 1");
  launch.policy.health.on_unhealthy = spec::OnUnhealthy::kRestart;
  launch.policy.backoff_first_ms = 10;
  ASSERT_TRUE(Start(launch));
  Until([](const Status& s) { return s.restarts >= 1; });
  Signal(SIGTERM);
  UntilEnded();
  launch.policy.health.on_unhealthy = spec::OnUnhealthy::kStop;
  ASSERT_TRUE(Start(launch));
  EXPECT_EQ(UntilEnded().exit_code, 9);
}

// What a probe could give away: it is born outside and enters (CVE-2016-9962, CVE-2022-24769).
TEST_F(SupervisorTest, AProbeIsConfinedAsTheWorkloadIsAndMaySignalIt) {
  Launch launch = WithHealth("exec sleep 100",
                             "echo fd /proc/self/fd/*; grep -E '^(Cap|NoNew|Seccomp:|Groups|Uid)' /proc/self/status; "
                             "kill -0 1 || exit 4; readlink /proc/self/ns/net; exit 0");
  launch.identity.groups = {1002};
  launch.security.landlock = {.enabled = true,
                              .required = false,
                              .min_abi = 1,
                              .handled_fs = (1U << 13) - 1,
                              .scoped = 3,
                              .rules = {{"/", 1 | 2 | 4 | 8}}};
  ASSERT_TRUE(Start(launch));
  const Status status = Until([](const Status& s) { return !s.probe_output.empty(); });
  EXPECT_EQ(status.health, Health::kHealthy) << status.probe_output;
  const std::string& text = status.probe_output;
  // The shell's own list of the directory is the fourth.
  EXPECT_TRUE(text.starts_with("fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\\n")) << text;
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_NE(text.find(std::string(set) + ":\\x090000000000000000"), std::string::npos) << set << " " << text;
  for (const char* line : {"NoNewPrivs:\\x091", "Seccomp:\\x092", "Groups:\\x091002 ", "Uid:\\x091000\\x091000"})
    EXPECT_NE(text.find(line), std::string::npos) << line << " " << text;
}

// As root, without seccomp and Landlock in the way: until it has executed its program a probe is a copy of the
// supervisor, and nobody in the container may look at it.
TEST_F(SupervisorTest, NobodySeesAProbeBeforeItIsOne) {
  Launch launch = WithHealth(
      "while :; do for p in /proc/[0-9]*; do e=$(readlink $p/exe) || continue; "
      "case $e in /bin/busybox) echo probe;; *) echo caught $e;; esac; done; done",
      "exit 0");
  launch.identity = {};
  launch.policy.health.interval = Duration(1);
  ASSERT_TRUE(Start(launch));
  UntilLogged(" probe");
  std::this_thread::sleep_for(std::chrono::seconds(2));
  Signal(SIGTERM);
  UntilEnded();
  const std::string log = sys::ReadFile(directory_ / kLogFile).value();
  EXPECT_NE(log.find("probe"), std::string::npos);
  EXPECT_EQ(log.find("caught"), std::string::npos) << log.substr(std::min(log.size(), log.find("caught")), 200);
}

TEST_F(SupervisorTest, AnHttpProbeIsAmongTheContainersFilesAndHasNoCapability) {
  Launch launch = WithHealth("sleep 100 | nc -l -p 8080 > /tmp/request", "");  // it takes the request and never answers
  launch.policy.health.probe = spec::HttpProbe{8080, "/health"};
  launch.policy.health.timeout = Duration(2'000);
  if (!MakeGroup(launch)) GTEST_SKIP() << "no cgroup2 on this machine";
  ASSERT_TRUE(Start(launch));
  const std::string workload = std::to_string(Now().workload.pid);
  std::optional<Posture> posture;
  bool same = false;
  for (int i = 0; i < 1'500 && !same; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const auto procs = sys::ReadFileIfThere(group_ + "/probe/cgroup.procs").value_or(std::nullopt).value_or("");
    const std::string probe = procs.substr(0, procs.find('\n'));
    struct stat its{}, own{};
    if (probe.empty() || ::stat(("/proc/" + probe + "/ns/mnt").c_str(), &its) != 0) continue;
    ASSERT_EQ(::stat(("/proc/" + workload + "/ns/mnt").c_str(), &own), 0);
    const auto status = sys::ReadFile("/proc/" + probe + "/status");
    if (status) posture = ParsePosture(*status);
    same = its.st_ino == own.st_ino && posture && posture->uids[1] == launch.identity.uid;
  }
  EXPECT_TRUE(same);
  ASSERT_TRUE(posture);
  EXPECT_EQ(posture->capabilities.effective | posture->capabilities.permitted | posture->capabilities.inheritable, 0U);
  EXPECT_EQ(posture->groups, launch.identity.groups);
}

TEST_F(SupervisorTest, AProbeIsKilledWholeAtItsTimeout) {
  Launch launch = WithHealth("exec sleep 100", "sleep 999 & sleep 999");
  launch.policy.health.timeout = Duration(200);
  launch.policy.health.retries = 1;
  if (!MakeGroup(launch)) GTEST_SKIP() << "no cgroup2 on this machine";
  ASSERT_TRUE(Start(launch));
  const Status status = Until([](const Status& s) { return s.health == Health::kUnhealthy; });
  EXPECT_EQ(status.probe_output, "(timed out)");
  // Each probe that follows is in a new group: two sleeps and a shell, never more.
  for (int i = 0; i < 30; ++i) {
    const auto procs = sys::ReadFileIfThere(group_ + "/probe/cgroup.procs").value_or(std::nullopt).value_or("");
    EXPECT_LE(std::ranges::count(procs, '\n'), 3) << procs;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST_F(SupervisorTest, AFrozenContainerCanBeStopped) {
  Launch launch = WithHealth("trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done", "exit 0");
  launch.policy.health.timeout = Duration(1'000);
  if (!MakeGroup(launch)) GTEST_SKIP() << "no cgroup2 on this machine";
  ASSERT_TRUE(Start(launch));
  Until([](const Status& s) { return s.health == Health::kHealthy; });
  ASSERT_TRUE(sys::WriteKernelFile(group_ + "/cgroup.freeze", "1"));
  Until([this](const Status&) { return std::ranges::count(Events(), "pause") != 0; });
  Signal(SIGTERM);
  EXPECT_EQ(UntilEnded().exit_code, 5);
}

TEST_F(SupervisorTest, APolicyIsTakenUpWithoutARestart) {
  Launch launch = SmallContainer("exec sleep 100");
  ASSERT_TRUE(Start(launch));
  const Status before = Now();
  Policy policy = WithHealth("", "exit 0").policy;
  policy.digest.bytes[0] = 7;
  ASSERT_TRUE(sys::ReplaceFile(directory_ / kPolicyFile, Encode(policy), 0600));
  Signal(SIGHUP);
  const Status after = Until([&](const Status& s) { return s.health == Health::kHealthy; });
  EXPECT_EQ(after.policy_digest, policy.digest);
  EXPECT_EQ(after.workload, before.workload);
  ASSERT_TRUE(sys::ReplaceFile(directory_ / kPolicyFile, "garbage", 0600));
  Signal(SIGHUP);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(Now().policy_digest, policy.digest) << "one that does not read back leaves the one in force";
}

TEST_F(SupervisorTest, TheLogIsKeptAndRotated) {
  Launch launch = SmallContainer("echo out; for i in $(seq 400); do echo line $i; done; printf last");
  launch.policy.log_max_bytes = 2'000;
  ASSERT_TRUE(Start(launch));
  UntilEnded();
  const auto entries = LastEntries(directory_.path(), 20).value();
  ASSERT_EQ(entries.size(), 20U);
  EXPECT_EQ(entries.back().text, "last");
  EXPECT_EQ(entries[18].text, "line 400");
  for (const char* name : {"log", "log.1"}) {
    struct stat st{};
    ASSERT_EQ(::stat((directory_ / name).c_str(), &st), 0) << name;
    EXPECT_LE(st.st_size, 10'000) << name;
  }
}

TEST_F(SupervisorTest, ThereIsOnlyOneForADirectory) {
  ASSERT_TRUE(Start(SmallContainer("exec sleep 100")));
  const auto second = StartSupervisor(NUCLEUS_SUPERVISOR, directory_.path(), "");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kLocked);
}

pid_t ParentOf(pid_t pid) {
  const auto text = sys::ReadFile("/proc/" + std::to_string(pid) + "/stat").value_or("");
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

TEST_F(SupervisorTest, OneProgramStartsSeveralAndIsStartedAgainWhereItWasKilled) {
  const sys::TemporaryDirectory other, third;
  pid_t program = 0;
  {
    SupervisorStarter starter(NUCLEUS_SUPERVISOR);
    const auto start = [&](const std::string& directory) -> Result<LockHolder> {
      const Launch launch = SmallContainer("exec sleep 100");
      TRY(sys::ReplaceFile(directory + "/" + std::string(kLaunchFile), Encode(launch), 0600));
      TRY(starter.Start(directory, ""));
      return *TRY(FindSupervisor(directory));
    };
    const auto one = start(directory_.path());
    ASSERT_TRUE(one) << one.error().Message();
    program = ParentOf(one->pid);
    const auto two = start(other.path());
    ASSERT_TRUE(two) << two.error().Message();
    EXPECT_EQ(ParentOf(two->pid), program);
    const sys::Fd killed(static_cast<int>(::syscall(SYS_pidfd_open, program, 0)));
    ASSERT_EQ(::kill(program, SIGKILL), 0);
    ASSERT_TRUE(sys::WaitForExit(killed, 5'000).value());
    const auto three = start(third.path());
    ASSERT_TRUE(three) << three.error().Message();
    EXPECT_NE(ParentOf(three->pid), program);
    program = ParentOf(three->pid);
  }
  EXPECT_NE(::kill(program, 0), 0) << "it ends with who asks";
  for (const auto& directory : {directory_.path(), other.path(), third.path()}) {
    const auto holder = FindSupervisor(directory).value();
    ASSERT_TRUE(holder) << directory;
    const auto words = sys::ReadFile("/proc/" + std::to_string(holder->pid) + "/cmdline").value();
    EXPECT_TRUE(words.starts_with("nucleus-supervisor" + std::string(1, '\0') + directory + '\0')) << words;
    (void)sys::SendSignal(holder->pidfd, SIGKILL, "supervisor");
    (void)sys::WaitForExit(holder->pidfd, 5'000);
  }
}

}  // namespace
}  // namespace nucleus::process
