"""The tries of hostile workloads that a service of a topology can make. Each runs as a job in the default sandbox, in a world of its own;
a canary tree of the host, mounted nowhere, has to stay as it was."""
import os
import pathlib
import subprocess

import pytest
from world import wait_for

PROBE = r"""
import ctypes, errno, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
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
    assert died or status == 0, f"{name}: not refused, errno {os.WEXITSTATUS(status)}"
"""

# Each exits 0 where the sandbox holds. They run as root inside: the harder case.
TRIES = {
    "no capability in any set": r"""
for line in open("/proc/self/status"):
    if line.startswith("Cap"):
        assert int(line.split()[1], 16) == 0, line
    if line.startswith("NoNewPrivs"):
        assert line.split()[1] == "1", line
    if line.startswith("Seccomp:"):
        assert line.split()[1] == "2", line
""",
    "open files are exactly 0, 1, 2": r"""
import fcntl
def is_open(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False
assert [fd for fd in range(4096) if is_open(fd)] == [0, 1, 2]
assert os.fstat(0).st_rdev == os.makedev(1, 3), "standard input is not the null device"
""",
    "no supplementary groups": "assert os.getgroups() in ([], [0]), os.getgroups()",
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
result, error = call(56, 0x10000000 | 17, 0, 0, 0, 0)
if result == 0: os._exit(0)
assert result == -1, "clone with CLONE_NEWUSER"
args = ctypes.create_string_buffer(struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0))
result, error = call(435, args, 88)
if result == 0: os._exit(0)
assert result == -1 and error in (errno.ENOSYS, errno.EPERM), f"clone3: {result} {error}"
""",
    "ptrace of others": r"""
pid = os.fork()
if pid == 0:
    import time; time.sleep(5); os._exit(0)
refused("ptrace", 101, 16, pid, 0, 0)
refused("process_vm_readv", 310, pid, 0, 0, 0, 0, 0)
os.kill(pid, 9)
""",
    "TIOCSTI, with high bits too": r"""
import pty
m, s = pty.openpty()
for request in (0x5412, 0x5412 | 1 << 32, 0x541C):
    result, error = call(16, s, request, ctypes.c_char_p(b"x"))
    assert result == -1 and error in (errno.EPERM, errno.EACCES), f"{request:#x}: {result} {error}"
""",
    "x32 numbers": r"""
pid = os.fork()
if pid == 0:
    result, error = call(0x40000000 | 165, b"none\0", b"/tmp\0", b"tmpfs\0", 0, 0)
    os._exit(0 if result == -1 else 1)
_, status = os.waitpid(pid, 0)
assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
""",
    "/proc and /sys are not for writing": r"""
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
             "/sys/kernel/uevent_helper", "/proc/sys/kernel/hostname", "/proc/irq/default_smp_affinity"):
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError:
        continue
    assert os.readlink(f"/proc/self/fd/{fd}") == "/dev/null" or os.fstat(fd).st_rdev == os.makedev(1, 3), f"{path} opens for writing"
for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kallsyms"):
    try:
        data = open(path, "rb").read(64)
    except OSError:
        continue
    assert data == b"" or path == "/proc/kallsyms" and data.startswith(b"0000000000000000"), f"{path} says something"
""",
    "devices cannot be made": r"""
for kind in (0o060660, 0o020660):
    result, error = call(133, b"/tmp/disk\0", kind, os.makedev(8, 0))
    assert result == -1, "mknod"
""",
    "what is the machine's keeps its mode and owner": r"""
for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/proc/self/fd/0",
             "/proc/uptime", "/proc/meminfo", "/proc/version", "/sys/kernel", "/usr/bin/env", "/etc/hosts", "/etc/resolv.conf"):
    before = os.stat(path)
    try:
        os.chmod(path, before.st_mode & 0o7777)  # were it allowed, it would change nothing
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EPERM), (path, error)
        continue
    raise AssertionError(f"the mode of {path} can be changed")
with open("/dev/null", "w") as null: null.write("written")
assert len(open("/dev/zero", "rb").read(3)) == 3 and len(open("/dev/urandom", "rb").read(3)) == 3
""",
    "what is masked is empty": r"""
import stat
for path in ("/proc/acpi", "/proc/allocinfo", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/latency_stats",
             "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"):
    if not os.path.exists(path):
        continue
    st = os.stat(path)
    if stat.S_ISDIR(st.st_mode):
        assert os.listdir(path) == [], path
    else:
        assert st.st_rdev == os.makedev(1, 3), path
