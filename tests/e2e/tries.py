"""The tries of hostile workloads, after the known failures of runtimes. Each is a text of Python for a process inside the sandbox, and made of
steps: where the sandbox holds, every one is refused. tests/vm/suite/attacks.py has the same steps in a sandbox without protection, where none is.
Nothing here but the standard library: the guest has no pytest."""

import json
import os

PROBE = r"""
import ctypes, errno, json, os, socket, stat, struct, sys, traceback
libc = ctypes.CDLL(None, use_errno=True)
harm, held = [], []
def holds(name, does, more=""):
    (held if does else harm).append(f"{name} {more}".strip() if not does else name)
def call(number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    return result, ctypes.get_errno()
def refused(name, number, *args):  # with an error, or, where only an attack would call it, with death by SIGSYS
    child = os.fork()
    if child == 0:
        result, error = call(number, *args)
        os._exit(0 if result == -1 and error in (errno.EPERM, errno.ENOSYS, errno.EACCES) else error or 255)
    status = os.waitpid(child, 0)[1]
    died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == 31
    holds(name, died or status == 0, f"(status {status})")
def killed(name, number, *args):  # what is no call of this machine's kernel has to die, whether the kernel has it or not
    child = os.fork()
    if child == 0:
        call(number, *args)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    holds(name, os.WIFSIGNALED(status) and os.WTERMSIG(status) == 31, f"(status {status})")
def fails(name, does):
    try:
        does()
    except OSError:
        return holds(name, True)
    holds(name, False)
"""

