#include "actuators/sys/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actuators/sys/cgroupfs.hpp"

namespace nucleus::sys {
namespace {

// A child that waits to be killed; reaped with its owner.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_NAME, ") 1 (x");  // a hostile name: field 22 is still found
      while (true) ::pause();
    }
  }
  ~Child() { Kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

MountEntry Mount(const char* root, const char* point, const char* options, const char* fstype) {
  MountEntry entry;
  entry.root = root;
  entry.mount_point = point;
  entry.options = options;
  entry.fstype = fstype;
  return entry;
}

TEST(Process, IdentityHoldsUntilTheEnd) {
  Child child;
  const auto identity = IdentityOf(child.pid());
  ASSERT_TRUE(identity) << identity.error().Message();
  EXPECT_GT(identity->start_time, 0U);
  EXPECT_EQ(identity->boot_id.size(), 36U);
  auto fd = OpenIdentified(*identity);
  ASSERT_TRUE(fd) << fd.error().Message();
  ASSERT_TRUE(*fd);
  EXPECT_FALSE(WaitForExit(**fd, 20).value());
  ASSERT_TRUE(SendSignal(**fd, SIGTERM, "child"));
  EXPECT_TRUE(WaitForExit(**fd, 5000).value());
  child.Kill();
  EXPECT_TRUE(SendSignal(**fd, SIGTERM, "child")) << "a process that is gone needs no signal";
  EXPECT_EQ(OpenIdentified(*identity).value().has_value(), false);
  EXPECT_EQ(StartTime(identity->pid).value(), std::nullopt);
  EXPECT_EQ(CgroupId(identity->pid).value(), std::nullopt);
}

TEST(Process, EachOfTheFourDecides) {
  const Child child;
  const auto identity = IdentityOf(child.pid()).value();
  auto other = identity;
  other.start_time += 1;
  EXPECT_FALSE(OpenIdentified(other).value());
  other = identity;
  other.boot_id[0] = other.boot_id[0] == 'a' ? 'b' : 'a';
  EXPECT_FALSE(OpenIdentified(other).value());
  other = identity;
  other.cgroup_id += 1;
  EXPECT_FALSE(OpenIdentified(other).value());
  other = identity;
  other.pid = ::getpid();
  EXPECT_FALSE(OpenIdentified(other).value());
  EXPECT_TRUE(OpenIdentified(identity).value());
  EXPECT_FALSE(OpenIdentified(ProcessIdentity{}).value());
}

TEST(Process, IsAliveInWhicheverGroupUntilItsEnd) {
  Child child;
  auto identity = IdentityOf(child.pid()).value();
  identity.cgroup_id += 1;
  EXPECT_TRUE(IsAlive(identity).value());
  auto other = identity;
  other.start_time += 1;
  EXPECT_FALSE(IsAlive(other).value());
  other = identity;
  other.boot_id[0] = other.boot_id[0] == 'a' ? 'b' : 'a';
  EXPECT_FALSE(IsAlive(other).value());
  EXPECT_FALSE(IsAlive(ProcessIdentity{}).value());
  const auto fd = OpenIdentified(IdentityOf(child.pid()).value()).value();
  ASSERT_TRUE(SendSignal(*fd, SIGKILL, "child"));
  ASSERT_TRUE(WaitForExit(*fd, 60'000).value());
  EXPECT_FALSE(IsAlive(identity).value()) << "a zombie";
  child.Kill();
  EXPECT_FALSE(IsAlive(identity).value());
}

TEST(Process, StartTimeIsTheKernels) {
  const auto mine = StartTime(::getpid()).value();
  const Child child;
  const auto later = StartTime(child.pid()).value();
  ASSERT_TRUE(mine && later);
  EXPECT_GE(*later, *mine);
}

TEST(Cgroupfs, FindsTheDirectoryOfAProcess) {
  const MountEntry whole = Mount("/", "/cg", "rw", "cgroup2");
  const MountEntry part = Mount("/a", "/part", "rw", "cgroup2");
  EXPECT_EQ(CgroupDirectory("9:name=systemd:/x\n0::/a/b\n", whole), "/cg/a/b");
  EXPECT_EQ(CgroupDirectory("0::/\n", whole), "/cg");
  EXPECT_EQ(CgroupDirectory("0::/a/b\n", part), "/part/b");
  EXPECT_EQ(CgroupDirectory("0::/a\n", part), "/part");
  EXPECT_EQ(CgroupDirectory("0::/ab\n", part), std::nullopt);
  EXPECT_EQ(CgroupDirectory("0::/../x\n", whole), std::nullopt);
  EXPECT_EQ(CgroupDirectory("0::/a (deleted)\n", whole), std::nullopt);
  EXPECT_EQ(CgroupDirectory("4:memory:/x\n", whole), std::nullopt);
}

TEST(Cgroupfs, PrefersTheWholeHierarchyThenTheWritable) {
  const MountEntry part = Mount("/a", "/part", "rw", "cgroup2");
  const MountEntry ro = Mount("/", "/ro", "ro,nosuid", "cgroup2");
  const MountEntry rw = Mount("/", "/rw", "rw,nosuid", "cgroup2");
  const MountEntry v1 = Mount("/", "/v1", "rw", "cgroup");
  EXPECT_EQ(ChooseCgroupMount({v1, part, ro, rw})->mount_point, "/rw");
  EXPECT_EQ(ChooseCgroupMount({v1, part, ro})->mount_point, "/ro");
  EXPECT_EQ(ChooseCgroupMount({v1, part})->mount_point, "/part");
  EXPECT_EQ(ChooseCgroupMount({v1}), std::nullopt);
}

TEST(Cgroupfs, FindsThisMachines) {
  const auto root = FindCgroupRoot();
  if (!root && root.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << root.error().Message();
  ASSERT_TRUE(root) << root.error().Message();
  EXPECT_TRUE(root->base.starts_with(root->mount));
  EXPECT_EQ(::access((root->base + "/cgroup.procs").c_str(), F_OK), 0);
  // By whatever way it was found, it is what mountinfo says.
  const auto mounts = ReadMountinfo();
  ASSERT_TRUE(mounts);
  const auto chosen = ChooseCgroupMount(*mounts);
  ASSERT_TRUE(chosen);
  struct stat found{}, listed{};
  ASSERT_EQ(::stat(root->mount.c_str(), &found), 0);
  ASSERT_EQ(::stat(chosen->mount_point.c_str(), &listed), 0);
  EXPECT_EQ(found.st_dev, listed.st_dev);
  EXPECT_EQ(found.st_ino, listed.st_ino);
}

}  // namespace
}  // namespace nucleus::sys
