#include "actuators/sys/cgroup_control.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <memory>
#include <thread>

#include "actuators/sys/cgroup_events.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cgroup {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kTop = "nucleus";
constexpr std::string_view kSupervisors = "supervisors";
constexpr Duration kLastPatience{1'000};

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Where the manager that is asked for units has their groups: actuators/unit.
Result<std::string> UnitSlice() {
  const auto uids = TRY(sys::OwnUids());
  if (::geteuid() == 0 && sys::IsWhole(uids)) return std::string("/system.slice/");
  std::uint32_t user = ::geteuid();
  for (const auto& line : uids) {
    if (::geteuid() - line.inside < line.count) user = line.outside + (::geteuid() - line.inside);
  }
  const std::string id = std::to_string(user);
  return "/user.slice/user-" + id + ".slice/user@" + id + ".service/app.slice/";
}

// The groups directly below one, by their paths.
Result<std::vector<std::string>> Below(const std::string& directory) {
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(directory.c_str()));
  std::vector<std::string> paths;
  if (!dir) {
    if (errno == ENOENT) return paths;
    return FailSys("open directory", directory);
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") paths.push_back(directory + "/" + std::string(name));
  }
  return paths;
}

Result<std::string> ReadAgain(int fd, const std::string& path) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return FailSys("lseek", path);
  return sys::ReadAll(fd, path);
}

// Waits until cgroup.events says what `reached` asks for. The kernel signals a change of the file as POLLPRI
// (cgroup-v2.rst, "[Un]populated Notification"); the slices are for what changed between reading and polling.
template <class Reached>
Result<bool> WaitForEvent(const std::string& directory, Duration timeout, Reached reached) {
  const auto deadline = Clock::now() + timeout;
  const std::string path = directory + "/cgroup.events";
  const sys::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return true;
    return FailSys("open", path);
  }
  while (true) {
    const auto text = ReadAgain(fd.get(), path);
    if (!text) {
      if (text.error().sys_errno == ENODEV) return true;  // removed
      return Fail(text.error());
    }
    if (reached(*text)) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd poller{.fd = fd.get(), .events = POLLPRI, .revents = 0};
    if (::poll(&poller, 1, static_cast<int>(std::min<std::int64_t>(left, 100))) < 0 && errno != EINTR) {
      return FailSys("poll", path);
    }
  }
}

// One round of SIGKILL, group by group; how many processes there were.
Result<std::size_t> KillOneByOne(const std::string& directory) {
  std::size_t seen = 0;
  const auto text = TRY(sys::ReadFileIfThere(directory + "/cgroup.procs"));
  if (!text) return seen;
  for (const auto& word : sys::SplitWords(*text)) {
    pid_t pid = 0;
    std::from_chars(word.data(), word.data() + word.size(), pid);
    if (pid <= 1) continue;  // 0: in a pid namespace that is not ours to see
    ++seen;
    // A process that ended since can only have given its number to one started since: the window is that of one loop.
    if (::kill(pid, SIGKILL) != 0 && errno != ESRCH) return FailSys("kill", "process " + word);
  }
  for (const auto& child : TRY(Below(directory))) seen += TRY(KillOneByOne(child));
  return seen;
}

Result<> MakeTagged(const std::string& directory, std::string_view tag) {
  if (::mkdir(directory.c_str(), 0755) != 0) {
    if (errno == EEXIST) return {};
    return FailSys("mkdir", directory);
  }
  return sys::SetXattr(directory, kTagOwner, tag);
}

// rmdir(2) that takes what is not there, or is not empty, for an answer. False: still needed.
Result<bool> RemoveIfEmpty(const std::string& directory) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return true;
  if (errno == EBUSY || errno == ENOTEMPTY) return false;
  return FailSys("rmdir", directory);
}

}  // namespace

Result<> Freeze(const std::string& directory, Duration timeout) {
  TRY(sys::WriteKernelFile(directory + "/cgroup.freeze", "1"));
  const bool frozen = TRY(WaitForEvent(directory, timeout, [](const std::string& text) {
    return FindKey(text, "frozen") == 1 || FindKey(text, "populated") == 0;
  }));
  if (frozen) return {};
  TRY(Thaw(directory));
  return Fail(ErrorCode::kTimeout, "freeze", directory, "a process would not stand still");
}

Result<> Thaw(const std::string& directory) {
  auto written = sys::WriteKernelFile(directory + "/cgroup.freeze", "0");
  if (!written && (written.error().sys_errno == ENOENT || written.error().sys_errno == ENODEV)) return {};
  return written;
}

