#include "actuators/process/probe.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "actuators/process/channel.hpp"
#include "actuators/process/mounted_sources.hpp"
#include "actuators/process/posture.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/hash.hpp"
#include "spec/core/threads.hpp"

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
std::optional<std::string> CgroupOf(const std::string& proc) {
  const auto text = sys::ReadFileIfThere(proc + "/cgroup");
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
std::optional<bool> IsNetnsOf(const sys::Fd& pidfd, const std::string& proc, const std::string& pin) {
  struct stat one{}, other{};
  const sys::Fd own(sys::PidfdNetns(pidfd.get()));
  const std::string path = proc + "/ns/net";
  if ((own ? ::fstat(own.get(), &one) : ::stat(path.c_str(), &one)) != 0) return std::nullopt;
  if (::stat(pin.c_str(), &other) != 0) return std::nullopt;
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Where one looks from.
struct Place {
  const sys::Fd& cgroup_root;  // below which the groups are; none where there are none
  bool wandering = false;      // on threads of their own, which may go into other namespaces
};

// What a workload was given at its start, of what is looked at here.
struct Given {
  std::string hostname;
  std::optional<std::uint64_t> memlock;
};

// Of what is wanted, where it was started with that; else of what was written down then, which only its owner may read.
std::optional<Given> GivenTo(const Status& status, const ProcessWanted& wanted) {
  if (wanted.service && status.digest == wanted.digest) {
    const auto& service = *wanted.service;
    return Given{service.hostname.empty() ? service.name : service.hostname, service.memlock};
  }
  const auto text = sys::ReadFile(wanted.directory + "/" + std::string(kLaunchFile));
  if (!text) return std::nullopt;
  const auto launch = DecodeLaunch(*text);
  if (!launch || launch->id != status.id) return std::nullopt;
  Given given{launch->hostname, std::nullopt};
  for (const auto& limit : launch->rlimits)
    if (limit.resource == RLIMIT_MEMLOCK) given.memlock = limit.hard;
  return given;
}

// Whether somebody has changed from outside what confines it. Nothing is said where it may not be looked at, nor of a
// workload that may change it itself: its supervisor has written down no mounts then. What is wanted now may be another
// than what it was started with: that is no drift.
void AddPosture(const Status& status, const sys::Fd& pidfd, const std::string& proc, const ProcessWanted& wanted,
                Facts& facts) {
  const pid_t pid = status.workload.pid;
  if (!pidfd || status.mounts.empty()) return;
  const auto mounts = BriefMounts(proc, pidfd.get());
  if (!status.loosened.empty()) {
    facts["posture:mounts"] = status.loosened;
  } else if (!mounts.empty() && mounts != status.mounts) {
    facts["posture:mounts"] = mounts + ", not " + status.mounts + " as at its start";
  }
  if (const auto score = OomScoreAdj(pid); score && *score < 0) facts["posture:oom_score_adj"] = std::to_string(*score);
  const auto given = GivenTo(status, wanted);
  if (!given) return;
  const auto limit = given->memlock ? LimitOf(pid, RLIMIT_MEMLOCK) : std::nullopt;
  if (limit && limit->hard > *given->memlock) facts["posture:limit memlock"] = std::to_string(limit->hard);
  const auto name = EnterForHostName(pidfd);
  if (name && *name != given->hostname) facts["posture:host name"] = *name;
}

// Where whoever has the workload's number is not where the workload was put.
Facts AstrayOf(const Status& status, const ProcessWanted& wanted, const Place& place) {
  Facts facts;
  const pid_t pid = status.workload.pid;
  const sys::Fd pidfd(sys::PidfdOpen(pid));
  const std::string first = "/proc/" + std::to_string(pid), proc = sys::ProcOf(pid);
  // A thread that has exited stays in its group though the others are moved.
  const auto group = proc == first ? sys::PidfdCgroup(pidfd.get()) : std::nullopt;
  if (!wanted.cgroup.empty() && !IsCgroup(place.cgroup_root, wanted.cgroup, group)) {
    // In one of its own below, perhaps.
    const auto path = CgroupOf(proc);
    const bool inside = path && ("/" + *path + "/").find("/" + wanted.cgroup + "/") != std::string::npos;
    if (path && !inside) facts["cgroup"] = *path;
  }
  if (!wanted.netns.empty() && IsNetnsOf(pidfd, proc, wanted.netns) == false) facts["network namespace"] = "another";
  for (const auto& name : ReplacedNameFiles(status.sources, wanted.directory))
    facts[std::string(kMountedFact) + name] = "another file";
  for (const auto& name : ReplacedVolumes(status.sources, wanted.volume_paths))
    facts[std::string(kMountedFact) + "volume " + name] = "another directory";
  if (place.wandering && status.state == Status::State::kRunning) AddPosture(status, pidfd, proc, wanted, facts);
  return facts;
}

// Whether a workload that runs is still where it was put. Of one that has just ended, whose number another may have by
// now, or that may not be looked at, nothing is said here: its state says the one, its namespace's part the other.
void AddGround(const Found& found, const ProcessWanted& wanted, const Place& place, Facts& facts) {
  if (!wanted.cgroup.empty()) facts["cgroup"] = wanted.cgroup;
  if (!wanted.netns.empty()) facts["network namespace"] = kPinnedNamespace;
  if (found.supervisor == 0 || !found.status || found.status->workload.pid == 0) return;
  Facts astray = AstrayOf(*found.status, wanted, place);
  // Asked last: who lives still was there all the time.
  if (astray.empty() || !sys::IsAlive(found.status->workload).value_or(false)) return;
  astray.merge(facts);
  facts = std::move(astray);
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
    // A container in the foreground, which nobody wants again, has none.
    if (found->status->digest != Digest()) {
      seen.facts["digest"] = found->status->digest.Hex();
      seen.facts["policy"] = found->status->policy_digest.Hex();
    }
    if (!found->status->network.empty()) seen.facts[std::string(kNetworkHelpFact)] = found->status->network;
    AddNotes(*found->status, found->supervisor, seen.notes);
    if (IsOrphaned(*found).value_or(false)) seen.notes["orphaned"] = "1";
  }
  if (wanted != nullptr) {
    AddStagedFiles(directory, *wanted, seen.facts);
    AddGround(*found, *wanted, place, seen.facts);
  }
  return seen;
}

using Asked = std::vector<const std::pair<const PartKey, Wanted>*>;

Result<Observation> LookAtOne(const Directories& directories, const std::pair<const PartKey, Wanted>& asked,
                              const Place& place) {
  const auto& [key, part] = asked;
  const auto* wanted = std::get_if<ProcessWanted>(&part);
  if (wanted == nullptr) return Fail(ErrorCode::kInternal, "probe", key.Text(), "not a process");
  return TRY_IN(key.Text(), Look(key, directories.ServiceDir(key.project, key.address), place, wanted));
}

// One answer for each, in order.
std::vector<Result<Observation>> LookAtThese(const Directories& directories, const Asked& asked, Place place) {
  std::vector<Result<Observation>> answers;
  answers.reserve(asked.size());
  for (const auto* one : asked)
    answers.push_back(Fail(ErrorCode::kInternal, "probe", one->first.Text(), "no thread to look with"));
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < asked.size(); i = next++) answers[i] = LookAtOne(directories, *asked[i], place);
  };
  place.wandering ? OnThreads(asked.size(), work) : work();
  return answers;
}

