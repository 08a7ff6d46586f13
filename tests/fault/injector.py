"""Runs a command under strace and, at one chosen system call, kills it or makes the call fail.

A point is a system call by name and its number in the thread that makes it. Points are counted first, in one run without a fault.
strace counts for each thread by itself (strace(1), inject), so which of several threads comes to a number first may differ from run
to run; commands run with --parallelism 1, and every number that some thread reached is tried.
"""
import atexit
import collections
import dataclasses
import functools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from world import NUCLEUS, cgroup_root, wait_for  # noqa: E402

SUPERVISOR = pathlib.Path(NUCLEUS).parent / "nucleus-supervisor"

# What changes the machine, or hands something to another process.
MUTATING = """mkdir mkdirat rmdir unlink unlinkat rename renameat2 mknod symlinkat ftruncate write pwrite64 fsync fdatasync chmod fchmod
fchmodat chown fchown fchownat lchown mount umount2 open_tree move_mount mount_setattr fsopen fsconfig fsmount setxattr fsetxattr
clone clone3 fork vfork unshare setns execve execveat kill pidfd_send_signal sendto sendmsg flock pivot_root exit_group""".split()

# Where the kernel says no, and how: each with the calls that may give this error.
ERRORS = {
    "ENOSPC": "mkdir mkdirat mknod write pwrite64 fsync rename symlinkat setxattr".split(),
    "EIO": "pwrite64 pread64 fsync read rename ftruncate unlink".split(),
    "ENOMEM": "mount open_tree fsopen fsmount move_mount clone clone3 sendmsg sendto socket unshare".split(),
    "EMFILE": "openat openat2 socket pipe2 open_tree fsopen pidfd_open signalfd4 dup".split(),
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
    # -b: the supervisor, once it is a program of its own, is left alone. -q: nothing on the command's own standard error.
    return ["strace", "-f", "-q", "-b", "execve", "-e", "signal=none", *options]


def counted(log):
    """From strace's log, how often any one thread made each of the calls: call -> number."""
    made = collections.Counter()
    for line in log:
        if match := re.match(r"(\d+) +(\w+)\(", line):
            made[match[1], match[2]] += 1
    most = collections.Counter()
    for (_, call), number in made.items():
        most[call] = max(most[call], number)
    return most


def was_reached(log):
    """Whether strace's log tells of a fault. A point that another run came to may be beyond the end of this one."""
    return any("(INJECTED)" in line or line.rstrip().endswith("= ?") for line in log)  # the second: it never came back


def was_silenced(log):
    """Whether a fault was in telling: the same number may be that of one thread's step and of another's message."""
    return any("(INJECTED)" in line and re.match(r"\d+ +write\(2, ", line) for line in log)


class Command:
    """Faults in the command that makes the change, and in the threads and processes of its own."""

    def count(self, trial, calls):
        with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
            trial.world.run(*strace("-o", log.name, "-e", traced(calls)), *trial.command)
            return counted(log)

    def run(self, trial, point):
        """The command with the fault at that point: its exit status, negative or 128 and more where it was killed, and whether it was reached."""
        with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
            done = trial.world.run(*strace("-o", log.name, "-e", traced([point.call]), "-e", point.expression), *trial.command, status=None, timeout=120)
            lines = list(log)
            done.reached, done.silenced = was_reached(lines), was_silenced(lines)
        return done


class Supervisor:
    """Faults in the supervisor of a service and in the container it starts, while a command without faults makes the change."""

    def __init__(self, service):
        self.service = service

    def count(self, trial, calls):
        log = trial.world.directory / "supervisor.strace"
        log.touch()
        done = self._traced(trial, ["-o", str(log), "-e", traced(calls)])
        assert done.returncode == 0, done.stderr
        with log.open() as lines:
            return counted(lines)

    def run(self, trial, point):
        log = trial.world.directory / "supervisor.strace"
        log.write_text("")
        done = self._traced(trial, ["-o", str(log), "-e", traced([point.call]), "-e", point.expression])
        with log.open(errors="replace") as lines:
            done.reached, done.silenced = was_reached(lines), False
        return done

    def _traced(self, trial, options):
        words = ["strace", "-f", "-q", "-e", "signal=none", *options]
        starts = trial.change.before is None
        return self._from_its_start(trial, words) if starts else self._from_now_on(trial, words)

    def _from_its_start(self, trial, words):
        told = trial.world.directory / "supervisor-fault"
        told.write_text("\n".join([self.service, str(SUPERVISOR), str(cgroup_root() / "cgroup.procs"), *words]) + "\n")
        done = trial.world.run(*trial.command, "--timeout", "10s", status=None, timeout=120,
                               env={**trial.world.environment, "NUCLEUS_SUPERVISOR": str(stand_in())})
        trial.world.run("pkill", "-INT", "-x", "strace", status=None)  # it lets go of what still runs
        return done

    def _from_now_on(self, trial, words):
        pid = trial.world.container(self.service)["supervisor_pid"]
        tracer = trial.world.popen(*words, "-p", str(pid))
        wait_for("strace", lambda: tracer.poll() is not None or
                 "TracerPid:\t0" not in trial.world.run("cat", f"/proc/{pid}/status", status=None).stdout)
        done = trial.world.run(*trial.command, status=None, timeout=120)
        trial.world.run("pkill", "-INT", "-x", "strace", status=None)
        tracer.wait()
        return done


@functools.cache
def stand_in():
    """traced_supervisor.c, built once a run."""
    directory = tempfile.mkdtemp(prefix="nucleus-fault-supervisor-")
    atexit.register(shutil.rmtree, directory)
    program = pathlib.Path(directory) / "supervisor"
    subprocess.run(["cc", "-O1", "-static", "-o", program, HERE / "traced_supervisor.c"], check=True)
    return program


def traced(calls):
    return "trace=" + ",".join(f"?{call}" for call in calls)


def kill_points(target, trial):
    return [Point(call, number) for call, most in sorted(target.count(trial, MUTATING).items()) for number in range(1, most + 1)]


def error_points(target, trial):
    made = target.count(trial, sorted({call for calls in ERRORS.values() for call in calls}))
    return [Point(call, number, error) for error, calls in ERRORS.items() for call in calls for number in range(1, made[call] + 1)]
