// What is done to a whole control group: freeze, thaw, kill, wait, remove; and the places where groups are made.
// All take the absolute directory of a group on a cgroup2 file system. A group that is not there is empty and killed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/cgroupfs.hpp"
#include "spec/core/error.hpp"
#include "spec/core/units.hpp"

namespace nucleus::cgroup {

// Returns once every process stands still, kTimeout otherwise (the group is thawed again then). The freezer is
// asynchronous: cgroup.events says when it is done.
Result<> Freeze(const std::string& directory, Duration timeout);
Result<> Thaw(const std::string& directory);

// SIGKILL to every process in the group and below, frozen or not; by cgroup.kill, or before Linux 5.14 one by one until
// none is left. Does not wait for them to end.
Result<> Kill(const std::string& directory);

// Whether the group has no process any more before the time is over.
Result<bool> WaitEmpty(const std::string& directory, Duration timeout);

// Whether an error is that a group was removed under our hands: by somebody who found it empty.
bool IsVanished(const Error& error);
inline constexpr int kVanishedTries = 100;

// The root for a project's groups: that of its unit, where a systemd unit watches it (UnitName of names.hpp), else the
// one that all share.
Result<sys::CgroupRoot> RootOf(std::string_view project);

// The same of one project after the other: what they share is found once.
class Roots {
 public:
  static Result<Roots> Find();
  [[nodiscard]] const std::string& shared() const { return shared_; }
  // None where no unit watches it: the shared one.
  [[nodiscard]] std::optional<std::string> UnitOf(std::string_view project) const;

 private:
  Roots(std::string shared, std::string units) : shared_(std::move(shared)), units_(std::move(units)) {}
  std::string shared_, units_;
};

// Makes "nucleus/PROJECT" (and "nucleus") below the root, tagged. The directory's path.
Result<std::string> MakeProjectGroup(const sys::CgroupRoot& root, std::string_view project);

// Makes the group for the supervisors of a project, beside those of its containers: "nucleus/PROJECT/supervisors".
Result<std::string> MakeSupervisorGroup(std::string_view project);
Result<std::string> MakeSupervisorGroup(const sys::CgroupRoot& root, std::string_view project);

// The absolute directory of a group named relative to what nucleus may use (CgroupPath of names.hpp).
Result<std::string> AbsolutePath(std::string_view project, std::string_view relative);

// Removes a group with those below it, which a workload may have made. kConflict while processes are in it.
Result<> RemoveGroups(const std::string& directory);

// Removes what belongs to nobody any more: the project's group with its supervisors' once no container's is left and
// the supervisors have gone, and "nucleus" after the last project; then its unit's, where nothing else is in it.
Result<> RemoveEmptyParents(const sys::CgroupRoot& root, std::string_view project);

}  // namespace nucleus::cgroup
