#include "actuators/mounts/tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "actuators/mounts/host_root.hpp"
#include "actuators/mounts/sources.hpp"
#include "actuators/mounts/standard.hpp"
#include "actuators/sys/file.hpp"

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

}  // namespace
}  // namespace nucleus::mounts
