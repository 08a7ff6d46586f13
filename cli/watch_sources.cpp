#include "cli/watch_sources.hpp"

#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>

#include "actuators/cgroup/limits.hpp"
#include "actuators/netns/inside.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/file.hpp"
#include "cli/users_machine.hpp"
#include "state/parts/netns_facts.hpp"

namespace nucleus::cli {

namespace {

constexpr WatchSources::Millis kLookEveryMs = 2'000;  // where files are not watched
constexpr sys::WatchedFiles::Kinds kDesired = 1, kStore = 2, kMachine = 4;

// The lock is closed by the supervisor's end, whatever ends it.
constexpr std::array kServiceFiles{kStatusFile, kLaunchFile, kPolicyFile, kNetworkFile, std::string_view(kLockFile)};

void AddService(const std::string& directory, const std::optional<std::string>& group, sys::WatchedFiles& watched) {
  for (const auto name : kServiceFiles) watched.names[directory][std::string(name)] |= kMachine;
  for (const auto name : kNameFiles) watched.names[directory][std::string(name)] |= kMachine;
  watched.all_names[directory + "/files"] |= kMachine;  // what is staged for it
  if (!group) return;
  watched.selves[*group] |= kMachine;
  for (const std::string_view name : {"cgroup.events", "cgroup.freeze"})
    watched.contents[*group + "/" + std::string(name)] |= kMachine;
  for (const auto& limit : cgroup::LimitFiles()) watched.contents[*group + "/" + std::string(limit.name)] |= kMachine;
  watched.contents[*group + "/" + std::string(cgroup::kIoMax)] |= kMachine;
}

// What somebody writes there by way of the machine's own /proc; by way of another instance of it nobody is told.
void AddSettings(const std::string& project, const spec::Topology& topology, sys::WatchedFiles& watched) {
  for (const auto& [name, network] : topology.networks)
    for (const auto& [setting, value] : BridgeSysctls(network.subnet6.has_value()))
      watched.contents[netns::SysctlPath(setting, BridgeLink(project, name))] |= kMachine;
  for (const auto* path : {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"})
    watched.contents[path] |= kMachine;
}

void AddVolumes(const spec::Topology& topology, sys::WatchedFiles& watched) {
  for (const auto& [name, volume] : topology.volumes) {
    if (volume.path.empty()) continue;
    watched.AddPath(volume.path, kMachine);
    watched.selves[volume.path] |= kMachine;
  }
}

std::optional<std::string> GroupPath(const std::string& project, const Address& address) {
  auto path = cgroup::AbsolutePath(project, CgroupPath(project, address));
  return path ? std::optional(*std::move(path)) : std::nullopt;
}

}  // namespace

WatchSources::WatchSources(Directories directories, std::string project, sys::FileWatch files, netns::NetWatch network)
    : directories_(std::move(directories)),
      project_(std::move(project)),
      files_(std::move(files)),
      network_(std::move(network)) {}

Result<> WatchSources::Add(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return FailSys("epoll_ctl", "watch");
  return {};
}

Result<WatchSources> WatchSources::Open(const Directories& directories, std::string project, int wake) {
  auto files = sys::FileWatch::Open();
  auto network = TRY(netns::NetWatch::Open(project));
  WatchSources sources(directories, std::move(project), std::move(files), std::move(network));
  sources.poll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!sources.poll_) return FailSys("epoll_create", "watch");
  sources.mounts_ = TRY(sys::Open("/proc/self/mountinfo", O_RDONLY));
  if (InUsersMachine(directories)) {
    if (auto keeper = TRY(process::FindSupervisor(UsersMachine(directories))))
      sources.machine_ = std::move(keeper->pidfd);
  }
  TRY(sources.Add(wake, EPOLLIN));
  if (!sources.files_.blind()) TRY(sources.Add(sources.files_.fd(), EPOLLIN));
  for (const int fd : sources.network_.fds()) TRY(sources.Add(fd, EPOLLIN));
  TRY(sources.Add(sources.mounts_.get(), EPOLLPRI));  // and EPOLLERR: proc_pid_mountinfo(5)
  if (sources.machine_) TRY(sources.Add(sources.machine_.get(), EPOLLIN));
  return sources;
}

Result<> WatchSources::Want(const std::set<std::string>& files, const spec::Topology* topology) {
  sys::WatchedFiles watched;
  for (const auto& path : files) {
    const bool listed = path.ends_with("/*");  // a directory, whatever comes to be in it
    const std::string name = listed ? path.substr(0, path.size() - 2) : path;
    watched.AddPath(name, kDesired);
    if (listed) watched.all_names[name] |= kDesired;
  }
  watched.AddPath(directories_.AppliedDb(), kStore);
  std::vector<std::string> pins;
  if (topology != nullptr) {
    for (const auto& [name, service] : topology->services) {
      const Address address{Kind::kService, name};
      AddService(directories_.ServiceDir(project_, address), GroupPath(project_, address), watched);
      pins.push_back(directories_.NetnsPin(project_, address));
    }
    // What comes and goes among them.
    watched.all_names[directories_.ProjectDir(project_)] |= kMachine;
    const auto group = GroupPath(project_, {Kind::kService, "any"});
    if (group) watched.all_names[group->substr(0, group->rfind('/'))] |= kMachine;
    AddSettings(project_, *topology, watched);
    AddVolumes(*topology, watched);
  }
  const auto heard_of_files = files_.Want(watched);
  TRY(network_.Want(pins));
  return heard_of_files;
}

// Of the mounts that there are, those in the project's own directories.
bool WatchSources::MountsChanged() {
  const auto text = sys::ReadFile("/proc/self/mountinfo");
  if (!text) return true;
  std::string ours;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find(directories_.runtime) != std::string_view::npos && line.find(project_) != std::string_view::npos)
      ours += line;
  }
  const Digest before = std::exchange(mounted_, Sha256::Of(ours));
  return before != mounted_;
}

Result<WatchSources::Heard> WatchSources::Wait(std::optional<Millis> until) {
  int timeout = -1;
  if (files_.blind()) until = std::min(until.value_or(look_at_), look_at_);
  if (until) timeout = static_cast<int>(std::clamp<Millis>(*until - Now(), 0, 1 << 30));
  std::array<epoll_event, 8> events{};
  const int count = ::epoll_wait(poll_.get(), events.data(), events.size(), timeout);
  if (count < 0 && errno != EINTR) return FailSys("epoll_wait", "watch");
  const auto came = [&](int fd) {
    return fd >= 0 && std::ranges::any_of(events.begin(), events.begin() + std::max(count, 0),
                                          [&](const epoll_event& event) { return event.data.fd == fd; });
  };
  Heard heard;
  const bool looks = files_.blind() && Now() >= look_at_;
  if (looks) look_at_ = Now() + kLookEveryMs;
  const auto kinds = looks ? sys::FileWatch::kEverybody : files_.Heard();
  const bool network = network_.Heard();
  heard.desired = (kinds & kDesired) != 0;
  heard.store = (kinds & kStore) != 0;
  heard.machine = (kinds & kMachine) != 0 || network;
  // That it was told of is all that there is to be had of it: the next question is about what comes then.
  if (came(mounts_.get()) && MountsChanged()) heard.machine = true;
  heard.machine_gone = came(machine_.get());
  return heard;
}

}  // namespace nucleus::cli
