// The compile step against directories that stand in for a rootfs and for volumes: needs no privilege, mounts nothing.
#include "actuators/mounts/compile.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "actuators/mounts/tree.hpp"
#include "actuators/sys/testing.hpp"
#include "spec/core/paths.hpp"

namespace nucleus::mounts {
namespace {

using Type = MountOp::Type;

class CompileTest : public testing::Test {
 protected:
  CompileTest() {
    service_.name = "web";
    service_.rootfs = Make("root");
    for (const char* name : {"root/etc", "root/usr", "vol", "vol/inner"}) Make(name);
    input_.service = &service_;
    input_.service_dir = Make("service");
    input_.directories = {.state = scratch_ / "state", .runtime = scratch_ / "run"};
    input_.workload = {.uid = 1000, .gid = 1000, .name = "web", .home = "/home/web", .shell = {}, .groups = {}};
  }
  std::string Make(std::string_view name) {
    EXPECT_TRUE(sys::MakeDirectories(scratch_ / name, 0755));
    return scratch_ / name;
  }
  void Link(std::string_view to, std::string_view name) {
    ASSERT_EQ(::symlink(std::string(to).c_str(), (scratch_ / name).c_str()), 0);
  }
  void Volume(std::string destination, bool read_only = false, std::string_view source = "vol") {
    spec::VolumeMount mount;
    mount.source = source.starts_with('/') ? std::string(source) : scratch_ / source;
    mount.destination = std::move(destination);
    mount.read_only = read_only;
    service_.volumes.push_back(mount);
  }
  std::vector<MountOp> Compile() {
    auto ops = CompileMounts(input_);
    EXPECT_TRUE(ops) << ops.error().Message();
    return ops ? *ops : std::vector<MountOp>();
  }
  std::string Complaint() {
    const auto ops = CompileMounts(input_);
    return ops ? "" : ops.error().Message();
  }
  static const MountOp* At(const std::vector<MountOp>& ops, std::string_view target, bool mount = true) {
    const auto found =
        std::ranges::find_if(ops, [&](const MountOp& op) { return op.target == target && IsMount(op) == mount; });
    return found == ops.end() ? nullptr : &*found;
  }

