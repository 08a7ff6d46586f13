#include "actuators/process/probe.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "actuators/process/channel.hpp"
#include "actuators/process/name_files.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::process {

namespace {

// root: below which the groups are; none where there are none.
std::string FrozenFact(const sys::Fd& root, const PartKey& key) {
  if (!root) return "0";
  const auto text = sys::ReadBriefIfThere(root.get(), CgroupPath(key.project, key.address) + "/cgroup.freeze");
  return text && *text && (*text)->starts_with('1') ? "1" : "0";
}

void AddNotes(const Status& status, pid_t supervisor, Facts& notes) {
  notes["id"] = status.id;
  if (status.readiness != Status::Readiness::kNone) notes["readiness"] = ReadinessName(status.readiness);
  if (!status.words.empty()) notes["words"] = status.words;
  notes["health"] = HealthName(status.health);
  notes["restarts"] = std::to_string(status.restarts);
  notes["started_ms"] = std::to_string(status.started_ms);
  if (status.finished_ms > 0) notes["finished_ms"] = std::to_string(status.finished_ms);
  if (status.ending != Status::Ending::kNone) notes["ending"] = EndingName(status.ending);
  if (status.workload.pid != 0) notes["pid"] = std::to_string(status.workload.pid);
  if (supervisor != 0) notes["supervisor_pid"] = std::to_string(supervisor);
  if (status.exit_code >= 0) notes["exit_code"] = std::to_string(status.exit_code);
  if (status.oom_killed) notes["oom_killed"] = "1";
  if (!status.error.empty()) notes["error"] = status.error;
  if (!status.probe_output.empty()) notes["probe_output"] = status.probe_output;
}

// A status outlives a supervisor that was killed; what it says of a running workload is then no longer so.
std::string_view StateOf(const Found& found) {
  if (!found.status) return found.supervisor != 0 ? "starting" : "failed";
  const auto state = found.status->state;
  const bool ended = state == Status::State::kExited || state == Status::State::kFailed;
  if (found.supervisor == 0 && !ended) return "failed";
  return StateName(state);
}

void AddStagedFiles(const std::string& directory, const ProcessWanted& wanted, Facts& facts) {
  for (const auto& [destination, digest] : wanted.files) {
    const auto text = sys::ReadFileIfThere(StagedFile(directory, destination));
    if (text && *text) facts["file:" + destination] = Sha256::Of(**text).Hex();
  }
}

// Where in the cgroup2 hierarchy a process is, from the root that this process sees: cgroups(7), /proc/PID/cgroup.
std::optional<std::string> CgroupOf(pid_t pid) {
  const auto text = sys::ReadFileIfThere("/proc/" + std::to_string(pid) + "/cgroup");
  if (!text || !*text) return std::nullopt;
  std::string_view rest = **text;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with("0::/")) return std::string(line.substr(4));
  }
  return std::nullopt;
}

// Whether the cgroup at a path below a root has that id: kernfs numbers its inodes so.
bool IsCgroup(const sys::Fd& root, const std::string& path, std::optional<std::uint64_t> id) {
  struct stat st{};
  return id && root && ::fstatat(root.get(), path.c_str(), &st, 0) == 0 && st.st_ino == *id;
}

