#include "actuators/process/checkpoint.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <set>

#include "actuators/process/criu.hpp"
#include "actuators/process/criu_keeper.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/mountinfo.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/spawn.hpp"

namespace nucleus::process {

namespace {

std::string ProcOf(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

std::string LinkOf(const std::string& path) {
  std::array<char, 256> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return {target.data(), size < 0 ? 0 : static_cast<std::size_t>(size)};
}

// What the descriptors of a process lead to, as /proc says it.
std::set<std::string> FilesOf(pid_t pid) {
  std::set<std::string> files;
  const std::string directory = ProcOf(pid) + "/fd";
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(::opendir(directory.c_str()));
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr)
    files.insert(LinkOf(directory + "/" + entry->d_name));
  return files;
}

std::vector<pid_t> MembersOf(const Launch& launch) {
  std::vector<pid_t> pids;
  const std::string text = sys::ReadFile(launch.cgroup + "/cgroup.procs").value_or("");
  for (std::string_view rest = text; !rest.empty();) {
    pid_t pid = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), pid);
    if (pid > 0) pids.push_back(pid);
    rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
  }
  return pids;
}

// Made by CRIU, as what it holds is the container's own; anything else is there again as at a start.
bool IsOwn(const sys::MountEntry& mount, const Launch& launch) {
  if (mount.mount_point == "/" || mount.fstype == "proc") return true;
  const bool filesystem = std::ranges::any_of(launch.mounts, [&](const MountOp& op) {
    return op.type == MountOp::Type::kFilesystem && op.target == mount.mount_point;
  });
  if (!filesystem) return false;
  return mount.fstype == "devpts" || mount.fstype == "mqueue" || (mount.fstype == "tmpfs" && mount.HasOption("rw"));
}

// The pipe to the log that a descriptor of some process is.
std::string PipeOf(const std::vector<pid_t>& pids, int fd, const std::set<std::string>& supervisors) {
  for (const pid_t pid : pids) {
    const std::string link = LinkOf(ProcOf(pid) + "/fd/" + std::to_string(fd));
    if (link.starts_with("pipe:") && supervisors.contains(link)) return link;
  }
  return "";
}

Result<RestoreOrder> OrderOf(const RunningContainer& container) {
  const pid_t pid = container.status.workload.pid;
  RestoreOrder order;
  const auto mounts = TRY(sys::ReadMountinfo(ProcOf(pid) + "/mountinfo"));
  for (const auto& mount : mounts) {
    if (IsOwn(mount, container.launch)) continue;
    order.mounts.push_back({mount.mount_point, "m" + std::to_string(order.mounts.size())});
  }
  const auto supervisors = FilesOf(container.status.supervisor.pid);
  auto pids = MembersOf(container.launch);
  pids.insert(pids.begin(), pid);
  order.output = PipeOf(pids, STDOUT_FILENO, supervisors);
  order.error = PipeOf(pids, STDERR_FILENO, supervisors);
  return order;
}

Result<std::vector<std::string>> DumpArguments(const RunningContainer& container, const RestoreOrder& order,
                                               bool leave_running) {
  const pid_t pid = container.status.workload.pid;
  struct stat network{};
  if (::stat((ProcOf(pid) + "/ns/net").c_str(), &network) != 0) return FailSys("stat", "network namespace");
  std::vector<std::string> words{
      "criu",         "dump",
      "--tree",       std::to_string(pid),
      "--images-dir", "/proc/self/fd/" + std::to_string(CriuKeeper::kImages),
      "--log-file",   std::string(kDumpLog),
      "-v2",          "--manage-cgroups=ignore",
      "--tcp-close",  "--file-locks",
      "--link-remap", leave_running ? "--leave-running" : "--leave-stopped",
      "--external",   "net[" + std::to_string(network.st_ino) + "]:" + std::string(kNetworkKey)};
  for (const auto& [destination, key] : order.mounts) {
    words.emplace_back("--external");
    words.push_back("mnt[" + destination + "]:" + key);
  }
  return words;
}

std::string Obstacle(const RunningContainer& container) {
  const Launch& launch = container.launch;
  const Security& security = launch.security;
  if (launch.user_namespace.enabled) return "it has a user namespace";
  if (launch.netns.empty()) return "it runs in the foreground, or on the host's network";
  if (launch.init) return "it has a mini-init, the program of which is in none of its mounts: leave out --init";
  if (launch.terminal) return "it has a terminal, the other end of which its supervisor has";
  if (launch.notify) return "it says to its supervisor when it is ready, by a socket that would not be there";
  if (launch.hooks != spec::Hooks()) return "what its hooks have set up would not be there";
  if (launch.mounts.empty() || launch.mounts.front().type == MountOp::Type::kRootTmpfs) return "it has no rootfs";
  if (security.seccomp_trace || security.seccomp_log_denied ||
      FilesOf(container.status.supervisor.pid).contains("anon_inode:seccomp notify"))
    return "its supervisor answers system calls of it";
  if (IsPaused(launch.cgroup)) return "it is paused";
  const pid_t pid = container.status.workload.pid;
  if (sys::ProcOf(pid) != ProcOf(pid)) return "its first thread has exited, and only others go on";
  return "";
}

}  // namespace

Result<> CheckCanCheckpoint(const RunningContainer& container, const std::string& subject) {
  if (container.launch.security.landlock.enabled) {
    return Fail(
        Error::Of(ErrorCode::kUnsupported, "checkpoint", subject, "it is held by Landlock, which CRIU cannot restore")
            .Hint("start it with --allow-checkpoint, which goes without Landlock"));
  }
  const std::string why = Obstacle(container);
  if (why.empty()) return {};
  return Fail(ErrorCode::kUnsupported, "checkpoint", subject, why);
}

Result<Images> WriteImages(const RunningContainer& container, const std::string& subject, const sys::Fd& images,
                           bool leave_running) {
  const std::string program = TRY(FindCriu());
  RestoreOrder order = TRY(OrderOf(container));
  auto words = TRY(DumpArguments(container, order, leave_running));
  CriuKeeper keeper = TRY(CriuKeeper::Start(
      container, {.program = program, .words = std::move(words), .images = images, .stands_still = !leave_running}));
  const int status = TRY(keeper.Status());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Images{std::move(order), std::move(keeper)};
  if (sys::PendingEnd(true) != 0) return Fail(ErrorCode::kInterrupted, "checkpoint", subject, "interrupted");
  const std::string why = CriuError("/proc/self/fd/" + std::to_string(images.get()) + "/" + std::string(kDumpLog));
  return Fail(ErrorCode::kSystem, "checkpoint", subject,
              why.empty() ? "criu failed, and does not say why" : "criu: " + why);
}

void LetGoOn(const RunningContainer& container) {
  sys::PidfdSendSignal(container.pidfd.get(), SIGCONT);
  for (const pid_t pid : MembersOf(container.launch)) {
    const sys::Fd pidfd(sys::PidfdOpen(pid));
    // Its number may be another's since: of who is in the group now it is that process's.
    if (pidfd && std::ranges::count(MembersOf(container.launch), pid) != 0) sys::PidfdSendSignal(pidfd.get(), SIGCONT);
  }
}

}  // namespace nucleus::process