// What nobody asked for.
Result<> LookAtOthers(const Directories& directories, const std::string& project, const Place& place,
                      Observations& answer) {
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(
      ::opendir(directories.ProjectDir(project).c_str()));
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const auto address = Address::Parse(entry->d_name);
    if (!address || (address->kind != Kind::kService && address->kind != Kind::kContainer)) continue;
    const PartKey key{project, *address, Part::kProcess};
    if (answer.contains(key)) continue;
    auto seen = TRY_IN(key.Text(), Look(key, directories.ServiceDir(project, *address), place, nullptr));
    if (seen.presence != Presence::kAbsent) answer.emplace(key, std::move(seen));
  }
  return {};
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

Result<bool> IsOrphaned(const Found& found) {
  if (found.supervisor != 0 || !found.status || found.status->workload.pid == 0) return false;
  return sys::IsAlive(found.status->workload);
}

std::string StagedFile(const std::string& directory, std::string_view destination) {
  return directory + "/files/" + Sha256::Of(destination).Hex().substr(0, 16);
}

// What is just applied (only_asked) is confined as it was a moment ago; else threads go round.
Result<Observations> ProcessProber::Probe(const ProbeRequest& request) {
  const sys::Fd root = OpenRoot(cgroup::AbsolutePath(request.project, ""));
  Asked asked;
  asked.reserve(request.parts.size());
  for (const auto& one : request.parts) asked.push_back(&one);
  auto answers = LookAtThese(directories_, asked, Place{.cgroup_root = root, .wandering = !request.only_asked});
  Observations all;
  for (std::size_t i = 0; i < asked.size(); ++i)
    all.emplace_hint(all.end(), asked[i]->first, TRY(std::move(answers[i])));
  if (!request.only_asked || asked.empty()) TRY(LookAtOthers(directories_, request.project, Place{root}, all));
  return all;
}

}  // namespace nucleus::process