// None: one of them is not to be seen.
std::optional<bool> IsNetnsOf(const sys::Fd& pidfd, pid_t pid, const std::string& pin) {
  struct stat one{}, other{};
  const sys::Fd own(sys::PidfdNetns(pidfd.get()));
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
  if ((own ? ::fstat(own.get(), &one) : ::stat(path.c_str(), &one)) != 0) return std::nullopt;
  if (::stat(pin.c_str(), &other) != 0) return std::nullopt;
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Where one looks from.
struct Place {
  const sys::Fd& cgroup_root;  // below which the groups are; none where there are none
  bool wandering = false;      // on a thread of its own, which may go into other namespaces
};

// Whether somebody has changed from outside what confines it. Nothing is said where it may not be looked at, nor of a
// workload that may change it itself: its supervisor has written down no mounts then.
void AddPosture(const Status& status, const sys::Fd& pidfd, const ProcessWanted& wanted, Facts& facts) {
  const pid_t pid = status.workload.pid;
  if (!pidfd || status.mounts.empty()) return;
  if (const auto mounts = BriefMounts(pid, pidfd.get()); !mounts.empty() && mounts != status.mounts)
    facts["posture:mounts"] = mounts + ", not " + status.mounts + " as at its start";
  if (const auto score = OomScoreAdj(pid); score && *score < 0) facts["posture:oom_score_adj"] = std::to_string(*score);
  if (!wanted.service) return;
  const auto& service = *wanted.service;
  const auto limit = service.memlock ? LimitOf(pid, RLIMIT_MEMLOCK) : std::nullopt;
  if (limit && limit->hard > *service.memlock) facts["posture:limit memlock"] = std::to_string(limit->hard);
  const auto name = EnterForHostName(pidfd.get());
  const std::string& asked = service.hostname.empty() ? service.name : service.hostname;
  if (name && *name != asked) facts["posture:host name"] = *name;
}

// Whether a workload that runs is still where it was put. Of one that has just ended, or may not be looked at, nothing
// is said here: its state says the one, its namespace's part the other.
void AddGround(const Found& found, const ProcessWanted& wanted, const Place& place, Facts& facts) {
  if (!wanted.cgroup.empty()) facts["cgroup"] = wanted.cgroup;
  if (!wanted.netns.empty()) facts["network namespace"] = kPinnedNamespace;
  if (found.supervisor == 0 || !found.status || found.status->workload.pid == 0) return;
  const pid_t pid = found.status->workload.pid;
  const sys::Fd pidfd(sys::PidfdOpen(pid));
  if (!wanted.cgroup.empty() && !IsCgroup(place.cgroup_root, wanted.cgroup, sys::PidfdCgroup(pidfd.get()))) {
    // In one of its own below, perhaps.
    const auto path = CgroupOf(pid);
    const bool inside = path && ("/" + *path + "/").find("/" + wanted.cgroup + "/") != std::string::npos;
    if (path && !inside) facts["cgroup"] = *path;
  }
  if (!wanted.netns.empty() && IsNetnsOf(pidfd, pid, wanted.netns) == false) facts["network namespace"] = "another";
  for (const auto& name : ReplacedNameFiles(found.status->name_files, wanted.directory))
    facts[std::string(kMountedFact) + name] = "another file";
  if (place.wandering && found.status->state == Status::State::kRunning)
    AddPosture(*found.status, pidfd, wanted, facts);
}

// None where there is none.
sys::Fd OpenRoot(const Result<std::string>& path) {
  return sys::Fd(path ? ::open(path->c_str(), O_PATH | O_CLOEXEC) : -1);
}

Result<Observation> Look(const PartKey& key, const std::string& directory, const Place& place,
                         const ProcessWanted* wanted) {
  Observation seen;
  auto found = Find(directory);
  if (!found) {
    if (found.error().code != ErrorCode::kPermission) return Fail(std::move(found).error());
    seen.presence = Presence::kUnreadable;
    seen.detail = found.error().Message();
    return seen;
  }
  if (!found->present()) return seen;
  seen.presence = Presence::kPresent;
  seen.facts["state"] = StateOf(*found);
  seen.facts["supervisor"] = found->supervisor != 0 ? "running" : "gone";
  seen.facts["frozen"] = FrozenFact(place.cgroup_root, key);
  if (found->status) {
    seen.facts["digest"] = found->status->digest.Hex();
    seen.facts["policy"] = found->status->policy_digest.Hex();
    if (!found->status->network.empty()) seen.facts[std::string(kNetworkHelpFact)] = found->status->network;
    AddNotes(*found->status, found->supervisor, seen.notes);
  }
  if (wanted != nullptr) {
    AddStagedFiles(directory, *wanted, seen.facts);
    AddGround(*found, *wanted, place, seen.facts);
  }
  return seen;
}

Result<Observations> LookAtAll(const Directories& directories, const ProbeRequest& request, const Place& place) {
  Observations answer;
  for (const auto& [key, part] : request.parts) {
    const auto* wanted = std::get_if<ProcessWanted>(&part);
    if (wanted == nullptr) return Fail(ErrorCode::kInternal, "probe", key.Text(), "not a process");
    answer.emplace(key, TRY_IN(key.Text(), Look(key, directories.ServiceDir(key.project, key.address), place, wanted)));
  }
  if (request.only_asked && !request.parts.empty()) return answer;
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(
      ::opendir(directories.ProjectDir(request.project).c_str()));
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const auto address = Address::Parse(entry->d_name);
    if (!address || (address->kind != Kind::kService && address->kind != Kind::kContainer)) continue;
    const PartKey key{request.project, *address, Part::kProcess};
    if (answer.contains(key)) continue;
    auto seen = TRY_IN(key.Text(), Look(key, directories.ServiceDir(request.project, *address), place, nullptr));
    if (seen.presence != Presence::kAbsent) answer.emplace(key, std::move(seen));
  }
  return answer;
}

}  // namespace

Glance::Glance(Directories directories) : directories_(std::move(directories)) {
  if (auto groups = cgroup::Roots::Find()) groups_ = *std::move(groups);
  if (groups_) shared_root_ = OpenRoot(groups_->shared());
}

Result<Observation> Glance::At(const PartKey& key) const {
  const auto unit = groups_ ? groups_->UnitOf(key.project) : std::nullopt;
  const sys::Fd root = unit ? OpenRoot(*unit) : sys::Fd();
  return Look(key, directories_.ServiceDir(key.project, key.address), Place{unit ? root : shared_root_}, nullptr);
}

Result<Found> Find(const std::string& directory) {
  Found found;
  found.supervisor = TRY(SupervisorOf(directory));
  // Read after the lock: a supervisor that ends in between has written its last word by now.
  const auto text = TRY(sys::ReadBriefIfThere(AT_FDCWD, directory + "/" + std::string(kStatusFile)));
  if (text) {
    if (auto status = DecodeStatus(*text)) found.status = std::move(*status);
  }
  found.launched = text.has_value() || ::access((directory + "/" + std::string(kLaunchFile)).c_str(), F_OK) == 0;
  return found;
}

std::string StagedFile(const std::string& directory, std::string_view destination) {
  return directory + "/files/" + Sha256::Of(destination).Hex().substr(0, 16);
}

// What is just applied (only_asked) is confined as it was a moment ago; else a thread goes round.
Result<Observations> ProcessProber::Probe(const ProbeRequest& request) {
  const sys::Fd root = OpenRoot(cgroup::AbsolutePath(request.project, ""));
  Place place{root};
  if (request.only_asked || request.parts.empty()) return LookAtAll(directories_, request, place);
  place.wandering = true;
  Result<Observations> answer;
  try {
    std::thread([&] { answer = LookAtAll(directories_, request, place); }).join();
  } catch (const std::system_error& error) {
    return Fail(Error::Sys("start thread", "probe of processes", error.code().value()));
  }
  return answer;
}

}  // namespace nucleus::process
