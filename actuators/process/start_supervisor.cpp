#include "actuators/process/start_supervisor.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/pipe.hpp"

namespace nucleus::process {

namespace {

constexpr int kReadyFd = 3;  // in the supervisor
constexpr int kGroupFd = 4;
constexpr std::size_t kStackSize = 64 << 10;

// Everything the new process needs, made beforehand: it shares our memory, and may only make system calls.
struct Plan {
  int program = -1;
  int ready = -1;
  int null = -1;
  int cgroup = -1;  // the directory
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
  if (::dup2(plan.ready, kReadyFd) < 0) ::_exit(125);
  if (plan.cgroup >= 0 && ::dup2(plan.cgroup, kGroupFd) < 0) ::_exit(125);
  ::syscall(SYS_close_range, (plan.cgroup >= 0 ? kGroupFd : kReadyFd) + 1, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
  const std::array<const char*, 1> environment{nullptr};
  ::syscall(SYS_execveat, plan.program, "", plan.argv.data(), environment.data(), AT_EMPTY_PATH);
  ::_exit(127);
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

Result<> StartSupervisor(const std::string& program, const std::string& directory, const std::string& cgroup) {
  const sys::Fd file = TRY(Above(OpenProgram(program), program));
  const sys::Fd null = TRY(Above(sys::Open("/dev/null", O_RDWR), "/dev/null"));
  sys::Fd group;
  if (!cgroup.empty()) group = TRY(Above(sys::Open(cgroup, O_RDONLY | O_DIRECTORY), cgroup));
  auto [reader, low] = TRY(sys::MakePipe("readiness"));
  sys::Fd writer = TRY(Above(std::move(low), "readiness"));
  if (const auto waiting = TRY(ConnectHold(directory))) {
    if (!sys::SendFd(waiting->get(), writer.get())) return FailSys("tell", "the unit's supervisor");
    writer.reset();
    const std::string answer = TRY(sys::ReadAll(reader.get(), "readiness of the supervisor"));
    return DecodeReady(answer);
  }
  Plan plan{.program = file.get(),
            .ready = writer.get(),
            .null = null.get(),
            .cgroup = group.get(),
            .argv = {"nucleus-supervisor", directory.c_str(), "3", group ? "4" : "-1", nullptr}};
  // It ends at once, and what it started is adopted by init.
  const pid_t between = TRY(SpawnSharing(plan));
  writer.reset();
  int status = 0;
  while (::waitpid(between, &status, 0) < 0 && errno == EINTR) {
  }
  const std::string answer = TRY(sys::ReadAll(reader.get(), "readiness of the supervisor"));
  return DecodeReady(answer);
}

}  // namespace nucleus::process
