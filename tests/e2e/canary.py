"""What of the host must stay as it is, whatever is tried in a container: a tree of its own, its mounts, settings, devices and programs."""

import hashlib
import os
import pathlib
import stat

SECRET = "canary-4f1d"
LOOK = r"""
import hashlib, json, os, sys
def look(path):
    st = os.lstat(path)
    return [path, st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_rdev, st.st_nlink]
out = [open("/proc/self/mountinfo").read(), os.uname().nodename]
for name in ("kernel/core_pattern", "kernel/modprobe", "kernel/hostname", "kernel/domainname", "net/ipv4/ip_forward", "kernel/printk", "vm/overcommit_memory",
             "fs/suid_dumpable", "kernel/randomize_va_space", "kernel/yama/ptrace_scope", "net/ipv4/ping_group_range", "kernel/msgmax"):
    try:
        out.append([name, open("/proc/sys/" + name).read()])
    except OSError as error:
        out.append([name, error.errno])
for name in ("null", "zero", "full", "random", "urandom", "tty", "console", "pts", "shm", ""):
    if os.path.lexists("/dev/" + name):
        out.append(look("/dev/" + name))
out.append(sorted(set(os.listdir("/dev")) - {"char", "block"}))
for path in ("/proc/uptime", "/proc/version", "/proc/sysrq-trigger", "/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/resolv.conf", "/etc"):
    if os.path.lexists(path):
        out.append(look(path))
print(json.dumps(out))
"""


class Canary:
    """A tree in a directory of the test, and of everything else what the world sees."""

    def __init__(self, world, directory, programs=()):
        self.world, self.top, self.programs = world, pathlib.Path(directory), programs
        self.top.mkdir()
        (self.top / "inner").mkdir(mode=0o750)
        for name, mode in {"file": 0o644, "secret": 0o600, "setuid": 0o4755, "inner/deep": 0o640}.items():
            (self.top / name).write_text(f"{SECRET} {name}\n")
            (self.top / name).chmod(mode)
        os.chown(self.top / "inner/deep", 4242, 4243)
        (self.top / "link").symlink_to("file")
        os.mkfifo(self.top / "fifo")
        self.before = self.state()

    def tree(self):
        found = []
        for path in [self.top, *sorted(self.top.rglob("*"))]:
            st = path.lstat()
            content = (
                hashlib.sha256(path.read_bytes()).hexdigest()
                if stat.S_ISREG(st.st_mode)
                else os.readlink(path) if path.is_symlink() else ""
            )
            found.append((str(path), st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_mtime_ns, content))
        return found

    def state(self):
        return [
            self.tree(),
            self.world.run("python3", "-c", LOOK).stdout,
            [hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() for path in self.programs],
        ]

    def check(self):
        now = self.state()
        for before, after in zip(self.before, now):
            assert before == after
