// The floor below `nucleus run`: the same namespaces, mounts, limits of the kernel and exec, by the fewest system calls
// that make them, and nothing else. It checks nothing, explains nothing, and trusts its plan: it is a measure, not a
// sandbox.
//
// sandbox_floor PLAN PROGRAM [ARGUMENT...]; the plan is a file of lines, made by bench/sandbox/run from what
// `nucleus run --dry-run` says. Fields are separated by tabs; attributes and rights are hexadecimal:
//
//     cgroup DIRECTORY                     made, joined, removed in the end
//     dir TARGET | file TARGET TEXT | link TARGET TEXT
//     fs TARGET TYPE ATTRIBUTES OPTIONS    "mode=0755,size=4m"
//     bind TARGET SOURCE ATTRIBUTES
//     null TARGET | empty TARGET           masked, as a file and as a directory
//     ro TARGET ATTRIBUTES                 a bind of itself
//     seal TARGET ATTRIBUTES               added to a mount that is there
//     rule PATH RIGHTS                     of Landlock
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/mount_api.hpp"

namespace {

namespace sys = nucleus::sys;

constexpr sock_filter kProgram[] = {
#include "default_profile.inc"
};
constexpr std::uint64_t kLandlockRights = (1U << 16) - 1;
constexpr unsigned kClone = sys::kOpenTreeClone | sys::kOpenTreeCloexec;

int Need(long result, const char* what) {
  if (result >= 0) return static_cast<int>(result);
  std::perror(what);
  std::_Exit(125);
}

// One line of the plan, cut at its tabs.
struct Line {
  char* field[5] = {};
  [[nodiscard]] bool Is(const char* word) const { return std::strcmp(field[0], word) == 0; }
  [[nodiscard]] const char* Target() const { return field[1] + 1; }  // below the root
  [[nodiscard]] std::uint64_t Number(int i) const { return std::strtoull(field[i], nullptr, 16); }
};

constexpr int kMaxLines = 512;
Line lines[kMaxLines];
int count = 0;
char text[1 << 16];

void ReadPlan(const char* path) {
  const int fd = Need(::open(path, O_RDONLY | O_CLOEXEC), path);
  text[Need(::read(fd, text, sizeof text - 1), path)] = '\0';
  ::close(fd);
  char* outer = nullptr;
  for (char* line = ::strtok_r(text, "\n", &outer); line != nullptr; line = ::strtok_r(nullptr, "\n", &outer)) {
    if (count == kMaxLines) Need(-1, "plan");
    Line& at = lines[count++];
    for (char*& field : at.field) field = ::strsep(&line, "\t");
  }
}

// Of one placed by path: the floor's targets are its own.
void Place(int mount, int root, const char* target) {
  Need(::syscall(SYS_move_mount, mount, "", root, target, sys::kMoveFromEmptyPath), target);
}

int NewMount(const char* type, char* options, std::uint64_t attributes) {
  const int fs = Need(sys::Fsopen(type), type);
  char* outer = nullptr;
  for (char* option = ::strtok_r(options, ",", &outer); option != nullptr; option = ::strtok_r(nullptr, ",", &outer)) {
    char* value = std::strchr(option, '=');
    if (value != nullptr) *value++ = '\0';
    const auto command = value == nullptr ? sys::FsconfigCommand::kSetFlag : sys::FsconfigCommand::kSetString;
    Need(sys::Fsconfig(fs, command, option, value), option);
  }
  Need(sys::Fsconfig(fs, sys::FsconfigCommand::kCreate, nullptr, nullptr), type);
  const int mount = Need(sys::Fsmount(fs, attributes), type);
  ::close(fs);
  return mount;
}

// A clone with attributes, placed.
void Bind(int from, const char* source, unsigned flags, std::uint64_t attributes, int root, const char* target) {
  const int mount = Need(sys::OpenTree(from, source, kClone | flags), source);
  const sys::MountAttributes set{.set = attributes, .clear = 0, .propagation = 0, .userns_fd = 0};
  Need(sys::MountSetattr(mount, flags & sys::kRecursive, set), source);
  Place(mount, root, target);
  ::close(mount);
}

void Seal(int root, const char* target, std::uint64_t attributes) {
  const sys::MountAttributes set{.set = attributes, .clear = 0, .propagation = 0, .userns_fd = 0};
  Need(::syscall(SYS_mount_setattr, root, target, *target == '\0' ? AT_EMPTY_PATH : 0, &set, sizeof set), "seal");
}

void WriteFile(int root, const Line& line) {
  const int fd = Need(::openat(root, line.Target(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644), line.field[1]);
  if (line.field[2] != nullptr) Need(::write(fd, line.field[2], std::strlen(line.field[2])), line.field[1]);
  ::close(fd);
}

int BuildRoot() {
  char options[] = "mode=0755,size=4m";
  const int root = NewMount("tmpfs", options, sys::kAttrNoSuid | sys::kAttrNoDev);
  Need(::syscall(SYS_move_mount, root, "", AT_FDCWD, "/", sys::kMoveFromEmptyPath), "root");
  int null = -1, empty = -1;
  for (int i = 0; i < count; ++i) {
    const Line& line = lines[i];
    if (line.Is("dir")) Need(::mkdirat(root, line.Target(), 0755), line.field[1]);
    if (line.Is("file")) WriteFile(root, line);
    if (line.Is("link")) Need(::symlinkat(line.field[2], root, line.Target()), line.field[1]);
    if (line.Is("bind")) Bind(AT_FDCWD, line.field[2], sys::kRecursive, line.Number(3), root, line.Target());
    if (line.Is("ro")) Bind(root, line.Target(), sys::kRecursive, line.Number(2), root, line.Target());
    if (line.Is("seal")) Seal(root, line.Target(), line.Number(2));
    if (line.Is("fs")) {
      const int mount = NewMount(line.field[2], line.field[4], line.Number(3));
      Place(mount, root, line.Target());
      ::close(mount);
    }
    const bool file = line.Is("null");
    if (!file && !line.Is("empty")) continue;
    int& first = file ? null : empty;
    if (first < 0) {
      char small[] = "mode=0555,size=4k,nr_inodes=2";
      first = file ? Need(sys::OpenTree(AT_FDCWD, "/dev/null", kClone), "null") : NewMount("tmpfs", small, 0);
      const sys::MountAttributes inert{.set = 0xb, .clear = 0, .propagation = 0, .userns_fd = 0};
      Need(sys::MountSetattr(first, 0, inert), "mask");
      Place(first, root, line.Target());
      continue;
    }
    const int mount = Need(sys::OpenTree(first, "", kClone | AT_EMPTY_PATH), "mask");
    Place(mount, root, line.Target());
    ::close(mount);
  }
  Seal(root, "", sys::kAttrReadOnly);
  return root;
}

void RaiseLoopback() {
  const int socket = Need(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  Need(::ioctl(socket, SIOCSIFFLAGS, &request), "lo");
  ::close(socket);
}

int MakeLandlock() {
  const std::uint64_t handled = kLandlockRights;
  const int ruleset = Need(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0), "landlock");
  for (int i = 0; i < count; ++i) {
    if (!lines[i].Is("rule")) continue;
    struct {
      std::uint64_t rights;
      std::int32_t fd;
    } __attribute__((packed)) rule{lines[i].Number(2), Need(::open(lines[i].field[1], O_PATH), "rule")};
    Need(::syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0), lines[i].field[1]);
    ::close(rule.fd);
  }
  return ruleset;
}

void DropCapabilities() {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;) ++capability;
  Need(::setgroups(0, nullptr), "setgroups");
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[2] = {};
  Need(::syscall(SYS_capset, &header, none), "capset");
}

