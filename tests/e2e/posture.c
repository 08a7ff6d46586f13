/* Says what it is held by, a line each: what /proc tells of it, and what it is answered where it tries. Static, and so the whole of an
 * image. "posture [FILE [stay]]": into the file too, so that somebody outside sees that it has run; and stays, to be looked at. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[1 << 16];
static size_t used;

static void Say(const char* form, ...) {
  va_list list;
  va_start(list, form);
  int wrote = vsnprintf(said + used, sizeof said - used, form, list);
  va_end(list);
  if (wrote > 0 && used + (size_t)wrote < sizeof said) used += (size_t)wrote;
}

static void SayFile(const char* name, const char* path) {
  char text[256];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (got < 0) {
    Say("%s: %s\n", name, strerrorname_np(errno));
  } else {
    while (got > 0 && text[got - 1] == '\n') --got;
    text[got] = '\0';
    for (char* at = text; *at != '\0'; ++at)
      if (*at == '\n') *at = '|';
    Say("%s: %s\n", name, text);
  }
  if (fd >= 0) close(fd);
}

static void SayStatus(void) {
  static const char* const kNames[] = {"Uid:",    "Gid:",    "Groups:", "CapInh:", "CapPrm:",     "CapEff:",  "CapBnd:",
                                       "CapAmb:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "SigBlk:", "SigIgn:", "SigCgt:", "Umask:"};
  char line[512];
  FILE* file = fopen("/proc/self/status", "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i)
      if (strncmp(line, kNames[i], strlen(kNames[i])) == 0) Say("%s", line);
  if (file != NULL) fclose(file);
}

/* Point, flags, type and options of each mount; which numbers it has is chance. */
static void SayMounts(void) {
  char line[4096];
  FILE* file = fopen("/proc/self/mountinfo", "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    char point[2048], flags[512], type[128], source[1024], options[1024] = "";
    char* rest = strstr(line, " - ");
    if (rest == NULL || sscanf(line, "%*s %*s %*s %*s %2047s %511s", point, flags) != 2) continue;
    sscanf(rest, " - %127s %1023s %1023s", type, source, options);
    char* inodes = strstr(options, "lowerdir="); /* descriptors, whose numbers differ */
    if (inodes != NULL) *inodes = '\0';
    Say("mount %s: %s %s %s\n", point, flags, type, options);
  }
  if (file != NULL) fclose(file);
}

static void SayFiles(void) {
  Say("files:");
  for (int fd = 0; fd < 4096; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) Say(" %d", fd);
  struct stat st;
  Say("\nstandard input is the null device: %d\n", fstat(0, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

static void SayNamespaces(void) {
  static const char* const kNames[] = {"mnt", "pid", "ipc", "uts", "cgroup", "net", "user"};
  for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", kNames[i]);
    ssize_t got = readlink(path, text, sizeof text - 1);
    text[got < 0 ? 0 : got] = '\0';
    Say("namespace %s\n", text);
  }
}

/* The answer of a call, in a child: an attack may be answered by death. */
#define TRY(name, call)                                                                     \
  do {                                                                                      \
    pid_t tried = fork();                                                                   \
    if (tried == 0) {                                                                       \
      errno = 0;                                                                            \
      long result = (long)(call);                                                           \
      _exit(result == -1 ? errno : 255);                                                    \
    }                                                                                       \
    int status = 0;                                                                         \
    waitpid(tried, &status, 0);                                                             \
    if (WIFSIGNALED(status))                                                                \
      Say("try %s: killed by %d\n", name, WTERMSIG(status));                                \
    else                                                                                    \
      Say("try %s: %s\n", name, WEXITSTATUS(status) == 255 ? "done" : strerrorname_np(WEXITSTATUS(status))); \
  } while (0)

static long I386(long number, long first) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0), "d"(0), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
  if (result < 0 && result > -4096) {
    errno = (int)-result;
    return -1;
  }
  return result;
}

/* There may be sixteen, one in the other, and whoever is in one already is refused the last: nothing else tells. landlock_restrict_self(2)
 * What a domain forbids would not: of an overlay's whiteout, which nobody else minds, kernels do not agree whether it is a device. */
static long SixteenDomains(void) {
  const struct landlock_ruleset_attr kSockets = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK};
  long ruleset = syscall(SYS_landlock_create_ruleset, &kSockets, sizeof kSockets.handled_access_fs, 0), result = ruleset;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int i = 0; i < 16 && result >= 0; ++i) result = syscall(SYS_landlock_restrict_self, ruleset, 0);
  return result < 0 ? -1 : 0;
}

static void SayTries(void) {
  const long kX32 = 0x40000000;
  struct {
    unsigned long long flags, rest[10];
  } arguments = {CLONE_NEWUSER, {0, 0, 0, SIGCHLD}};
  TRY("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL));
  TRY("setns", syscall(SYS_setns, 0, 0));
  TRY("unshare user", syscall(SYS_unshare, CLONE_NEWUSER));
  TRY("clone3 user", syscall(SYS_clone3, &arguments, sizeof arguments));
  TRY("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
  TRY("add_key", syscall(SYS_add_key, "user", "nucleus-try", "x", 1, KEY_SPEC_PROCESS_KEYRING));
  TRY("request_key", syscall(SYS_request_key, "user", "nucleus-try", NULL, KEY_SPEC_SESSION_KEYRING));
  TRY("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  TRY("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
  TRY("open_by_handle", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
  TRY("personality", syscall(SYS_personality, 0x0400000));
  TRY("x32 mount", syscall(kX32 | SYS_mount, "none", "/tmp", "tmpfs", 0, NULL));
  TRY("x32 getpid", syscall(kX32 | SYS_getpid));
  TRY("x32 ptrace", syscall(kX32 | 521, 0, 0, 0, 0));
  TRY("i386 getpid", I386(20, 0));
  TRY("i386 mount", I386(21, 0));
  TRY("i386 socketcall", I386(102, 1));
  TRY("i386 clone", I386(120, CLONE_NEWUSER));
  TRY("TIOCSTI", ioctl(0, TIOCSTI, "x"));
  TRY("TIOCSTI with high bits", syscall(SYS_ioctl, 0, (1UL << 32) | TIOCSTI, "x"));
  TRY("TIOCLINUX", ioctl(0, 0x541C, "\2"));
  TRY("TIOCSETD", ioctl(0, TIOCSETD, &(int){3}));
  TRY("sixteen domains of Landlock", SixteenDomains());
  TRY("chmod of the null device", chmod("/dev/null", 0666));
  TRY("chmod of standard input", fchmod(0, 0666));
  TRY("write to the root", open("/made-by-the-workload", O_CREAT | O_RDWR, 0600));
  TRY("write a sysctl", open("/proc/sys/kernel/core_pattern", O_WRONLY));
  TRY("write to sysrq", open("/proc/sysrq-trigger", O_WRONLY));
  TRY("make a device", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
  TRY("raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  TRY("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  if (getpid() != 1) TRY("read init's memory", open("/proc/1/mem", O_RDONLY));
  TRY("umount", syscall(SYS_umount2, "/proc", 2)); /* the last: where it is done, there is no /proc any more */
}

static int Same(const char* a, const char* b) {
  struct stat first, second;
  return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

int main(int argc, char** argv) {
  struct utsname name;
  uname(&name);
  SayStatus();
  SayMounts();
  SayFiles();
  SayNamespaces();
  SayFile("personality", "/proc/self/personality");
  SayFile("cgroup", "/proc/self/cgroup");
  SayFile("unix sockets", "/proc/net/unix");
  SayFile("keys", "/proc/keys");
  SayFile("kcore", "/proc/kcore");
  Say("host name: %s\n", name.nodename);
  Say("above the root is the root: %d\n", Same("/", "/.."));
  int death = -1;
  prctl(PR_GET_PDEATHSIG, &death, 0, 0, 0);
  Say("dies with its parent: %d, dumpable: %d\n", death, (int)prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  struct rlimit limit;
  getrlimit(RLIMIT_MEMLOCK, &limit);
  Say("memlock: %llu\n", (unsigned long long)limit.rlim_max);
  char here[4096];
  long length = syscall(SYS_getcwd, here, sizeof here);
  Say("directory: %s\n", length < 0 ? "none" : here);
  SayTries();
  if (argc > 1) {
    int fd = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, said, used) != (ssize_t)used) return 98;
    close(fd);
  }
  if (argc > 2) sleep(20);
  return fwrite(said, 1, used, stdout) == used && fflush(stdout) == 0 ? 0 : 97;
}
