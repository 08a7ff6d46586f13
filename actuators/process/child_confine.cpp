// What a process gives up before it becomes the workload, in the order in which the means to do so are still there:
// capabilities of the bounding set while CAP_SETPCAP is effective, ids while CAP_SETUID is, Landlock after
// no_new_privs, seccomp last. All by raw system calls: the wrappers of libc for ids talk to other threads, which a
// child of clone does not have.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/landlock.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/pass_fd.hpp"

namespace nucleus::process {

namespace {

struct LandlockRulesetAttr {  // struct landlock_ruleset_attr of ABI 6; trailing zeroes suit older kernels
  std::uint64_t handled_access_fs = 0, handled_access_net = 0, scoped = 0;
};
struct LandlockPathAttr {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
} __attribute__((packed));

struct LandlockPortAttr {
  std::uint64_t allowed_access;
  std::uint64_t port;
};

bool SetNames(Child& child) {
  const Launch& launch = child.data.launch;
  if (child.data.inside || launch.hostname.empty()) return true;
  return ::syscall(SYS_sethostname, launch.hostname.data(), launch.hostname.size()) == 0 || child.Fail(Step::kHostname);
}

// Inside the root or not at all: a working directory that leads out is how CVE-2024-21626 worked. While no other is,
// ours is the root.
bool EnterWorkdir(Child& child) {
  const std::string& workdir = child.data.launch.workdir;
  const int fd = sys::OpenAt2(AT_FDCWD, workdir.empty() ? "/" : workdir.c_str(), O_PATH | O_DIRECTORY, sys::kInRoot);
  if (fd < 0 || ::fchdir(fd) != 0) {
    child.Fail(Step::kWorkdir);
    if (fd >= 0) ::close(fd);
    return false;
  }
  ::close(fd);
  char path[4096];
  // The system call says "(unreachable)" of a directory outside the root, where libc would hide it.
  if (::syscall(SYS_getcwd, path, sizeof path) < 0) return child.Fail(Step::kWorkdir);
  return path[0] == '/' || child.Fail(Step::kWorkdir, Call::kNone, -1, EXDEV);
}

// The null device that was opened on the host is the host's: as root the workload would own it, and could change its
// mode for the whole machine. The container's own is mounted read-only, which keeps writes going and changes out.
bool TakeNullFiles(Child& child) {
  for (int i = 0; i < 3; ++i) {
    struct stat given{};
    if (::fstat(i, &given) != 0) return child.Fail(Step::kNullFile);
    const bool hosts = S_ISCHR(given.st_mode) && given.st_rdev == makedev(1, 3);
    if (!child.null_file[i] && !hosts) continue;  // hosts: what the caller was given, < /dev/null
    const int null = ::open("/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat st{};
    if (null < 0 || ::fstat(null, &st) != 0) return child.Fail(Step::kNullFile);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
      return child.Fail(Step::kNullFile, Call::kNone, -1, ENODEV);
    if (::dup3(null, i, 0) != i) return child.Fail(Step::kNullFile);
    ::close(null);
  }
  return true;
}

// A pseudoterminal of the container's own devpts, so that its name means something inside; its other end goes to
// whoever watches us. pts(4), devpts.rst; ioctl_tty(2), TIOCGPTPEER.
bool OpenTerminal(Child& child) {
  if (child.terminal < 0) return true;
  const int master = ::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
  constexpr int kUnlock = 0;
  if (master < 0 || ::ioctl(master, TIOCSPTLCK, &kUnlock) != 0) return child.Fail(Step::kTerminal, Call::kOpen);
  const int own = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return child.Fail(Step::kTerminal, Call::kOpen);
  if (::ioctl(own, TIOCSWINSZ, &child.size) != 0) return child.Fail(Step::kTerminal);
  if (::fchown(own, child.data.launch.identity.uid, static_cast<gid_t>(-1)) != 0)
    return child.Fail(Step::kTerminal, Call::kChown);
  if (!sys::SendFd(child.terminal, master)) return child.Fail(Step::kTerminal, Call::kWrite);
  for (int i = 0; i < 3; ++i)
    if (::dup3(own, i, 0) != i) return child.Fail(Step::kTerminal);
  ::close(own);
  ::close(master);
  return true;
}

bool SetLimits(Child& child) {
  const auto& limits = child.data.launch.rlimits;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const struct {
      std::uint64_t soft, hard;
    } limit{limits[i].soft, limits[i].hard};
    if (::syscall(SYS_prlimit64, 0, limits[i].resource, &limit, nullptr) != 0)
      return child.Fail(Step::kRlimit, Call::kNone, static_cast<int>(i));
  }
  return true;
}

bool NewSession(Child& child) {
  // A process group leader already has what it needs; PID 1 of a new namespace is none.
  if (::syscall(SYS_setsid) < 0 && errno != EPERM) return child.Fail(Step::kSession);
  if (child.terminal >= 0 && !child.data.launch.init && !TakeTerminal(child)) return false;
  // A session keyring of its own, or it could search ours. A kernel without keyrings has none to leak.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS)
    return child.Fail(Step::kSession);
  // Whoever started us may have switched off what hardens a process, setarch(8); seccomp keeps it as it is from here.
  if (::syscall(SYS_personality, 0UL) < 0) return child.Fail(Step::kSession);
  ::umask(022);
  return true;
}

// What it was given it may open anew, /dev/stdin, as far as the descriptor goes and no farther. Pipes and sockets need
// no rule and can have none (EBADFD); landlock(7).
bool AllowStandardFiles(Child& child) {
  for (int fd = 0; fd < 3; ++fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH) != 0) continue;
    const int mode = flags & O_ACCMODE;
    std::uint64_t access = 0;
    if (mode == O_RDONLY || mode == O_RDWR) access |= LANDLOCK_ACCESS_FS_READ_FILE;
    if (mode == O_WRONLY || mode == O_RDWR) access |= LANDLOCK_ACCESS_FS_WRITE_FILE | sys::kLandlockTruncate;
    const LandlockPathAttr file{access & child.data.landlock_fs, fd};
    if (file.allowed_access != 0 &&
        ::syscall(SYS_landlock_add_rule, child.landlock, 1 /*PATH_BENEATH*/, &file, 0) != 0 && errno != EBADFD)
      return child.Fail(Step::kLandlock);
  }
  return true;
}