# They run as root inside: the harder case.
TRIES = {
    "no capability in any set": r"""
for line in open("/proc/self/status"):
    name, _, value = line.partition(":")
    if name.startswith("Cap"):
        holds(name, int(value, 16) == 0, value.strip())
    if name in ("NoNewPrivs", "Seccomp"):
        holds(name, value.strip() == {"NoNewPrivs": "1", "Seccomp": "2"}[name], value.strip())
""",
    "open files are exactly 0, 1, 2": r"""
import fcntl
def is_open(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False
found = [fd for fd in range(4096) if is_open(fd)]
holds("files", found == [0, 1, 2], str(found))
holds("standard input is the null device", os.fstat(0).st_rdev == os.makedev(1, 3))
""",
    "no supplementary groups": 'holds("groups", os.getgroups() in ([], [os.getgid()]), str(os.getgroups()))',
    "mount": r"""
refused("mount", 165, b"none\0", b"/tmp\0", b"tmpfs\0", 0, 0)
refused("umount2", 166, b"/proc\0", 2)
refused("move_mount", 429, -1, b"\0", -1, b"\0", 0)
refused("fsopen", 430, b"tmpfs\0", 0)
refused("open_tree", 428, -100, b"/\0", 1)
refused("mount_setattr", 442, -100, b"/\0", 0, 0, 0)
refused("pivot_root", 155, b"/\0", b"/\0")
refused("chroot", 161, b"/tmp\0")
""",
    "kernel attack surface": r"""
refused("bpf", 321, 0, 0, 0)
refused("userfaultfd", 323, 0)
refused("perf_event_open", 298, 0, 0, -1, -1, 0)
refused("keyctl", 250, 0, 0, 0, 0, 0)
refused("add_key", 248, 0, 0, 0, 0, 0)
refused("init_module", 175, 0, 0, 0)
refused("finit_module", 313, 0, 0, 0)
refused("kexec_load", 246, 0, 0, 0, 0)
refused("io_uring_setup", 425, 1, 0)
refused("open_by_handle_at", 304, 0, 0, 0)
refused("reboot", 169, 0, 0, 0, 0)
refused("swapon", 167, b"/tmp/x\0", 0)
refused("settimeofday", 164, 0, 0)
refused("iopl", 172, 3)
refused("acct", 163, 0)
refused("setns", 308, 0, 0)
""",
    "children of one's parent": r"""
CLONE_PARENT = 0x8000
refused("clone", 56, CLONE_PARENT | 17, 0, 0, 0, 0)
refused("clone without a signal", 56, CLONE_PARENT, 0, 0, 0, 0)
""",
    "new namespaces": r"""
for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000, 0x08000000, 0x04000000, 0x02000000):
    refused(f"unshare {flag:#x}", 272, flag)
refused("clone", 56, 0x10000000 | 17, 0, 0, 0, 0)
refused("clone3", 435, ctypes.create_string_buffer(struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)), 88)
""",
    "ptrace of others": r"""
pid = os.fork()
if pid == 0:
    import time; time.sleep(60); os._exit(0)
refused("ptrace", 101, 16, pid, 0, 0)
refused("process_vm_readv", 310, pid, 0, 0, 0, 0, 0)
os.kill(pid, 9)
os.waitpid(pid, 0)
""",
    "TIOCSTI, with high bits too": r"""
import pty
m, s = pty.openpty()
for request in (0x5412, 0x5412 | 1 << 32, 0x541C):
    result, error = call(16, s, request, ctypes.c_char_p(b"x"))
    holds(f"{request:#x}", result == -1 and error in (errno.EPERM, errno.EACCES), f"({result} {error})")
""",
    "leases, for which whoever opens the file waits": r"""
import fcntl
for path in ("/etc/hosts", "/etc/resolv.conf", "/"):
    fd = os.open(path, os.O_RDONLY)
    for command in (1024, 1040, 1024 | 1 << 32):  # F_SETLEASE, F_SETDELEG
        result, error = call(72, fd, command, fcntl.F_RDLCK)
        holds(f"{command:#x} of {path}", result == -1 and error == errno.EPERM, f"{result} {error}")
    for command in (fcntl.F_GETFL, fcntl.F_GETFD, fcntl.F_GETLEASE, fcntl.F_DUPFD_CLOEXEC):
        fcntl.fcntl(fd, command, 10)
""",
    "x32 numbers": r"""
killed("mount", 0x40000000 | 165, b"none\0", b"/tmp\0", b"tmpfs\0", 0, 0)
killed("getpid", 0x40000000 | 39)
killed("ptrace", 0x40000000 | 521, 0, 0, 0, 0)
""",
    "/proc and /sys are not for writing": r"""
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
             "/sys/kernel/uevent_helper", "/proc/sys/kernel/hostname", "/proc/irq/default_smp_affinity"):
    if not os.path.exists(path):
        continue
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError:
        holds(path, True)
        continue
    holds(path, os.fstat(fd).st_rdev == os.makedev(1, 3), "opens for writing")
for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kallsyms"):
    try:
        data = open(path, "rb").read(64 if path == "/proc/kcore" else 1 << 18)  # of symbols the first are offsets, and 0
    except OSError:
        continue
    symbols = path == "/proc/kallsyms" and not any(line.split()[0].strip(b"0") for line in data.splitlines() if line.split())
    holds(path, data == b"" or symbols, "says something")
""",
    "devices cannot be made": r"""
for kind in (0o060660, 0o020660):
    holds(f"mknod {kind:o}", call(133, b"/tmp/disk%o\0" % kind, kind, os.makedev(8, 0))[0] == -1)
""",
    "what is the machine's keeps its mode and owner": r"""
for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/proc/self/fd/0",
             "/proc/uptime", "/proc/meminfo", "/proc/version", "/sys/kernel", "/usr/bin/env", "/etc/hosts", "/etc/resolv.conf"):
    before = os.stat(path)
    for does in (lambda: os.chmod(path, before.st_mode & 0o7777), lambda: os.chown(path, before.st_uid, before.st_gid)):
        try:
            does()  # were it allowed, it would change nothing
            holds(path, False, "can be changed")
        except OSError as error:
            holds(path, error.errno in (errno.EROFS, errno.EPERM), str(error))
with open("/dev/null", "w") as null: null.write("written")
assert len(open("/dev/zero", "rb").read(3)) == 3 and len(open("/dev/urandom", "rb").read(3)) == 3
""",
    "what is masked is empty": r"""
for path in ("/proc/acpi", "/proc/allocinfo", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/latency_stats",
             "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"):
    if not os.path.exists(path):
        continue
    st = os.stat(path)
    holds(path, os.listdir(path) == [] if stat.S_ISDIR(st.st_mode) else st.st_rdev == os.makedev(1, 3))
""",
    "hardening is not switched off": 'holds("personality", int(open("/proc/self/personality").read(), 16) == 0)',
    "the root is not for writing": r"""
for path in ("/canary", "/usr/canary", "/etc/canary", "/bin/canary"):
    fails(path, lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)))
""",
    "cgroup: release_agent and the parent": r"""
fails("a control group of one's own", lambda: os.mkdir("/sys/fs/cgroup/mine"))
group = open("/proc/self/cgroup").read().splitlines()[-1]
holds("its own group is the root", group == "0::/", group)
writable = []
for root, _, files in os.walk("/sys/fs/cgroup"):
    for name in ("release_agent", "cgroup.procs", "notify_on_release"):
        if name in files:
            try:
                os.close(os.open(os.path.join(root, name), os.O_WRONLY))
            except OSError:
                continue
            writable.append(os.path.join(root, name))
holds("control files", not writable, str(writable[:3]))
""",
    "other processes are not to be seen": r"""
pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
holds("few processes", len(pids) <= 5, str(pids))
lines = []
for p in pids:
    try:
        lines.append(open(f"/proc/{p}/cmdline", "rb").read())
    except OSError:
        pass
lines = [line.rstrip(b"\0").split(b"\0") for line in lines]  # of an init its name alone: options have paths of the host
holds("no command line of nucleus", not any(words[0].endswith((b"nucleus", b"nucleus-supervisor")) and words[1:] for words in lines), str(lines))
""",
    "the runtime's program cannot be reached": r"""
def own(fd, exe):
    try:
        return os.path.samestat(os.fstat(fd), os.stat(exe))
    except OSError:
        return False
foreign, named = [], []
for p in os.listdir("/proc"):
    if not p.isdigit():
        continue
    try:
        exe = os.readlink(f"/proc/{p}/exe")
        named += [exe] if "nucleus" in exe else []
        fd = os.open(f"/proc/{p}/exe", os.O_RDONLY)  # CVE-2019-5736: from there it is opened for writing, once it runs no more
    except OSError:
        continue
    if not own(fd, exe):
        foreign.append((p, exe))
    os.close(fd)
holds("programs of this root alone", not foreign, str(foreign[:5]))
holds("none is called nucleus", not named, str(named[:5]))
""",
    "no abstract sockets of the runtime": r"""
names = [line.split()[-1] for line in open("/proc/net/unix").read().splitlines()[1:] if line.split()]
holds("none is listed", not any(name.startswith("@") for name in names), str(names[:5]))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
    fails("a socket of the host", lambda: client.connect("\0" + SOCKET))
""",
    "raw and packet sockets": r"""
for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 0), (16, socket.SOCK_RAW, 9)):
    fails(f"{family} {kind} {protocol}", lambda: socket.socket(family, kind, protocol).close())
""",
    "files of the host cannot be reached": r"""
holds("by its path", not os.path.exists(CANARY))
holds("by the root of process 1", not os.path.exists("/proc/1/root" + CANARY))
holds("by going up", not os.path.exists("../" * 40 + CANARY.lstrip("/")))
open_files = os.listdir("/proc/self/fd")
holds("by an open file", not any(os.path.exists(f"/proc/self/fd/{fd}{CANARY}") for fd in open_files), str(open_files))
""",
}