""",
    "hardening is not switched off": 'assert int(open("/proc/self/personality").read(), 16) == 0',
    "the root is not for writing": r"""
for path in ("/canary", "/usr/canary", "/etc/canary", "/bin/canary"):
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    except OSError:
        continue
    raise AssertionError(f"{path} was made")
""",
    "cgroup: release_agent and the parent": r"""
try:
    os.mkdir("/sys/fs/cgroup/mine")
    raise AssertionError("a control group was made")
except OSError:
    pass
assert open("/proc/self/cgroup").read().splitlines()[-1].startswith("0::/"), open("/proc/self/cgroup").read()
assert ".." not in open("/proc/self/cgroup").read()
for root, _, files in os.walk("/sys/fs/cgroup"):
    for name in ("release_agent", "cgroup.procs", "notify_on_release"):
        if name in files:
            try:
                os.close(os.open(os.path.join(root, name), os.O_WRONLY))
            except OSError:
                continue
            raise AssertionError(f"{root}/{name} opens for writing")
""",
    "other processes are not to be seen": r"""
pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
assert len(pids) <= 4, pids
for p in pids:
    assert b"supervisor" not in open(f"/proc/{p}/cmdline", "rb").read(), p
""",
    "the runtime's program cannot be reached": r"""
for p in os.listdir("/proc"):
    if p.isdigit():
        exe = os.readlink(f"/proc/{p}/exe") if os.path.lexists(f"/proc/{p}/exe") else ""
        assert "nucleus" not in exe, exe
        try:
            os.close(os.open(f"/proc/{p}/exe", os.O_WRONLY))
        except OSError:
            continue
        raise AssertionError(f"/proc/{p}/exe opens for writing")
""",
    "no abstract sockets of the runtime": r"""
assert "@" not in "".join(line.split()[-1] for line in open("/proc/net/unix").read().splitlines()[1:] if line.split()), "abstract sockets"
""",
    "raw and packet sockets": r"""
for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 0), (16, socket.SOCK_RAW, 9)):
    try:
        socket.socket(family, kind, protocol)
    except OSError:
        continue
    raise AssertionError(f"socket {family} {kind} {protocol}")
""",
    "files of the host cannot be reached": r"""
assert not os.path.exists(CANARY), "the host's canary is to be seen"
assert not os.path.exists("/proc/1/root" + CANARY)
assert not os.path.exists("../" * 40 + CANARY.lstrip("/"))
""",
}


@pytest.fixture
def canary(tmp_path_factory):
    directory = tmp_path_factory.mktemp("canary")
    (directory / "file").write_text("untouched")

    def state():
        return [(str(path), path.stat().st_ino, path.stat().st_uid, path.stat().st_mtime_ns) for path in sorted(directory.rglob("*"))] + [
            (directory / "file").read_text(), pathlib.Path("/proc/self/mountinfo").read_text(),
            subprocess.run(["sh", "-c", "cat /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname; cat /proc/sys/kernel/modprobe 2>&1 || true"],
                           stdout=subprocess.PIPE, check=True).stdout]
    before = state()
    yield str(directory / "file")
    assert state() == before


def attempt(world, rootfs, script, canary, more=""):
    (world.directory / "try.py").write_text(PROBE + f"CANARY = {canary!r}\n" + script)
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/usr/bin/python3", "/tmp-try/try.py"]
volumes = ["{world.directory}/try.py:/tmp-try/try.py:ro"]
{more}
""")
    world.apply(path, "--timeout", "60s")


@pytest.mark.parametrize("name", TRIES)
def test_a_try_is_refused(world, rootfs, canary, name):
    attempt(world, rootfs, TRIES[name], canary)


def test_no_gid_0_for_a_plain_user(world, rootfs, canary):
    attempt(world, rootfs, "assert os.getuid() == 1 and os.getgid() != 0 and 0 not in os.getgroups(), (os.getgid(), os.getgroups())",
            canary, 'user = "1"\n')


def test_declared_groups_are_the_groups(world, rootfs, canary):
    attempt(world, rootfs, "assert sorted(os.getgroups()) == [33, 70], os.getgroups()", canary,
            'user = "nobody"\ngroup = "nogroup"\nadditional_groups = ["33", "70"]\n')


