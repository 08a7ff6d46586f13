#include "actuators/cgroup/apply.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "actuators/cgroup/limits.hpp"
#include "actuators/cgroup/write_limits.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/cgroup_events.hpp"
#include "actuators/sys/cgroup_owner.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cgroup {

namespace {

constexpr Duration kKillPatience{30'000};

// Enabled wherever they can be, so that usage is counted also where nothing is limited.
constexpr auto kUseful = std::to_array<std::string_view>({"memory", "cpu", "pids", "io"});

template <class Range>
bool Has(const Range& range, std::string_view name) {
  return std::find(range.begin(), range.end(), name) != range.end();
}

// The controllers that the wanted limits rest on; kUnsupported where one of them is not to be had.
Result<std::set<std::string>> NeededControllers(const sys::CgroupRoot& root, const CgroupWanted& wanted) {
  std::set<std::string> needed;
  for (const auto& [fact, value] : wanted.limits) {
    const auto controller = ControllerOf(fact);
    if (!controller) return Fail(ErrorCode::kInternal, "set limit", fact, "not a limit that is known here");
    if (!Has(root.controllers, *controller)) {
      return Fail(Error::Of(ErrorCode::kUnsupported, "set", fact + " to " + value,
                            "no cgroup2 controller \"" + std::string(*controller) + "\" below " + root.base)
                      .Hint("a controller that is mounted as cgroup v1 is not available to cgroup2"));
    }
    needed.emplace(*controller);
  }
  return needed;
}

// Enables controllers for the children of a group. Those needed must come on; the others where they can.
// cgroup-v2.rst, "Enabling and Disabling" and "No Internal Process Constraint".
Result<> EnableControllers(const std::string& directory, const std::set<std::string>& needed) {
  const std::string path = directory + "/cgroup.subtree_control";
  const auto enabled = sys::SplitWords(TRY(sys::ReadFile(path)));
  const auto available = sys::SplitWords(TRY(sys::ReadFile(directory + "/cgroup.controllers")));
  for (const auto controller : kUseful) {
    const std::string name(controller);
    if (Has(enabled, name) || (!needed.contains(name) && !Has(available, name))) continue;
    auto written = sys::WriteKernelFile(path, "+" + name);
    if (written || !needed.contains(name)) continue;
    Error error = std::move(written).error();
    if (error.sys_errno == EBUSY) {
      error = std::move(error).Hint("processes sit in " + directory +
                                    " itself; with a controller enabled they must be in groups below it");
    }
    return Fail(std::move(error));
  }
  return {};
}

// Whether the children of a group have all that they can have: what is enabled there is enabled above it too.
bool HasAll(const sys::CgroupRoot& root, const std::string& directory) {
  const auto possible = [&root](std::string_view controller) { return Has(root.controllers, controller); };
  if (std::ranges::none_of(kUseful, possible)) return true;
  const auto text = sys::ReadFile(directory + "/cgroup.subtree_control");
  if (!text) return false;
  const auto enabled = sys::SplitWords(*text);
  return std::ranges::all_of(kUseful, [&](std::string_view c) { return !possible(c) || Has(enabled, c); });
}

// Somebody else's group is neither changed nor killed. Of another runtime directory's container of that name: that
// directory, as long as anything runs in it, or is going to.
Result<std::optional<std::string>> HeldBy(const std::string& directory, const PartKey& key,
                                          const Directories& directories) {
  const auto tag = TRY(sys::GetXattr(directory, kTagOwner));
  const auto owner = OwnerOf(tag, key.project, key.address, directories);
  if (owner.kind == Owner::Kind::kStranger)
    return Fail(ErrorCode::kConflict, "use", directory, "it belongs to " + *tag);
  if (owner.kind == Owner::Kind::kOurs) return std::nullopt;
  const auto events = TRY(ReadEvents(directory));
  const bool held = (events && events->populated) || IsAtWork(owner.runtime, key.project, key.address);
  return held ? std::optional(owner.runtime) : std::nullopt;
}

Result<> CheckFree(const std::string& directory, const PartKey& key, const Directories& directories) {
  const auto runtime = TRY(HeldBy(directory, key, directories));
  if (!runtime) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "use", directory, "one of that name runs in it, of " + *runtime)
                  .Hint("take another name, or end that one with --runtime-dir " + *runtime));
}