# Opens whatever the processes that it sees have, again and again, while others come in. What ends in between opens, and nothing is in it.
WAYS = (("exe", os.O_WRONLY), ("exe", os.O_RDONLY), ("mem", os.O_RDWR), ("fd/1", os.O_RDWR), ("fd/3", os.O_PATH), ("root", os.O_PATH),
        ("cwd", os.O_PATH), ("environ", os.O_RDONLY), ("maps", os.O_RDONLY))
INTRUDER = f"WAYS = {WAYS!r}" + r"""
import errno, os, sys, time
opened, seen, end = set(), 0, time.monotonic() + 4
while time.monotonic() < end:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        seen += 1
        for what, flags in WAYS:
            try:
                fd = os.open(f"/proc/{name}/{what}", flags)
            except OSError:
                continue
            try:
                # Of one that has ended these open, and nothing is in them.
                if what in ("maps", "environ") and not os.read(fd, 1) or what == "mem" and os.pread(fd, 1, 0) == b"":
                    os.close(fd)
                    continue
            except OSError as error:
                if error.errno == errno.ESRCH:
                    os.close(fd)
                    continue
            try:
                exe = os.readlink(f"/proc/{name}/exe")
            except OSError as error:  # one that has ended has none
                exe = "" if error.errno in (errno.ENOENT, errno.ESRCH) else "one that nobody may look at: nucleus"
            if exe == "/" or "nucleus" in exe:  # what runs from a clone of its file has no other name
                opened.add((what, exe))
            os.close(fd)
print("seen" if seen else "nobody", sorted(opened), flush=True)
"""


def script(text, canary, socket="nucleus-test"):
    """One try, which exits with 0 where the sandbox holds. canary: a file of the host; socket: the abstract name of one of its sockets."""
    return PROBE + f"CANARY, SOCKET = {str(canary)!r}, {socket!r}\n{text}\nassert not harm, harm\n"


def all_of(names, canary, socket="nucleus-test"):
    """A program that makes these tries, each in a process of its own, and says of each in a line of JSON what was harmful and what held."""
    return PROBE + f"CANARY, SOCKET = {str(canary)!r}, {socket!r}\nTRIES = { {name: TRIES[name] for name in names}!r}\n" + """
for name, text in TRIES.items():
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        error = ""
        try:
            exec(text, dict(globals()))  # what it calls something is its own
        except BaseException:
            error = traceback.format_exc().splitlines()[-1]
        print(json.dumps({"try": name, "harm": harm, "held": held, "error": error}), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def said(text):
    """What a program of all_of() said, by name of the try."""
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {each["try"]: each for each in found}


def problems(text, names):
    """What in it is not as it should be where the sandbox holds, as lines."""
    found = said(text)
    lines = [f"{name}: not tried" for name in names if name not in found]
    for name, each in found.items():
        lines += [f"{name}: {step}" for step in [*each["harm"], each["error"]] if step]
        lines += [] if each["held"] else [f"{name}: nothing held"]
    return lines
