#include "actuators/security/compile.hpp"

#include <gtest/gtest.h>

#include "actuators/security/landlock_abi.hpp"

namespace nucleus::security {
namespace {

MountOp Mount(MountOp::Type type, std::string target, std::uint64_t flags = 0, std::string fstype = "") {
  MountOp op;
  op.type = type;
  op.target = std::move(target);
  op.flags = flags;
  op.fstype = std::move(fstype);
  return op;
}

std::uint64_t AccessAt(const Landlock& landlock, std::string_view path) {
  for (const LandlockRule& rule : landlock.rules)
    if (rule.path == path) return rule.access;
  return 0;
}

const std::vector<MountOp> kMounts = {
    Mount(MountOp::Type::kFilesystem, "/proc", kMountNoExec, "proc"),
    Mount(MountOp::Type::kFilesystem, "/sys", kMountReadOnly, "sysfs"),
    Mount(MountOp::Type::kFilesystem, "/sys/fs/cgroup", kMountReadOnly, "cgroup2"),
    Mount(MountOp::Type::kFilesystem, "/dev", 0, "tmpfs"),
    Mount(MountOp::Type::kBind, "/dev/null", kMountReadOnly),
    Mount(MountOp::Type::kFilesystem, "/dev/pts", 0, "devpts"),
    Mount(MountOp::Type::kFilesystem, "/tmp", 0, "tmpfs"),
    Mount(MountOp::Type::kBind, "/data"),
    Mount(MountOp::Type::kBind, "/config", kMountReadOnly),
};

TEST(DefaultLandlock, RulesFollowWhatIsMountedWhere) {
  const Landlock landlock = DefaultLandlock(kMounts, true);
  EXPECT_EQ(AccessAt(landlock, "/"), kReadAccess | kExecute);
  EXPECT_EQ(AccessAt(landlock, "/tmp"), kWriteAccess);
  EXPECT_EQ(AccessAt(landlock, "/data"), kWriteAccess);
  for (const char* path : {"/config", "/sys", "/sys/fs/cgroup"}) EXPECT_EQ(AccessAt(landlock, path), 0U) << path;
  EXPECT_EQ(AccessAt(landlock, "/dev"), kReadAccess);
  // A device is written to although its mount is read-only.
  EXPECT_EQ(AccessAt(landlock, "/dev/null"), kReadFile | kWriteFile | kTruncate | kIoctlDev);
  EXPECT_EQ(AccessAt(landlock, "/dev/pts") & kIoctlDev, kIoctlDev);
}

TEST(DefaultLandlock, NothingThatIsWrittenMayMakeDevicesOrBeExecutedByItself) {
  for (const LandlockRule& rule : DefaultLandlock(kMounts, true).rules) {
    EXPECT_EQ(rule.access & (kMakeChar | kMakeBlock), 0U) << rule.path;
    EXPECT_EQ((rule.access & kExecute) != 0, rule.path == "/") << rule.path;
  }
}

TEST(DefaultLandlock, ProductionInsistsOnAnAbiAgentModeTakesWhatThereIs) {
  EXPECT_TRUE(DefaultLandlock(kMounts, true).required);
  EXPECT_EQ(DefaultLandlock(kMounts, true).min_abi, kMinAbiProduction);
  EXPECT_FALSE(DefaultLandlock(kMounts, false).required);
  EXPECT_EQ(DefaultLandlock(kMounts, false).handled_fs, kAllFs);
}

TEST(CompileSecurity, ThereIsNoCapabilityInAnySet) {
  const spec::Service service;
  const auto security = CompileSecurity({.service = &service, .mounts = kMounts});
  ASSERT_TRUE(security);
  EXPECT_EQ(security->capabilities, CapabilitySets{});
  EXPECT_FALSE(security->seccomp.empty());
  EXPECT_TRUE(security->landlock.enabled);
}

}  // namespace
}  // namespace nucleus::security
