// What was asked of a process against what was read of it, a line each. Pure.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "actuators/process/posture.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

constexpr int kSysAdmin = 21, kSysResource = 24;  // capabilities(7)

bool Holds(const Launch& launch, int capability) {
  const CapabilitySets& sets = launch.security.capabilities;
  return ((sets.permitted | sets.ambient) >> capability & 1) != 0;
}

Check Line(std::string name, std::string asked, std::string found, bool good) {
  return {std::move(name), std::move(asked), std::move(found), good ? Verdict::kOk : Verdict::kDiffers};
}
Check Unreadable(std::string name, std::string asked) {
  return {std::move(name), std::move(asked), "?", Verdict::kUnreadable};
}

// Which namespaces a container has to itself, and in which words it is asked for.
struct Wanted {
  bool own = true;
  std::string_view words = "its own";
};
Wanted WantedOf(std::string_view name, const Launch& launch) {
  constexpr Wanted kTheMachines{false, "the caller's"};
  if (name == "net" && !launch.netns.empty()) return {true, "that of the service"};
  if (name == "net" && launch.host_network) return kTheMachines;
  if (name == "cgroup" && launch.host_cgroups) return kTheMachines;
  if (name == "time" && !launch.time_namespace) return kTheMachines;
  if (name == "user" && !launch.user_namespace.enabled) return kTheMachines;
  return {};
}

Check CompareNamespace(const Namespace& its, const Launch& launch) {
  const Wanted wanted = WantedOf(its.name, launch);
  const bool pinned = its.name == "net" && !launch.netns.empty();
  std::string_view found = its.ours ? "the caller's" : "its own";
  if (pinned && !its.ours) found = its.as_pinned ? wanted.words : "another";
  // One of its own where none was asked for is no less.
  const bool good = pinned ? its.as_pinned && !its.ours : !wanted.own || !its.ours;
  return Line(its.name + " namespace", std::string(wanted.words), std::string(found), good);
}

std::string RangesText(const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) {
    text += (text.empty() ? "" : ", ") + std::to_string(range.inside) + " is " + std::to_string(range.outside);
    if (range.count != 1) text += " (" + std::to_string(range.count) + ")";
  }
  return text.empty() ? "none" : text;
}

// here: what the ids of whoever started it are for us.
Check CompareMap(std::string name, std::vector<IdRange> asked, const std::optional<std::vector<IdRange>>& found,
                 const std::optional<std::vector<IdRange>>& here) {
  for (IdRange& range : asked)
    if (here) range.outside = OutsideId(*here, range.outside).value_or(kOverflowId);
  if (!found) return Unreadable(std::move(name), RangesText(asked));
  auto its = *found;
  std::ranges::sort(asked, {}, &IdRange::inside);
  std::ranges::sort(its, {}, &IdRange::inside);
  return Line(std::move(name), RangesText(asked), RangesText(its), asked == its);
}

void AddMounts(const Posture& posture, const Launch& launch, std::vector<Check>& checks) {
  if (!posture.mounts) {
    checks.push_back(Unreadable("mounts", std::to_string(launch.mounts.size()) + " operations"));
    return;
  }
  for (Check& check : CompareMounts(*posture.mounts, launch)) {
    if (check.verdict == Verdict::kDiffers && MayRemount(launch)) {
      check.asked += ", at first";
      check.verdict = Verdict::kOk;
    }
    checks.push_back(std::move(check));
  }
}

