"""Runs a command under strace and, at one chosen system call, kills it or makes the call fail.

A point is a system call by name and its number in the thread that makes it. Points are counted first, in one run without a fault.
strace counts for each thread by itself (strace(1), inject), so which of several threads comes to a number first may differ from run
to run; commands run with --parallelism 1, and every number that some thread reached is tried.
"""
import collections
import dataclasses
import re
import tempfile

# What changes the machine, or hands something to another process.
MUTATING = """mkdir mkdirat rmdir unlink unlinkat rename renameat2 mknod symlinkat ftruncate write pwrite64 fsync fdatasync chmod fchmod
fchmodat chown fchown fchownat lchown mount umount2 open_tree move_mount mount_setattr fsopen fsconfig fsmount setxattr fsetxattr
clone clone3 fork vfork unshare setns execve execveat kill pidfd_send_signal sendto sendmsg flock pivot_root exit_group""".split()

# Where the kernel says no, and how: each with the calls that may give this error.
ERRORS = {
    "ENOSPC": "mkdir mkdirat mknod write pwrite64 fsync rename symlinkat setxattr".split(),
    "EIO": "pwrite64 pread64 fsync read rename ftruncate unlink".split(),
    "ENOMEM": "mount open_tree fsopen fsmount move_mount clone clone3 sendmsg sendto socket unshare".split(),
    "EMFILE": "openat openat2 socket pipe2 open_tree fsopen pidfd_open signalfd4 dup fcntl".split(),
    # Not recvmsg: libnftables ends the process for it, so signals are held back while that works.
    "EINTR": "read write poll flock wait4 waitid openat sendmsg".split(),
    "EAGAIN": "clone clone3 fork sendto sendmsg recvmsg".split(),
}


@dataclasses.dataclass(frozen=True)
class Point:
    call: str
    number: int
    error: str = ""  # empty: killed there

    @property
    def expression(self):
        action = f"error={self.error}" if self.error else "signal=KILL"
        return f"inject={self.call}:{action}:when={self.number}"

    def __str__(self):
        return f"{self.call} #{self.number}" + (f" {self.error}" if self.error else " killed")


def strace(*options):
    # -b: the supervisor, once it is a program of its own, is left alone. -qq: nothing on the command's own standard error.
    return ["strace", "-f", "-qq", "-b", "execve", "-e", "signal=none", *options]


def count(world, command, calls, before=()):
    """How often any one thread of the command makes each of the calls: call -> number."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        world.run(*strace("-o", log.name, "-e", "trace=" + ",".join(f"?{call}" for call in calls)), *before, *command)
        made = collections.Counter()
        for line in log:
            if match := re.match(r"(\d+) +(\w+)\(", line):
                made[match[1], match[2]] += 1
    most = collections.Counter()
    for (_, call), number in made.items():
        most[call] = max(most[call], number)
    return most


def kill_points(world, command):
    return [Point(call, number) for call, most in sorted(count(world, command, MUTATING).items()) for number in range(1, most + 1)]


def error_points(world, command):
    made = count(world, command, sorted({call for calls in ERRORS.values() for call in calls}))
    return [Point(call, number, error) for error, calls in ERRORS.items() for call in calls for number in range(1, made[call] + 1)]


def run(world, command, point):
    """The command with the fault at that point; its exit status, negative or 128 and more where it was killed."""
    return world.run(*strace("-o", "/dev/null", "-e", f"trace=?{point.call}", "-e", point.expression), *command, status=None, timeout=120)