Result<> Kill(const std::string& directory) {
  auto killed = sys::WriteKernelFile(directory + "/cgroup.kill", "1");
  if (killed) return {};
  const int err = killed.error().sys_errno;
  if (err != ENOENT && err != ENODEV) return killed;
  if (::access(directory.c_str(), F_OK) != 0) return {};
  // Linux before 5.14. New processes may appear while the list is read: until a round finds none. A frozen process
  // takes the signal only after thawing.
  TRY(Thaw(directory));
  for (int round = 0; round < 1000; ++round) {
    if (TRY(KillOneByOne(directory)) == 0) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Fail(ErrorCode::kTimeout, "kill", directory, "processes appear faster than they are killed");
}

Result<bool> WaitEmpty(const std::string& directory, Duration timeout) {
  return WaitForEvent(directory, timeout, [](const std::string& text) { return FindKey(text, "populated") == 0; });
}

// ENOENT before a file of the group is open, ENODEV once it is.
bool IsVanished(const Error& error) {
  return error.sys_errno == ENOENT || error.sys_errno == ENODEV;
}

Result<std::string> MakeProjectGroup(const sys::CgroupRoot& root, std::string_view project) {
  const std::string top = root.base + "/" + std::string(kTop);
  const std::string directory = top + "/" + std::string(project);
  if (!root.writable) {
    return Fail(Error::Of(ErrorCode::kPermission, "make", directory, "this cgroup2 subtree may not be written")
                    .Hint("run as root, or in a delegated cgroup (systemd-run --user --scope -p Delegate=yes)"));
  }
  // Whoever removes the last project may remove the top between the two: once more then.
  for (int tries = 0;; ++tries) {
    auto made = MakeTagged(top, kTop);
    if (made) made = MakeTagged(directory, project);
    if (made) return directory;
    if (!IsVanished(made.error()) || tries == kVanishedTries) return Fail(std::move(made).error());
  }
}

Result<std::string> MakeSupervisorGroup(const sys::CgroupRoot& root, std::string_view project) {
  const std::string tag = std::string(project) + "/" + std::string(kSupervisors);
  for (int tries = 0;; ++tries) {
    const std::string directory = TRY(MakeProjectGroup(root, project)) + "/" + std::string(kSupervisors);
    auto made = MakeTagged(directory, tag);
    if (made) return directory;
    if (!IsVanished(made.error()) || tries == kVanishedTries) return Fail(std::move(made).error());
  }
}

Result<std::string> MakeSupervisorGroup(std::string_view project) {
  return MakeSupervisorGroup(TRY(RootOf(project)), project);
}

Result<Roots> Roots::Find() {
  auto root = TRY(sys::FindCgroupRoot());
  return Roots(std::move(root.base), root.mount + TRY(UnitSlice()));
}

std::optional<std::string> Roots::UnitOf(std::string_view project) const {
  std::string unit = units_ + UnitName(project);
  if (::access((unit + "/cgroup.controllers").c_str(), F_OK) != 0) return std::nullopt;
  return unit;
}

Result<sys::CgroupRoot> RootOf(std::string_view project) {
  sys::CgroupRoot root = TRY(sys::FindCgroupRoot());
  if (project == kContainersProject) return root;  // in the foreground, where nobody waits for a unit
  const std::string unit = root.mount + TRY(UnitSlice()) + UnitName(project);
  const auto controllers = TRY(sys::ReadBriefIfThere(AT_FDCWD, unit + "/cgroup.controllers"));
  if (!controllers) return root;
  root.base = unit;
  root.controllers = sys::SplitWords(*controllers);
  root.writable = ::access((unit + "/cgroup.procs").c_str(), W_OK) == 0;
  return root;
}

Result<std::string> AbsolutePath(std::string_view project, std::string_view relative) {
  return TRY(RootOf(project)).base + "/" + std::string(relative);
}

Result<> RemoveGroups(const std::string& directory) {
  // Depth first without recursion: a workload may nest its groups as deep as cgroup.max.depth lets it.
  std::vector<std::string> open{directory};
  for (int rounds = 0; !open.empty(); ++rounds) {
    if (rounds == 1'000'000)
      return Fail(ErrorCode::kConflict, "rmdir", directory, "somebody keeps making groups in it");
    const std::string current = open.back();
    auto below = TRY(Below(current));
    if (!below.empty()) {
      open.insert(open.end(), below.begin(), below.end());
      continue;
    }
    open.pop_back();
    // EBUSY for a moment after the last process has ended, until the kernel has let go of it.
    for (int tries = 0; ::rmdir(current.c_str()) != 0 && errno != ENOENT; ++tries) {
      if (errno != EBUSY || tries == 200) return FailSys("rmdir", current);
      std::this_thread::sleep_for(std::chrono::milliseconds(tries < 20 ? 1 : 10));
    }
  }
  return {};
}

Result<> RemoveEmptyParents(const sys::CgroupRoot& root, std::string_view project) {
  const std::string top = root.base + "/" + std::string(kTop);
  const std::string directory = top + "/" + std::string(project);
  const std::string supervisors = directory + "/" + std::string(kSupervisors);
  // A directory has a link from each below it, beside its own two: to list a thousand for each that goes would take
  // long.
  constexpr nlink_t kOneBelow = 3;
  struct stat st{};
  const bool last = ::stat(directory.c_str(), &st) == 0 && st.st_nlink <= kOneBelow;
  if (last && !TRY(RemoveIfEmpty(supervisors))) {
    // A supervisor whose directory somebody took away ends by itself once its workload has.
    if (!TRY(WaitEmpty(supervisors, kLastPatience)) || !TRY(RemoveIfEmpty(supervisors))) return {};
  }
  if (!TRY(RemoveIfEmpty(directory))) return {};
  // Where the unit of an ordinary user's is gone, with its groups, this is root's.
  const auto removed = RemoveIfEmpty(top);
  if (!removed && removed.error().code != ErrorCode::kPermission) return Fail(removed.error());
  // That of a unit is systemd's to remove, which forgets it where ours was still in the way.
  if (removed && *removed && root.base.ends_with("/" + UnitName(project))) ::rmdir(root.base.c_str());
  return {};
}

}  // namespace nucleus::cgroup