struct Limit {
  int resource;
  std::string_view name;
  std::string_view line;  // in /proc/PID/limits
};
constexpr auto kLimits = std::to_array<Limit>({{RLIMIT_CPU, "cpu", "Max cpu time"},
                                               {RLIMIT_FSIZE, "fsize", "Max file size"},
                                               {RLIMIT_DATA, "data", "Max data size"},
                                               {RLIMIT_STACK, "stack", "Max stack size"},
                                               {RLIMIT_CORE, "core", "Max core file size"},
                                               {RLIMIT_RSS, "rss", "Max resident set"},
                                               {RLIMIT_NPROC, "nproc", "Max processes"},
                                               {RLIMIT_NOFILE, "nofile", "Max open files"},
                                               {RLIMIT_MEMLOCK, "memlock", "Max locked memory"},
                                               {RLIMIT_AS, "as", "Max address space"},
                                               {RLIMIT_LOCKS, "locks", "Max file locks"},
                                               {RLIMIT_SIGPENDING, "sigpending", "Max pending signals"},
                                               {RLIMIT_MSGQUEUE, "msgqueue", "Max msgqueue size"},
                                               {RLIMIT_NICE, "nice", "Max nice priority"},
                                               {RLIMIT_RTPRIO, "rtprio", "Max realtime priority"},
                                               {RLIMIT_RTTIME, "rttime", "Max realtime timeout"}});

const Limit* FindLimit(int resource) {
  const auto* found = std::ranges::find(kLimits, resource, &Limit::resource);
  return found == kLimits.end() ? nullptr : found;
}

std::string_view LimitName(int resource) {
  const Limit* found = FindLimit(resource);
  return found == nullptr ? "unknown" : found->name;
}

