#include "actuators/process/child.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "actuators/process/around_clone.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/child_answer.hpp"
#include "actuators/process/child_data.hpp"
#include "actuators/process/child_listener.hpp"
#include "actuators/process/user_namespace.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/clone_onto.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::process {

namespace {

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
    return ::setns(child.pidns_container, NamespacesOf(child.data.launch)) == 0 || child.Fail(Step::kNamespaces);
  }
  // After clone3 has put us into our cgroup: in the same call it would be the parent's that becomes the root.
  if (!child.data.launch.host_cgroups && ::unshare(CLONE_NEWCGROUP) != 0) return child.Fail(Step::kNamespaces);
  if (child.netns < 0) return !child.own_network || RaiseLoopback(child);
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

// What runs in the container's namespaces while its root is still the machine's has the parent start it.
bool AwaitHooks(Child& child) {
  const spec::Hooks& hooks = child.data.launch.hooks;
  if (hooks.create_runtime.empty() && hooks.create_container.empty()) return true;
  [[maybe_unused]] const auto wrote = ::write(child.channel, &kBuilt, 1);
  AwaitParent(child);
  return true;
}

bool SetUp(Child& child) {
  if (!TakeUserNamespace(child)) return false;
  // Nobody in the container may trace us or read our descriptors while we are on the way in (CVE-2016-9962).
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ResetSignals();
  if (!JoinCgroup(child)) return false;
  if (!TakeStandardFiles(child)) return false;
  child.proc_self = ::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (child.proc_self < 0) return child.Fail(Step::kNamespaces, Call::kOpen);
  if (!child.shares_memory) ResetOomScore(child);
  if (!EnterNamespaces(child)) return false;
  if (child.pidns_container < 0 &&
      !(LeaveHostMounts(child) && BuildRoot(child) && AwaitHooks(child) && EnterRoot(child) && AuditMounts(child)))
    return false;
  return Confine(child);
}

[[noreturn]] void RunChild(Child& child) {
  ::close(child.parents_end);  // or it would not notice when the parent dies
  if (SetUp(child)) {
    [[maybe_unused]] const auto wrote = ::write(child.channel, child.used_chroot ? &kReadyInChroot : &kReady, 1);
    if (child.go != nullptr) child.go->LookFor();
    AwaitParent(child);
    constexpr std::uint64_t kNone = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kNone, nullptr, sizeof kNone);
    const auto& seccomp = child.data.seccomp;
    if (child.data.listens) {
      if (!LoadAsking(child)) ReportAndExit(child);
      ::syscall(SYS_execve, child.program, child.data.argv.data(), child.data.envp.data());
      child.Fail(Step::kExec);
      ReportFailedExec(child);
    }
    if (!seccomp.empty() && !LoadSeccomp(seccomp.data(), seccomp.size(), child.data.launch.security.seccomp_flags)) {
      child.Fail(Step::kSeccomp);
    } else {
      ::syscall(SYS_execve, child.program, child.data.argv.data(), child.data.envp.data());
      child.Fail(Step::kExec);
    }
  }
  ReportAndExit(child);
}

struct CloneRequest {
  std::uint64_t flags = 0;
  int cgroup = -1;
  int netns = -1;    // the child enters it
  int born_in = -1;  // or it is born into it, and the parent, whose own that is, comes back
  int own_netns = -1;
  int container = -1;
  bool join = false;  // the child moves itself into the cgroup
  int patience_ms = 60'000;
  Company company = {};
};

struct SocketPair {
  sys::Fd parent, child;
};
// The child's end is above the standard files.
Result<SocketPair> MakeSocketPair(int type, std::string_view what) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return FailSys("socketpair", what);
  SocketPair pair{sys::Fd(ends[0]), sys::Fd()};
  const sys::Fd low(ends[1]);
  pair.child.reset(::fcntl(low.get(), F_DUPFD_CLOEXEC, 4));
  if (!pair.child) return FailSys("duplicate", what);
  return pair;
}

int Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  return status;
}

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

// Since cgroup.kill counts its uses, a kernel (seen on Linux 6.18) compares the count of the group that the parent is
// in with that of the group it clones into, and kills the newborn where they differ: in a group that was ever killed no
// child can be born. It can still be moved there, before it does anything else.
bool KilledAtBirth(const CloneRequest& request, const ChildAnswer& answer, int status) {
  return request.cgroup >= 0 && !request.join && !answer.ready && !answer.failed && WIFSIGNALED(status) &&
         WTERMSIG(status) == SIGKILL;
}

