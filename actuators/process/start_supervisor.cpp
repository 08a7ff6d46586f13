#include "actuators/process/start_supervisor.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/order.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::process {

namespace {

constexpr int kOrdersFd = 3;  // in the program
constexpr std::size_t kStackSize = 64 << 10;
constexpr int kNotExecuted = 127;

// Everything the new process needs, made beforehand: it shares our memory, and may only make system calls.
struct Plan {
  int program = -1;
  int orders = -1;
  int null = -1;
  std::array<const char*, 5> argv{};
};

int Become(void* argument) {
  const Plan& plan = *static_cast<const Plan*>(argument);
  ::setsid();
  // No handler of ours may run here: they go first, and only then is anything let through.
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir("/") != 0) ::_exit(125);
  // Descriptors above 3 were opened there, so nothing that is still needed is overwritten.
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(plan.null, fd) < 0) ::_exit(125);
  }
  if (::dup2(plan.orders, kOrdersFd) < 0) ::_exit(125);
  ::syscall(SYS_close_range, kOrdersFd + 1, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
  const std::array<const char*, 1> environment{nullptr};
  ::syscall(SYS_execveat, plan.program, "", plan.argv.data(), environment.data(), AT_EMPTY_PATH);
  ::_exit(kNotExecuted);
}

// A child on a stack of its own that shares our memory until it executes something, while this thread stands still:
// nothing of a large process need be copied for it. clone(2), CLONE_VFORK.
Result<pid_t> SpawnSharing(Plan& plan) {
  std::vector<std::byte> stack(kStackSize);
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // Stacks grow down on everything we run on; operator new aligns the lower end, and the size is a multiple.
  const pid_t pid = ::clone(Become, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &plan);
  const int err = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return FailSys("clone", "supervisor", err);
  return pid;
}

std::string EndingOf(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  if (code == kNotExecuted) return "could not be executed";
  return "ended at once, with exit code " + std::to_string(code);
}

// A descriptor above those the supervisor starts with.
Result<sys::Fd> Above(Result<sys::Fd> opened, std::string_view what) {
  const sys::Fd fd = TRY(std::move(opened));
  sys::Fd above(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 10));
  if (!above) return FailSys("duplicate", what);
  return above;
}

}  // namespace

Result<sys::Fd> OpenProgram(const std::string& program) {
  sys::Fd clone(sys::OpenTree(AT_FDCWD, program.c_str(), sys::kOpenTreeClone | sys::kOpenTreeCloexec));
  if (!clone) return FailSys("open_tree", program);
  const sys::MountAttributes read_only{
      .set = sys::kAttrReadOnly | sys::kAttrNoSuid | sys::kAttrNoDev, .clear = 0, .propagation = 0, .userns_fd = 0};
  if (sys::MountSetattr(clone.get(), 0, read_only) != 0) return FailSys("mount_setattr", program);
  return clone;
}

SupervisorStarter::~SupervisorStarter() {
  (void)End();
}

// It ends when nobody is left who would ask, and at once; one that somebody has stopped would never. Its last status.
int SupervisorStarter::End() {
  constexpr int kPatienceMs = 1000;
  socket_.reset();
  if (pid_ <= 0) return 0;
  const sys::Fd pidfd(sys::PidfdOpen(pid_));
  const auto ended = pidfd ? sys::WaitForExit(pidfd, kPatienceMs) : Result<bool>(false);
  if (!ended || !*ended) ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return status;
}

// room: for the directory in what ps(1) shows of a supervisor.
Result<> SupervisorStarter::Execute(std::size_t room) {
  const sys::Fd file = TRY(Above(OpenProgram(program_), program_));
  const sys::Fd null = TRY(Above(sys::Open("/dev/null", O_RDWR), "/dev/null"));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return FailSys("socketpair", program_);
  sys::Fd ours(ends[0]);
  const sys::Fd theirs = TRY(Above(sys::Fd(ends[1]), "socketpair"));
  const std::string blank(room, ' ');
  Plan plan{.program = file.get(),
            .orders = theirs.get(),
            .null = null.get(),
            .argv = {"nucleus-supervisor", blank.c_str(), "3", kAsStarter, nullptr}};
  pid_ = TRY(SpawnSharing(plan));
  socket_ = std::move(ours);
  return {};
}

// Where somebody has killed it, by another one.
Result<> SupervisorStarter::Send(const Order& order) {
  constexpr std::size_t kLonger = 64;  // than the first, others may be
  const auto is_gone = [](const Result<>& sent) {
    return !sent && (sent.error().sys_errno == EPIPE || sent.error().sys_errno == ECONNRESET);
  };
  const std::lock_guard lock(mutex_);
  auto sent = socket_ ? SendOrder(socket_, order) : Result<>(FailSys("ask for", "a supervisor", EPIPE));
  if (!is_gone(sent)) return sent;
  (void)End();
  TRY(Execute(order.directory.size() + kLonger));
  sent = SendOrder(socket_, order);
  if (is_gone(sent)) return Fail(ErrorCode::kSystem, "start", "supervisor", program_ + " " + EndingOf(End()));
  return sent;
}

// What it says; "" where it did not live to say anything.
Result<std::string> SupervisorStarter::Ask(const std::string& directory, const std::string& cgroup, bool moves) {
  auto [reader, writer] = TRY(sys::MakePipe("readiness"));
  Order order{.directory = directory, .ready = std::move(writer), .group = {}, .moves = moves};
  if (!cgroup.empty()) order.group = TRY(sys::Open(cgroup, O_RDONLY | O_DIRECTORY));
  TRY(Send(order));
  order.ready.reset();
  return sys::ReadAll(reader.get(), "readiness of the supervisor");
}

// An order may have been taken in the moment before it was known that the program cannot be executed.
Result<> SupervisorStarter::CheckExecuted() {
  constexpr int kPatienceMs = 100;
  const std::lock_guard lock(mutex_);
  const sys::Fd pidfd(pid_ > 0 ? sys::PidfdOpen(pid_) : -1);
  if (!pidfd || !TRY(sys::WaitForExit(pidfd, kPatienceMs))) return {};
  return Fail(ErrorCode::kSystem, "start", "supervisor", program_ + " " + EndingOf(End()));
}

Result<> SupervisorStarter::Start(const std::string& directory, const std::string& cgroup) {
  if (const auto waiting = TRY(ConnectHold(directory))) {
    auto [reader, writer] = TRY(sys::MakePipe("readiness"));
    if (!sys::SendFd(waiting->get(), writer.get())) return FailSys("tell", "the unit's supervisor");
    writer.reset();
    return DecodeReady(TRY(sys::ReadAll(reader.get(), "readiness of the supervisor")));
  }
  std::string answer = TRY(Ask(directory, cgroup, false));
  // It was not born, or who was to bear it has been killed.
  if (answer.empty()) answer = TRY(Ask(directory, cgroup, true));
  if (answer.empty()) TRY(CheckExecuted());
  const std::string_view words = answer;
  return DecodeReady(words.starts_with(kLives) ? words.substr(1) : words);
}

Result<> StartSupervisor(const std::string& program, const std::string& directory, const std::string& cgroup) {
  return SupervisorStarter(program).Start(directory, cgroup);
}

}  // namespace nucleus::process
