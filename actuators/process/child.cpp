#include "actuators/process/child.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/pass_fd.hpp"

namespace nucleus::process {

namespace {

constexpr std::uint64_t kAllSignals = ~0ULL;
constexpr char kReady = '+';  // written once nothing but exec is left to do

// Back to how a program expects to find them; signal(7). What the parent ignores would stay ignored over exec.
void ResetSignals() {
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
  } action{};
  for (int signal = 1; signal <= 64; ++signal)
    ::syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask);
}

bool RaiseLoopback(Child& child) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return child.Fail(Step::kLoopback);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket, SIOCSIFFLAGS, &request) != 0) return child.Fail(Step::kLoopback);
  ::close(socket);
  return true;
}

bool JoinCgroup(Child& child) {
  if (child.join_cgroup < 0) return true;
  return sys::JoinCgroup(child.join_cgroup) || child.Fail(Step::kNamespaces, Call::kOpen);
}

bool EnterNamespaces(Child& child) {
  if (child.pidns_container >= 0) {
    constexpr int kAll = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
    return ::setns(child.pidns_container, kAll) == 0 || child.Fail(Step::kNamespaces);
  }
  // After clone3 has put us into our cgroup: in the same call it would be the parent's that becomes the root.
  if (::unshare(CLONE_NEWCGROUP) != 0) return child.Fail(Step::kNamespaces);
  if (child.netns < 0) return RaiseLoopback(child);
  return ::setns(child.netns, CLONE_NEWNET) == 0 || child.Fail(Step::kNetwork);
}

bool TakeStandardFiles(Child& child) {
  for (int i = 0; i < 3; ++i)
    if (::dup3(child.standard[i], i, 0) != i) return child.Fail(Step::kStandardFiles);
  return true;
}

// A score inherited from the supervisor would make the workload outlive what it should not. Lowering takes a
// capability that may be missing, raising does not; proc_pid_oom_score_adj(5).
void ResetOomScore(const Child& child) {
  const int fd = ::openat(child.proc_self, "oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const auto wrote = ::write(fd, "0", 1);
  ::close(fd);
}

bool SetUp(Child& child) {
  // Nobody in the container may trace us or read our descriptors while we are on the way in (CVE-2016-9962).
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ResetSignals();
  if (!JoinCgroup(child)) return false;
  if (!TakeStandardFiles(child)) return false;
  child.proc_self = ::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (child.proc_self < 0) return child.Fail(Step::kNamespaces, Call::kOpen);
  ResetOomScore(child);
  if (!EnterNamespaces(child)) return false;
  if (child.pidns_container < 0 &&
      !(LeaveHostMounts(child) && BuildRoot(child) && EnterRoot(child) && AuditMounts(child)))
    return false;
  return Confine(child);
}

[[noreturn]] void RunChild(Child& child) {
  if (SetUp(child)) {
    [[maybe_unused]] const auto wrote = ::write(child.error_pipe, &kReady, 1);
    constexpr std::uint64_t kNone = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kNone, nullptr, sizeof kNone);
    const auto& seccomp = child.data.seccomp;
    if (!seccomp.empty() && !LoadSeccomp(seccomp.data(), seccomp.size(), child.data.launch.security.seccomp_flags)) {
      child.Fail(Step::kSeccomp);
    } else {
      ::syscall(SYS_execve, child.program, child.data.argv.data(), child.data.envp.data());
      child.Fail(Step::kExec);
    }
  }
  ReportAndExit(child);
}

// What the child says until exec or death closes its end.
struct Verdict {
  bool ready = false;
  bool failed = false;
  bool late = false;
  Failure failure;
};

