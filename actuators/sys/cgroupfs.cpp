#include "actuators/sys/cgroupfs.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <mutex>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

bool IsCgroup2(const std::string& path) {
  struct statfs fs{};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

// Whether we may make children of a cgroup and move processes there; cgroup-v2.rst, "Delegation".
bool MayUse(const std::string& directory) {
  return ::access(directory.c_str(), W_OK) == 0 && ::access((directory + "/cgroup.procs").c_str(), W_OK) == 0;
}

// The highest directory from `own` up to `mount` without a gap that we may use: what was delegated to us.
std::optional<std::string> DelegatedSubtree(std::string own, const std::string& mount) {
  std::optional<std::string> highest;
  while (own.size() > mount.size() && MayUse(own)) {
    highest = own;
    own.resize(own.rfind('/'));
  }
  return highest;
}

// What would be another mount where one of these is another.
struct MountMark {
  dev_t device = 0;
  ino_t inode = 0;
  unsigned long flags = 0;
  bool operator==(const MountMark&) const = default;
};

std::optional<MountMark> MarkOf(const std::string& path) {
  struct stat st{};
  struct statfs fs{};
  if (::stat(path.c_str(), &st) != 0 || ::statfs(path.c_str(), &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
    return std::nullopt;
  return MountMark{st.st_dev, st.st_ino, static_cast<unsigned long>(fs.f_flags)};
}

// Of several mounts of cgroup2: one of the whole hierarchy before one of a part, then one that may be written to.
constexpr int kBestRank = 3;
int Rank(const MountEntry& mount) {
  return (mount.root == "/" ? 2 : 0) + (mount.HasOption("rw") ? 1 : 0);
}

// Where distributions mount it, a look is enough, and the kernel need not write down what is mounted: the root of the
// whole hierarchy has the first inode of its file system, and nothing else is called "/" in the first cgroup namespace.
std::optional<MountEntry> AtUsualPlace() {
  constexpr ino_t kFirstNamespace = 0xEFFFFFFB;  // CGROUP_NS_INIT_INO of linux/nsfs.h
  struct stat st{};
  if (::stat("/proc/self/ns/cgroup", &st) != 0 || st.st_ino != kFirstNamespace) return std::nullopt;
  for (const char* place : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs fs{};
    if (::statfs(place, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC || (fs.f_flags & ST_RDONLY) != 0) continue;
    if (::stat(place, &st) != 0 || st.st_ino != 1) continue;
    MountEntry mount;
    mount.root = "/";
    mount.mount_point = place;
    mount.options = "rw";
    mount.fstype = "cgroup2";
    return mount;
  }
  return std::nullopt;
}

Result<std::optional<MountEntry>> LookForMount() {
  if (auto usual = AtUsualPlace()) return usual;
  // A later mount on the same point hides an earlier one, so that it must be tried whether cgroup2 is what is seen.
  std::vector<MountEntry> seen;
  TRY(ForEachMount([&](MountEntry&& mount) {
    if (mount.fstype == "cgroup2" && IsCgroup2(mount.mount_point)) seen.push_back(std::move(mount));
    return seen.empty() || Rank(seen.back()) < kBestRank;  // none of the others would be chosen
  }));
  return ChooseCgroupMount(seen);
}

// The one found last, as long as it is still there: a thousand network namespaces are a thousand lines of mountinfo.
Result<std::optional<MountEntry>> CurrentMount() {
  static std::mutex mutex;
  static std::optional<MountEntry> last;
  static std::optional<MountMark> mark;
  const std::lock_guard lock(mutex);
  if (last && mark && MarkOf(last->mount_point) == mark) return last;
  last = TRY(LookForMount());
  mark = last ? MarkOf(last->mount_point) : std::nullopt;
  return last;
}

}  // namespace

std::vector<std::string> SplitWords(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n";
  std::vector<std::string> words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.empty()) return words;
    words.emplace_back(text.substr(0, text.find_first_of(kBlanks)));
    text.remove_prefix(words.back().size());
  }
}

std::optional<MountEntry> ChooseCgroupMount(const std::vector<MountEntry>& mounts) {
  const MountEntry* best = nullptr;
  for (const auto& mount : mounts) {
    if (mount.fstype != "cgroup2") continue;
    if (best == nullptr || Rank(mount) > Rank(*best)) best = &mount;
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

std::optional<std::string> CgroupDirectory(std::string_view proc_cgroup, const MountEntry& mount) {
  while (!proc_cgroup.empty()) {
    std::string_view line = proc_cgroup.substr(0, proc_cgroup.find('\n'));
    proc_cgroup.remove_prefix(std::min(line.size() + 1, proc_cgroup.size()));
    if (!line.starts_with("0::/")) continue;
    line.remove_prefix(3);
    // "/.." leads out of our cgroup namespace; a removed directory is marked.
    if (line.starts_with("/..") || line.ends_with(" (deleted)")) return std::nullopt;
    if (mount.root != "/") {  // only a part of the hierarchy is mounted
      if (line != mount.root && !line.starts_with(mount.root + "/")) return std::nullopt;
      line.remove_prefix(mount.root.size());
    }
    std::string directory = mount.mount_point;
    if (line != "/") directory += line;
    return directory;
  }
  return std::nullopt;
}

Result<std::optional<std::string>> CgroupDirectory(std::string_view proc_cgroup) {
  const auto mount = TRY(CurrentMount());
  if (!mount) return std::nullopt;
  return CgroupDirectory(proc_cgroup, *mount);
}

Result<CgroupRoot> FindCgroupRoot() {
  const auto mount = TRY(CurrentMount());
  if (!mount) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "find", "cgroup2", "no cgroup2 file system is mounted")
                    .Hint("mount -t cgroup2 none /sys/fs/cgroup"));
  }
  CgroupRoot root{.mount = mount->mount_point, .base = mount->mount_point, .controllers = {}, .writable = false};
  root.writable = MayUse(root.base) && mount->HasOption("rw");
  if (!root.writable) {
    const auto own = CgroupDirectory(TRY(ReadFile("/proc/self/cgroup")), *mount);
    if (own) {
      const auto delegated = DelegatedSubtree(*own, root.mount);
      root.writable = delegated.has_value() && mount->HasOption("rw");
      if (delegated) root.base = *delegated;
    }
  }
  // The root of the hierarchy, and every other directory, lists here what may be enabled for its children.
  root.controllers = SplitWords(TRY(ReadFile(root.base + "/cgroup.controllers")));
  return root;
}

}  // namespace nucleus::sys