void KillAndReap(const Running& running) {
  sys::PidfdSendSignal(running.pidfd.get(), SIGKILL);
  Reap(running.pid);
}

// What a child in a user namespace cannot do for itself, before it is let go on.
Result<> Release(const Buffers& data, const CloneRequest& request, const Running& running, const sys::Fd& channel) {
  TRY_IN("user namespace", WriteIdMaps(running.pid, data.launch.user_namespace));
  const std::string pid = std::to_string(running.pid);
  // As ResetOomScore() does where it may.
  (void)sys::WriteKernelFile("/proc/" + pid + "/oom_score_adj", "0");
  if (request.join) TRY(sys::WriteKernelFile(data.launch.cgroup + "/cgroup.procs", pid));
  return GoOn(channel);
}

// A mini-init stays what it was cloned as; a hook may look at who waits in the container, and has ids of the machine;
// the kernel wants a memory of its own for who is in another time namespace; and one that asks the supervisor, or is in
// a user namespace, is rare enough.
bool MayShare(const Buffers& data) {
  const Launch& launch = data.launch;
  return !launch.init && launch.hooks == spec::Hooks() && !launch.time_namespace && !launch.user_namespace.enabled &&
         !data.listens;
}

// The pid, or a negative error. Everything is shared with the child until it executes, and the loan is its own.
pid_t CloneOnLoan(std::uint64_t flags, int cgroup, int* pidfd, const Loan& loan, Child& child) {
  clone_args arguments = sys::CloneArguments(flags | CLONE_VM | CLONE_SETTLS, cgroup, pidfd, SIGCHLD);
  arguments.stack = loan.stack;
  arguments.stack_size = loan.stack_size;
  arguments.tls = loan.memory;
  const auto run = [](void* own) { RunChild(*static_cast<Child*>(own)); };
  return static_cast<pid_t>(sys::CloneOnto(arguments, run, &child));
}

Result<Running> Start(Buffers& data, const Stdio& stdio, const CloneRequest& request);

// One that could not be let go on, for why.
Result<Running> NotReleased(Buffers& data, const Stdio& stdio, const CloneRequest& request, const Running& running,
                            Error why) {
  const bool dead = why.sys_errno == EPIPE || sys::WaitForExit(running.pidfd, 0).value_or(false);
  if (!dead) sys::PidfdSendSignal(running.pidfd.get(), SIGKILL);
  const int status = Reap(running.pid);
  if (dead && KilledAtBirth(request, {}, status)) {
    CloneRequest again = request;
    again.join = true;
    return Start(data, stdio, again);
  }
  return Fail(std::move(why));
}

