#include "actuators/process/apply.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <limits>
#include <utility>

#include "actuators/process/at_end.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/log.hpp"
#include "actuators/process/patience.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/process/running.hpp"
#include "actuators/process/stop.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/own_programs.hpp"
#include "actuators/sys/process.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::process {

namespace {

using Steady = std::chrono::steady_clock;

constexpr Duration kLookupTime{60'000};  // of names, by the program that helps with the network
constexpr ::useconds_t kLookUs = 10'000;

std::string In(const std::string& directory, std::string_view file) {
  return directory + "/" + std::string(file);
}

// A copy that those may read who may read the original. No link is followed: whoever may write beside the original
// could have it lead to a file that only root may read.
Result<> StageFile(const std::string& source, const std::string& copy) {
  const sys::Fd file(sys::OpenAt2(AT_FDCWD, source.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_NO_SYMLINKS));
  if (!file && errno == ELOOP) {
    return Fail(Error::Of(ErrorCode::kInvalid, "stage", source, "a symbolic link in the path is not followed"));
  }
  if (!file) return FailSys("open", source);
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return FailSys("stat", source);
  if (!S_ISREG(st.st_mode)) return Fail(ErrorCode::kInvalid, "stage", source, "not a regular file");
  const std::string contents = TRY(sys::ReadAll(file.get(), source));
  TRY(sys::RewriteInPlace(copy, contents, st.st_mode & 0777U));
  if (::chown(copy.c_str(), st.st_uid, st.st_gid) != 0) return FailSys("chown", copy);
  return {};
}

Result<> StageFiles(const std::string& directory, const ProcessWanted& wanted) {
  if (wanted.files.empty()) return {};
  TRY(sys::MakeDirectories(directory + "/files", 0700));
  for (const auto& mount : wanted.service->volumes) {
    if (!wanted.files.contains(mount.destination)) continue;
    TRY(StageFile(mount.source, StagedFile(directory, mount.destination)));
  }
  return {};
}

// Who may read the runtime directory may read what a supervisor writes: its files inherit the group. inode(7), S_ISGID.
Result<> ShareWithReaders(const std::string& directory, const std::string& runtime) {
  struct stat readers{}, st{};
  if (::stat(runtime.c_str(), &readers) != 0) return FailSys("stat", runtime);
  if (::stat(directory.c_str(), &st) != 0) return FailSys("stat", directory);
  if (readers.st_gid == st.st_gid) return {};
  if (::chown(directory.c_str(), static_cast<uid_t>(-1), readers.st_gid) != 0) return FailSys("chown", directory);
  if (::chmod(directory.c_str(), 02755) != 0) return FailSys("chmod", directory);
  return {};
}

Result<> RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return FailSys("remove", path);
  return {};
}

// What is asked of the program that helps with the network; what its number is, "" where nothing is.
Result<std::string> AskForNetwork(const std::string& directory, const std::optional<NetworkHelp>& help) {
  const std::string path = In(directory, kNetworkFile);
  sys::RemoveTemporaries(path);
  if (!help) {
    TRY(RemoveFile(path));
    return "";
  }
  const auto serial = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  const std::string program = TRY(sys::ProgramOfOurs("nucleus-network"));
  TRY(sys::ReplaceFile(path, EncodeNetworkHelp(*help, serial, program), 0600));
  return std::to_string(serial);
}

// The same process goes on: what may change under it is changed.
Result<> Update(const PartKey& key, const std::string& directory, const ProcessWanted& wanted, pid_t supervisor) {
  TRY(Thaw(key, directory));
  const std::string network = wanted.network ? DigestOf(*wanted.network).Hex() : "";
  const auto follows = [&](const Found& found) {
    return found.status && found.status->policy_digest == wanted.policy_digest && found.status->network == network;
  };
  const auto found = TRY(Find(directory));
  if (follows(found)) return {};
  sys::RemoveTemporaries(In(directory, kPolicyFile));
  TRY(sys::ReplaceFile(In(directory, kPolicyFile), Encode(PolicyOf(wanted)), 0600));
  // Where it does as it was told already it is left alone.
  const bool ask = !found.status || found.status->network != network;
  const std::string serial = ask ? TRY(AskForNetwork(directory, wanted.network)) : "";
  const Duration lookups = ask && wanted.network ? kLookupTime : Duration{0};
  const auto end = Steady::now() + AttentionTimeOf(directory) + lookups;
  for (bool told = false; Steady::now() < end; ::usleep(kLookUs)) {
    const auto holder = TRY(FindSupervisor(directory));
    if (!holder || holder->pid != supervisor) break;
    if (!std::exchange(told, true)) TRY(sys::SendSignal(holder->pidfd, SIGHUP, "supervisor"));
    const auto now = TRY(Find(directory));
    if (follows(now)) return {};
    const auto state = ReadNetworkState(now.status ? now.status->network : "");
    if (!serial.empty() && state.serial == serial)
      return Fail(ErrorCode::kSystem, "change the network of", key.Text(), state.why);
  }
  return Fail(ErrorCode::kTimeout, "change the policy of", key.Text(), "its supervisor does not take it up");
}

// What is being started may have read its files, and not be told of yet.
Result<Found> FindStarted(const std::string& directory) {
  const auto end = Steady::now() + AttentionTimeOf(directory);
  auto found = TRY(Find(directory));
  const auto starts = [&] { return found.supervisor != 0 && found.status->state == Status::State::kStarting; };
  while (found.status && starts() && Steady::now() < end) {
    ::usleep(kLookUs);
    found = TRY(Find(directory));
  }
  return found;
}

Result<> Tag(const Launch& launch) {
  if (launch.cgroup.empty()) return {};
  TRY(sys::SetXattr(launch.cgroup, kTagId, launch.id));
  return sys::SetXattr(launch.cgroup, kTagDigest, launch.digest.Hex());
}

// Last what says that something is there: where one cannot be removed, or whoever removes them is killed, somebody
// comes back for the rest.
Result<> RemoveFiles(const std::string& directory, bool keep_log) {
  const std::string mounts = std::string(kRestoreStage) + std::string(kRestoreMounts);
  for (const auto tree : {std::string_view("files"), kNetworkDirectory, kNotifyDirectory, std::string_view(mounts)}) {
    if (auto removed = sys::RemoveTree(In(directory, tree)); !removed && removed.error().sys_errno != ENOENT)
      return removed;
  }
  if (!keep_log) {
    for (const auto file : {kLogFile, kEventsFile}) {
      TRY(RemoveFile(In(directory, file)));
      TRY(RemoveFile(In(directory, file) + ".1"));
    }
  }
  ::rmdir(In(directory, kRestoreStage).c_str());  // of a supervisor that was killed
  for (const auto file : {kAtEndFile, kRestoreFile, kCheckpointFile, kDeniedFile, kPolicyFile, kNetworkFile, kLockFile,
                          kLaunchFile, kStatusFile}) {
    sys::RemoveTemporaries(In(directory, file));
    TRY(RemoveFile(In(directory, file)));
  }
  // Of a unit that was started again to have the container once more.
  if (!IsHeld(directory)) {
    for (const auto file : {kAgainFile, kHoldSocket}) TRY(RemoveFile(In(directory, file)));
  }
  // Unless the files of the names part, or another resource's, are there still.
  if (!keep_log) sys::RemoveIfEmpty(directory, 2);
  return {};
}

// It becomes ready or it does not: failures before are of no account, and it is asked often.
std::optional<spec::HealthCheck> ReadinessOf(const spec::Service& service) {
  constexpr Duration kOften{1'000}, kAlways{100LL * 365 * 24 * 3600 * 1000};
  spec::HealthCheck check;
  check.interval = kOften;
  check.start_period = kAlways;
  if (service.readiness_tcp) {
    check.probe = spec::TcpProbe{*service.readiness_tcp};
  } else if (!service.readiness_exec.empty()) {
    check.probe = spec::CommandProbe{service.readiness_exec};
  } else {
    return std::nullopt;
  }
  return check;
}

}  // namespace

Policy PolicyOf(const ProcessWanted& wanted) {
  const spec::Service& service = *wanted.service;
  Policy policy;
  policy.restart = service.restart;
  policy.stop_signal = service.stop_signal;
  policy.stop_timeout_ms = static_cast<std::uint32_t>(
      std::min<std::int64_t>(service.stop_timeout.count(), std::numeric_limits<std::uint32_t>::max()));
  policy.has_health = service.health.has_value();
  if (service.health) policy.health = *service.health;
  if (const auto readiness = ReadinessOf(service)) {
    policy.has_readiness = true;
    policy.readiness = *readiness;
  }
  policy.digest = wanted.policy_digest;
  return policy;
}

Result<> ProcessActuator::Apply(const PartKey& key, const Wanted& part, const ProgressSink& progress) {
  const auto* wanted = std::get_if<ProcessWanted>(&part);
  if (wanted == nullptr || !wanted->service) return Fail(ErrorCode::kInternal, "apply", key.Text(), "not a process");
  TRY(sys::MakeDirectories(wanted->directory, 0755));
  TRY(ShareWithReaders(wanted->directory, directories_.runtime));
  TRY(StageFiles(wanted->directory, *wanted));
  const auto found = TRY(Find(wanted->directory));
  if (found.supervisor != 0 && found.status && found.status->digest == wanted->digest)
    return Update(key, wanted->directory, *wanted, found.supervisor);
  // Another one, or the remains of one, makes room first.
  TRY(StopSupervisor(key, wanted->directory, std::nullopt, progress));
  TRY(KillRest(key, wanted->directory));
  auto started = Start(key, *wanted);
  if (!started) (void)RemoveFiles(wanted->directory, true);  // to be told is why it did not start
  return started;
}

Result<> ProcessActuator::Start(const PartKey& key, const ProcessWanted& wanted) {
  TRY(Thaw(key, wanted.directory));
  const Launch launch = TRY(compiler_(key, wanted));
  TRY(Tag(launch));
  ::unlink(In(wanted.directory, kStatusFile).c_str());
  for (const auto file : {kLaunchFile, kPolicyFile, kStatusFile}) sys::RemoveTemporaries(In(wanted.directory, file));
  // Only the owner: the environment may hold what is nobody else's business.
  TRY(sys::ReplaceFile(In(wanted.directory, kLaunchFile), Encode(launch), 0600));
  TRY(sys::ReplaceFile(In(wanted.directory, kPolicyFile), Encode(launch.policy), 0600));
  (void)TRY(AskForNetwork(wanted.directory, wanted.network));
  if (launch.cgroup.empty()) return supervisors_.Start(wanted.directory, "");
  // Whoever removes what seems to be the last container of the project removes the group, also before it is used.
  for (int tries = 0;; ++tries) {
    const std::string group = TRY(cgroup::MakeSupervisorGroup(key.project));
    auto started = supervisors_.Start(wanted.directory, group);
    if (started || ::access(group.c_str(), F_OK) == 0 || tries == cgroup::kVanishedTries) return started;
  }
}

Result<> ProcessActuator::Undo(const PartKey& key, const Wanted* /*wanted*/, const UndoOptions& options,
                               const ProgressSink& progress) {
  const std::string directory = directories_.ServiceDir(key.project, key.address);
  TRY(StopSupervisor(key, directory, std::nullopt, progress));
  TRY(KillRest(key, directory));
  TRY(RemoveFiles(directory, options.keep_log));
  // The group of the supervisors is ours. Where the service's own has gone before us, after a kill, nobody else is left
  // to remove the project's.
  auto root = cgroup::RootOf(key.project);
  return root && root->writable ? cgroup::RemoveEmptyParents(*root, key.project) : Result<>();
}

// Between two runs there is nobody to be told: the next one reads its files as they are.
Result<> ProcessActuator::Signal(const PartKey& process, const ProcessWanted& wanted, int signal) {
  const auto found = TRY(FindStarted(wanted.directory));
  const bool comes = found.supervisor != 0 && found.status && found.status->state != Status::State::kStarting;
  if (!found.status || found.status->workload.pid == 0) {
    if (comes) return {};
    return Fail(ErrorCode::kNotFound, "signal", process.Text(), "it does not run");
  }
  const auto workload = TRY(sys::OpenIdentified(found.status->workload));
  if (workload) return sys::SendSignal(*workload, signal, process.Text());
  if (comes) return {};
  return Fail(ErrorCode::kNotFound, "signal", process.Text(), "it has ended");
}

}  // namespace nucleus::process
