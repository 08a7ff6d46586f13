#include "actuators/process/user_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "actuators/sys/caller_ids.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pipe.hpp"

namespace nucleus::process {

namespace {

std::string MapText(const std::vector<IdRange>& map) {
  std::string text;
  for (const IdRange& range : map)
    text +=
        std::to_string(range.inside) + " " + std::to_string(range.outside) + " " + std::to_string(range.count) + "\n";
  return text;
}

std::unexpected<Error> Refused(int err) {
  Error error = Error::Sys("unshare", "user namespace", err);
  const auto is = [](const char* path, std::string_view value) {
    const auto text = sys::ReadFileIfThere(path);
    return text && *text && (*text)->starts_with(value);
  };
  if (is("/proc/sys/kernel/unprivileged_userns_clone", "0"))
    return Fail(std::move(error).Hint("the machine forbids them to ordinary users: kernel.unprivileged_userns_clone"));
  if (is("/proc/sys/user/max_user_namespaces", "0"))
    return Fail(std::move(error).Hint("the machine has none to give: user.max_user_namespaces"));
  if (is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
    return Fail(std::move(error).Hint(
        "AppArmor allows them to certain programs only: kernel.apparmor_restrict_unprivileged_userns"));
  return Fail(std::move(error).Hint("in a chroot, or under a policy that forbids it, there is none to be had"));
}

// newuidmap PID INSIDE OUTSIDE COUNT...
bool RunMapper(const char* program, pid_t pid, const std::vector<sys::IdMapLine>& map) {
  std::vector<std::string> words{program, std::to_string(pid)};
  for (const auto& range : map)
    for (const auto number : {range.inside, range.outside, range.count}) words.push_back(std::to_string(number));
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    std::array<char*, 1> environment{nullptr};
    ::execve(program, argv.data(), environment.data());
    ::_exit(127);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A process that stays outside, where the ids are lent, and has the maps written once it is told to.
class Outside {
 public:
  static Result<Outside> Start(const sys::CallerIds& lent) {
    auto [reader, writer] = TRY(sys::MakePipe("id maps"));
    const pid_t inside = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return FailSys("fork", "id maps");
    if (pid == 0) {
      writer.reset();
      char go = 0;
      if (::read(reader.get(), &go, 1) != 1) ::_exit(125);
      ::_exit(RunMapper(sys::kNewUidMap, inside, lent.uids) && RunMapper(sys::kNewGidMap, inside, lent.gids) ? 0 : 1);
    }
    return Outside(pid, std::move(writer));
  }
  // Whether both were written.
  bool Write() {
    const bool told = ::write(go_.get(), "+", 1) == 1;
    return Wait() && told;
  }
  bool Wait() {
    go_.reset();
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  Outside(pid_t pid, sys::Fd go) : pid_(pid), go_(std::move(go)) {}
  pid_t pid_;
  sys::Fd go_;
};

Result<> WriteOwnMap(const char* file, std::uint32_t own) {
  return sys::WriteKernelFile(file, "0 " + std::to_string(own) + " 1\n");
}

// Without a helper the only id that may be mapped is one's own, and only once groups cannot be given up any more.
Result<> WriteOwnMaps(uid_t uid, gid_t gid) {
  TRY(sys::WriteKernelFile("/proc/self/setgroups", "deny"));
  TRY(WriteOwnMap("/proc/self/uid_map", uid));
  return WriteOwnMap("/proc/self/gid_map", gid);
}

}  // namespace

Result<> WriteIdMaps(pid_t pid, const UserNamespace& maps) {
  const std::string directory = "/proc/" + std::to_string(pid);
  TRY(sys::WriteKernelFile(directory + "/uid_map", MapText(maps.uids)));
  return sys::WriteKernelFile(directory + "/gid_map", MapText(maps.gids));
}

Result<sys::Fd> MakeUserNamespace(const UserNamespace& maps) {
  int pidfd = -1;
  const pid_t parent = ::getpid();
  const pid_t pid = sys::Clone3(CLONE_NEWUSER, -1, &pidfd);
  if (pid < 0) return Refused(errno);
  if (pid == 0) {
    // It holds nothing of ours, locks above all, and does not outlive us.
    ::syscall(SYS_close_range, 0, ~0U, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != parent) ::_exit(0);
    for (;;) ::pause();
  }
  const sys::Fd process(pidfd);
  auto written = WriteIdMaps(pid, maps);
  auto space = sys::Open("/proc/" + std::to_string(pid) + "/ns/user", O_RDONLY);
  sys::PidfdSendSignal(pidfd, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  TRY(std::move(written));
  return space;
}

Result<> EnterOwnUserNamespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const sys::CallerIds lent = TRY(sys::IdsOfCaller(uid, gid));
  const bool helped = lent.uids.size() > 1;
  std::optional<Outside> outside;
  if (helped) outside = TRY(Outside::Start(lent));
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    const int err = errno;
    if (outside) outside->Wait();
    return Refused(err);
  }
  if (outside && outside->Write()) return {};
  if (outside && !TRY(sys::OwnUids()).empty()) {
    return Fail(
        Error::Of(ErrorCode::kPermission, "map", "subordinate groups", "newgidmap refused what newuidmap allowed")
            .Hint("compare the user's lines in /etc/subuid and /etc/subgid"));
  }
  return WriteOwnMaps(uid, gid);
}

}  // namespace nucleus::process