// What the child said, as a result of Spawn().
Result<Running> Conclude(Buffers& data, const Stdio& stdio, const CloneRequest& request, Running running,
                         const ChildAnswer& answer, const sys::Fd& terminal) {
  if (answer.late) {
    KillAndReap(running);
    return Fail(Error::Of(ErrorCode::kTimeout, "start", data.launch.address,
                          "it was not set up within " + std::to_string(request.patience_ms) + " ms")
                    .Hint("a group that is frozen, or out of processor time, lets nothing start"));
  }
  if (answer.refused) {
    KillAndReap(running);
    return Fail(*answer.refused);
  }
  if (answer.failed) {
    Reap(running.pid);
    return Fail(Explain(answer.failure, data));
  }
  if (!answer.ready) {
    const int status = Reap(running.pid);
    if (KilledAtBirth(request, answer, status)) {
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
    running.terminal.reset(sys::ReceiveFd(terminal.get()));
    if (!running.terminal) {
      KillAndReap(running);
      return Fail(ErrorCode::kSystem, "receive", "the container's terminal", "it was not sent");
    }
  }
  running.warnings = data.warnings;
  running.without_seccomp = data.without_seccomp;
  if (answer.in_chroot) running.warnings.emplace_back("pivot_root failed: its root is a chroot");
  return running;
}

Result<Running> Start(Buffers& data, const Stdio& stdio, const CloneRequest& request) {
  data.Renew();
  const auto standard = TRY(TakeStdio(stdio));
  // Open until exec, or death, closes the child's end.
  SocketPair channel = TRY(MakeSocketPair(SOCK_STREAM, "channel"));
  const bool user = (request.flags & CLONE_NEWUSER) != 0;
  // The way that a terminal's other end takes out of the container; unix(7), SCM_RIGHTS.
  SocketPair terminal;
  if (stdio.terminal) terminal = TRY(MakeSocketPair(SOCK_DGRAM, "terminal"));
  Child child{.data = data};
  child.terminal = terminal.child.get();
  child.size = stdio.size;
  child.channel = channel.child.get();
  const Company& company = request.company;
  const Loan* const loan = MayShare(data) ? company.loan : nullptr;
  SharedWord go;
  child.shares_memory = loan != nullptr;
  child.go = loan != nullptr && loan->may_look ? &go : nullptr;
  child.pidns_container = request.container;
  child.netns = request.netns;
  child.own_network = (request.flags & CLONE_NEWNET) != 0;
  child.join_cgroup = request.join && !user ? request.cgroup : -1;
  ListenerWait listener;
  sys::Fd listener_end;
  if (data.listens) listener = TRY(ListenerWait::Make(data.asks_exec, listener_end));
  child.listener_socket = listener_end.get();
  const int given[3] = {stdio.in, stdio.out, stdio.err};
  for (std::size_t i = 0; i < 3; ++i) {
    child.standard[i] = standard[i].get();
    child.null_file[i] = given[i] < 0 && !stdio.terminal;
  }

  Running running;
  int err = 0;
  const Dumpable dumpable(user && data.nested);
  if (request.born_in >= 0 && ::setns(request.born_in, CLONE_NEWNET) != 0)
    return FailSys("enter", "network namespace " + data.launch.netns);
  {
    const SignalsHeld held;
    int pidfd = -1;
    const int cgroup = request.join ? -1 : request.cgroup;
    child.parents_end = channel.parent.get();
    if (loan != nullptr) {
      running.pid = CloneOnLoan(request.flags, cgroup, &pidfd, *loan, child);
      err = -running.pid;
    } else {
      const WordsHidden hidden;
      // A child of our parent's tells it as we do; clone(2), CLONE_PARENT.
      const int exit_signal = (request.flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
      running.pid = sys::Clone3(request.flags, cgroup, &pidfd, exit_signal);
      err = errno;
      if (running.pid == 0) RunChild(child);
    }
    running.pidfd.reset(pidfd);
  }
  if (request.born_in >= 0 && ::setns(request.own_netns, CLONE_NEWNET) != 0) {
    const int failed = errno;
    if (running.pid > 0) KillAndReap(running);
    return FailSys("setns", "own network namespace", failed);
  }
  if (running.pid < 0) return FailSys("clone3", data.launch.address.empty() ? "container" : data.launch.address, err);
  channel.child.reset();
  terminal.child.reset();
  listener_end.reset();
  if (user) {
    if (auto released = Release(data, request, running, channel.parent); !released)
      return NotReleased(data, stdio, request, running, std::move(released).error());
  }
  if (auto done = company.meanwhile ? company.meanwhile(running.pid) : Result<>(); !done) {
    KillAndReap(running);
    return Fail(std::move(done).error());
  }
  const Looks looks{.built = company.built, .inspect = company.inspect, .go = child.go};
  const ChildAnswer answer = ReadAnswer(channel.parent, listener, looks, request.patience_ms, running.pid);
  running.listener = listener.Listener();
  return Conclude(data, stdio, request, std::move(running), answer, terminal.parent);
}

}  // namespace

void AwaitParent(const Child& child) {
  char byte = 0;
  ssize_t got = -1;
  do got = ::read(child.channel, &byte, 1);
  while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(125);
}

void ReportAndExit(Child& child) {
  const char* at = reinterpret_cast<const char*>(&child.failure);
  [[maybe_unused]] const auto wrote = ::write(child.channel, at, sizeof(Failure));
  ::_exit(125);
}

Result<Running> Spawn(const Prepared& prepared, const Stdio& stdio, const Company& company) {
  Buffers& data = prepared.buffers();
  const Launch& launch = data.launch;
  const bool user = launch.user_namespace.enabled;
  CloneRequest request{.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, .company = company};
  if (user) request.flags |= CLONE_NEWUSER;
  if (launch.time_namespace) request.flags |= CLONE_NEWTIME;
  sys::Fd cgroup, netns;
  if (!launch.cgroup.empty()) {
    cgroup = TRY(sys::Open(launch.cgroup, O_PATH | O_DIRECTORY));
    request.cgroup = cgroup.get();
  }
  if (launch.netns.empty()) {
    if (!launch.host_network) request.flags |= CLONE_NEWNET;
    return Start(data, stdio, request);
  }
  netns = TRY(sys::Open(launch.netns, O_RDONLY));
  request.netns = netns.get();
  if (!user) return Start(data, stdio, request);
  // A user namespace has no power over a network namespace that was there before.
  const sys::Fd own = TRY(sys::Open("/proc/self/ns/net", O_RDONLY));
  request.netns = -1;
  request.born_in = netns.get();
  request.own_netns = own.get();
  return Start(data, stdio, request);
}

namespace {

constexpr std::string_view kItsPids = "pid namespace of the container";

// By a process that does not come back, whose child is ours nevertheless: CLONE_PARENT; clone(2).
Result<Running> SpawnApart(const Prepared& prepared, const sys::Fd& container, int cgroup, const Stdio& stdio,
                           int patience_ms) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailSys("pipe2", "probe");
  const sys::Fd read(ends[0]);
  sys::Fd write(ends[1]);
  const SocketPair listener = TRY(MakeSocketPair(SOCK_DGRAM, "seccomp listener"));
  const pid_t between = ::fork();
  if (between < 0) return FailSys("fork", "probe");
  if (between == 0) {
    auto started = [&]() -> Result<Running> {
      if (::setns(container.get(), CLONE_NEWPID) != 0) return FailSys("setns", kItsPids);
      return Start(prepared.buffers(), stdio,
                   {.flags = CLONE_PARENT, .cgroup = cgroup, .container = container.get(), .patience_ms = patience_ms});
    }();
    const pid_t pid = started ? started->pid : 0;
    if (started && started->listener) (void)sys::SendFd(listener.child.get(), started->listener.get());
    std::string said(reinterpret_cast<const char*>(&pid), sizeof pid);
    said += EncodeReady(started ? Result<>() : std::unexpected(started.error()));
    (void)sys::WriteAll(write.get(), said, "probe");
    ::_exit(0);
  }
  write.reset();
  const auto said = sys::ReadAll(read.get(), "probe");
  Reap(between);
  const std::string words = TRY(said);
  Running running;
  if (words.size() >= sizeof running.pid) std::memcpy(&running.pid, words.data(), sizeof running.pid);
  TRY(DecodeReady(std::string_view(words).substr(std::min(words.size(), sizeof running.pid))));
  // Nobody but us waits for it: the number is its own.
  running.pidfd.reset(sys::PidfdOpen(running.pid));
  if (!running.pidfd) return FailSys("pidfd_open", "probe");
  running.listener.reset(sys::ReceiveFd(listener.parent.get()));
  return running;
}

Result<Running> EnterAndStart(const Prepared& prepared, const sys::Fd& process, int cgroup, const Stdio& stdio,
                              int patience_ms, bool last) {
  // Only children of ours are born into the other pid namespace; it is undone right after. setns(2).
  const sys::Fd own = TRY(sys::Open("/proc/self/ns/pid", O_RDONLY));
  const sys::Fd thread = sys::ThreadToEnter(process);
  const sys::Fd& container = thread ? thread : process;
  // In a user namespace there is no way back: its root has no power over the pid namespace that it came from.
  if (!last && ::setns(own.get(), CLONE_NEWPID) != 0)
    return SpawnApart(prepared, container, cgroup, stdio, patience_ms);
  if (::setns(container.get(), CLONE_NEWPID) != 0) return FailSys("setns", kItsPids);
  auto running =
      Start(prepared.buffers(), stdio, {.cgroup = cgroup, .container = container.get(), .patience_ms = patience_ms});
  if (!last && ::setns(own.get(), CLONE_NEWPID) != 0) {
    const int err = errno;
    if (running) KillAndReap(*running);
    return FailSys("setns", "own pid namespace", err);
  }
  return running;
}

}  // namespace

Result<Running> SpawnInside(const Prepared& prepared, const sys::Fd& container, int cgroup, const Stdio& stdio,
                            int patience_ms, bool last) {
  auto running = EnterAndStart(prepared, container, cgroup, stdio, patience_ms, last);
  if (!running && running.error().sys_errno == ESRCH)
    return Fail(ErrorCode::kNotFound, "enter", "container", std::string(sys::WhyNotEntered()));
  // Where nobody attends to it, what its program still asks about (only execve, where the policy denies it) is ENOSYS.
  if (running && !prepared.buffers().attended) running->listener.reset();
  return running;
}

}  // namespace nucleus::process
