#include "actuators/process/child_restore.hpp"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <charconv>
#include <chrono>

#include "actuators/process/child_data.hpp"
#include "actuators/process/child_target.hpp"
#include "actuators/process/criu.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/pipe.hpp"

namespace nucleus::process {

namespace {

constexpr int kLookMs = 100;
constexpr auto kMostTime = std::chrono::minutes(10);
constexpr std::string_view kRestoreLog = "restore.log", kPidFile = "restored.pid";

// A mount of the container's, and the place for criu to find it.
struct External {
  std::string destination, path;
};

// What the child needs, made before it is there.
struct RestoreStart {
  Child& child;
  const char* criu;
  const char* stage;
  char* const* argv;
  int netns, own_netns, null;
  const std::vector<External>& externals;
};

// Where criu finds each: its path leads through no directory that somebody else may write to.
bool PlaceExternals(const RestoreStart& start) {
  Child& child = start.child;
  for (const External& external : start.externals) {
    const char* path = external.path.c_str();
    const int there = OpenTarget(child, external.destination.c_str(), O_PATH);
    sys::MountIdentity identity;
    if (there < 0 || !sys::IdentifyMount(there, identity)) return child.Fail(Step::kMount, Call::kOpenTarget);
    const bool made = S_ISDIR(identity.mode) ? ::mkdir(path, 0700) == 0 : ::mknod(path, S_IFREG | 0600, 0) == 0;
    if (!made) return child.Fail(Step::kMount, Call::kMkdir);
    const int mount = sys::OpenTree(there, "", sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH);
    if (mount < 0) return child.Fail(Step::kMount, Call::kOpenTree);
    const int place = ::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0 || sys::MoveMount(mount, place) != 0) return child.Fail(Step::kMount, Call::kMoveMount);
    for (const int fd : {there, mount, place}) ::close(fd);
  }
  return true;
}

bool PrepareMounts(const RestoreStart& start) {
  Child& child = start.child;
  child.proc_self = ::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (child.proc_self < 0 || ::unshare(CLONE_NEWNS) != 0) return child.Fail(Step::kNamespaces);
  // sysfs and the tree of control groups show the namespaces of whoever mounts them.
  if (!child.data.launch.host_cgroups && ::unshare(CLONE_NEWCGROUP) != 0) return child.Fail(Step::kNamespaces);
  if (::setns(start.netns, CLONE_NEWNET) != 0) return child.Fail(Step::kNetwork);
  if (!LeaveHostMounts(child)) return false;
  child.old_root = ::open(start.stage, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (child.old_root < 0) return child.Fail(Step::kMount, Call::kOpen);
  if (!BuildRoot(child) || !PlaceExternals(start)) return false;
  return ::setns(start.own_netns, CLONE_NEWNET) == 0 || child.Fail(Step::kNetwork);
}

[[noreturn]] void BecomeCriu(const RestoreStart& start) {
  Child& child = start.child;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::setsid();
  bool good = child.join_cgroup < 0 || sys::JoinCgroup(child.join_cgroup) || child.Fail(Step::kNamespaces, Call::kOpen);
  // What is restored has its session keyring from us.
  good = good && (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) >= 0 || errno == ENOSYS ||
                  child.Fail(Step::kSession));
  good = good && PrepareMounts(start);
  for (int fd = 0; good && fd < 3; ++fd) good = ::dup2(start.null, fd) == fd || child.Fail(Step::kStandardFiles);
  if (!good) ReportAndExit(child);
  const std::array<const char*, 2> environment{kCriuPath, nullptr};
  ::umask(0077);
  ::execve(start.criu, start.argv, const_cast<char* const*>(environment.data()));
  child.Fail(Step::kExec);
  ReportAndExit(child);
}

// Inherited over exec, by its number.
Result<sys::Fd> Lent(int fd, std::string_view what) {
  constexpr int kAbove = 20;
  sys::Fd lent(::fcntl(fd, F_DUPFD, kAbove));
  if (!lent) return FailSys("duplicate", what);
  return lent;
}

std::string PlaceOf(const std::string& stage, std::size_t number) {
  return stage + std::string(kRestoreMounts) + "/" + std::to_string(number);
}

std::vector<std::string> Arguments(const RestoreOrder& order, const std::string& stage) {
  std::vector<std::string> words{"criu",
                                 "restore",
                                 "--images-dir",
                                 order.images,
                                 "--log-file",
                                 std::string(kRestoreLog),
                                 "-v2",
                                 "--pidfile",
                                 order.images + "/" + std::string(kPidFile),
                                 "--root",
                                 stage,
                                 "--manage-cgroups=ignore",
                                 "--restore-detached",
                                 "--restore-sibling",
                                 "--tcp-close",
                                 "--file-locks"};
  for (std::size_t i = 0; i < order.mounts.size(); ++i) {
    words.emplace_back("--external");
    words.push_back("mnt[" + order.mounts[i].key + "]:" + PlaceOf(stage, i));
  }
  return words;
}

std::vector<External> ExternalsOf(const RestoreOrder& order, const std::string& stage) {
  std::vector<External> externals;
  for (std::size_t i = 0; i < order.mounts.size(); ++i)
    externals.push_back({order.mounts[i].destination, PlaceOf(stage, i)});
  return externals;
}

void Inherit(std::vector<std::string>& words, const sys::Fd& fd, std::string_view key) {
  if (key.empty()) return;
  words.emplace_back("--inherit-fd");
  words.push_back("fd[" + std::to_string(fd.get()) + "]:" + std::string(key));
}

// Its exit status; an error where it had to be killed.
Result<int> AwaitCriu(const Running& criu, const std::function<bool()>& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kMostTime;
  std::optional<Error> ended;
  pollfd entry{criu.pidfd.get(), POLLIN, 0};
  while (!ended && ::poll(&entry, 1, kLookMs) != 1) {
    if (stop && stop()) ended = Error::Of(ErrorCode::kInterrupted, "restore", "container", "somebody asked to stop");
    if (std::chrono::steady_clock::now() > deadline)
      ended = Error::Of(ErrorCode::kTimeout, "restore", "container", "criu is not done within ten minutes");
  }
  if (ended) sys::PidfdSendSignal(criu.pidfd.get(), SIGKILL);
  int status = 0;
  while (::waitpid(criu.pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  if (ended) return Fail(*std::move(ended));
  return status;
}

// What it made: a child of ours.
Result<Running> TakeRestored(const RestoreOrder& order) {
  const std::string path = order.images + "/" + std::string(kPidFile);
  const std::string text = TRY(sys::ReadFile(path));
  Running running;
  std::from_chars(text.data(), text.data() + text.size(), running.pid);
  running.pidfd.reset(running.pid > 0 ? sys::PidfdOpen(running.pid) : -1);
  siginfo_t info{};
  const auto id = static_cast<id_t>(running.pidfd.get());
  if (!running.pidfd || ::waitid(P_PIDFD, id, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0)
    return Fail(ErrorCode::kSystem, "restore", "container", "criu has made no process of ours");
  return running;
}

Result<Running> StartCriu(const RestoreStart& start, sys::Fd& heard, sys::Fd& told) {
  Running criu;
  int pidfd = -1;
  criu.pid = sys::Clone3(0, -1, &pidfd);
  if (criu.pid == 0) {
    ::close(heard.get());
    BecomeCriu(start);
  }
  if (criu.pid < 0) return FailSys("clone3", "criu");
  criu.pidfd.reset(pidfd);
  told.reset();
  Failure failure;
  ssize_t got = -1;
  do got = ::read(heard.get(), &failure, sizeof failure);
  while (got < 0 && errno == EINTR);
  if (got == 0) return criu;  // exec has closed it
  while (::waitpid(criu.pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  if (got == sizeof failure) return Fail(Explain(failure, start.child.data));
  return Fail(ErrorCode::kSystem, "restore", "container", "its root could not be built");
}

}  // namespace

Result<Running> Restore(const Prepared& prepared, const RestoreOrder& order, const Stdio& stdio,
                        const std::string& stage, const std::function<bool()>& stop) {
  Buffers& data = prepared.buffers();
  const Launch& launch = data.launch;
  const std::string program = TRY(FindCriu());
  const sys::Fd group = launch.cgroup.empty() ? sys::Fd() : TRY(sys::Open(launch.cgroup, O_PATH | O_DIRECTORY));
  const sys::Fd netns = TRY(sys::Open(launch.netns, O_RDONLY));
  const sys::Fd own_netns = TRY(sys::Open("/proc/self/ns/net", O_RDONLY));
  const sys::Fd null = TRY(sys::Open("/dev/null", O_RDWR));
  std::vector<std::string> words = Arguments(order, stage);
  const sys::Fd out = TRY(Lent(stdio.out, "log")), err = TRY(Lent(stdio.err, "log"));
  const sys::Fd net = TRY(Lent(netns.get(), "network namespace"));
  Inherit(words, out, order.output);
  Inherit(words, err, order.error);
  Inherit(words, net, kNetworkKey);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  auto [heard, told] = TRY(sys::MakePipe("channel"));
  Child child{.data = data};
  child.join_cgroup = group.get();
  child.channel = told.get();
  const std::vector<External> externals = ExternalsOf(order, stage);
  const RestoreStart start{child,       program.c_str(), stage.c_str(), argv.data(),
                           netns.get(), own_netns.get(), null.get(),    externals};
  const Running criu = TRY(StartCriu(start, heard, told));
  const int status = TRY(AwaitCriu(criu, stop));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return TakeRestored(order);
  const std::string why = CriuError(order.images + "/" + std::string(kRestoreLog));
  return Fail(ErrorCode::kSystem, "restore", launch.address,
              why.empty() ? "criu failed, and does not say why" : "criu: " + why);
}

}  // namespace nucleus::process