@pytest.mark.parametrize("name, make", {
    "passwd is a link to the host's": lambda root, host: (root / "etc/passwd").symlink_to(host),
    "hosts is a link to the host's": lambda root, host: (root / "etc/hosts").symlink_to(host),
    "resolv.conf is a FIFO": lambda root, host: os.mkfifo(root / "etc/resolv.conf"),
    "passwd is a FIFO": lambda root, host: os.mkfifo(root / "etc/passwd"),
    "proc is a link": lambda root, host: (root / "proc").symlink_to(pathlib.Path(host).parent),
    "dev is a link": lambda root, host: (root / "dev").symlink_to(pathlib.Path(host).parent),
    "sys is a file": lambda root, host: (root / "sys").write_text(""),
    "tmp is a link": lambda root, host: (root / "tmp").symlink_to(pathlib.Path(host).parent),
    "proc is a file": lambda root, host: (root / "proc").write_text(""),
    "etc is a link": lambda root, host: [(root / "etc").rmdir(), (root / "etc").symlink_to(pathlib.Path(host).parent)],
    "etc leads to /proc": lambda root, host: [(root / "etc").rmdir(), (root / "etc").symlink_to("/proc/self")],
    "hosts is a FIFO": lambda root, host: os.mkfifo(root / "etc/hosts"),
    "hostname is a directory": lambda root, host: (root / "etc/hostname").mkdir(),
    "group is a link to a device": lambda root, host: (root / "etc/group").symlink_to("/dev/zero"),
    "null and console are links": lambda root, host: [(root / "dev").mkdir(), (root / "dev/null").symlink_to(host),
                                                      (root / "dev/console").symlink_to(host), (root / "dev/pts").symlink_to("/etc")],
    "kcore is a link": lambda root, host: [(root / "proc").mkdir(), (root / "proc/kcore").symlink_to(host),
                                           (root / "proc/sys").symlink_to(pathlib.Path(host).parent)],
    "run is a link": lambda root, host: (root / "run").symlink_to(pathlib.Path(host).parent),
    "the volume's place is a link": lambda root, host: (root / "data").symlink_to(pathlib.Path(host).parent),
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_hostile_image_reaches_nothing(world, canary, name, make):
    """It may start or be refused; neither takes forever nor touches the host."""
    root = world.directory / "image"
    for directory in ("bin", "etc", "usr"):
        (root / directory).mkdir(parents=True)
    make(root, canary)
    for directory in ("proc", "dev", "sys", "tmp", "data"):
        if not (root / directory).is_symlink() and not (root / directory).exists():
            (root / directory).mkdir()
    # A static shell: the image needs nothing else.
    world.run("sh", "-c", f"cp $(command -v busybox || echo /usr/bin/busybox) {root}/bin/busybox", status=None)
    if not (root / "bin/busybox").exists():
        pytest.skip("no busybox on this machine")
    path = world.write(f"""
name = "PROJECT"
[volumes.data]
volume_type = "persistent"
path = "{world.directory}/data"
[services.a]
type = "job"
rootfs = "{root}"
command = ["/bin/busybox", "sh", "-c", "echo x > /data/written; echo x > /tmp/written; echo x > /dev/written; true"]
user = "nobody"
volumes = ["data:/data"]
""")
    done = world.apply(path, "--timeout", "20s", status=None)
    assert done.returncode in (0, 1, 6), done
    assert not (pathlib.Path(canary).parent / "written").exists()


@pytest.mark.parametrize("user", ["-1", "2147483648000", "4294967295", "4294967296", "0x0"])
def test_users_out_of_range_are_refused(world, user):
    path = world.write(f'name = "PROJECT"\n[services.a]\ncommand = ["/bin/true"]\nuser = "{user}"\n')
    world.nucleus("validate", "-f", path, status=1)


def test_an_interpreter_line_to_the_runtime_itself(world, canary, rootfs):
    """CVE-2019-5736: the entrypoint's interpreter is /proc/self/exe."""
    entry = world.directory / "entry"
    entry.write_text("#!/proc/self/exe\n")
    entry.chmod(0o755)
    binary = subprocess.run(["sha256sum", world.run("readlink", "-f", world.environment["PATH"].split(":")[0] + "/nucleus-supervisor")
                             .stdout.strip()], stdout=subprocess.PIPE, check=True).stdout
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/app/entry"]
volumes = ["{entry}:/app/entry:ro"]
""")
    assert world.apply(path, "--timeout", "20s", status=None).returncode != 0
    assert subprocess.run(["sha256sum", binary.split()[1]], stdout=subprocess.PIPE, check=True).stdout == binary


@pytest.mark.parametrize("workdir", ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fd/12", "/proc/self/root", "/proc/self/cwd"])
def test_no_working_directory_leads_out(world, canary, rootfs, workdir):
    """CVE-2024-21626."""
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/bin/pwd"]
workdir = "{workdir}"
""")
    done = world.apply(path, "--timeout", "20s", status=1)
    assert f"enter working directory {workdir}" in done.stderr


@pytest.mark.parametrize("workdir", ["/", "/tmp", "/usr/share"])
def test_landlock_holds_in_every_working_directory(world, canary, rootfs, workdir):
    """Its rules are paths of the root, not of the working directory."""
    attempt(world, rootfs, r"""
open("/tmp/x", "w").close()
open("/dev/null", "w").close()
os.execv("/bin/true", ["true"]) if os.fork() == 0 else None
assert os.wait()[1] == 0
""", canary, f'workdir = "{workdir}"\n')


INTRUDER = r"""
import os, sys, time
seen, end = set(), time.monotonic() + 6
own = os.readlink("/proc/self/ns/mnt")
while time.monotonic() < end:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        at = f"/proc/{name}/"
        try:
            exe = os.readlink(at + "exe")
            files = os.listdir(at + "fd")
            open(at + "mem", "rb").close()
        except OSError:
            seen.add("refused")
            continue
        if os.readlink(at + "exe") == exe if os.path.lexists(at + "exe") else False:
            seen.add(os.path.basename(exe))
            if "nucleus" in exe or "supervisor" in exe or not set(files) <= {"0", "1", "2"}:
                open("/out/verdict", "w").write(f"caught {exe} with {files}")
                sys.exit()
open("/out/verdict", "w").write("nothing " + " ".join(sorted(seen)))
time.sleep(60)
"""


def test_nobody_reaches_into_a_probe_on_its_way_in(world, canary, rootfs):
    """CVE-2016-9962: as root of the container, while probes enter it one after the other."""
    (world.directory / "intruder.py").write_text(INTRUDER)
    out = world.directory / "out"
    out.mkdir()
    path = world.write(f"""
name = "PROJECT"
[services.a]
rootfs = "{rootfs}"
command = ["/usr/bin/python3", "/app/intruder.py"]
volumes = ["{world.directory}/intruder.py:/app/intruder.py:ro", "{out}:/out"]
health_check = ["/bin/sleep", "0.02"]
health_interval = "20ms"
""")
    world.apply(path, "--timeout", "20s")
    verdict = wait_for("the verdict", lambda: (out / "verdict").exists() and (out / "verdict").read_text(), 30)
    assert verdict.startswith("nothing") and "refused" in verdict, verdict


def test_a_chroot_in_a_volume_brings_no_kernel_file_system_along(world, canary):
    """Its /proc is the machine's: core_pattern is for root to write, whatever capabilities it lacks."""
    (world.directory / "vol/chroot/proc").mkdir(parents=True)
    world.run("mount", "-t", "proc", "proc", world.directory / "vol/chroot/proc")
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/ls", "/data/chroot/proc/sys/kernel/core_pattern"]
volumes = ["{world.directory}/vol:/data"]
""")
    assert "a file system of the kernel's own is mounted in it" in world.apply(path, status=1).stderr


def test_a_config_file_is_not_a_way_round_what_may_be_mounted(world, canary):
    """It is given as a copy; the path that counts is the original's, and the copy is for the same eyes."""
    text = """
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/sh", "-c", "cat /x; stat -c %a:%u /x"]
volumes = ["FILE:/x:ro"]
"""
    assert "passwords" in world.apply(world.write(text.replace("FILE", "/etc/shadow")), status=1).stderr
    link = world.directory / "link"
    link.symlink_to(canary)
    assert "symbolic link" in world.apply(world.write(text.replace("FILE", str(link))), status=1).stderr
    plain = world.directory / "plain"
    plain.write_text("configured\n")
    plain.chmod(0o640)
    os.chown(plain, 33, 33)
    world.apply(world.write(text.replace("FILE", str(plain)) + 'user = "33"\ngroup = "33"\n'), "--timeout", "20s")
    assert "configured" in world.nucleus("logs", f"{world.project}/a").stdout
    assert "640:33" in world.nucleus("logs", f"{world.project}/a").stdout


def test_a_workload_does_not_write_to_the_terminal_of_who_applies(world, canary):
    path = world.write(r"""
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/sh", "-c", "printf '\\033]0;owned\\007\\n'; exit 3"]
""")
    done = world.apply(path, "--timeout", "20s", status=None)
    assert done.returncode != 0 and "owned" in done.stderr
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr
