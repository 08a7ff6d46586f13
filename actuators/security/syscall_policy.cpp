#include "actuators/security/syscall_policy.hpp"

#include <cerrno>

namespace nucleus::security {

namespace {

using enum Treatment;

constexpr PolicyRow kRows[] = {
    // ---- allowed ----
    {"read write open close stat fstat lstat poll lseek pread64 pwrite64 readv writev access pipe select sendfile "
     "creat "
     "dup dup2 dup3 flock fsync fdatasync truncate ftruncate getdents getdents64 getcwd chdir fchdir rename "
     "mkdir "
     "rmdir link unlink symlink readlink chmod fchmod chown fchown lchown umask utime utimes futimesat utimensat "
     "statfs "
     "fstatfs sync syncfs sync_file_range openat openat2 mkdirat newfstatat unlinkat renameat renameat2 linkat "
     "symlinkat readlinkat fchmodat fchmodat2 fchownat faccessat faccessat2 statx pselect6 ppoll splice tee vmsplice "
     "copy_file_range fallocate fadvise64 readahead preadv pwritev preadv2 pwritev2 close_range pipe2 cachestat",
     kAllow, "files and descriptors: mounts, modes and Landlock decide about them"},
    {"mknod mknodat", kAllow, "FIFOs and sockets; device nodes need CAP_MKNOD, and every writable mount is nodev"},
    {"setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr "
     "lremovexattr fremovexattr setxattrat getxattrat listxattrat removexattrat",
     kAllow, "extended attributes; the trusted and security ones need capabilities"},
    {"inotify_init inotify_init1 inotify_add_watch inotify_rm_watch epoll_create epoll_create1 epoll_ctl epoll_wait "
     "epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime",
     kAllow, "waiting for events"},
    {"io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents", kAllow,
     "POSIX-style asynchronous I/O (databases)"},
    {"mmap mprotect munmap brk mremap msync mincore madvise mlock mlock2 munlock mlockall munlockall remap_file_pages "
     "memfd_create memfd_secret membarrier pkey_alloc pkey_free pkey_mprotect process_madvise mseal map_shadow_stack",
     kAllow, "memory; locking is bounded by RLIMIT_MEMLOCK"},
    {"get_mempolicy", kAllow, "reading the NUMA policy (runtimes, numeric libraries)"},
    {"rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo "
     "rt_sigsuspend sigaltstack kill tkill tgkill pause alarm getitimer setitimer pidfd_open pidfd_send_signal",
     kAllow, "signals: the PID namespace bounds whom they reach"},
    {"fork vfork execve execveat exit exit_group wait4 waitid set_tid_address set_robust_list get_robust_list futex "
     "futex_waitv futex_wake futex_wait futex_requeue rseq arch_prctl set_thread_area get_thread_area restart_syscall "
     "sched_yield gettid getpid getppid process_mrelease",
     kAllow, "processes and threads"},
    {"uretprobe uprobe", kAllow, "what the kernel itself puts into a traced program; an error when called by others"},
    {"getpgid setpgid getpgrp getsid setsid getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid "
     "setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capget capset prctl",
     kAllow, "identity: all capabilities are gone, so that nothing can be gained"},
    {"getrlimit setrlimit prlimit64 getrusage getpriority setpriority ioprio_get ioprio_set sched_setparam "
     "sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min "
     "sched_rr_get_interval sched_setaffinity sched_getaffinity sched_setattr sched_getattr getcpu times",
     kAllow, "own limits and scheduling; raising them needs capabilities"},
    {"nanosleep clock_nanosleep gettimeofday time clock_gettime clock_getres timer_create timer_settime timer_gettime "
     "timer_getoverrun timer_delete adjtimex clock_adjtime",
     kAllow, "reading clocks; the adjusting form of the last two needs CAP_SYS_TIME"},
    {"connect accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown bind listen getsockname "
     "getpeername setsockopt getsockopt",
     kAllow, "sockets of the families that socket allows"},
    {"shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink "
     "mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
     kAllow, "System V and POSIX IPC, in an IPC namespace of the container's own (PostgreSQL)"},
    {"uname sysinfo getrandom name_to_handle_at", kAllow, "harmless information"},
    {"seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self", kAllow,
     "programs that confine themselves further; neither can loosen anything"},

    // ---- by arguments ----
    {"clone unshare socket socketpair ioctl fcntl personality", kArguments, "see the table of conditions"},

    // ---- refused with ENOSYS: callers fall back ----
    {"clone3", kMissing,
     "its flags are in memory, where seccomp cannot look; glibc then calls clone, whose flags it can"},
    {"statmount listmount", kMissing, "tell about mounts beyond the own root; callers read /proc/self/mountinfo"},
    {"lookup_dcookie _sysctl uselib ustat sysfs nfsservctl create_module get_kernel_syms query_module getpmsg putpmsg "
     "afs_syscall tuxcall security vserver epoll_ctl_old epoll_wait_old modify_ldt",
     kMissing, "obsolete; code of the kernel that nobody looks at"},

    // ---- refused with EPERM ----
    {"mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr",
     kPermission, "change what is mounted where: the way round masks and read-only mounts"},
    {"setns", kPermission, "enters namespaces of others"},
    {"open_by_handle_at", kPermission, "opens files by inode, past the root directory (the Shocker escape)"},
    {"bpf perf_event_open userfaultfd", kPermission,
     "great parts of the kernel with a long record of holes, and means to win races against it"},
    {"io_uring_setup io_uring_enter io_uring_register", kPermission,
     "does file and network operations that seccomp never sees; a long record of holes"},
    {"ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp", kPermission,
     "reach into other processes: memory, descriptors, registers"},
    {"keyctl add_key request_key", kPermission, "keyrings are not divided by namespaces other than the user one"},
    {"syslog", kPermission, "the kernel's log tells addresses and what other containers do"},
    {"settimeofday clock_settime", kPermission, "the clock is the whole machine's"},
    {"sethostname setdomainname", kPermission, "the name is set before the workload starts"},
    {"swapon swapoff reboot acct quotactl quotactl_fd vhangup", kPermission, "administer the machine"},
    {"fanotify_init fanotify_mark", kPermission, "watch, and may block, what others do with whole file systems"},
    {"mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages", kPermission,
     "where memory lies is the machine's business; move_pages is a means to shape it for attacks"},

    // ---- killed ----
    {"kexec_load kexec_file_load", kKill, "replaces the kernel"},
    {"init_module finit_module delete_module", kKill, "loads code into the kernel"},
    {"iopl ioperm", kKill, "raw access to the hardware's ports"},
};

constexpr std::uint32_t kAll = 0xffffffffU;
// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
constexpr std::uint32_t kNamespaces = 0x7e020000U;
// A child of its own parent's: of a health probe, the supervisor's, which would have to look after it.
constexpr std::uint32_t kCloneParent = 0x8000U;
constexpr std::uint32_t kNewTime = 0x80U;  // unshare only; in clone these bits are the exit signal

constexpr PolicyCondition kConditions[] = {
    {.call = "clone",
     .argument = 0,
     .mask = kNamespaces | kCloneParent,
     .value = 0,
     .reason = "without a new namespace, as a child of the caller"},
    {.call = "clone",
     .error = EPERM,
     .reason = "a new user namespace gives capabilities over new parts of the kernel; a child of the caller's parent "
               "(CLONE_PARENT) would be the supervisor's to reap"},
    {.call = "unshare", .argument = 0, .mask = kNamespaces | kNewTime, .value = 0, .reason = "without a new namespace"},
    {.call = "unshare", .error = EPERM, .reason = "as clone"},

    {.call = "socket", .argument = 0, .mask = kAll, .value = 1, .reason = "AF_UNIX"},
    {.call = "socket", .argument = 0, .mask = kAll, .value = 2, .reason = "AF_INET"},
    {.call = "socket", .argument = 0, .mask = kAll, .value = 10, .reason = "AF_INET6"},
    {.call = "socket",
     .argument = 0,
     .mask = kAll,
     .value = 16,
     .argument2 = 2,
     .mask2 = kAll,
     .value2 = 0,
     .reason = "AF_NETLINK, protocol NETLINK_ROUTE: getaddrinfo and getifaddrs ask it for addresses"},
    {.call = "socket",
     .argument = 0,
     .mask = kAll,
     .value = 16,
     .error = EPROTONOSUPPORT,
     .reason = "other AF_NETLINK protocols: this errno tells libaudit (useradd, passwd) that there is no audit"},
    {.call = "socket",
     .error = EAFNOSUPPORT,
     .reason = "AF_ALG, AF_VSOCK, AF_PACKET and the other families: seldom used, often broken into"},
    {.call = "socketpair", .argument = 0, .mask = kAll, .value = 1, .reason = "AF_UNIX"},
    {.call = "socketpair", .error = EAFNOSUPPORT, .reason = "other families"},

    {.call = "ioctl",
     .argument = 1,
     .mask = kAll,
     .value = 0x5412,
     .error = EPERM,
     .reason = "TIOCSTI types into the terminal of whoever started the container"},
    {.call = "ioctl",
     .argument = 1,
     .mask = kAll,
     .value = 0x541c,
     .error = EPERM,
     .reason = "TIOCLINUX pastes into a virtual console"},
    {.call = "ioctl",
     .argument = 1,
     .mask = kAll,
     .value = 0x5423,
     .error = EPERM,
     .reason = "TIOCSETD loads line disciplines, drivers of forgotten hardware with a record of holes"},
    {.call = "ioctl", .reason = "all other requests"},

    {.call = "fcntl",
     .argument = 1,
     .mask = kAll,
     .value = 1024,
     .error = EPERM,
     .reason =
         "F_SETLEASE makes whoever opens the file wait, nucleus and the machine too: /proc/sys/fs/lease-break-time"},
    {.call = "fcntl",
     .argument = 1,
     .mask = kAll,
     .value = 1040,
     .error = EPERM,
     .reason = "F_SETDELEG, the same, also of directories"},
    {.call = "fcntl", .reason = "all other commands"},

    {.call = "personality", .argument = 0, .mask = kAll, .value = 0, .reason = "PER_LINUX"},
    {.call = "personality", .argument = 0, .mask = kAll, .value = 8, .reason = "PER_LINUX32"},
    {.call = "personality", .argument = 0, .mask = kAll, .value = 0x20000, .reason = "UNAME26"},
    {.call = "personality", .argument = 0, .mask = kAll, .value = 0x20008, .reason = "PER_LINUX32 with UNAME26"},
    {.call = "personality", .argument = 0, .mask = kAll, .value = kAll, .reason = "asks for the present one"},
    {.call = "personality", .error = EPERM, .reason = "READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE and others undo hardening"},
};

constexpr NewCall kNewCalls[] = {
    {"pidfd_getfd", 438},
    {"faccessat2", 439},
    {"process_madvise", 440},
    {"epoll_pwait2", 441},
    {"mount_setattr", 442},
    {"quotactl_fd", 443},
    {"landlock_create_ruleset", 444},
    {"landlock_add_rule", 445},
    {"landlock_restrict_self", 446},
    {"memfd_secret", 447},
    {"process_mrelease", 448},
    {"futex_waitv", 449},
    {"set_mempolicy_home_node", 450},
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"map_shadow_stack", 453},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
    {"file_getattr", 468},
    {"file_setattr", 469},
    {"listns", 470},
#if defined(__x86_64__)
    {"uretprobe", 335},
    {"uprobe", 336},
#endif
};

}  // namespace

std::span<const PolicyRow> PolicyRows() {
  return kRows;
}
std::span<const PolicyCondition> PolicyConditions() {
  return kConditions;
}
std::span<const NewCall> NewCalls() {
  return kNewCalls;
}

}  // namespace nucleus::security