Verdict ReadVerdict(int pipe, int patience_ms) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(patience_ms);
  Verdict verdict;
  std::array<char, 1 + sizeof(Failure)> buffer{};
  std::size_t used = 0;
  while (used < buffer.size()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd poller{.fd = pipe, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&poller, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      verdict.late = true;
      return verdict;
    }
    const ssize_t got = ::read(pipe, buffer.data() + used, buffer.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += static_cast<std::size_t>(got);
  }
  const char* at = buffer.data();
  verdict.ready = used > 0 && used % sizeof(Failure) == 1 && *at == kReady;
  if (verdict.ready) {
    ++at;
    --used;
  }
  verdict.failed = used == sizeof(Failure);
  if (verdict.failed) std::memcpy(&verdict.failure, at, sizeof(Failure));
  return verdict;
}

int Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  return status;
}

struct CloneRequest {
  std::uint64_t flags = 0;
  int cgroup = -1;
  int netns = -1;
  int container = -1;
  bool join = false;  // the child moves itself into the cgroup
  int patience_ms = 60'000;
};

// Standard files above 2, so that putting them in place cannot overwrite one that is still needed.
Result<std::array<sys::Fd, 3>> TakeStdio(const Stdio& stdio) {
  std::array<sys::Fd, 3> fds;
  const int given[3] = {stdio.in, stdio.out, stdio.err};
  sys::Fd null;
  for (std::size_t i = 0; i < 3; ++i) {
    if (given[i] < 0 && !null) null = TRY(sys::Open("/dev/null", O_RDWR));
    fds[i].reset(::fcntl(given[i] < 0 ? null.get() : given[i], F_DUPFD_CLOEXEC, 4));
    if (!fds[i]) return FailSys("duplicate", "standard files");
  }
  return fds;
}

// The way that a terminal's other end takes out of the container; unix(7), SCM_RIGHTS.
struct TerminalPair {
  sys::Fd parent, child;
};
Result<TerminalPair> MakeTerminalPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) return FailSys("socketpair", "terminal");
  TerminalPair pair{sys::Fd(ends[0]), sys::Fd()};
  const sys::Fd low(ends[1]);
  pair.child.reset(::fcntl(low.get(), F_DUPFD_CLOEXEC, 4));
  if (!pair.child) return FailSys("duplicate", "terminal");
  return pair;
}

// Since cgroup.kill counts its uses, a kernel (seen on Linux 6.18) compares the count of the group that the parent is
// in with that of the group it clones into, and kills the newborn where they differ: in a group that was ever killed no
// child can be born. It can still be moved there, before it does anything else.
bool KilledAtBirth(const CloneRequest& request, const Verdict& verdict, int status) {
  return request.cgroup >= 0 && !request.join && !verdict.ready && !verdict.failed && WIFSIGNALED(status) &&
         WTERMSIG(status) == SIGKILL;
}

