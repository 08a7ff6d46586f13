// Against the cgroup2 hierarchy of this machine, in a project of the test's own. Needs root; what needs a controller
// that is not there is skipped.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "actuators/cgroup/apply.hpp"
#include "actuators/cgroup/probe.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/cgroup_events.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cgroup {
namespace {

bool IsDirectory(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// A child that waits, born in a cgroup.
pid_t ChildIn(const std::string& directory) {
  const sys::Fd group(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(group.get());
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) {
    while (true) ::pause();
  }
  return pid;
}

class CgroupHost : public ::testing::Test {
 protected:
  void SetUp() override {
    auto root = sys::FindCgroupRoot();
    if (!root) GTEST_SKIP() << root.error().Message();
    root_ = *std::move(root);
    if (!root_.writable) GTEST_SKIP() << root_.base << " may not be written";
  }
  void TearDown() override {
    for (const pid_t pid : children_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    if (root_.base.empty() || !root_.writable) return;
    for (const char* name : {"web", "db"}) (void)actuator_.Undo(Key(name), nullptr, {}, {});
    EXPECT_FALSE(IsDirectory(root_.base + "/nucleus/" + project_)) << "something is left";
  }

  [[nodiscard]] PartKey Key(const std::string& name) const { return {project_, {Kind::kService, name}, Part::kCgroup}; }
  [[nodiscard]] CgroupWanted Wanted(const std::string& name, Facts limits = {}) const {
    return {.path = CgroupPath(project_, {Kind::kService, name}),
            .owner_tag = project_ + "/service." + name,
            .limits = std::move(limits),
            .unavailable = {}};
  }
  [[nodiscard]] std::string Directory(const std::string& name) const { return root_.base + "/" + Wanted(name).path; }
  Observation Look(const std::string& name, const CgroupWanted& wanted) {
    ProbeRequest request{.project = project_, .parts = {}};
    request.parts[Key(name)] = wanted;
    return CgroupProber(directories_).Probe(request).value().at(Key(name));
  }
  [[nodiscard]] bool HasController(std::string_view name) const {
    return std::find(root_.controllers.begin(), root_.controllers.end(), name) != root_.controllers.end();
  }
  pid_t Spawn(const std::string& directory) {
    const pid_t pid = ChildIn(directory);
    EXPECT_GT(pid, 0) << errno;
    children_.push_back(pid);
    return pid;
  }

  std::string project_ = "cgtest-" + std::to_string(::getpid());
  sys::CgroupRoot root_;
  Directories directories_{.state = "/var/lib/nucleus", .runtime = std::string(kRootsRuntime)};
  CgroupActuator actuator_{directories_};
  std::vector<pid_t> children_;
};

TEST_F(CgroupHost, ApplyTwiceEqualsOnceAndUndoLeavesNothing) {
  const auto wanted = Wanted("web");
  EXPECT_EQ(Look("web", wanted).presence, Presence::kAbsent);
  for (int i = 0; i < 2; ++i) {
    const auto applied = actuator_.Apply(Key("web"), wanted, {});
    ASSERT_TRUE(applied) << applied.error().Message();
    const auto seen = Look("web", wanted);
    EXPECT_EQ(seen.presence, Presence::kPresent);
    EXPECT_EQ(seen.facts, ExpectedFacts(wanted));
    EXPECT_FALSE(ReadEvents(Directory("web")).value()->populated);
  }
  EXPECT_EQ(sys::GetXattr(root_.base + "/nucleus/" + project_, kTagOwner).value(), project_);
  for (int i = 0; i < 2; ++i) {
    const auto undone = actuator_.Undo(Key("web"), nullptr, {}, {});
    ASSERT_TRUE(undone) << undone.error().Message();
    EXPECT_EQ(Look("web", wanted).presence, Presence::kAbsent);
  }
}

TEST_F(CgroupHost, UndoKillsWhatRunsAlsoInGroupsBelowAndFrozen) {
  ASSERT_TRUE(actuator_.Apply(Key("web"), Wanted("web"), {}));
  const std::string below = Directory("web") + "/a/b";
  ASSERT_TRUE(sys::MakeDirectories(below, 0755));
  const pid_t one = Spawn(Directory("web"));
  const pid_t two = Spawn(below);
  EXPECT_TRUE(ReadEvents(Directory("web")).value()->populated);
  const auto frozen = Freeze(Directory("web"), Duration(5000));
  ASSERT_TRUE(frozen) << frozen.error().Message();
  EXPECT_TRUE(ReadEvents(Directory("web")).value()->frozen);
  const auto start = std::chrono::steady_clock::now();
  const auto undone = actuator_.Undo(Key("web"), nullptr, {}, {});
  ASSERT_TRUE(undone) << undone.error().Message();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_FALSE(IsDirectory(Directory("web")));
  for (const pid_t pid : {one, two}) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, WNOHANG), pid);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  children_.clear();
}

TEST_F(CgroupHost, FreezeThawKillWait) {
  ASSERT_TRUE(actuator_.Apply(Key("web"), Wanted("web"), {}));
  const std::string directory = Directory("web");
  const pid_t child = Spawn(directory);
  EXPECT_EQ(sys::CgroupId(child).value().value(), [&] {
    struct stat st{};
    ::stat(directory.c_str(), &st);
    return st.st_ino;
  }());
  EXPECT_FALSE(WaitEmpty(directory, Duration(30)).value());
  ASSERT_TRUE(Freeze(directory, Duration(5000)));
  ASSERT_TRUE(Thaw(directory));
  EXPECT_FALSE(ReadEvents(directory).value()->frozen);
  ASSERT_TRUE(Kill(directory));
  EXPECT_TRUE(WaitEmpty(directory, Duration(5000)).value());
  ASSERT_TRUE(Freeze(directory, Duration(1000))) << "an empty group stands still";
  // What is not there is empty, killed and thawed.
  EXPECT_TRUE(WaitEmpty(directory + "/none", Duration(0)).value());
  EXPECT_TRUE(Kill(directory + "/none"));
  EXPECT_TRUE(Thaw(directory + "/none"));
  EXPECT_EQ(ReadEvents(directory + "/none").value().has_value(), false);
}

TEST_F(CgroupHost, SomebodyElsesGroupIsLeftAlone) {
  ASSERT_TRUE(actuator_.Apply(Key("web"), Wanted("web"), {}));
  ASSERT_TRUE(sys::SetXattr(Directory("web"), kTagOwner, "other/service.web"));
  EXPECT_EQ(actuator_.Apply(Key("web"), Wanted("web"), {}).error().code, ErrorCode::kConflict);
  EXPECT_EQ(actuator_.Undo(Key("web"), nullptr, {}, {}).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(IsDirectory(Directory("web")));
  ASSERT_TRUE(sys::SetXattr(Directory("web"), kTagOwner, project_ + "/service.web"));
}

// Root may have several runtime directories; control groups are the machine's.
TEST_F(CgroupHost, OneOfThatNameInAnotherRuntimeDirectoryIsNotKilled) {
  const Directories there{.state = "/one/state", .runtime = "/one/run"};
  const Directories here{.state = "/other/state", .runtime = "/other/run"};
  CgroupActuator first(there), other(here);
  const auto wanted = [&](const Directories& directories) {
    auto group = Wanted("web");
    group.owner_tag = directories.OwnerTag(project_, Key("web").address);
    return group;
  };
  ASSERT_TRUE(first.Apply(Key("web"), wanted(there), {}));
  const pid_t workload = Spawn(Directory("web"));
  const auto refused = other.Apply(Key("web"), wanted(here), {});
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_NE(refused.error().Message().find("of /one/run"), std::string::npos) << refused.error().Message();
  EXPECT_TRUE(other.Undo(Key("web"), nullptr, {}, {})) << "there is none of its own";
  EXPECT_EQ(::kill(workload, 0), 0);
  const auto seen = CgroupProber(here).Probe({.project = project_, .parts = {}});
  EXPECT_TRUE(seen && seen->empty()) << "nobody's leftover";
  // What has ended has left it to who comes next.
  ASSERT_EQ(::kill(workload, SIGKILL), 0);
  ASSERT_TRUE(WaitEmpty(Directory("web"), Duration(5000)).value());
  ASSERT_TRUE(other.Apply(Key("web"), wanted(here), {}));
  // One that does not say of which directory is ours, unless root's usual one has such a container.
  ASSERT_TRUE(sys::SetXattr(Directory("web"), kTagOwner, project_ + "/service.web"));
  EXPECT_EQ(CgroupProber(here).Probe({.project = project_, .parts = {}}).value().size(), 1u);
  ASSERT_TRUE(other.Undo(Key("web"), nullptr, {}, {}));
  EXPECT_FALSE(IsDirectory(Directory("web")));
}

TEST_F(CgroupHost, SupervisorsKeepTheirGroupUntilTheyAreGone) {
  ASSERT_TRUE(actuator_.Apply(Key("web"), Wanted("web"), {}));
  const auto supervisors = MakeSupervisorGroup(project_);
  ASSERT_TRUE(supervisors) << supervisors.error().Message();
  EXPECT_EQ(*supervisors, root_.base + "/nucleus/" + project_ + "/supervisors");
  EXPECT_EQ(MakeSupervisorGroup(project_).value(), *supervisors);
  const pid_t supervisor = Spawn(*supervisors);
  ASSERT_TRUE(actuator_.Undo(Key("web"), nullptr, {}, {}));
  EXPECT_TRUE(IsDirectory(*supervisors));
  EXPECT_EQ(::waitpid(supervisor, nullptr, WNOHANG), 0) << "a supervisor was killed";
  ASSERT_TRUE(Kill(*supervisors));
  ASSERT_TRUE(WaitEmpty(*supervisors, Duration(5000)).value());
  ASSERT_TRUE(actuator_.Undo(Key("web"), nullptr, {}, {}));
  EXPECT_FALSE(IsDirectory(root_.base + "/nucleus/" + project_));
}

TEST_F(CgroupHost, ALimitWithoutItsControllerIsNamedAndNothingIsLeft) {
  if (HasController("memory")) GTEST_SKIP() << "this machine has the memory controller";
  const auto applied = actuator_.Apply(Key("web"), Wanted("web", {{"memory.max", "536870912"}}), {});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(applied.error().Message().find("no cgroup2 controller \"memory\""), std::string::npos)
      << applied.error().Message();
  EXPECT_FALSE(IsDirectory(Directory("web")));
}

TEST_F(CgroupHost, LimitsAreSetChangedLiveAndTakenBack) {
  if (!HasController("memory") || !HasController("pids") || !HasController("cpu")) {
    GTEST_SKIP() << "cgroup2 has no memory, pids and cpu controllers here";
  }
  auto wanted = Wanted("web", {{"memory.max", "536870912"},
                               {"memory.high", "max"},
                               {"memory.oom.group", "1"},
                               {"cpu.max", "50000 100000"},
                               {"cpu.weight", "200"},
                               {"pids.max", "64"}});
  for (const char* memory : {"536870912", "1073741824", "268435456"}) {
    wanted.limits["memory.max"] = memory;
    const auto applied = actuator_.Apply(Key("web"), wanted, {});
    ASSERT_TRUE(applied) << applied.error().Message();
    EXPECT_EQ(Look("web", wanted).facts, ExpectedFacts(wanted));
  }
  // Changed behind our back: seen although nobody asked, and put right.
  auto less = wanted;
  less.limits.erase("pids.max");
  EXPECT_EQ(Look("web", less).facts.at("pids.max"), "64");
  ASSERT_TRUE(actuator_.Apply(Key("web"), less, {}));
  EXPECT_EQ(Look("web", less).facts, ExpectedFacts(less));
}

TEST_F(CgroupHost, MemoryInUseIsNotTakenByTheOomKiller) {
  if (!HasController("memory")) GTEST_SKIP() << "cgroup2 has no memory controller here";
  auto wanted = Wanted("web", {{"memory.max", "536870912"}, {"memory.high", "max"}, {"memory.oom.group", "1"}});
  struct stat st{};
  ASSERT_TRUE(actuator_.Apply(Key("web"), wanted, {}));
  if (::stat((Directory("web") + "/memory.swap.max").c_str(), &st) == 0) {
    ASSERT_TRUE(sys::WriteKernelFile(Directory("web") + "/memory.swap.max", "0"));
    wanted.limits["memory.swap.max"] = "0";
  }
  const pid_t child = ::fork();
  if (child == 0) {
    (void)sys::WriteKernelFile(Directory("web") + "/cgroup.procs", "0");
    constexpr std::size_t kSize = 64 << 20;
    auto* memory = static_cast<char*>(
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (memory == MAP_FAILED) ::_exit(1);
    while (true) ::pause();
  }
  children_.push_back(child);
  const auto used = [&] { return std::stoull(sys::ReadFile(Directory("web") + "/memory.current").value()); };
  for (int i = 0; i < 1000 && used() < (64U << 20); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  wanted.limits["memory.max"] = "33554432";
  const auto applied = actuator_.Apply(Key("web"), wanted, {});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, ErrorCode::kConflict) << applied.error().Message();
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), 0) << "it was killed";
  EXPECT_EQ(OomKills(Directory("web")).value(), 0U);
  EXPECT_EQ(Look("web", wanted).facts.at("memory.max"), "536870912");
}

TEST_F(CgroupHost, ManyAtOnce) {
  std::vector<std::jthread> threads;
  for (const char* name : {"web", "db"}) {
    threads.emplace_back([&, name] {
      for (int i = 0; i < 50; ++i) {
        const auto applied = actuator_.Apply(Key(name), Wanted(name), {});
        ASSERT_TRUE(applied) << applied.error().Message();
        const auto undone = actuator_.Undo(Key(name), nullptr, {}, {});
        ASSERT_TRUE(undone) << undone.error().Message();
      }
    });
  }
}

TEST(CgroupHostFacts, AreFilledIn) {
  Host host;
  const auto filled = FillHost(host, "no-unit");
  ASSERT_TRUE(filled) << filled.error().Message();
  EXPECT_EQ(host.boot_id.size(), 36U);
  EXPECT_GT(host.memory, 64U << 20);
  EXPECT_EQ(host.privileged, ::geteuid() == 0);
  const auto root = sys::FindCgroupRoot();
  EXPECT_EQ(host.cgroup_usable, root && root->writable);
}

}  // namespace
}  // namespace nucleus::cgroup