// The paths are opened while we still may; the rules bind later.
bool MakeLandlock(Child& child) {
  if (!child.data.landlock) return true;
  // RESOLVE_IN_ROOT takes the directory that it is given for the root, and AT_FDCWD is the working directory by now.
  const int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return child.Fail(Step::kLandlockRule, Call::kOpen);
  const LandlockRulesetAttr attr{child.data.landlock_fs, child.data.landlock_net, child.data.landlock_scoped};
  child.landlock = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0));
  if (child.landlock < 0) return child.Fail(Step::kLandlock);
  const auto& rules = child.data.launch.security.landlock.rules;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const int index = static_cast<int>(i);
    const int fd = sys::OpenAt2(root, rules[i].path.c_str(), O_PATH, sys::kInRoot);
    if (fd < 0) {
      if (!rules[i].required && (errno == ENOENT || errno == ENOTDIR)) continue;
      return child.Fail(Step::kLandlockRule, Call::kOpenTarget, index);
    }
    struct stat st{};
    if (::fstat(fd, &st) != 0) return child.Fail(Step::kLandlockRule, Call::kStat, index);
    const std::uint64_t meant = rules[i].access & sys::LandlockRightsOf(st.st_mode);
    if (meant == 0 && rules[i].required) return child.Fail(Step::kLandlockNothing, Call::kNone, index, ENOTDIR);
    const std::uint64_t access = meant & child.data.landlock_fs;
    const LandlockPathAttr path{access, fd};
    if (access != 0 && ::syscall(SYS_landlock_add_rule, child.landlock, 1 /*PATH_BENEATH*/, &path, 0) != 0)
      return child.Fail(Step::kLandlockRule, Call::kNone, index);
    ::close(fd);
  }
  ::close(root);
  for (const LandlockPort& port : child.data.launch.security.landlock.ports) {
    const LandlockPortAttr attribute{port.access & child.data.landlock_net, port.port};
    if (attribute.allowed_access != 0 &&
        ::syscall(SYS_landlock_add_rule, child.landlock, 2 /*NET_PORT*/, &attribute, 0) != 0)
      return child.Fail(Step::kLandlockPort, Call::kNone, port.port);
  }
  return AllowStandardFiles(child);
}