Result<Running> Start(Buffers& data, const Stdio& stdio, const CloneRequest& request) {
  const auto standard = TRY(TakeStdio(stdio));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailSys("pipe2", "error channel");
  sys::Fd reader(ends[0]);
  sys::Fd low(ends[1]);
  sys::Fd writer(::fcntl(low.get(), F_DUPFD_CLOEXEC, 4));
  if (!writer) return FailSys("duplicate", "error channel");
  TerminalPair terminal;
  if (stdio.terminal) terminal = TRY(MakeTerminalPair());
  Child child{.data = data};
  child.terminal = terminal.child.get();
  child.size = stdio.size;
  child.error_pipe = writer.get();
  child.pidns_container = request.container;
  child.netns = request.netns;
  child.join_cgroup = request.join ? request.cgroup : -1;
  const int given[3] = {stdio.in, stdio.out, stdio.err};
  for (std::size_t i = 0; i < 3; ++i) {
    child.standard[i] = standard[i].get();
    child.null_file[i] = given[i] < 0 && !stdio.terminal;
  }

  // No handler of ours may run in the child.
  std::uint64_t mask = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kAllSignals, &mask, sizeof mask);
  int pidfd = -1;
  const pid_t pid = sys::Clone3(request.flags, request.join ? -1 : request.cgroup, &pidfd);
  const int err = errno;
  if (pid == 0) {
    ::close(reader.get());  // or the child would keep its own pipe readable when the parent dies
    ::close(low.get());
    RunChild(child);
  }
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
  if (pid < 0) return FailSys("clone3", data.launch.address.empty() ? "container" : data.launch.address, err);
  Running running{.pid = pid, .pidfd = sys::Fd(pidfd)};
  writer.reset();
  low.reset();
  terminal.child.reset();
  const Verdict verdict = ReadVerdict(reader.get(), request.patience_ms);
  if (verdict.late) {
    sys::PidfdSendSignal(running.pidfd.get(), SIGKILL);
    Reap(pid);
    return Fail(Error::Of(ErrorCode::kTimeout, "start", data.launch.address,
                          "it was not set up within " + std::to_string(request.patience_ms) + " ms")
                    .Hint("a group that is frozen, or out of processor time, lets nothing start"));
  }
  if (verdict.failed) {
    Reap(pid);
    return Fail(Explain(verdict.failure, data));
  }
  if (!verdict.ready) {
    const int status = Reap(pid);
    if (KilledAtBirth(request, verdict, status)) {
      CloneRequest again = request;
      again.join = true;
      return Start(data, stdio, again);
    }
    return Fail(ErrorCode::kSystem, "start", data.launch.address,
                WIFSIGNALED(status) ? "it was killed by signal " + std::to_string(WTERMSIG(status)) + " during set-up"
                                    : "it ended with " + std::to_string(WEXITSTATUS(status)) + " during set-up");
  }
  // Sent before it said that it is ready.
  if (stdio.terminal) {
    running.terminal.reset(sys::ReceiveFd(terminal.parent.get()));
    if (!running.terminal) {
      sys::PidfdSendSignal(running.pidfd.get(), SIGKILL);
      Reap(pid);
      return Fail(ErrorCode::kSystem, "receive", "the container's terminal", "it was not sent");
    }
  }
  return running;
}

}  // namespace

void ReportAndExit(Child& child) {
  const char* at = reinterpret_cast<const char*>(&child.failure);
  [[maybe_unused]] const auto wrote = ::write(child.error_pipe, at, sizeof(Failure));
  ::_exit(125);
}

Result<Running> Spawn(const Prepared& prepared, const Stdio& stdio) {
  Buffers& data = prepared.buffers();
  CloneRequest request{.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS};
  sys::Fd cgroup, netns;
  if (!data.launch.cgroup.empty()) {
    cgroup = TRY(sys::Open(data.launch.cgroup, O_PATH | O_DIRECTORY));
    request.cgroup = cgroup.get();
  }
  if (data.launch.netns.empty()) {
    request.flags |= CLONE_NEWNET;
  } else {
    netns = TRY(sys::Open(data.launch.netns, O_RDONLY));
    request.netns = netns.get();
  }
  return Start(data, stdio, request);
}

Result<Running> SpawnInside(const Prepared& prepared, const sys::Fd& container, int cgroup, const Stdio& stdio,
                            int patience_ms) {
  // Only children of ours are born into the other pid namespace; it is undone right after. setns(2).
  const sys::Fd own = TRY(sys::Open("/proc/self/ns/pid", O_RDONLY));
  if (::setns(container.get(), CLONE_NEWPID) != 0) return FailSys("setns", "pid namespace of the container");
  auto running =
      Start(prepared.buffers(), stdio, {.cgroup = cgroup, .container = container.get(), .patience_ms = patience_ms});
  if (::setns(own.get(), CLONE_NEWPID) != 0) {
    const int err = errno;
    if (running) {
      sys::PidfdSendSignal(running->pidfd.get(), SIGKILL);
      Reap(running->pid);
    }
    return FailSys("setns", "own pid namespace", err);
  }
  return running;
}

}  // namespace nucleus::process
