"""What hostile workloads try (tests/e2e/tries.py, posture.c), first in a root directory without any protection, as careless runtimes made them:
there each step has to do its harm, or it could fail nowhere. Then in each sandbox of nucleus, on a machine with all controllers."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import guest

sys.path.insert(0, str(guest.HERE / "e2e"))
import posture  # noqa: E402
import tries  # noqa: E402

ROOT = pathlib.Path("/opt/programs")
CANARY = pathlib.Path("/root/canary/file")
SOCKET = "nucleus-attacked"
PROGRAM = pathlib.Path("/opt/try/tries.py")
PAYLOAD = guest.HERE / "e2e/posture"
# A root directory, /proc, /sys and /dev of the machine, all capabilities, groups, an open directory, a working directory outside.
JAIL = r"""
import os, subprocess, sys
ROOT, CANARY = sys.argv[1:3]
if ROOT == "/": os.execv(sys.argv[3], sys.argv[3:])
def mount(*words):
    subprocess.run(["mount", *words], check=True)
mount("--bind", ROOT, ROOT)
for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("cgroup2", "/sys/fs/cgroup"), ("tmpfs", "/tmp"), ("tmpfs", "/run"), ("tmpfs", "/var/tmp")):
    mount("-t", kind, "careless", ROOT + place)
