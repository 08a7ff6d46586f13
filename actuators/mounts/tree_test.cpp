#include "actuators/mounts/tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "actuators/mounts/denied_places.hpp"
#include "actuators/mounts/host_root.hpp"
#include "actuators/mounts/sources.hpp"
#include "actuators/mounts/standard.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/paths.hpp"

namespace nucleus::mounts {
namespace {

using Type = MountOp::Type;

MountOp Op(Type type, std::string target, std::string source = "/src") {
  MountOp op;
  op.type = type;
  op.target = std::move(target);
  op.source = std::move(source);
  return op;
}

std::vector<MountOp> Good() {
  return {Op(Type::kRootOverlay, ""),    Op(Type::kFilesystem, "/proc"), Op(Type::kFilesystem, "/sys"),
          Op(Type::kFilesystem, "/dev"), Op(Type::kBind, "/data"),       Op(Type::kBind, "/data/inner")};
}
std::string Complaint(const std::vector<MountOp>& ops) {
  const auto checked = ValidateTree(ops);
  return checked ? "" : checked.error().Message();
}

TEST(ValidateTree, TakesWhatIsInOrder) {
  EXPECT_EQ(Complaint(Good()), "");
}

TEST(ValidateTree, RefusesWhatCouldHideOrReplaceAMount) {
  const auto with = [](auto change) {
    auto ops = Good();
    change(ops);
    return Complaint(ops);
  };
  using Ops = std::vector<MountOp>&;
  EXPECT_NE(with([](Ops ops) { ops.clear(); }), "");
  EXPECT_NE(with([](Ops ops) { ops.erase(ops.begin()); }), "");
  EXPECT_NE(with([](Ops ops) { ops.push_back(ops.front()); }).find("a second root"), std::string::npos);
  EXPECT_NE(with([](Ops ops) { ops.push_back(Op(Type::kBind, "/data")); }).find("mounted twice"), std::string::npos);
  EXPECT_NE(with([](Ops ops) { std::swap(ops[4], ops[5]); }).find("would hide the mount at /data/inner"),
            std::string::npos);
  for (std::size_t i = 1; i <= 3; ++i) {
    EXPECT_NE(with([i](Ops ops) { ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(i)); }).find("not mounted"),
              std::string::npos);
  }
  EXPECT_NE(with([](Ops ops) {
              ops.push_back(Op(Type::kSealRoot, ""));
              ops.push_back(Op(Type::kBind, "/late"));
            }).find("behind the sealing"),
            std::string::npos);
  EXPECT_NE(with([](Ops ops) { ops.back().skeleton = true; }), "");
  for (const char* path : {"/", "data", "/a/../b", "/a//b", "/a/", "/a/./b", "/a\nb", ""}) {
    EXPECT_NE(with([&](Ops ops) { ops.push_back(Op(Type::kBind, path)); }), "") << path;
  }
  EXPECT_NE(with([](Ops ops) { ops.push_back(Op(Type::kBind, "/x", "relative")); }), "");
}

// A name that goes on is not below: "/data-old" sorts between "/data" and "/data/inner".
TEST(ValidateTree, KnowsBelowFromBeside) {
  auto ops = Good();
  ops.insert(ops.begin() + 4, Op(Type::kBind, "/data-old"));
  EXPECT_EQ(Complaint(ops), "");
  EXPECT_FALSE(IsAtOrBelow("/data-old", "/data"));
}

RC_GTEST_PROP(NormalPath, IsNormalAlreadyTheSecondTime, (std::string text)) {
  for (char& c : text) c = "/.ab"[static_cast<unsigned char>(c) % 4];
  const auto once = NormalPath("/" + text);
  if (!once) return;
  RC_ASSERT(NormalPath(*once).value() == *once);
  RC_ASSERT(once->find("//") == std::string::npos && once->find("/../") == std::string::npos);
  RC_ASSERT(*once == "/" || !once->ends_with('/'));
  RC_ASSERT(IsAtOrBelow(*once, Parent(*once)));
}

TEST(Standard, OrderMasksAndFlags) {
  for (const bool production : {false, true}) {
    for (const std::uint32_t uid : {0U, 1000U}) {
      const auto mounts = StandardMounts({.production = production, .memory = 0, .uid = uid, .gid = uid});
      std::set<std::string> seen;
      for (const MountOp& op : mounts) {
        EXPECT_TRUE(seen.insert(op.target).second) << op.target;
        EXPECT_NE(op.flags & kMountNoSuid, 0U) << op.target;
        if (op.target != "/tmp" && op.target != "/var/tmp" && op.target != "/run") {
          EXPECT_NE(op.flags & kMountNoExec, 0U) << op.target;
        }
        if (op.fstype == "proc") {
          EXPECT_EQ((op.flags & kMountReadOnly) != 0, uid == 0) << "what is the machine's in /proc belongs to root";
        }
        if (op.fstype == "sysfs" || op.fstype == "cgroup2") {
          EXPECT_NE(op.flags & kMountReadOnly, 0U);
        }
        if (op.type == Type::kBind) {
          EXPECT_NE(op.flags & kMountReadOnly, 0U) << op.target << ": its mode is the machine's";
        }
        if (op.fstype == "tmpfs") {
          EXPECT_NE(op.data.find("size="), std::string::npos) << op.target;
        }
      }
      EXPECT_TRUE(seen.contains("/proc") && seen.contains("/sys") && seen.contains("/dev") &&
                  seen.contains("/dev/null"));
    }
  }
  bool read_only = false;
  for (const MountOp& op : StandardFinish({.uid = 1000})) {
    if (op.type == Type::kMask) read_only = true;
    EXPECT_FALSE(op.type == Type::kSymlink && read_only) << "links are made before /dev is read-only";
  }
  for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/allocinfo"}) {
    EXPECT_NE(std::ranges::find(MaskedPaths(), path), MaskedPaths().end()) << path;
  }
  for (const char* path : {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"}) {
    EXPECT_NE(std::ranges::find(ReadOnlyPaths(), path), ReadOnlyPaths().end()) << path;
  }
}

TEST(HostRoot, HasTheWorkloadsNamesAndNobodyElses) {
  const Person person{
      .uid = 33, .gid = 33, .name = "web", .home = "/srv", .shell = "", .groups = {{70, "logs"}, {0, "fake"}}};
  EXPECT_EQ(PasswdFile(person),
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            "web:x:33:33::/srv:/bin/sh\n");
  EXPECT_EQ(GroupFile(person), "root:x:0:\ntty:x:5:\nnogroup:x:65534:\nlogs:x:70:\nweb:x:33:\n");
  EXPECT_FALSE(HasOwnHome(person));
  Person at_home = person;
  for (const auto& [home, own] :
       {std::pair{"/home/web", true}, {"/root", true}, {"/home/../etc", false}, {"/etc", false}}) {
    at_home.home = home;
    EXPECT_EQ(HasOwnHome(at_home), own) << home;
  }
}

TEST(HostRoot, WhatComesFromTheHostIsReadOnly) {
  const HostShape shape{.links = {{"/bin", "/usr/bin"}}, .directories = {"/usr"}, .files = {"/etc/services"}};
  for (const MountOp& op : HostRootOps(shape, {})) {
    if (op.type != Type::kBind) continue;
    EXPECT_EQ(op.flags, kMountReadOnly | kMountNoSuid | kMountNoDev) << op.target;
    EXPECT_TRUE(op.no_follow) << op.target;
  }
}

TEST(Sources, DeniedAreThePathTheirParentsAndWhatIsBelow) {
  const Directories directories{.state = "/var/lib/nucleus", .runtime = "/run/nucleus"};
  struct Case {
    const char* path;
    bool read_only;
    bool denied;
  };
  constexpr Case kCases[] = {
      {"/", true, true},
      {"/etc", true, true},
      {"/etc/shadow", true, true},
      {"/etc/nginx", true, false},
      {"/proc/sys", true, true},
      {"/dev/sda", false, true},
      {"/var", true, true},
      {"/usr", false, true},
      {"/usr/share", true, false},
      {"/run", true, true},
      {"/run/docker.sock", true, true},
      {"/var/run/docker.sock", true, true},
      {"/run/postgresql", false, false},
      {"/run/nucleus/shop", true, true},
      {"/var/lib/nucleus", true, true},
      {"/var/lib/nucleus/volumes/a", false, false},
      {"/srv/data", false, false},
      {"/procession", false, false},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(WhyDenied(one.path, one.read_only, directories).has_value(), one.denied)
        << one.path << " " << one.read_only;
  }
}

// Whatever directories this command has: those of the machine's other containers are most likely there.
TEST(Sources, TheUsualDirectoriesAreDeniedBesideOnesOwn) {
  const Directories directories{.state = "/srv/state", .runtime = "/srv/run"};
  for (const char* path :
       {"/srv/run/a", "/srv/state", "/srv/state/applied.db", "/run/nucleus", "/run/nucleus/projects",
        "/var/run/nucleus", "/var/lib/nucleus", "/var/lib/nucleus/applied.db", "/var/lib/nucleus/secret-digest.key",
        "/srv/state/applied.db-wal", "/srv/state/seccomp", "/srv/state/seccomp/ab", "/srv/state/restore",
        "/var/lib/nucleus/seccomp", "/var/lib/nucleus/restore/web.7"}) {
    EXPECT_TRUE(WhyDenied(path, false, directories)) << path;
    EXPECT_TRUE(WhyDenied(path, true, directories)) << path;
  }
  for (const char* path : {"/var/lib/nucleus/volumes/a", "/srv/state/volumes", "/srv/state/seccomp-profiles"})
    EXPECT_FALSE(WhyDenied(path, false, directories)) << path;
}

TEST(Sources, WhatRootRunsIsGivenToBeReadOnly) {
  for (const char* path :
       {"/var/lib/dpkg", "/var/lib/dpkg/info", "/var/lib/rpm", "/var/lib/pacman/local", "/root/.bashrc",
        "/root/.profile", "/root/.config/systemd/user", "/var/spool/at", "/var/lib/cloud/scripts",
        "/root/.bash_aliases", "/root/.local/share/systemd/user", "/etc/logrotate.d", "/etc/logrotate.conf",
        "/etc/update-motd.d", "/etc/kernel/postinst.d", "/etc/initramfs-tools", "/etc/dpkg/dpkg.cfg.d",
        "/etc/ca-certificates/update.d", "/etc/alternatives"}) {
    EXPECT_TRUE(WhyDenied(path, false, {"/s", "/r"})) << path;
    EXPECT_FALSE(WhyDenied(path, true, {"/s", "/r"})) << path;
  }
  EXPECT_TRUE(WhyDenied("/root", false, {"/s", "/r"}));
  EXPECT_TRUE(WhyDenied("/root/.config", false, {"/s", "/r"})) << "it holds some";
  EXPECT_FALSE(WhyDenied("/root/project", false, {"/s", "/r"}));
  EXPECT_FALSE(WhyDenied("/root/.local/share/app", false, {"/s", "/r"}));
}

// A mount that is read-only keeps nobody from a socket.
TEST(Sources, AUsersManagerIsDeniedAndOtherSocketsAreNot) {
  for (const bool read_only : {false, true}) {
    for (const char* path :
         {"/run/user", "/run/user/1000", "/run/user/1000/bus", "/run/user/1000/systemd/private", "/var/run/user/0",
          "/run/user/7/podman/podman.sock", "/run/user/7/crio", "/run/user/7/gcr/ssh",
          "/run/user/7/buildkit/buildkitd.sock", "/run/user/7/containerd-rootless", "/run/user/7/ssh-agent.socket"}) {
      EXPECT_TRUE(WhyDenied(path, read_only, {"/s", "/r"})) << path;
    }
    EXPECT_FALSE(WhyDenied("/run/user/1000/wayland-0", read_only, {"/s", "/r"}));
    EXPECT_FALSE(WhyDenied("/run/user/1000/pulse/native", read_only, {"/s", "/r"}));
  }
}

TEST(Document, NamesWhatIsMaskedReadOnlyGivenAndDenied) {
  const std::string document = sys::ReadFile(NUCLEUS_DOCUMENT).value();
  std::vector<std::string> names;
  for (const auto path : MaskedPaths()) names.emplace_back(path);
  for (const auto path : ReadOnlyPaths()) names.emplace_back(path);
  for (const auto& denied : DeniedPaths()) names.emplace_back(denied.path);
  for (const auto name : DeviceNodes()) names.push_back("/dev/" + std::string(name));
  for (const auto& name : names) EXPECT_NE(document.find("`" + name + "`"), std::string::npos) << name;
}

TEST(Sources, AFileSystemOfTheKernelBelowIsSeen) {
  const auto mounts = sys::ParseMountinfo(
      "1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / /srv/chroot/proc rw - proc proc rw\n"
      "3 1 0:6 / /srv/cache rw - tmpfs tmpfs rw\n4 1 0:7 / /mnt/sys rw - sysfs sysfs rw\n");
  ASSERT_TRUE(mounts);
  EXPECT_EQ(KernelMountBelow(*mounts, "/srv"), "/srv/chroot/proc");
  EXPECT_EQ(KernelMountBelow(*mounts, "/mnt/sys"), "/mnt/sys");
  EXPECT_EQ(KernelMountBelow(*mounts, "/srv/cache"), std::nullopt);
  EXPECT_EQ(KernelMountBelow(*mounts, "/srv/chroot/pro"), std::nullopt);
}

// A bind mount is what is mounted there, by whatever name.
TEST(Sources, WhatIsDeniedIsDeniedByEveryName) {
  const auto mounts = sys::ParseMountinfo(
      "1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 8:1 /etc /srv/v/sub rw - ext4 /dev/sda rw\n"
      "3 1 8:1 / /mnt/whole rw - ext4 /dev/sda rw\n4 1 0:9 / /srv/own rw - tmpfs tmpfs rw\n"
      "5 1 8:2 /@/etc /snap rw - btrfs /dev/sdb rw\n");
  ASSERT_TRUE(mounts);
  const DeniedPlaces places(*mounts, {.state = "/var/lib/nucleus", .runtime = "/run/nucleus"});
  const auto why = [&](std::string_view path, bool read_only) { return places.Why(path, read_only).value_or(""); };
  EXPECT_TRUE(why("/srv/v", true).starts_with("what is mounted in it, at /srv/v/sub, is /etc by another name: "));
  EXPECT_TRUE(why("/srv", true).starts_with("what is mounted in it, at /srv/v/sub, is /etc"));
  EXPECT_TRUE(why("/srv/v/sub", true).starts_with("it is /etc by another name: "));
  EXPECT_TRUE(why("/srv/v/sub/ssh", true).starts_with("it is /etc/ssh by another name: "));
  EXPECT_TRUE(why("/mnt/whole", true).starts_with("it is / by another name: "));
  EXPECT_TRUE(why("/mnt/whole/usr", false).starts_with("it is /usr by another name: "));
  EXPECT_TRUE(why("/mnt/whole/usr/lib/x", false).starts_with("it is /usr by another name: "));
  EXPECT_TRUE(
      why("/mnt/whole/var/lib/nucleus/seccomp", false).starts_with("it is /var/lib/nucleus/seccomp by another"));
  EXPECT_EQ(why("/mnt/whole/var/lib/nucleus/volumes", false), "");
  EXPECT_EQ(why("/mnt/whole/usr", true), "");
  EXPECT_EQ(why("/srv/own", false) + why("/snap", false) + why("/mnt/whole/srv/x", false), "");
}

// What is mounted at a denied place lies somewhere else as well: in the top of a file system of subvolumes, say.
TEST(Sources, WhatHoldsADeniedPlaceIsDenied) {
  const auto mounts = sys::ParseMountinfo(
      "1 0 8:1 /@ / rw - btrfs /dev/sda rw\n2 1 8:1 / /mnt/pool rw - btrfs /dev/sda rw\n"
      "3 1 8:2 /etc /etc rw - ext4 /dev/sdb rw\n4 1 8:2 / /persist rw - ext4 /dev/sdb rw\n"
      "5 1 8:3 /programs /usr/local rw - ext4 /dev/sdc rw\n6 1 8:3 / /data rw - ext4 /dev/sdc rw\n");
  ASSERT_TRUE(mounts);
  const DeniedPlaces places(*mounts, {.state = "/var/lib/nucleus", .runtime = "/run/nucleus"});
  const auto why = [&](std::string_view path, bool read_only) { return places.Why(path, read_only).value_or(""); };
  EXPECT_TRUE(why("/mnt/pool", true).starts_with("it holds / by another name: "));
  EXPECT_TRUE(why("/mnt/pool/@", true).starts_with("it is / by another name: "));
  EXPECT_TRUE(why("/mnt", true).starts_with("what is mounted in it, at /mnt/pool, holds /"));
  EXPECT_TRUE(why("/persist", true).starts_with("it holds /etc by another name: "));
  EXPECT_TRUE(why("/persist/etc/shadow", true).starts_with("it is /etc/shadow by another name: "));
  EXPECT_TRUE(why("/data", false).starts_with("it holds /usr/local by another name: "));
  EXPECT_TRUE(why("/data/programs/bin", false).starts_with("it is /usr/local by another name: "));
  EXPECT_EQ(why("/data", true) + why("/data/other", false) + why("/persist/srv", false) + why("/mnt/pool/x", false),
            "");
}

}  // namespace
}  // namespace nucleus::mounts