// A number, or "unlimited", off the front of a text.
std::optional<std::uint64_t> TakeLimit(std::string_view& text) {
  constexpr std::string_view kUnlimited = "unlimited";
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  if (text.starts_with(kUnlimited)) {
    text.remove_prefix(kUnlimited.size());
    return RLIM_INFINITY;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string LimitText(const Rlimit& limit) {
  const auto one = [](std::uint64_t value) { return value == RLIM_INFINITY ? "unlimited" : std::to_string(value); };
  return limit.soft == limit.hard ? one(limit.hard) : one(limit.soft) + " to " + one(limit.hard);
}

void AddLimits(const Posture& posture, const Launch& launch, std::vector<Check>& checks) {
  const auto its = posture.rlimits.value_or(std::vector<Rlimit>());
  for (const Rlimit& asked : launch.rlimits) {
    std::string name = "limit " + std::string(LimitName(asked.resource));
    const auto found = std::ranges::find(its, asked.resource, &Rlimit::resource);
    if (found == its.end()) {
      checks.push_back(Unreadable(std::move(name), LimitText(asked)));
      continue;
    }
    // The soft one is the workload's to choose, below the hard one; both may be lowered by anyone.
    const bool good = found->hard <= asked.hard || MayExceedLimits(launch);
    checks.push_back(Line(std::move(name), LimitText(asked), LimitText(*found), good));
  }
}

void AddCgroup(const Posture& posture, const Launch& launch, std::vector<Check>& checks) {
  if (launch.cgroup.empty()) return;
  if (!posture.cgroup) {
    checks.push_back(Unreadable("cgroup", launch.cgroup));
    return;
  }
  // In one of its own below, perhaps.
  const bool inside = (*posture.cgroup + "/").starts_with(launch.cgroup + "/");
  checks.push_back(
      Line("cgroup", launch.cgroup, posture.cgroup->empty() ? "outside of what is mounted" : *posture.cgroup, inside));
}

void AddHostName(const Posture& posture, const Launch& launch, std::vector<Check>& checks) {
  if (launch.hostname.empty()) return;
  if (!posture.hostname) {
    checks.push_back(Unreadable("host name", launch.hostname));
    return;
  }
  const bool good = *posture.hostname == launch.hostname || MayRemount(launch);
  checks.push_back(Line("host name", launch.hostname, *posture.hostname, good));
}

void AddOomScore(const Posture& posture, const Launch& launch, std::vector<Check>& checks) {
  constexpr std::string_view kAsked = "0 or more";
  if (!posture.oom_score_adj) {
    checks.push_back(Unreadable("oom_score_adj", std::string(kAsked)));
    return;
  }
  const bool good = *posture.oom_score_adj >= 0 || MayExceedLimits(launch);
  checks.push_back(Line("oom_score_adj", std::string(kAsked), std::to_string(*posture.oom_score_adj), good));
}

bool LiesIn(std::string_view path, std::string_view directory) {
  return !directory.empty() && path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// Descriptors that lead to what is nucleus's: its directories, or memory that it named.
void AddFiles(const Posture& posture, const Comparison& with, std::vector<Check>& checks) {
  const std::string asked = with.mini_init ? "none" : "none of nucleus";
  if (!posture.files) {
    checks.push_back(Unreadable("open files", asked));
    return;
  }
  constexpr int kFirstOwn = 3;
  const std::size_t before = checks.size();
  for (const OpenFile& file : *posture.files) {
    const bool ours = file.target.starts_with("/memfd:nucleus") ||
                      (file.outside && std::ranges::any_of(with.own_directories, [&](const std::string& directory) {
                         return LiesIn(file.target, directory);
                       }));
    const bool given = with.callers_files && file.fd < kFirstOwn;
    if (with.mini_init || (ours && !given))
      checks.push_back(Line("open file " + std::to_string(file.fd), asked, file.target, false));
  }
  if (checks.size() == before)
    checks.push_back(Line("open files", asked, std::to_string(posture.files->size()) + " open", true));
}

void AddProgram(const Posture& posture, const Comparison& with, std::vector<Check>& checks) {
  if (!with.mini_init) return;
  const std::string asked = "of nucleus, read-only";
  if (!posture.program || !with.supervisor) {
    checks.push_back(Unreadable("program", asked));
    return;
  }
  const bool same =
      posture.program->device == with.supervisor->device && posture.program->inode == with.supervisor->inode;
  const std::string found =
      std::string(same ? "of nucleus, " : "another, ") + (posture.program->read_only ? "read-only" : "writable");
  checks.push_back(Line("program", asked, found, same && posture.program->read_only));
}

}  // namespace

std::optional<Rlimit> ParseLimit(std::string_view text, int resource) {
  const Limit* wanted = FindLimit(resource);
  while (wanted != nullptr && !text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(wanted->line)) continue;
    line.remove_prefix(wanted->line.size());
    const auto soft = TakeLimit(line);
    const auto hard = soft && line.starts_with(' ') ? TakeLimit(line) : std::nullopt;
    if (!hard) return std::nullopt;
    return Rlimit{resource, *soft, *hard};
  }
  return std::nullopt;
}

bool MayRemount(const Launch& launch) {
  return Holds(launch, kSysAdmin);
}

bool MayExceedLimits(const Launch& launch) {
  return Holds(launch, kSysResource);
}

std::vector<Check> CompareNamespaces(const Posture& posture, const Comparison& with) {
  std::vector<Check> checks;
  if (posture.namespaces) {
    for (const Namespace& its : *posture.namespaces) checks.push_back(CompareNamespace(its, with.launch));
  } else {
    checks.push_back(Unreadable("namespaces", "its own"));
  }
  const UserNamespace& user = with.launch.user_namespace;
  if (user.enabled) {
    checks.push_back(CompareMap("uid_map", user.uids, posture.uid_map, with.uids_here));
    checks.push_back(CompareMap("gid_map", user.gids, posture.gid_map, with.gids_here));
  }
  return checks;
}

std::vector<Check> Compare(const Posture& posture, const Comparison& with) {
  auto checks = CompareStatus(posture, with);
  for (Check& check : CompareNamespaces(posture, with)) checks.push_back(std::move(check));
  AddCgroup(posture, with.launch, checks);
  AddLimits(posture, with.launch, checks);
  AddOomScore(posture, with.launch, checks);
  AddFiles(posture, with, checks);
  AddProgram(posture, with, checks);
  // Behind a mini-init these are the workload's to tell: both are in the same namespaces.
  if (with.mini_init) return checks;
  AddHostName(posture, with.launch, checks);
  AddMounts(posture, with.launch, checks);
  if (with.launch.security.landlock.enabled)
    checks.push_back({"landlock", "rules", "not to be seen from outside", Verdict::kUnseen});
  return checks;
}

}  // namespace nucleus::process
