#include "actuators/process/stop.hpp"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/patience.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/cgroup_owner.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

constexpr Duration kGrace{5'000};  // beyond what the policy grants, before force
constexpr Duration kKillPatience{10'000};

// By its tag, and without one by its place: that of another runtime directory's container may lie there.
bool IsOf(const std::string& group, const PartKey& key, const std::string& directory) {
  const auto tag = sys::GetXattr(group, kTagOwner);
  if (!tag) return false;
  Directories own;
  own.runtime = directory.substr(0, directory.rfind(own.ServiceDir(key.project, key.address)));
  return cgroup::OwnerOf(*tag, key.project, key.address, own).kind == cgroup::Owner::Kind::kOurs;
}

std::unexpected<Error> FailLeft(const PartKey& key, const std::string& group) {
  return Fail(ErrorCode::kTimeout, "stop", key.Text(), "processes are left in " + group);
}

// Somebody else has the lock. A supervisor has found the group empty, and what is there now was started since; a
// cleaner is about to clear it.
Result<> AwaitCleared(const PartKey& key, const std::string& directory, const std::string& group) {
  if (TRY(SupervisorOf(directory)) != 0 || TRY(cgroup::WaitEmpty(group, kKillPatience))) return {};
  if (TRY(SupervisorOf(directory)) != 0) return {};
  return FailLeft(key, group);
}

// As long as the lock is held nobody starts anything there.
Result<> Clear(const PartKey& key, const std::string& directory, const std::string& group) {
  auto lock = TakeCleanersLockIfThere(directory);
  if (!lock && lock.error().code == ErrorCode::kNotFound) {
    // Who has removed it has cleared the group before; where it was lost alone, it is made anew.
    if (TRY(cgroup::WaitEmpty(group, Duration{0}))) return {};
    lock = TakeCleanersLock(directory);
  }
  if (lock) return KillRest(key, directory);
  if (lock.error().code == ErrorCode::kLocked) return AwaitCleared(key, directory, group);
  if (lock.error().code == ErrorCode::kNotFound) return FailLeft(key, group);
  return Fail(std::move(lock).error());
}

}  // namespace

std::optional<std::string> GroupOf(const PartKey& key, const std::string& directory) {
  auto group = cgroup::AbsolutePath(key.project, CgroupPath(key.project, key.address));
  if (!group || !IsOf(*group, key, directory)) return std::nullopt;
  return *std::move(group);
}

Result<> Thaw(const PartKey& key, const std::string& directory) {
  const auto group = GroupOf(key, directory);
  return group ? cgroup::Thaw(*group) : Result<>();
}

Result<> StopSupervisor(const PartKey& key, const std::string& directory, std::optional<Duration> timeout,
                        const ProgressSink& progress) {
  const auto holder = TRY(FindSupervisor(directory));
  if (!holder) return {};
  // What is frozen handles no signal, and holds up a supervisor that waits for a probe in it.
  TRY(Thaw(key, directory));
  const auto most = [](Duration time) { return static_cast<int>(std::min<std::int64_t>(time.count(), INT_MAX)); };
  TRY(sys::QueueSignal(holder->pidfd, StopSignal(), timeout ? most(*timeout) : -1, "supervisor"));
  const Duration hooks = PoststopTimeOf(directory);
  const Duration patience = timeout.value_or(StopTimeoutOf(directory)) + hooks + kGrace;
  if (TRY(sys::WaitForExit(holder->pidfd, most(patience)))) return {};
  const std::string_view cut = hooks == Duration{0} ? "" : ", and its poststop hooks are cut short";
  if (progress) progress("does not stop: killing it" + std::string(cut));
  // A unit would have it brought back.
  TRY(ForgetAgain(directory));
  // The workload dies with it: PR_SET_PDEATHSIG.
  TRY(sys::SendSignal(holder->pidfd, SIGKILL, "supervisor"));
  (void)TRY(sys::WaitForExit(holder->pidfd, most(kKillPatience)));
  return {};
}

Result<> KillRest(const PartKey& key, const std::string& directory) {
  if (const auto group = GroupOf(key, directory)) {
    if (TRY(cgroup::WaitEmpty(*group, Duration{0}))) return {};
    TRY(cgroup::Kill(*group));
    if (!TRY(cgroup::WaitEmpty(*group, kKillPatience))) return FailLeft(key, *group);
    return {};
  }
  const auto found = TRY(Find(directory));
  if (!found.status || found.status->workload.pid == 0) return {};
  const auto workload = TRY(sys::OpenIdentified(found.status->workload));
  if (!workload) return {};
  TRY(sys::SendSignal(*workload, SIGKILL, key.Text()));
  if (TRY(sys::WaitForExit(*workload, static_cast<int>(kKillPatience.count())))) return {};
  return Fail(ErrorCode::kTimeout, "stop", key.Text(), "it was killed, and is still there");
}

Result<bool> Stop(const PartKey& key, const std::string& directory, std::optional<Duration> timeout,
                  const ProgressSink& progress) {
  const bool ran = TRY(SupervisorOf(directory)) != 0;
  if (ran) TRY(StopSupervisor(key, directory, timeout, progress));
  const auto group = GroupOf(key, directory);
  if (!group) {
    const auto found = TRY(Find(directory));
    if (!TRY(IsOrphaned(found))) return ran;
    const auto lock = TRY(TakeCleanersLock(directory));
    TRY(KillRest(key, directory));
    return true;
  }
  if (TRY(cgroup::WaitEmpty(*group, Duration{0}))) return ran;
  TRY(Clear(key, directory, *group));
  return true;
}

}  // namespace nucleus::process