mount("--rbind", "/dev", ROOT + "/dev")
mount("--bind", ROOT + "/proc/sys", ROOT + "/proc/sys")
mount("--bind", ROOT + "/dev/null", ROOT + "/dev/null")
os.makedirs(ROOT + os.path.dirname(CANARY), exist_ok=True)
mount("--bind", os.path.dirname(CANARY), ROOT + os.path.dirname(CANARY))
os.set_inheritable(os.open("/", os.O_RDONLY | os.O_DIRECTORY), True)
os.chdir("/")
os.chroot(ROOT)  # and no change of directory
os.execv(sys.argv[3], sys.argv[3:])
"""


def programs():
    """A root file system with Python and what the tries look at."""
    if ROOT.exists():
        return str(ROOT)
    for name in ("usr/bin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "tmp", "var/tmp", "run", "opt/try", "root"):
        (ROOT / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (ROOT / name).symlink_to("usr/" + name)
    python = pathlib.Path("/usr/bin/python3").resolve()
    standard = pathlib.Path("/usr/lib") / python.name
    linked = guest.run("ldd", python, "/usr/bin/env", *standard.glob("lib-dynload/_ctypes.*"))
    libraries = {word for line in linked.splitlines() for word in line.split() if word.startswith("/") and not word.endswith(":")}
    for path in [str(python), "/usr/bin/env", *libraries]:
        target = ROOT / ("usr" + path.removeprefix("/usr")).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (ROOT / "usr/bin/python3").symlink_to(python.name)
    shutil.copytree(standard, ROOT / standard.relative_to("/"), symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "idlelib", "pydoc_data"))
    (ROOT / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    for name in ("hosts", "resolv.conf", "hostname", "group"):
        (ROOT / "etc" / name).touch()
    shutil.copy(PAYLOAD, ROOT / "payload")
    return str(ROOT)


def prepare():
    programs()
    CANARY.parent.mkdir(exist_ok=True)
    CANARY.write_text("the host's\n")
    PROGRAM.parent.mkdir(exist_ok=True)
    PROGRAM.write_text(tries.all_of(tries.TRIES, CANARY, SOCKET))
    with contextlib.suppress(FileNotFoundError):
        pathlib.Path("/proc/sys/dev/tty/legacy_tiocsti").write_text("1")


def jailed(root, *command):
    """Its output; status: any, for a try may end the world that it is in."""
    words = ["unshare", "--mount", "setpriv", "--groups=27,33", "--inh-caps=+all", "--ambient-caps=+all", "setarch", "-R",
             "/usr/bin/python3", "-c", JAIL, root, str(CANARY), *map(str, command)]
    # Its standard input is a pipe, and no null device.
    done = subprocess.run(words, input="", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir("/sys/fs/cgroup/mine")
    (ROOT / "made-by-the-workload").unlink(missing_ok=True)
    return done.stdout + done.stderr


@contextlib.contextmanager
def something_to_find():
    """A socket of the host, a program of nucleus, and a supervisor."""
    listener = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0' + %r); s.listen(9); print('up', flush=True)\nwhile True: s.accept()"
    path = pathlib.Path("/root/found.toml")
    path.write_text('name = "found"\n[services.a]\nservice_mode = "agent"\ncommand = ["/bin/sleep", "1000"]\n')
    guest.nucleus("apply", "-f", path)
    try:
        yield from found(listener)
    finally:
        guest.nucleus("destroy", "found", "--yes")


def found(listener):
    with subprocess.Popen(["/usr/bin/python3", "-c", listener % SOCKET], stdout=subprocess.PIPE, text=True) as socket, \
            subprocess.Popen([guest.NUCLEUS, "logs", "--follow", "found/a"], stdout=subprocess.DEVNULL) as program:
        try:
            assert socket.stdout.readline() == "up\n"
            yield
        finally:
            socket.kill()
            program.kill()


def test_without_protection_every_step_of_every_try_does_its_harm():
    prepare()
    wrong = []
    with something_to_find():
        for name, text in tries.TRIES.items():
            # Who has changed the root by chroot gets no user namespace from any kernel: user_namespaces(7).
            root = "/" if name == "new namespaces" else str(ROOT)
            pathlib.Path(root + "/opt/try/one.py").write_text(tries.all_of([name], CANARY, SOCKET))
            out = jailed(root, "/usr/bin/python3", "/opt/try/one.py")
            for path in ("canary", "usr/canary", "etc/canary", "usr/bin/canary"):
                (ROOT / path).unlink(missing_ok=True)
            said = tries.said(out).get(name)
            if said is None or said["error"] or not said["harm"]:
                wrong.append(f"{name}: {out[-600:]}")
                continue
            kept = said["held"]
            wrong += [f"{name}: {kept} held, and {len(said['harm'])} did not"] if kept else []
    assert not wrong, "\n".join(wrong)


def test_without_protection_the_programs_and_files_of_others_are_opened():
    prepare()
    with something_to_find():
        out = jailed(str(ROOT), "/usr/bin/python3", "-c", tries.INTRUDER)
    missing = [what for what, *_ in tries.WAYS if f"('{what}', " not in out]
    assert out.startswith("seen") and not missing, f"not opened: {missing} {out}"


def test_without_protection_each_line_of_the_posture_is_red():
    prepare()
    found = posture.problems(jailed(str(ROOT), "/payload"), init=True)
    wrong = [row for row in RED if not any(line.startswith(row) for line in found)]
    assert not wrong, f"not red: {wrong}\n" + "\n".join(found)


# What posture.c tries. Of a terminal's calls a pipe knows nothing (ENOTTY): they are among the tries above.
ATTACKS = ["mount", "umount", "setns", "keyctl", "add_key", "request_key", "ptrace", "io_uring", "open_by_handle", "personality",
           "x32 mount", "x32 getpid", "x32 ptrace", "i386 getpid", "i386 mount", "i386 socketcall", "i386 clone", posture.LANDLOCK,
           "chmod of the null device", "chmod of standard input", "write to the root", "write a sysctl", "write to sysrq", "make a device",
           "raw socket", "packet socket", "read init's memory"]
RED = [*(f"{name} is" for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "files", "personality",
                                   "standard input is the null device", "kcore", "keys", "cgroup", "/proc")), "groups are",
       *(f"{point} lacks" for point in posture.MUST_BE), *(f"{point} is not masked" for point in posture.MASKED), *(f"{name}:" for name in ATTACKS)]


SERVICE = """
name = "attacked"
[services.a]
type = "job"
service_mode = "MODE"
command = [COMMAND]
volumes = ["/opt/try:/opt/try:ro", "PAYLOAD:/opt/payload:ro"]
KEYS
"""


def as_service(mode, keys, *command):
    path = pathlib.Path("/root/attacked.toml")
    path.write_text(SERVICE.replace("MODE", mode).replace("KEYS", keys).replace("COMMAND", json.dumps(command)[1:-1]).replace("PAYLOAD", str(PAYLOAD)))
    try:
        guest.nucleus("apply", "-f", path, "--timeout", "200s")
        return guest.nucleus("logs", "attacked/a")
    finally:
        guest.nucleus("destroy", "attacked", "--yes")


def as_run(options, *command):
    return guest.nucleus("run", *options, "--volume", "/opt/try:/opt/try:ro", "--volume", f"{PAYLOAD}:/opt/payload:ro", "--", *command)


PRODUCTION = ["--service-mode", "production", "--memory", "64M", "--rootfs", str(ROOT)]
KEYS = f'memory = "64M"\nrootfs = "{ROOT}"'


def held(start, init):
    """start: what runs a command in a sandbox and gives its output."""
    prepare()
    with something_to_find():
        out = start("/usr/bin/python3", str(PROGRAM))
        wrong = tries.problems(out, tries.TRIES) + posture.problems(start("/opt/payload"), init=init)
    assert not wrong and CANARY.read_text() == "the host's\n", "\n".join(wrong)


def test_nucleus_run_refuses_every_step():
    held(lambda *command: as_run([], *command), init=False)


def test_nucleus_run_refuses_every_step_in_production():
    held(lambda *command: as_run(PRODUCTION, *command), init=True)


def test_a_service_is_refused_every_step():
    held(lambda *command: as_service("agent", "", *command), init=False)


def test_a_service_is_refused_every_step_in_production():
    held(lambda *command: as_service("production", KEYS, *command), init=True)
