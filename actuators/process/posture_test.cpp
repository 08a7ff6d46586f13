// Every line of `verify`, and what the check right after exec says: each must be able to fail.
#include "actuators/process/posture.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/fd.hpp"

namespace nucleus::process {
namespace {

constexpr std::string_view kStatus =
    "Name:\tsh (x)\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t1\n"
    "Uid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t8 7 \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
    "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    "Seccomp_filters:\t1\n";

Launch Asked() {
  Launch launch;
  launch.identity = {5, 6, {7, 8}};
  launch.security.seccomp = {{}};
  return launch;
}

std::string Changed(std::string_view from, std::string_view to) {
  std::string text(kStatus);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// At both moments.
std::vector<std::string> Wrong(const Posture& posture, const Comparison& with) {
  auto wrong = Mismatches(posture, with, Moment::kBeforeExec);
  for (auto& word : Mismatches(posture, with, Moment::kAfterExec)) wrong.push_back(std::move(word));
  return wrong;
}

TEST(PostureTest, WhatWasAskedForIsNoMismatch) {
  const auto posture = ParsePosture(kStatus);
  ASSERT_TRUE(posture);
  EXPECT_EQ(posture->parent, 1);
  EXPECT_TRUE(Wrong(*posture, {.launch = Asked()}).empty());
}

TEST(PostureTest, EveryProtectionThatIsMissingIsSeen) {
  const std::pair<std::string_view, std::string_view> changes[] = {
      {"Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t0\t5"},
      {"Gid:\t6\t6\t6\t6", "Gid:\t0\t0\t0\t0"},
      {"Groups:\t8 7", "Groups:\t8 7 0"},
      {"CapInh:\t0000000000000000", "CapInh:\t0000000000000400"},
      {"CapPrm:\t0000000000000000", "CapPrm:\t1"},
      {"CapEff:\t0000000000000000", "CapEff:\t1"},
      {"CapBnd:\t0000000000000000", "CapBnd:\t000001ffffffffff"},
      {"CapAmb:\t0000000000000000", "CapAmb:\t2"},
      {"NoNewPrivs:\t1", "NoNewPrivs:\t0"},
      {"Seccomp:\t2", "Seccomp:\t0"},
  };
  for (const auto& [from, to] : changes) {
    const auto posture = ParsePosture(Changed(from, to));
    ASSERT_TRUE(posture) << to;
    EXPECT_EQ(Wrong(*posture, {.launch = Asked()}).size(), 1U) << to;
  }
}

TEST(PostureTest, AFilterThatHasKilledIsOneInForce) {
  const auto killed = ParsePosture(Changed("Seccomp:\t2", "Seccomp:\t3"));
  ASSERT_TRUE(killed);
  EXPECT_TRUE(Wrong(*killed, {.launch = Asked()}).empty());
  // A workload without a filter can be killed by the strict mode.
  auto strict = killed;
  strict->seccomp_filters = 0;
  EXPECT_EQ(Wrong(*strict, {.launch = Asked()}).size(), 1U);
}

TEST(PostureTest, WhatDoesNotReadIsNotTakenForGood) {
  for (const char* from :
       {"State:\tS (sleeping)", "Uid:\t5\t5\t5\t5", "CapAmb:\t0000000000000000", "Seccomp:\t2", "PPid:\t1"}) {
    EXPECT_FALSE(ParsePosture(Changed(from, "X:\t1"))) << from;
  }
  EXPECT_FALSE(ParsePosture(Changed("Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t5")));
  EXPECT_FALSE(ParsePosture(Changed("Seccomp:\t2", "Seccomp:\t2x")));
}

TEST(PostureTest, OurselvesAreNoContainer) {
  const auto checked = CheckPosture(::getpid(), Asked(), Moment::kBeforeExec, OwnNamespaces::Read());
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().Message().find("mnt namespace is the caller's, not its own"), std::string::npos)
      << checked.error().Message();
}

// ---- verify ----

MountOp Op(MountOp::Type type, std::string target, std::uint64_t flags = 0) {
  MountOp op;
  op.type = type;
  op.target = std::move(target);
  op.flags = flags;
  return op;
}

constexpr std::uint64_t kQuiet = kMountNoSuid | kMountNoDev;

// A rootfs, a /proc with a mask and a read-only part, a volume cloned with all below it, one that may be missing.
Launch Whole() {
  Launch launch = Asked();
  launch.hostname = "web";
  launch.cgroup = "/sys/fs/cgroup/nucleus/shop/service.web";
  launch.netns = "/run/nucleus/netns/shop/service.web";
  launch.rlimits = {{RLIMIT_MEMLOCK, 4096, 8192}};
  launch.security.landlock.enabled = true;
  auto root = Op(MountOp::Type::kRootBind, "", kQuiet | kMountReadOnly);
  auto data = Op(MountOp::Type::kBind, "/data", kQuiet);
  data.recursive = true;
  auto maybe = Op(MountOp::Type::kBind, "/opt/maybe", kQuiet);
  maybe.optional = true;
  auto proc = Op(MountOp::Type::kFilesystem, "/proc", kQuiet | kMountNoExec);
  proc.fstype = "proc";
  launch.mounts = {root,
                   proc,
                   Op(MountOp::Type::kMask, "/proc/kcore"),
                   Op(MountOp::Type::kMask, "/proc/acpi"),
                   Op(MountOp::Type::kReadOnly, "/proc/sys", kQuiet),
                   Op(MountOp::Type::kDirectory, "/data"),
                   data,
                   maybe};
  return launch;
}

constexpr std::string_view kMountinfo =
    "60 50 8:1 /rootfs / ro,nosuid,nodev,relatime - ext4 /dev/sda1 rw\n"
    "61 60 0:40 / /proc rw,nosuid,nodev,noexec,relatime - proc none rw\n"
    "62 61 0:5 /null /proc/kcore ro,nosuid,noexec - devtmpfs none rw\n"
    "63 61 0:40 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc none rw\n"
    "64 60 8:1 /srv/data /data rw,nosuid,nodev - ext4 /dev/sda1 rw\n"
    "65 64 8:2 / /data/disk rw,nosuid,nodev - ext4 /dev/sda2 rw\n";

std::vector<sys::MountEntry> MountsOf(std::string_view text) {
  return sys::ParseMountinfo(text).value();
}

Posture Good() {
  Posture posture = *ParsePosture(kStatus);
  posture.namespaces = std::vector<Namespace>();
  for (const char* name : {"mnt", "pid", "ipc", "uts", "cgroup"}) posture.namespaces->push_back({.name = name});
  posture.namespaces->push_back({.name = "net", .as_pinned = true});
  posture.namespaces->push_back({.name = "time", .ours = true});
  posture.namespaces->push_back({.name = "user", .ours = true});
  posture.mounts = MountsOf(kMountinfo);
  posture.rlimits = {{RLIMIT_MEMLOCK, 4096, 8192}};
  posture.cgroup = "/sys/fs/cgroup/nucleus/shop/service.web";
  posture.hostname = "web";
  posture.oom_score_adj = 0;
  posture.files = {{0, "/dev/null", false}, {1, "pipe:[7]", true}, {4, "/data/wal", false}};
  posture.program = Program{1, 2, true};
  return posture;
}

std::vector<std::string> Names(const std::vector<Check>& checks, Verdict verdict) {
  std::vector<std::string> names;
  for (const Check& check : checks)
    if (check.verdict == verdict) names.push_back(check.name);
  return names;
}

using Words = std::vector<std::string>;

Words Differing(const Posture& posture, const Launch& launch) {
  return Names(Compare(posture, {.launch = launch, .own_directories = {"/run/nucleus"}}), Verdict::kDiffers);
}

TEST(CompareTest, AsItWasAsked) {
  const auto checks = Compare(Good(), {.launch = Whole(), .own_directories = {"/run/nucleus"}});
  EXPECT_EQ(Names(checks, Verdict::kDiffers), Words());
  EXPECT_EQ(Names(checks, Verdict::kUnreadable), Words());
  EXPECT_EQ(Names(checks, Verdict::kUnseen), Words{"landlock"});
  EXPECT_GT(checks.size(), 25U);
}

struct Seeded {
  std::string line;
  std::function<void(Posture&)> change;
};

TEST(CompareTest, EveryLineCanDiffer) {
  const auto namespace_ours = [](std::size_t i) { return [i](Posture& p) { (*p.namespaces)[i].ours = true; }; };
  const Seeded seeded[] = {
      {"user", [](Posture& p) { p.uids[2] = 0; }},
      {"group", [](Posture& p) { p.gids.fill(0); }},
      {"supplementary groups", [](Posture& p) { p.groups.push_back(0); }},
      {"bounding capabilities", [](Posture& p) { p.capabilities.bounding = 1; }},
      {"permitted capabilities", [](Posture& p) { p.capabilities.permitted = 1; }},
      {"effective capabilities", [](Posture& p) { p.capabilities.effective = 1; }},
      {"inheritable capabilities", [](Posture& p) { p.capabilities.inheritable = 1; }},
      {"ambient capabilities", [](Posture& p) { p.capabilities.ambient = 1; }},
      {"no_new_privs", [](Posture& p) { p.no_new_privs = false; }},
      {"seccomp", [](Posture& p) { p.seccomp = 0; }},
      {"seccomp", [](Posture& p) { p.seccomp_filters = 0; }},
      {"mnt namespace", namespace_ours(0)},
      {"pid namespace", namespace_ours(1)},
      {"ipc namespace", namespace_ours(2)},
      {"uts namespace", namespace_ours(3)},
      {"cgroup namespace", namespace_ours(4)},
      {"net namespace", namespace_ours(5)},
      {"net namespace", [](Posture& p) { (*p.namespaces)[5].as_pinned = false; }},
      {"cgroup", [](Posture& p) { p.cgroup = "/sys/fs/cgroup"; }},
      {"cgroup", [](Posture& p) { p.cgroup = "/sys/fs/cgroup/nucleus/shop/service.web2"; }},
      {"limit memlock", [](Posture& p) { (*p.rlimits)[0].hard = RLIM_INFINITY; }},
      {"oom_score_adj", [](Posture& p) { p.oom_score_adj = -1; }},
      {"host name", [](Posture& p) { p.hostname = "evil"; }},
      {"open file 4", [](Posture& p) { (*p.files)[2] = {4, "/run/nucleus/observed.db", true}; }},
      {"open file 4", [](Posture& p) { (*p.files)[2] = {4, "/memfd:nucleus (deleted)", true}; }},
  };
  for (const auto& [line, change] : seeded) {
    Posture posture = Good();
    change(posture);
    EXPECT_EQ(Differing(posture, Whole()), Words{line});
  }
}

// What was asked of those that are not asked for everywhere.
TEST(CompareTest, NamespacesThatAreAskedFor) {
  Launch launch = Whole();
  launch.time_namespace = true;
  launch.user_namespace = {.enabled = true, .uids = {{0, 1000, 1}, {1, 100000, 65535}}, .gids = {{0, 100000, 10}}};
  Posture posture = Good();
  posture.uid_map = std::vector<IdRange>{{1, 100000, 65535}, {0, 1000, 1}};
  posture.gid_map = std::vector<IdRange>{{0, 100000, 10}};
  posture.uids.fill(100004);  // uid 5 inside
  posture.gids.fill(100006);
  posture.groups = {100007, 100008};
  EXPECT_EQ(Differing(posture, launch), (Words{"time namespace", "user namespace"}));
  for (auto& its : *posture.namespaces) its.ours = false;
  EXPECT_EQ(Differing(posture, launch), Words());
  posture.gid_map->front().outside = 0;
  EXPECT_EQ(Differing(posture, launch), Words{"gid_map"});
  posture.uid_map.reset();
  EXPECT_EQ(Names(Compare(posture, {.launch = launch}), Verdict::kUnreadable), Words{"uid_map"});

  Launch shared = Whole();
  shared.netns.clear();
  shared.host_network = shared.host_cgroups = true;
  Posture sharing = Good();
  (*sharing.namespaces)[4].ours = (*sharing.namespaces)[5].ours = true;
  EXPECT_EQ(Differing(sharing, shared), Words());
  shared.host_network = false;
  EXPECT_EQ(Differing(sharing, shared), Words{"net namespace"});
}

// Started by an ordinary user, who is root of a user namespace, and looked at from the machine's own.
TEST(CompareTest, IdsAreThoseOfWhoeverLooks) {
  Launch launch = Whole();
  launch.user_namespace = {.enabled = true, .uids = {{0, 1, 10}}, .gids = {{0, 1, 10}}};
  Posture posture = Good();
  for (auto& its : *posture.namespaces) its.ours = false;
  posture.uids.fill(100005);
  posture.gids.fill(100006);
  posture.groups = {100007, 100008};
  posture.uid_map = posture.gid_map = std::vector<IdRange>{{0, 100000, 10}};
  Comparison with{.launch = launch, .uids_here = {{{0, 1000, 1}, {1, 100000, 65536}}}};
  with.gids_here = with.uids_here;
  EXPECT_EQ(Names(Compare(posture, with), Verdict::kDiffers), Words());
  posture.uids.fill(5);
  posture.groups.clear();
  EXPECT_EQ(Names(Compare(posture, with), Verdict::kDiffers), (Words{"user", "supplementary groups"}));
}

TEST(CompareTest, GroupsThatCannotBeGivenUp) {
  Launch launch = Whole();
  launch.identity.groups.clear();
  const Comparison denied{.launch = launch, .setgroups_denied = true};
  EXPECT_EQ(Wrong(Good(), denied), Words());
  EXPECT_EQ(Wrong(Good(), {.launch = launch}).size(), 1U);
  launch.production = true;
  EXPECT_EQ(Wrong(Good(), denied).size(), 1U);
}

TEST(CompareTest, WhatItMayChangeByItselfIsNoDifference) {
  Posture posture = Good();
  posture.oom_score_adj = 500;
  (*posture.rlimits)[0] = {RLIMIT_MEMLOCK, 0, 4096};
  posture.seccomp_filters = 3;
  posture.cgroup = *posture.cgroup + "/own";
  EXPECT_EQ(Differing(posture, Whole()), Words());

  posture.hostname = "mine";
  posture.oom_score_adj = -5;
  (*posture.rlimits)[0].hard = 1 << 20;
  posture.mounts = MountsOf("60 50 8:1 /rootfs / rw - ext4 /dev/sda1 rw\n");
  posture.uids.fill(0);
  Launch launch = Whole();
  EXPECT_GT(Differing(posture, launch).size(), 4U);
  launch.security.capabilities.permitted = launch.security.capabilities.bounding = 1U << 21 | 1U << 24;
  EXPECT_EQ(Differing(posture, launch), Words());
}

TEST(CompareTest, WhatIsNotReadIsNeverTakenForGood) {
  Posture posture = Good();
  posture.namespaces.reset();
  posture.mounts.reset();
  posture.rlimits.reset();
  posture.cgroup.reset();
  posture.hostname.reset();
  posture.oom_score_adj.reset();
  posture.files.reset();
  const auto checks = Compare(posture, {.launch = Whole()});
  EXPECT_EQ(Names(checks, Verdict::kUnreadable),
            (Words{"namespaces", "cgroup", "limit memlock", "oom_score_adj", "open files", "host name", "mounts"}));
  for (const Check& check : checks) EXPECT_EQ(check.found == "?", check.verdict == Verdict::kUnreadable) << check.name;
}

TEST(CompareTest, AMiniInitHasNothingOpenAndRunsOurProgram) {
  Launch launch = Whole();
  launch.security.seccomp.clear();  // its own filter is there all the same
  const auto differing = [&](const Posture& posture) {
    return Names(Compare(posture, {.launch = launch, .mini_init = true, .supervisor = Program{1, 2, true}}),
                 Verdict::kDiffers);
  };
  Posture posture = Good();
  posture.files->clear();
  EXPECT_EQ(differing(posture), Words());
  posture.files = {{0, "/dev/null", false}};
  EXPECT_EQ(differing(posture), Words{"open file 0"});
  posture.files->clear();
  posture.program = Program{1, 3, true};
  EXPECT_EQ(differing(posture), Words{"program"});
  posture.program = Program{1, 2, false};
  EXPECT_EQ(differing(posture), Words{"program"});
  posture.program.reset();
  EXPECT_EQ(Names(Compare(posture, {.launch = launch, .mini_init = true}), Verdict::kUnreadable), Words{"program"});
  posture.seccomp = 0;
  EXPECT_EQ(differing(posture), Words{"seccomp"});
}

TEST(CompareTest, TheCallersFilesAreTheCallersChoice) {
  Posture posture = Good();
  posture.files = {{1, "/run/nucleus/out", true}};
  const Launch launch = Whole();
  Comparison with{.launch = launch, .callers_files = true, .own_directories = {"/run/nucleus"}};
  EXPECT_EQ(Names(Compare(posture, with), Verdict::kDiffers), Words());
  with.callers_files = false;
  EXPECT_EQ(Names(Compare(posture, with), Verdict::kDiffers), Words{"open file 1"});
  posture.files = {{5, "/run/nucleus/out", false}};  // in a mount of the container's own, which has such a place
  EXPECT_EQ(Names(Compare(posture, with), Verdict::kDiffers), Words());
}

TEST(CompareMountsTest, EveryDifferenceIsNamed) {
  const std::pair<std::string_view, std::pair<std::string_view, std::string_view>> changes[] = {
      {"mount /", {" / ro,", " / rw,"}},
      {"mount /proc", {"/proc rw,nosuid,nodev,noexec", "/proc rw,nosuid,nodev"}},
      {"mount /proc/kcore", {"/proc/kcore ro,", "/proc/kcore rw,"}},
      {"mount /proc/sys", {"/proc/sys ro,", "/proc/sys rw,"}},
      {"mount /data", {"/data rw,nosuid,", "/data rw,"}},
      {"mount /data/disk", {"/data/disk rw,nosuid,nodev", "/data/disk rw,nosuid"}},
      {"mount /data", {"/data rw,nosuid,nodev -", "/data rw,nosuid,nodev shared:4 -"}},
  };
  for (const auto& [line, change] : changes) {
    std::string text(kMountinfo);
    text.replace(text.find(change.first), change.first.size(), change.second);
    EXPECT_EQ(Names(CompareMounts(MountsOf(text), Whole()), Verdict::kDiffers), Words{std::string(line)});
  }
}

TEST(CompareMountsTest, OneTooManyAndOneThatIsMissing) {
  const std::string more = std::string(kMountinfo) + "70 60 0:50 / /tmp rw,nosuid,nodev,noexec - tmpfs x rw\n" +
                           "71 61 0:51 / /proc ro,nosuid,nodev,noexec - tmpfs x rw\n";
  EXPECT_EQ(Names(CompareMounts(MountsOf(more), Whole()), Verdict::kDiffers), (Words{"mount /tmp", "mount /proc"}));
  std::string less(kMountinfo);
  const auto at = less.find("61 60");
  less.erase(at, less.find('\n', at) + 1 - at);
  const auto checks = CompareMounts(MountsOf(less), Whole());
  EXPECT_EQ(Names(checks, Verdict::kDiffers), Words{"mount /proc"});
  EXPECT_EQ(checks.back().found, "missing");
}

// In a user namespace /sys is the machine's, with all below it, and the container's own cgroup2 lies above the
// machine's.
TEST(CompareMountsTest, WhatLiesAboveWhatCameAlong) {
  Launch launch;
  auto sys = Op(MountOp::Type::kBind, "/sys", kQuiet | kMountReadOnly);
  sys.recursive = true;
  auto cgroup = Op(MountOp::Type::kFilesystem, "/sys/fs/cgroup", kQuiet | kMountReadOnly);
  cgroup.fstype = "cgroup2";
  launch.mounts = {Op(MountOp::Type::kRootTmpfs, ""), sys, cgroup};
  const std::string text =
      "1 0 0:1 / / rw - tmpfs x rw\n2 1 0:2 / /sys ro,nosuid,nodev - sysfs x rw\n"
      "3 2 0:3 / /sys/fs/cgroup ro,nosuid,nodev - tmpfs x rw\n"
      "4 3 0:4 / /sys/fs/cgroup/cpu ro,nosuid,nodev - cgroup x rw\n"
      "5 3 0:5 / /sys/fs/cgroup ro,nosuid,nodev - cgroup2 x rw\n";
  EXPECT_EQ(Names(CompareMounts(MountsOf(text), launch), Verdict::kDiffers), Words());
  std::string other = text;
  other.replace(other.rfind("cgroup2"), 7, "tmpfs");
  EXPECT_EQ(Names(CompareMounts(MountsOf(other), launch), Verdict::kDiffers), Words{"mount /sys/fs/cgroup"});
}

// No such text comes from the kernel; it must end all the same.
TEST(CompareMountsTest, AMountThatIsItsOwnAncestor) {
  const auto checks = CompareMounts(MountsOf("7 8 0:1 / /a rw - tmpfs x rw\n8 7 0:1 / /b rw - tmpfs x rw\n"
                                             "9 9 0:1 / /c rw - tmpfs x rw\n"),
                                    Whole());
  EXPECT_EQ(Names(checks, Verdict::kDiffers).size(), 6U) << "three too many; /, /proc and /data are missing";
}

TEST(InspectTest, OurselvesAreRead) {
  Launch launch = Asked();
  launch.rlimits = {{RLIMIT_NOFILE, 0, 0}};
  const auto posture = Inspect(::getpid(), launch);
  ASSERT_TRUE(posture && *posture);
  EXPECT_EQ((*posture)->uids[1], ::geteuid());
  ASSERT_TRUE((*posture)->mounts && (*posture)->files && (*posture)->rlimits && (*posture)->program);
  EXPECT_FALSE((*posture)->mounts->empty());
  ASSERT_TRUE((*posture)->namespaces);
  EXPECT_TRUE(std::ranges::all_of(*(*posture)->namespaces, &Namespace::ours));
  const sys::Fd pidfd(sys::PidfdOpen(::getpid()));
  const auto brief = BriefMounts("/proc/self", pidfd.get());
  EXPECT_TRUE(brief.ends_with(" ro") || brief.ends_with(" rw")) << brief;
  EXPECT_FALSE(*Inspect(0x3fffffff, launch)) << "nobody has that number";
}

TEST(LimitTest, TheTextOfTheKernel) {
  constexpr std::string_view kText =
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max cpu time              unlimited            unlimited            seconds   \n"
      "Max locked memory         65536                131072               bytes     \n"
      "Max address space         7                    x                    bytes     \n"
      "Max nice priority         0                    0                    \n";
  EXPECT_EQ(ParseLimit(kText, RLIMIT_CPU), (Rlimit{RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY}));
  EXPECT_EQ(ParseLimit(kText, RLIMIT_MEMLOCK), (Rlimit{RLIMIT_MEMLOCK, 65536, 131072}));
  EXPECT_EQ(ParseLimit(kText, RLIMIT_NICE), (Rlimit{RLIMIT_NICE, 0, 0}));
  EXPECT_FALSE(ParseLimit(kText, RLIMIT_AS));
  EXPECT_FALSE(ParseLimit(kText, RLIMIT_NPROC)) << "not there";
  EXPECT_FALSE(ParseLimit(kText, 99)) << "no such limit";
}

TEST(IdMapTest, WhatDoesNotReadIsRefused) {
  EXPECT_EQ(ParseIdMap("         0       1000          1\n         1     100000      65536\n"),
            (std::vector<IdRange>{{0, 1000, 1}, {1, 100000, 65536}}));
  EXPECT_EQ(ParseIdMap(""), std::vector<IdRange>());
  for (const char* text : {"0 1000\n", "0 1000 x\n", "0 1000 1 1\n", "-1 0 1\n", "0 0 99999999999\n"})
    EXPECT_FALSE(ParseIdMap(text)) << text;
}

}  // namespace
}  // namespace nucleus::process
