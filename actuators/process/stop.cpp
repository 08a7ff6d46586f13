#include "actuators/process/stop.hpp"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

constexpr Duration kGrace{5'000};  // beyond what the policy grants, before force
constexpr Duration kKillPatience{10'000};

// How long its hooks may take once the workload has ended.
Duration PoststopTimeOf(const std::string& directory) {
  constexpr Duration kToBeKilled{2'000};
  const auto text = sys::ReadFile(directory + "/" + std::string(kLaunchFile));
  const auto launch = text ? DecodeLaunch(*text) : Fail(text.error());
  Duration time{0};
  if (!launch) return time;
  for (const spec::Hook& hook : launch->hooks.poststop) time += hook.timeout + kToBeKilled;
  return time;
}

// In the foreground there is no file of the policy: it is the launch's.
Duration StopTimeoutOf(const std::string& directory) {
  if (const auto text = sys::ReadFile(directory + "/" + std::string(kPolicyFile))) {
    const auto policy = DecodePolicy(*text);
    if (policy) return Duration(policy->stop_timeout_ms);
  }
  const auto text = sys::ReadFile(directory + "/" + std::string(kLaunchFile));
  const auto launch = text ? DecodeLaunch(*text) : Fail(text.error());
  return Duration(launch ? launch->policy.stop_timeout_ms : Policy().stop_timeout_ms);
}

}  // namespace

std::optional<std::string> GroupOf(const PartKey& key) {
  auto directory = cgroup::AbsolutePath(key.project, CgroupPath(key.project, key.address));
  if (!directory || ::access(directory->c_str(), F_OK) != 0) return std::nullopt;
  return *directory;
}

Result<> Thaw(const PartKey& key) {
  const auto group = GroupOf(key);
  return group ? cgroup::Thaw(*group) : Result<>();
}

Result<> StopSupervisor(const PartKey& key, const std::string& directory, std::optional<Duration> timeout,
                        const ProgressSink& progress) {
  const auto holder = TRY(FindSupervisor(directory));
  if (!holder) return {};
  // What is frozen handles no signal, and holds up a supervisor that waits for a probe in it.
  TRY(Thaw(key));
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
  if (const auto group = GroupOf(key)) {
    if (TRY(cgroup::WaitEmpty(*group, Duration{0}))) return {};
    TRY(cgroup::Kill(*group));
    if (!TRY(cgroup::WaitEmpty(*group, kKillPatience))) {
      return Fail(ErrorCode::kTimeout, "stop", key.Text(), "processes are left in " + *group);
    }
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
  const auto group = GroupOf(key);
  if (!group || TRY(cgroup::WaitEmpty(*group, Duration{0}))) return ran;
  // As long as this is held nobody starts anything there; who has it already has cleared the group before.
  const auto lock = TakeSupervisorLock(directory);
  if (lock) TRY(KillRest(key, directory));
  return true;
}

}  // namespace nucleus::process
