// Every kind of start that fails: the message says what was tried, on what, and why; nothing is left of the child, and
// no descriptor in the parent.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstddef>
#include <memory>

#include "actuators/process/child_data.hpp"
#include "actuators/process/child_testing.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

using enum MountOp::Type;

std::size_t OpenFiles() {
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> dir(::opendir("/proc/self/fd"));
  std::size_t count = 0;
  while (::readdir(dir.get()) != nullptr) ++count;
  return count;
}

class FailureTest : public OfBothKinds {
 protected:
  static void Expect(const Launch& launch, std::string_view message, int exit_code) {
    const std::size_t before = OpenFiles();
    {
      const auto outcome = RunToEnd(launch);
      ASSERT_FALSE(outcome) << "it started: " << outcome->text;
      EXPECT_NE(outcome.error().Message().find(message), std::string::npos) << outcome.error().Message();
      EXPECT_EQ(ExitCodeOf(outcome.error()), exit_code) << outcome.error().Message();
    }
    EXPECT_EQ(OpenFiles(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG | __WALL), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
  }
  // With an operation before the root is sealed.
  static Launch With(MountOp op) {
    Launch launch = SmallContainer("true");
    launch.mounts.insert(launch.mounts.end() - 1, std::move(op));
    return launch;
  }
};

TEST_P(FailureTest, TheProgram) {
  Launch launch = SmallContainer("");
  for (const bool init : {false, true}) {
    launch.init = init;
    launch.argv = {"no-such-program"};
    Expect(launch, "execute no-such-program: it is in no directory of PATH inside the container", 127);
    launch.argv = {"/bin/none"};
    Expect(launch, "execute /bin/none: not found inside the container", 127);
    launch.argv = {"/tmp"};
    Expect(launch, "execute /tmp: Permission denied (EACCES)", 126);
    launch.argv = {"/proc/self/status"};
    Expect(launch, "execute /proc/self/status: Permission denied (EACCES)", 126);
  }
}

TEST_P(FailureTest, AnInterpreterThatIsNotThere) {
  Launch launch = SmallContainer("");
  MountOp script = Op(kFile, "/bin/script");
  script.data = "#!/no/such/interpreter\n";
  script.mode = 0755;
  launch.mounts.insert(launch.mounts.end() - 1, script);
  launch.argv = {"script"};
  Expect(launch, "execute script: its interpreter or loader is missing", 127);
}

TEST_P(FailureTest, AMountThatCannotBe) {
  Expect(With(Op(kBind, "/tmp/x", "/no/such/source")), "mount /no/such/source at /tmp/x: No such file", 125);
  Expect(With(Filesystem("/tmp", "nosuchfs", 0)), "mount nosuchfs at /tmp: No such device (ENODEV) <- fsopen", 125);
  Expect(With(Filesystem("/tmp", "tmpfs", 0, "mode=banana")), "mount tmpfs at /tmp (mode=banana): Invalid argument",
         125);
  MountOp file = Op(kFile, "/proc/x");
  Expect(With(file), "write file /proc/x: Read-only file system (EROFS)", 125);
}

TEST_P(FailureTest, AMountPointThatIsMissingWhereNothingMayBeMade) {
  const sys::TemporaryDirectory image;
  ASSERT_EQ(::mkdir((image / "proc").c_str(), 0755), 0);
  Launch launch = SmallContainer("true");
  launch.mounts = {Op(kRootBind, "", image.path(), kMountReadOnly), Filesystem("/proc", "proc", kInert),
                   Filesystem("/missing", "tmpfs", kInert)};
  Expect(launch, "mount tmpfs at /missing (nosuid,nodev,noexec): No such file or directory (ENOENT) <- open the target",
         125);
}

// Since the launch was compiled somebody has put it there; inside the root as well as out of it.
TEST_P(FailureTest, ALinkOnTheWayToATarget) {
  for (const char* to : {"/proc", "/tmp", "../../../../etc", "/proc/self/root/etc"}) {
    MountOp link = Op(kSymlink, "/bin/link");
    link.data = to;
    for (const char* target : {"/bin/link", "/bin/link/below"}) {
      Launch launch = With(link);
      launch.mounts.insert(launch.mounts.end() - 1, Filesystem(target, "tmpfs", kInert));
      Expect(launch, "Too many levels of symbolic links (ELOOP) <- open the target", 125);
    }
  }
}

TEST_P(FailureTest, TheWorkingDirectory) {
  Launch launch = SmallContainer("pwd");
  for (const char* workdir : {"/missing", "/bin/busybox"}) {
    launch.workdir = workdir;
    Expect(launch, std::string("enter working directory ") + workdir, 125);
  }
  // CVE-2024-21626: a descriptor that leads out of the container.
  const sys::Fd out(::open("/", O_PATH | O_DIRECTORY));
  const sys::Fd high(::fcntl(out.get(), F_DUPFD, 40));
  for (int fd = 0; fd < 64; ++fd) {
    launch.workdir = "/proc/self/fd/" + std::to_string(fd);
    Expect(launch, "enter working directory /proc/self/fd/", 125);
  }
}

TEST_P(FailureTest, NoNullDeviceToReadFrom) {
  Launch launch = SmallContainer("true");
  std::erase_if(launch.mounts, [](const MountOp& op) { return op.target == "/dev/null"; });
  Expect(launch, "open the container's /dev/null: No such file or directory (ENOENT)", 125);
  MountOp plain = Op(kFile, "/dev/null");
  launch.mounts.insert(launch.mounts.end() - 1, plain);
  Expect(launch, "open the container's /dev/null: ", 125);
}

TEST_P(FailureTest, ASeccompProgramThatTheKernelDoesNotTake) {
  Launch launch = SmallContainer("true");
  launch.security.seccomp = {{BPF_JMP | BPF_JA, 0, 0, 100}};
  Expect(launch, "load seccomp program: Invalid argument (EINVAL)", 125);
}

TEST_P(FailureTest, AMountBelowAnotherIsAuditedToo) {
  // A recursive clone brings a mount along that is less strict than what was asked of the whole: it is made so.
  const sys::TemporaryDirectory tree;
  ASSERT_EQ(::mkdir((tree / "inner").c_str(), 0755), 0);
  ASSERT_EQ(::mount("tmpfs", (tree / "inner").c_str(), "tmpfs", 0, nullptr), 0);
  MountOp bind = Op(kBind, "/tmp/tree", tree.path(), kInert | kMountReadOnly);
  bind.recursive = true;
  Launch launch = With(bind);
  launch.identity = {};
  launch.argv = {"sh", "-c", "touch /tmp/tree/inner/x 2>&1; grep tree /proc/self/mountinfo"};
  const auto outcome = RunToEnd(launch);
  ASSERT_TRUE(outcome) << outcome.error().Message();
  EXPECT_NE(outcome->text.find("Read-only file system"), std::string::npos) << outcome->text;
  EXPECT_NE(outcome->text.find("/tmp/tree/inner ro,nosuid,nodev,noexec"), std::string::npos) << outcome->text;
  ::umount2((tree / "inner").c_str(), MNT_DETACH);
}

TEST(PrepareTest, WhatCannotBeMeantIsRefusedBeforeAnythingIsStarted) {
  const auto refused = [](auto change) {
    Launch launch = SmallContainer("true");
    change(launch);
    return !Prepare(launch).has_value();
  };
  EXPECT_TRUE(refused([](Launch& l) { l.argv.clear(); }));
  EXPECT_TRUE(refused([](Launch& l) { l.argv = {""}; }));
  EXPECT_TRUE(refused([](Launch& l) { l.mounts.clear(); }));
  EXPECT_TRUE(refused([](Launch& l) { l.mounts.push_back(l.mounts.front()); }));
  EXPECT_TRUE(refused([](Launch& l) { l.env.emplace_back("A\0B", 3); }));
  EXPECT_TRUE(refused([](Launch& l) { l.mounts.back().target = std::string("/a\0b", 4); }));
  EXPECT_TRUE(refused([](Launch& l) { l.security.seccomp.resize(5000); }));
  EXPECT_TRUE(refused([](Launch& l) {
    l.security.landlock = {
        .enabled = true, .required = true, .min_abi = 1000, .handled_fs = 1, .scoped = 0, .rules = {}};
  }));
  EXPECT_FALSE(refused([](Launch& l) {
    l.security.landlock = {
        .enabled = true, .required = false, .min_abi = 1000, .handled_fs = 1, .scoped = 0, .rules = {}};
  }));
}

// A kernel before Linux 6.4 has no "noswap": fsconfig(2) sets no flag.
bool SetNoFlags() {
  sock_filter lines[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                         {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_fsconfig},
                         {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args[1])},
                         {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0},
                         {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EINVAL},
                         {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && LoadSeccomp(lines, std::size(lines));
}

// By a process of its own, with what the machine is made out to swap to. The number of warnings; 100: it is refused.
int WarningsOfSecrets(bool production, const std::string& swaps, bool old_kernel) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    Launch launch = SmallContainer("true");
    launch.production = production;
    launch.mounts.insert(launch.mounts.end() - 1, Op(kSecrets, "/run/secrets"));
    if (::mount(swaps.c_str(), "/proc/swaps", nullptr, MS_BIND, nullptr) != 0) ::_exit(101);
    if (old_kernel && !SetNoFlags()) ::_exit(102);
    const auto prepared = Prepare(launch);
    ::umount("/proc/swaps");
    ::_exit(prepared ? static_cast<int>(prepared->buffers().warnings.size()) : 100);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_P(FailureTest, SecretsThatMayBeSwappedAreWarnedOfAndRefusedInProduction) {
  const sys::TemporaryDirectory directory;
  const std::string with = directory / "with", without = directory / "without";
  ASSERT_TRUE(sys::ReplaceFile(without, "Filename Type Size Used Priority\n", 0644));
  ASSERT_TRUE(sys::ReplaceFile(with, "Filename Type Size Used Priority\n/dev/sda2 partition 1000 0 -2\n", 0644));
  EXPECT_EQ(WarningsOfSecrets(false, with, true), 1);
  EXPECT_EQ(WarningsOfSecrets(true, with, true), 100);
  for (const bool production : {false, true}) {
    EXPECT_EQ(WarningsOfSecrets(production, without, true), 0);
    EXPECT_EQ(WarningsOfSecrets(production, with, false), 0) << "needs Linux 6.4";
  }
}

INSTANTIATE_TEST_SUITE_P(Child, FailureTest, testing::Bool(), KindOf);

}  // namespace
}  // namespace nucleus::process
