// For host tests of the interpreter: a small container around a static busybox, and what came of it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <optional>
#include <string>
#include <utility>

#include "actuators/process/child.hpp"
#include "actuators/sys/clone_onto.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::process {

inline constexpr const char* kBusybox = "/usr/bin/busybox";

// Whether this process may do what the tests need. Its mounts are its own from here on.
inline bool Isolate() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::access(kBusybox, X_OK) == 0;
}

inline MountOp Op(MountOp::Type type, std::string target, std::string source = "", std::uint64_t flags = 0) {
  MountOp op;
  op.type = type;
  op.target = std::move(target);
  op.source = std::move(source);
  op.flags = flags;
  return op;
}
inline MountOp Filesystem(std::string target, std::string fstype, std::uint64_t flags, std::string data = "") {
  MountOp op = Op(MountOp::Type::kFilesystem, std::move(target), "", flags);
  op.fstype = std::move(fstype);
  op.data = std::move(data);
  return op;
}
inline MountOp Directory(std::string target, std::uint32_t mode = 0755) {
  MountOp op = Op(MountOp::Type::kDirectory, std::move(target));
  op.mode = mode;
  return op;
}

inline constexpr std::uint64_t kInert = kMountNoSuid | kMountNoDev | kMountNoExec;

// A shell of busybox in a tmpfs: /bin, /proc, /dev, /tmp. The command is run by "sh -c".
inline Launch SmallContainer(std::string command) {
  using enum MountOp::Type;
  Launch launch;
  launch.address = "service.test";
  launch.argv = {"sh", "-c", std::move(command)};
  launch.env = {"PATH=/bin", "CANARY=1"};
  launch.workdir = "/";
  launch.hostname = "small";
  launch.identity = {1000, 1001, {1002, 1003}};
  MountOp root = Op(kRootTmpfs, "", "", kMountNoSuid | kMountNoDev);
  root.data = "mode=0755";
  launch.mounts = {root, Directory("/bin"), Op(kBind, "/bin/busybox", kBusybox, kMountReadOnly | kMountNoSuid)};
  for (const char* name :
       {"sh",  "cat",  "ls",    "readlink", "stat",  "id",   "kill", "sleep", "hostname", "chmod", "true",
        "pwd", "grep", "mkdir", "mount",    "touch", "trap", "ps",   "rm",    "nc",       "seq"}) {
    MountOp link = Op(kSymlink, std::string("/bin/") + name);
    link.data = "busybox";
    launch.mounts.push_back(link);
  }
  launch.mounts.push_back(Filesystem("/proc", "proc", kInert));
  launch.mounts.push_back(Filesystem("/dev", "tmpfs", kMountNoSuid | kMountNoExec, "mode=0755"));
  launch.mounts.push_back(Op(kBind, "/dev/null", "/dev/null", kMountReadOnly | kMountNoSuid | kMountNoExec));
  launch.mounts.push_back(Filesystem("/tmp", "tmpfs", kInert, "mode=1777,size=1m"));
  launch.mounts.push_back(Op(kSealRoot, ""));
  launch.security.seccomp = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  launch.mount_audit = true;
  return launch;
}

struct Outcome {
  std::string text;  // standard output and error
  int status = -1;   // exit code, 128+N for a signal
};

// What a child is given that shares our memory until it executes; null: it has a copy.
inline const Loan* lent = nullptr;

// Every test with both kinds of children.
class OfBothKinds : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    isolated_ = Isolate();
    // Where this is started by something that has another, nothing would be lent.
    if (isolated_) (void)sys::WriteKernelFile("/proc/self/oom_score_adj", "0");
  }
  void SetUp() override {
    if (!isolated_) GTEST_SKIP() << "needs CAP_SYS_ADMIN and " << kBusybox;
    if (!GetParam()) return;
    ASSERT_TRUE(beside_.emplace([] { return Result<>(); }).Get());
    lent = beside_->loan();
    if (!sys::kCanCloneOnto) GTEST_SKIP() << "nothing is lent in a build for another processor, or a sanitized one";
    ASSERT_NE(lent, nullptr) << "has this test a score of the OOM killer?";
  }
  void TearDown() override { lent = nullptr; }

 private:
  static inline bool isolated_ = false;
  std::optional<BesideThread> beside_;
};
inline std::string KindOf(const testing::TestParamInfo<bool>& test) {
  return test.param ? "ThatShares" : "ThatCopies";
}

// Runs it to its end.
inline Result<Outcome> RunToEnd(const Launch& launch) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailSys("pipe2", "output");
  const sys::Fd read(ends[0]);
  sys::Fd write(ends[1]);
  const Prepared prepared = TRY(Prepare(launch));
  const Running running = TRY(Spawn(prepared, {.in = -1, .out = write.get(), .err = write.get()}, {.loan = lent}));
  write.reset();
  Outcome outcome{.text = TRY(sys::ReadAll(read.get(), "output"))};
  int status = 0;
  if (::waitpid(running.pid, &status, __WALL) != running.pid) return FailSys("waitpid", "container");
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace nucleus::process
