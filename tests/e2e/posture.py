"""What posture.c says of the sandbox it is in, and what of that must not be."""

import atexit
import functools
import pathlib
import re
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# What a workload is answered: an error of these, or death by SIGSYS.
REFUSALS = {"EPERM", "EACCES", "ENOSYS", "EROFS", "ENOTTY", "EAFNOSUPPORT", "killed by 31"}
ABI = {"x32", "i386"}  # answered by nothing but death
LANDLOCK = "sixteen domains of Landlock"  # the last is one too many, for one is there
# /proc is mounted anew, and of what the machine has below it this may be written to by no root.
MUST_BE = {
    "/": {"ro", "nosuid", "nodev"},
    "/proc": {"nosuid", "nodev", "noexec"},
    "/sys": {"ro", "nosuid", "nodev", "noexec"},
    "/sys/fs/cgroup": {"ro", "nosuid", "nodev", "noexec"},
    "/dev": {"ro", "nosuid", "noexec"},
    "/dev/null": {"ro", "nosuid", "noexec"},
    "/proc/sys": {"ro", "nosuid", "nodev", "noexec"},
    "/tmp": {"nosuid", "nodev"},
    "/run": {"nosuid", "nodev"},
}
MASKED = "/proc/kallsyms /proc/keys /proc/kmsg /proc/timer_list /proc/interrupts /sys/firmware /sys/dev/block".split()


@functools.cache
def program(source="posture.c", *options):
    """A program of this directory, linked statically, built once."""
    directory = tempfile.mkdtemp(prefix="nucleus-posture-")
    pathlib.Path(directory).chmod(0o755)  # whoever a workload is
    atexit.register(shutil.rmtree, directory)
    target = pathlib.Path(directory) / pathlib.Path(source).stem
    subprocess.run(["cc", "-O1", "-static", *options, "-o", target, HERE / source], check=True)
    return target


def parse(text):
    """Its lines by name; those of mounts by the point, the last to be mounted there."""
    said = {}
    for line in text.splitlines():
        name, colon, value = line.partition(": ") if ":\t" not in line else line.partition(":\t")
        if colon:
            said[name.rstrip(":")] = value.strip()
        elif line.startswith(("files:", "namespace ")):
            said[line.partition(":")[0]] = line.partition(":")[2].strip()
    return said


def problems(text, uid=0, gid=0, groups=(), tty=False, init=False):
    """What in it is less than every sandbox has, as lines. init: PID 1 is the runtime's, and not the workload's own."""
    said, found = parse(text), []

    def check(name, expected):
        if said.get(name) != expected:
            found.append(f"{name} is {said.get(name)!r}, not {expected!r}")

    for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        check(each, "0000000000000000")
    check("NoNewPrivs", "1")
    check("Seccomp", "2")
    check("Uid", "\t".join([str(uid)] * 4))
    check("Gid", "\t".join([str(gid)] * 4))
    if sorted(map(int, said.get("Groups", "").split())) != sorted(groups):
        found.append(f"groups are {said.get('Groups')}")
    check("files", "0 1 2")
    if not tty:
        check("standard input is the null device", "1")
    check("personality", "00000000")
    check("above the root is the root", "1")
    check("kcore", "ENOENT") if said.get("kcore") == "ENOENT" else check("kcore", "")
    check("keys", "")
    if not said.get("cgroup", "").endswith("0::/"):
        found.append(f"cgroup is {said.get('cgroup')!r}")
    if "@" in said.get("unix sockets", ""):
        found.append(f"sockets of others: {said['unix sockets']}")
    mounts = {name.removeprefix("mount "): value.split(" ") for name, value in said.items() if name.startswith("mount ")}
    for point, flags in MUST_BE.items():
        if point not in mounts:
            if not (point == "/proc/sys" and uid == 0):  # all of /proc is read-only then
                found.append(f"nothing is mounted at {point}")
        elif lacking := flags - set(mounts[point][0].split(",")):
            found.append(f"{point} lacks {sorted(lacking)}: {mounts[point]}")
    if mounts.get("/proc", [""] * 2)[1] != "proc" or (uid == 0 and "ro" not in mounts.get("/proc", [""])[0].split(",")):
        found.append(f"/proc is {mounts.get('/proc')}")
    found += [f"{point} is not masked" for point in MASKED if point not in mounts]
    tries = {name.removeprefix("try "): value for name, value in said.items() if name.startswith("try ")}
    if len(tries) < 25:
        found.append(f"only {len(tries)} tries")
    for name, answer in tries.items():
        allowed = {"killed by 31"} if name.split()[0] in ABI else {"E2BIG"} if name == LANDLOCK else REFUSALS
        if (
            answer not in allowed
            and not (name in ("write to sysrq", "read init's memory") and answer == "ENOENT")
            and not (name == "chmod of standard input" and tty)
            and not (name == "read init's memory" and not init)
        ):
            found.append(f"{name}: {answer}")
    return found


def comparable(text, namespaces):
    """The lines of two runs that should be the same. Of namespaces, which of the world's are shared."""
    lines = []
    for line in text.splitlines():
        if line.startswith("namespace "):
            line = line if line.split(" ")[1] in namespaces else re.sub(r"\[\d+\]", "", line)
        lines.append(line)
    return lines