  sys::TemporaryDirectory scratch_;
  spec::Service service_;
  MountsInput input_;
};

TEST_F(CompileTest, ARootfsWithoutMountPointsGetsASkeletonAndKeepsItsOwnersAndModes) {
  ASSERT_EQ(::chmod((scratch_ / "root/etc").c_str(), 0711), 0);
  const auto ops = Compile();
  ASSERT_FALSE(ops.empty());
  EXPECT_EQ(ops[0].type, Type::kRootOverlay);
  EXPECT_EQ(ops[0].flags, kMountReadOnly | kMountNoSuid | kMountNoDev);
  const MountOp* etc = At(ops, "/etc", false);
  ASSERT_NE(etc, nullptr);
  EXPECT_TRUE(etc->skeleton);
  EXPECT_EQ(etc->mode, 0711U);
  EXPECT_TRUE(At(ops, "/proc", false)->skeleton);
}

TEST_F(CompileTest, ACompleteRootfsIsMountedAsItIs) {
  const auto first = Compile();
  for (const MountOp& op : first) {
    if (!IsMount(op) || op.target.starts_with("/sys/") || op.target.starts_with("/dev/")) continue;
    if (op.type == Type::kBind && op.target.starts_with("/etc/")) {
      ASSERT_TRUE(sys::ReplaceFile(scratch_ / ("root" + op.target), "", 0644));
    } else {
      Make("root" + op.target);
    }
  }
  const auto ops = Compile();
  EXPECT_EQ(ops[0].type, Type::kRootBind);
  EXPECT_NE(ops[0].flags & kMountReadOnly, 0U);
  EXPECT_TRUE(std::ranges::none_of(ops, &MountOp::skeleton));
}

TEST_F(CompileTest, WithoutARootfsTheHostsProgramsAreReadOnlyAndTheRootIsSealed) {
  service_.rootfs.clear();
  const auto ops = Compile();
  EXPECT_EQ(ops[0].type, Type::kRootTmpfs);
  EXPECT_EQ(ops.back().type, Type::kSealRoot);
  ASSERT_NE(At(ops, "/usr"), nullptr);
  EXPECT_NE(At(ops, "/usr")->flags & kMountReadOnly, 0U);
  EXPECT_EQ(At(ops, "/home/web")->mode, 0755U);
  for (const char* path : {"/etc/shadow", "/etc/ssh", "/etc/ssl", "/root/.ssh", "/boot", "/var/lib"})
    EXPECT_EQ(At(ops, path), nullptr) << path;
}

TEST_F(CompileTest, AVolumeHasTheFlagsThatWereAskedFor) {
  Volume("/data", true);
  Volume("/more/deep");
  const auto ops = Compile();
  EXPECT_EQ(At(ops, "/data")->flags, kMountReadOnly | kMountNoSuid | kMountNoDev);
  EXPECT_EQ(At(ops, "/more/deep")->flags, kMountNoSuid | kMountNoDev);
  EXPECT_TRUE(At(ops, "/data")->no_follow);
  EXPECT_TRUE(At(ops, "/more", false)->skeleton);
}

TEST_F(CompileTest, LinksOfTheImageAreFollowedInsideItOnly) {
  Link("/usr/share", "root/share");
  Make("root/usr/share");
  Link("../../../../../../usr", "root/up");
  Volume("/share/data");
  Volume("/up/data2");
  const auto ops = Compile();
  EXPECT_NE(At(ops, "/usr/share/data"), nullptr);
  EXPECT_NE(At(ops, "/usr/data2"), nullptr);
}

TEST_F(CompileTest, ALinkToTheKernelsInterfacesIsNoPlaceForAVolume) {
  Link("/proc", "root/p");
  Make("root/proc/self");
  Volume("/p/self");
  EXPECT_NE(Complaint().find("nothing may be mounted below /proc"), std::string::npos) << Complaint();
}

TEST_F(CompileTest, WhateverAnImageHasAtAMountPointIsCovered) {
  Link("/etc", "root/proc");
  Link("/etc", "root/dev");
  ASSERT_TRUE(sys::ReplaceFile(scratch_ / "root/sys", "file", 0644));
  ASSERT_EQ(::mkfifo((scratch_ / "root/etc/resolv.conf").c_str(), 0644), 0);
  Link("/etc/shadow", "root/etc/hosts");
  const auto ops = Compile();
  for (const char* path : {"/proc", "/dev", "/sys", "/etc/resolv.conf", "/etc/hosts"}) {
    ASSERT_NE(At(ops, path), nullptr) << path;
    ASSERT_NE(At(ops, path, false), nullptr) << path;
    EXPECT_TRUE(At(ops, path, false)->skeleton) << path;
  }
}

TEST_F(CompileTest, AMountInsideAVolumeNeedsItsPlaceThere) {
  Volume("/data");
  Volume("/data/inner", false, "vol/inner");
  EXPECT_EQ(Complaint(), "");
  Volume("/data/missing", false, "vol/inner");
  EXPECT_NE(Complaint().find("vol/missing does not exist, or is a link"), std::string::npos) << Complaint();
}

TEST_F(CompileTest, ASourceThatIsALinkOrNotThereOrDeniedIsRefused) {
  Link(scratch_ / "vol", "link");
  Volume("/data", true, "link");
  EXPECT_NE(Complaint().find("a symbolic link in the path is not followed"), std::string::npos) << Complaint();
  service_.volumes.clear();
  Volume("/data", true, "nowhere");
  EXPECT_NE(Complaint(), "");
  service_.volumes.clear();
  Volume("/data", true, "/proc/sys");
  EXPECT_NE(Complaint(), "");
}

// The copy that is mounted instead must not make the original's path acceptable.
TEST_F(CompileTest, AStagedFileIsJudgedByItsOriginal) {
  ASSERT_TRUE(sys::ReplaceFile(scratch_ / "service/copy", "x", 0644));
  ASSERT_TRUE(sys::ReplaceFile(scratch_ / "conf", "x", 0644));
  input_.staged["/x"] = scratch_ / "service/copy";
  Volume("/x", true, "conf");
  EXPECT_EQ(Complaint(), "");
  service_.volumes.clear();
  Volume("/x", true, "/etc/shadow");
  EXPECT_NE(Complaint().find("the machine's passwords"), std::string::npos) << Complaint();
  service_.volumes.clear();
  Link("/etc/passwd", "link");
  Volume("/x", true, "link");
  EXPECT_NE(Complaint().find("symbolic link"), std::string::npos) << Complaint();
}

TEST_F(CompileTest, AnErrorBeginsWithTheKeyThatItIsAbout) {
  const auto blamed = [this] {
    const auto ops = CompileMounts(input_);
    const std::string where = ops || ops.error().trail.empty() ? "" : ops.error().trail.front();
    service_.volumes.clear();
    service_.tmpfs.clear();
    service_.secrets.clear();
    service_.context.clear();
    return where;
  };
  Volume("/data", true, "nowhere");
  EXPECT_EQ(blamed(), "volumes /data");
  service_.secrets = {{scratch_ / "vol", "/etc/hosts"}};
  EXPECT_EQ(blamed(), "secrets /etc/hosts");
  service_.context = scratch_ / "nowhere";
  EXPECT_EQ(blamed(), "context");
  service_.rootfs = scratch_ / "nowhere";
  EXPECT_EQ(blamed(), "rootfs");
  service_.rootfs.clear();
  service_.tmpfs = {{"/usr", 0}};
  EXPECT_EQ(blamed(), "tmpfs /usr");
  service_.tmpfs = {{"/etc", 0}};
  EXPECT_EQ(blamed(), "tmpfs /etc") << "which holds mounts of the host's";
  Volume("/var/run");
  EXPECT_EQ(blamed(), "volumes /var/run") << "a link";
}

// Before other steps have run.
TEST_F(CompileTest, WhatMayComeIsNotMissed) {
  spec::VolumeMount named;
  named.volume = "data";
  named.destination = "/data";
  service_.volumes = {named};
  input_.volume_paths = {{"data", scratch_ / "made/later"}};
  Volume("/data/inner");
  EXPECT_NE(Complaint(), "");
  input_.may_come = [this](const std::string& path) { return IsAtOrBelow(path, scratch_ / "made"); };
  EXPECT_EQ(Complaint(), "");
  Volume("/more", true, "nowhere");
  EXPECT_NE(Complaint(), "");
}

// By the mask it would be hidden too.
TEST_F(CompileTest, NothingIsMountedBelowWhatIsHiddenOfABoundContext) {
  for (const char* name : {"root/context", "ctx/.git/sub", "ctx/src/out/sub", "ctx/seen/sub"}) Make(name);
  Link("/context", "root/data");
  service_.context = scratch_ / "ctx";
  service_.context_mode = spec::ContextMode::kBind;
  service_.context_exclude = {"out/"};
  for (const bool later : {false, true}) {
    input_.may_come = later ? [](const std::string&) { return true; } : std::function<bool(const std::string&)>();
    const auto said = [&](const char* target) {
      service_.volumes.clear();
      Volume(target);
      return Complaint();
    };
    EXPECT_NE(said("/context/.git/sub").find("/context/.git of the context is hidden"), std::string::npos);
    EXPECT_NE(said("/context/src/out/sub").find("/context/src/out of the context is hidden"), std::string::npos);
    EXPECT_NE(said("/data/.git/sub").find("/context/.git of the context is hidden"), std::string::npos) << "by a link";
    EXPECT_EQ(said("/context/.git"), "") << "in its place";
    EXPECT_EQ(said("/context/seen/sub"), "");
    Volume("/context/.git");
    Volume("/context/.git/inner");
    EXPECT_EQ(Complaint(), "") << "below what is mounted in its place";
    service_.context_include = {".git"};
    EXPECT_EQ(said("/context/.git/sub"), "");
    service_.context_include.clear();
  }
}

TEST_F(CompileTest, NothingIsMountedOverTheKernelsInterfaces) {
  for (const char* destination : {"/proc", "/proc/sys", "/sys/fs", "/dev", "/dev/pts", "/"}) {
    service_.volumes.clear();
    Volume(destination);
    EXPECT_NE(Complaint(), "") << destination;
  }
  service_.volumes.clear();
  Volume("/dev/shm");
  EXPECT_EQ(Complaint(), "") << "the one that programs share memory in may be a volume";
}

}  // namespace
}  // namespace nucleus::mounts
