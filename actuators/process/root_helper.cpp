#include "actuators/process/root_helper.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "actuators/process/channel.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/process.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

bool KeepFilePowers() {
  constexpr std::uint32_t kKept =
      1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER | 1U << CAP_FSETID;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, 2> sets{__user_cap_data_struct{kKept, kKept, 0}, {}};
  return ::syscall(SYS_capset, &header, sets.data()) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

// As root of its user namespace, where that has one.
bool BecomeRootOf(const UserNamespace& space) {
  if (!space.enabled) return true;
  const gid_t gid = OutsideId(space.gids, 0) ? 0 : space.gids.front().inside;
  const uid_t uid = OutsideId(space.uids, 0) ? 0 : space.uids.front().inside;
  return ::setresgid(gid, gid, gid) == 0 && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 &&
         ::setresuid(uid, uid, uid) == 0;
}

Result<> Enter(const RunningContainer& container, const sys::Fd& root) {
  const UserNamespace& space = container.launch.user_namespace;
  const sys::Fd thread = sys::ThreadToEnter(container.pidfd);
  const sys::Fd& entered = thread ? thread : container.pidfd;
  if (space.enabled && ::setns(entered.get(), CLONE_NEWUSER) != 0) return FailSys("enter", "user namespace");
  if (::fchdir(root.get()) != 0 || ::chroot(".") != 0) return FailSys("chroot", "root of the container");
  if (!BecomeRootOf(space)) return FailSys("become", "root of the user namespace");
  if (!KeepFilePowers()) return FailSys("give up", "capabilities");
  // The change of ids has undone it.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailSys("prctl", "PR_SET_DUMPABLE");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  return {};
}

}  // namespace

Result<RootHelper> RootHelper::Start(const RunningContainer& container, const std::string& subject,
                                     const std::function<Result<>(const sys::Fd& root)>& work) {
  const std::string path = sys::ProcOf(container.status.workload.pid) + "/root";
  const sys::Fd root = TRY(sys::Open(path, O_PATH | O_DIRECTORY));
  // It is that process's, if that is still there.
  if (TRY(sys::WaitForExit(container.pidfd, 0))) return Fail(ErrorCode::kNotFound, "", subject, "has ended");
  auto [answer, tell] = TRY(sys::MakePipe("helper"));
  sys::Fd group;
  if (!container.launch.cgroup.empty()) group = TRY(sys::Open(container.launch.cgroup, O_RDONLY | O_DIRECTORY));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return FailSys("fork", "helper");
  if (pid > 0) return RootHelper(pid, std::move(answer));
  answer.reset();
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) ::_exit(125);
  Result<> done;
  // Moved, not born there: in a group that was ever killed nobody may be born, child.cpp.
  if (group && !sys::JoinCgroup(group.get())) done = FailSys("join", container.launch.cgroup);
  if (done) done = Enter(container, root);
  if (done) done = work(root);
  (void)sys::WriteAll(tell.get(), EncodeReady(done), "helper");
  ::_exit(0);
}

Result<> RootHelper::Finish() {
  auto answer = sys::ReadAll(answer_.get(), "helper");
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!answer) return Fail(std::move(answer).error());
  if (answer->empty()) return Fail(ErrorCode::kSystem, "copy", "files of the container", "the helper was killed");
  return DecodeReady(*answer);
}

}  // namespace nucleus::process
