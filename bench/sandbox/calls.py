"""Which argument of a system call points to how much memory, which is a descriptor, and what comes back: what record.py has to know of each.

A letter an argument, ">" before the result:
  v     a value                                      f      a descriptor
  p     a path, in which a process or descriptor may be named; s: another string
  i<N>  N bytes that are read; b<K>: as many as argument K says
  o<N>  N bytes that are written; O<K>: as many as argument K says
  >F    a new descriptor; >P: the process's own number
A pointer that is null stays so. What depends on a word of the call is a function of record.py.
"""
import os, pathlib, re

# Memory, clocks and locks of a program, where its threads run, and what a C library does for itself: nothing that a sandbox is made of.
LEFT_OUT = {"brk", "mmap", "mprotect", "munmap", "mremap", "madvise", "futex", "rseq", "set_robust_list", "set_tid_address", "arch_prctl",
            "sched_yield", "sched_getaffinity", "getcpu", "clock_gettime", "clock_nanosleep", "rt_sigreturn"}

CALLS = {
    "access": "p v", "capget": "i8 o24", "capset": "i8 i24", "chdir": "p", "close": "f", "close_range": "v v v", "dup3": "f v v > F",
    "exit": "v", "exit_group": "v", "faccessat": "f p v", "faccessat2": "f p v v", "fchdir": "f", "fchmod": "f v", "fchmodat": "f p v",
    "fchown": "f v v", "fchownat": "f p v v v", "fgetxattr": "f s O3 v", "flock": "f v", "fsconfig": "f v s s v", "fsetxattr": "f s b3 v v",
    "fsmount": "f v v > F", "fsopen": "s v > F", "fstat": "f o144", "fstatfs": "f o120", "ftruncate": "f v", "getcwd": "O1 v",
    "getdents64": "f O2 v", "getegid": "", "geteuid": "", "getgid": "", "getpid": "> P", "getrandom": "O1 v v", "gettid": "", "getuid": "",
    "keyctl": "v s v v v", "landlock_add_rule": "f v r v", "landlock_restrict_self": "f v", "lgetxattr": "p s O3 v", "lsetxattr": "p s b3 v v",
    "lseek": "f v v", "lstat": "p o144", "mkdir": "p v", "mkdirat": "f p v", "mknodat": "f p v v", "mount": "p p s v s",
    "mount_setattr": "f p v b4 v", "move_mount": "f p f p v", "newfstatat": "f p o144 v", "open": "p v v > F", "open_tree": "f p v > F",
    "openat": "f p v v > F", "openat2": "f p b3 v > F", "personality": "v", "pivot_root": "p p", "pread64": "f O2 v v", "prlimit64": "v v i16 o16",
    "read": "f O2 v", "readlink": "p O2 v", "readlinkat": "f p O3 v", "rename": "p p", "renameat": "f p f p", "renameat2": "f p f p v",
    "rmdir": "p", "rt_sigprocmask": "v i8 o8 v", "sendto": "f b2 v v v v", "sethostname": "b1 v", "setns": "f v", "setpriority": "v v v",
    "setresgid": "v v v", "setresuid": "v v v", "setsid": "", "signalfd4": "f b2 v v > F", "socket": "v v v > F", "stat": "p o144",
    "statfs": "p o120", "statx": "f p v v o256", "symlinkat": "s f p", "sysinfo": "o112", "umask": "v", "umount2": "p v", "uname": "o390",
    "unlink": "p", "unlinkat": "f p v", "unshare": "v", "write": "f b2 v",
}


def numbers():
    """Names of system calls by their number, as the kernel's header tells them."""
    places = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")
    header = next(pathlib.Path(place) for place in places if os.path.exists(place))
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