bool DropBounding(Child& child) {
  const std::uint64_t keep = child.data.launch.security.capabilities.bounding;
  for (int capability = 0; capability <= child.data.last_capability; ++capability) {
    if ((keep >> capability & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return child.Fail(Step::kBounding, Call::kNone, capability);
  }
  return true;
}

bool TakeIdentity(Child& child) {
  const Identity& identity = child.data.launch.identity;
  // So that capabilities which are to be kept survive setresuid; capset below decides which.
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return child.Fail(Step::kUid);
  if (!child.data.keep_groups && ::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) != 0)
    return child.Fail(Step::kGroups);
  if (::syscall(SYS_setresgid, identity.gid, identity.gid, identity.gid) != 0) return child.Fail(Step::kGid);
  if (::syscall(SYS_setresuid, identity.uid, identity.uid, identity.uid) != 0) return child.Fail(Step::kUid);
  // The change of ids has set it to what fs.suid_dumpable says; until exec we hold the supervisor's memory.
  return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 || child.Fail(Step::kUid);
}

bool SetCapabilities(Child& child) {
  const CapabilitySets& sets = child.data.launch.security.capabilities;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const auto half = [](std::uint64_t mask, int i) { return static_cast<__u32>(mask >> (32 * i)); };
  __user_cap_data_struct data[2];
  for (int i = 0; i < 2; ++i) data[i] = {half(sets.effective, i), half(sets.permitted, i), half(sets.inheritable, i)};
  if (::syscall(SYS_capset, &header, data) != 0) return child.Fail(Step::kCapabilities);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return child.Fail(Step::kAmbient);
  for (int capability = 0; capability <= child.data.last_capability; ++capability) {
    if ((sets.ambient >> capability & 1) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
      return child.Fail(Step::kAmbient, Call::kNone, capability);
  }
  return ::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == 0 || child.Fail(Step::kUid);
}

// After the ids have changed, which clears it; prctl(2). The parent may have died before: then nobody reads the pipe.
bool DieWithParent(Child& child) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return child.Fail(Step::kParentDeath);
  pollfd pipe{child.channel, 0, 0};
  if (::poll(&pipe, 1, 0) > 0 && (pipe.revents & (POLLERR | POLLHUP)) != 0) ::_exit(125);
  return true;
}

// Before seccomp, so that only execve itself remains. As the workload's identity: what it may not reach it does not
// find. A missing program is told apart from one that is there but cannot be executed.
bool FindProgram(Child& child) {
  int err = ENOENT;
  const auto& programs = child.data.programs;
  for (const char* candidate : programs) {
    if (candidate == nullptr) break;
    struct stat st{};
    if (::fstatat(AT_FDCWD, candidate, &st, 0) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) err = errno;
      continue;
    }
    if (S_ISREG(st.st_mode) && ::syscall(SYS_faccessat2, AT_FDCWD, candidate, X_OK, AT_EACCESS) == 0) {
      child.program = candidate;
      return true;
    }
    err = EACCES;
  }
  return child.Fail(Step::kSearch, Call::kNone, -1, err);
}

// Only 0, 1, 2 and the pipe for errors, which exec closes; a socket for the listener too, where there is to be one.
bool CloseFiles(Child& child) {
  constexpr int kPipe = 3, kSocket = 4;
  if (child.channel != kPipe && ::dup3(child.channel, kPipe, O_CLOEXEC) != kPipe) return child.Fail(Step::kClose);
  child.channel = kPipe;
  if (child.listener_socket >= 0) {
    if (::dup3(child.listener_socket, kSocket, O_CLOEXEC) != kSocket) return child.Fail(Step::kClose);
    child.listener_socket = kSocket;
  }
  const int last = child.listener_socket >= 0 ? kSocket : kPipe;
  return ::syscall(SYS_close_range, last + 1, ~0U, 0) == 0 || child.Fail(Step::kClose);
}

}  // namespace

bool TakeTerminal(Child& child) {
  return ::ioctl(0, TIOCSCTTY, 0) == 0 || child.Fail(Step::kTerminal);
}

bool LoadSeccomp(const sock_filter* program, std::size_t size, std::uint32_t flags) {
  const sock_fprog filter{static_cast<unsigned short>(size), const_cast<sock_filter*>(program)};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0;
}

bool Confine(Child& child) {
  if (!SetNames(child) || !TakeNullFiles(child) || !OpenTerminal(child)) return false;
  // What the root of a user namespace may not enter, since the owner or the group has no id there, the workload may.
  const bool entered = EnterWorkdir(child);
  if (!entered && child.failure.err != EACCES) return false;
  if (!SetLimits(child) || !NewSession(child)) return false;
  if (!MakeLandlock(child) || !DropBounding(child) || !TakeIdentity(child) || !SetCapabilities(child)) return false;
  if (!entered && !EnterWorkdir(child)) return false;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return child.Fail(Step::kNoNewPrivs);
  if (!DieWithParent(child)) return false;
  if (child.landlock >= 0 && ::syscall(SYS_landlock_restrict_self, child.landlock, 0) != 0)
    return child.Fail(Step::kLandlock);
  if (!FindProgram(child) || !CloseFiles(child)) return false;
  return child.data.inside || !child.data.launch.init || BecomeInit(child);
}

}  // namespace nucleus::process