// True where the group is new.
Result<bool> MakeGroup(const sys::CgroupRoot& root, const PartKey& key, const Directories& directories,
                       const std::string& directory, const CgroupWanted& wanted, const std::set<std::string>& needed) {
  for (int tries = 0;; ++tries) {
    const std::string parent = TRY(MakeProjectGroup(root, key.project));
    Result<> ready;
    if (!HasAll(root, parent)) {
      for (const auto& inner : {root.base, root.base + "/nucleus", parent})
        if (ready) ready = EnableControllers(inner, needed);
    }
    if (ready && ::mkdir(directory.c_str(), 0755) == 0) break;
    if (ready && errno == EEXIST) {
      TRY(CheckFree(directory, key, directories));
      TRY(sys::SetXattr(directory, kTagOwner, wanted.owner_tag));
      return false;
    }
    Error error = ready ? Error::Sys("mkdir", directory) : std::move(ready).error();
    // A parent that was empty may just have been removed by the end of another project.
    if (!IsVanished(error) || tries == kVanishedTries) return Fail(std::move(error));
  }
  if (auto tagged = sys::SetXattr(directory, kTagOwner, wanted.owner_tag); !tagged) {
    ::rmdir(directory.c_str());
    return Fail(std::move(tagged).error());
  }
  return true;
}

Result<> RemoveOwn(const std::string& directory, const PartKey& key, const Directories& directories,
                   const ProgressSink& progress) {
  if (TRY(HeldBy(directory, key, directories))) return {};
  if (::rmdir(directory.c_str()) == 0) return {};  // as it is where everything has ended, and nothing was made below
  const auto events = TRY(ReadEvents(directory));
  if (events && events->populated) {
    TRY(Kill(directory));
    if (!TRY(WaitEmpty(directory, Duration(1000)))) {
      if (progress) progress("waiting for killed processes to end");
      if (!TRY(WaitEmpty(directory, kKillPatience))) {
        return Fail(Error::Of(ErrorCode::kTimeout, "remove", directory, "killed processes do not end")
                        .Hint("they wait in the kernel, for a disk or a network file system perhaps: see their "
                              "/proc/PID/stack"));
      }
    }
  }
  return RemoveGroups(directory);
}

// Those of a unit systemd may remove at the same time.
Result<> RemoveGroup(const std::string& directory, const PartKey& key, const Directories& directories,
                     const ProgressSink& progress) {
  for (int tries = 0;; ++tries) {
    struct stat st{};
    if (::lstat(directory.c_str(), &st) != 0) {
      if (errno == ENOENT) return {};
      return FailSys("stat", directory);
    }
    auto removed = RemoveOwn(directory, key, directories, progress);
    if (removed || !IsVanished(removed.error()) || tries == kVanishedTries) return removed;
  }
}

}  // namespace

Result<sys::CgroupRoot> CgroupActuator::Root(const std::string& project) const {
  if (fixed_root_) return *fixed_root_;
  return RootOf(project);
}

Result<> CgroupActuator::Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& /*progress*/) {
  const auto* group = std::get_if<CgroupWanted>(&wanted);
  if (group == nullptr) return Fail(ErrorCode::kInternal, "apply", key.Text(), "not a control group");
  const auto root = TRY(Root(key.project));
  const std::string directory = root.base + "/" + group->path;
  const auto needed = TRY(NeededControllers(root, *group));
  const bool made = TRY(MakeGroup(root, key, directories_, directory, *group, needed));
  auto limited = made ? WriteFirstLimits(directory, group->limits) : WriteLimits(directory, group->limits);
  if (!limited && made) {
    ::rmdir(directory.c_str());
    (void)RemoveEmptyParents(root, key.project);  // the first error is the one to tell
  }
  return limited;
}

Result<> CgroupActuator::Undo(const PartKey& key, const Wanted* /*wanted*/, const UndoOptions& /*options*/,
                              const ProgressSink& progress) {
  auto root = Root(key.project);
  if (!root) {
    if (root.error().code == ErrorCode::kUnsupported) return {};  // no cgroup2, no groups
    return Fail(std::move(root).error());
  }
  TRY(RemoveGroup(root->base + "/" + CgroupPath(key.project, key.address), key, directories_, progress));
  return RemoveEmptyParents(*root, key.project);
}

}  // namespace nucleus::cgroup