[[noreturn]] void RunChild(char** argv) {
  Need(::unshare(CLONE_NEWCGROUP), "cgroup namespace");
  RaiseLoopback();
  ::umask(0);
  Need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private");
  const int root = BuildRoot();
  Need(::fchdir(root), "root");
  Need(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
  Need(::umount2(".", MNT_DETACH), "umount");
  Need(::chdir("/"), "root");
  Need(::sethostname("floor", 5), "host name");
  ::setsid();
  ::umask(022);
  const int ruleset = MakeLandlock();
  DropCapabilities();
  Need(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  Need(::prctl(PR_SET_PDEATHSIG, SIGKILL), "death signal");
  Need(::syscall(SYS_landlock_restrict_self, ruleset, 0), "landlock");
  Need(::syscall(SYS_close_range, 3, ~0U, 0), "close_range");
  const sock_fprog filter{std::size(kProgram), const_cast<sock_filter*>(kProgram)};
  Need(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
  ::execv(argv[0], argv);
  Need(-1, argv[0]);
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  ReadPlan(argv[1]);
  const char* group = lines[0].Is("cgroup") ? lines[0].field[1] : nullptr;
  int cgroup = -1;
  if (group != nullptr) {
    Need(::mkdir(group, 0755), group);
    cgroup = Need(::open(group, O_PATH | O_DIRECTORY | O_CLOEXEC), group);
  }
  const std::uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
  const pid_t pid = Need(sys::Clone3(flags, cgroup, nullptr), "clone3");
  if (pid == 0) RunChild(argv + 2);
  int status = 0;
  Need(::waitpid(pid, &status, 0), "wait");
  if (group != nullptr) Need(::rmdir(group), group);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
