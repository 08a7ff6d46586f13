"""What hostile workloads and callers' circumstances try on `nucleus run`, after the known failures of runtimes. A canary of the host (a tree,
mounts, settings, devices, programs) has to stay as it was."""

import itertools
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import termios
import threading
import time

import posture
import pytest
from sandbox import canary, flipping, image, nothing_left, run  # noqa: F401  # pylint: disable=unused-import
from test_security import PROBE, TRIES

# pylint: disable=redefined-outer-name

# ---- what each sandbox holds ----

KINDS = {
    "by default": [],
    "with an init": ["--init"],
    "as a user": ["--user", "1000", "--group", "1001"],
    "with what is given": ["--context", "ctx", "--tmpfs", "/scratch:1M", "--secret", "./key:/etc/key", "--volume", "./ctx:/data"],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("root", ["host", "image"])
def test_every_try_is_refused(world, canary, rootfs, kind, root):
    """All that services try, tries in `run` too; in one sandbox after the other, each in a process of its own."""
    (world.directory / "ctx").mkdir()
    (world.directory / "key").write_text("key\n")
    # The programs of others are test_nobody_reaches_into_who_enters' business: here there are those of tries that have ended, too.
    cases = {name: script for name, script in TRIES.items() if name != "the runtime's program cannot be reached"}
    script = PROBE + f"CANARY = {str(canary.top / 'file')!r}\nTRIES = {cases!r}\n" + """
import traceback
failed = []
for name, text in TRIES.items():
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            exec(text, globals())
        except BaseException:
            code = 1
            print(name, traceback.format_exc().splitlines()[-1], flush=True)
        os._exit(code)
    status = os.waitpid(pid, 0)[1]
    if status != 0:
        failed.append(name)
print("tried", len(TRIES), "failed", failed)
"""
    (world.directory / "tries.py").write_text(script)
    options = [*KINDS[kind], "--volume", "./tries.py:/opt/try/tries.py:ro", *(["--rootfs", rootfs] if root == "image" else [])]
    done = run(world, *options, "--", "/usr/bin/python3", "/opt/try/tries.py", status=None)
    assert done.returncode == 0 and done.stdout.endswith(f"tried {len(cases)} failed []\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "options, uid, gid, groups",
    [
        ([], 0, 0, []),
        (["--init"], 0, 0, []),
        (["-u", "1000"], 1000, 1000, []),
        (["-u", "1"], 1, 1, []),
        (["-u", "1", "--group", "2", "--additional-group", "3", "--additional-group", "3"], 1, 2, [3]),
        (["--additional-group", "7", "--init"], 0, 0, [7]),
    ],
)
def test_it_is_held_by_all(world, canary, image, options, uid, gid, groups):
    """i386, x32, clone3, keyrings, TIOCSTI and what else posture.c tries; and exactly the groups that were given."""
    done = run(world, "--rootfs", "image", *options, "--", "/payload")
    assert posture.problems(done.stdout, uid, gid, groups, init="--init" in options) == []


def test_what_the_caller_has_is_not_handed_down(world, canary, image):
    """Groups, inheritable and ambient capabilities, personality, ignored signals, limits and open files of whoever calls."""
    words = "ulimit -n 64; exec 5</ 7</proc 9<canary/secret; trap '' HUP; exec setpriv --groups 27,33 --inh-caps=+chown,+net_raw --ambient-caps=+chown,+net_raw setarch -R -X"
    done = world.run("bash", "-c", f"{words} nucleus run --rootfs image -- /payload")
    assert posture.problems(done.stdout) == []
    assert posture.parse(done.stdout)["SigIgn"] == "0" * 16


@pytest.mark.parametrize("option", ["--user", "--group", "--additional-group"])
def test_numbers_of_nobody_are_refused(world, option):
    """CVE-2024-40635."""
    for number in ("-1", "2147483648", "4294967295", "4294967296", "18446744073709551616", "0x0", "+0", " 0", "1e3"):
        done = run(world, f"{option}={number}", "--", "true", status=125)
        assert option in done.stderr or "look up" in done.stderr, done.stderr


# ---- the runtime's own program (CVE-2019-5736) ----


@pytest.mark.parametrize(
    "entry", ["#!/proc/self/exe\n", "#!/proc/self/exe run --\n", "link", "#!/proc/thread-self/exe\n", "#!/proc/1/exe\n"]
)
@pytest.mark.parametrize("init", [[], ["--init"]])
def test_the_runtime_is_no_interpreter(world, canary, image, entry, init):
    """The image brings a loader and libraries of its own, which would then be the runtime's."""
    for directory in ("lib64", "lib/x86_64-linux-gnu"):
        (image / directory).mkdir(parents=True)
    for library in ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libm.so.6"):
        shutil.copy(posture.program(), image / library)
    if entry == "link":
        (image / "entry").symlink_to("/proc/self/exe")
    else:
        (image / "entry").write_text(entry)
        (image / "entry").chmod(0o755)
    done = run(world, "--rootfs", "image", *init, "--", "/entry", status=126)
    assert done.stdout == "" and done.stderr.startswith("nucleus: run: execute /entry")


INTRUDER = r"""
import errno, os, time
opened, seen, end = set(), 0, time.monotonic() + 4
WAYS = (("exe", os.O_WRONLY), ("exe", os.O_RDONLY), ("mem", os.O_RDWR), ("fd/3", os.O_RDWR), ("fd/4", os.O_PATH), ("root", os.O_PATH),
        ("cwd", os.O_PATH), ("environ", os.O_RDONLY), ("maps", os.O_RDONLY))
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
print("seen" if seen else "nobody", sorted(opened))
"""


@pytest.mark.parametrize("user", [[], ["--user", "1000"]])
@pytest.mark.parametrize("init", [[], ["--init"]])
def test_nobody_reaches_into_who_enters(world, canary, user, init):
    """CVE-2016-9962, CVE-2019-5736: a loop that opens whatever the helper has, while probes enter one after the other."""
    (world.directory / "intruder.py").write_text(INTRUDER)
    done = run(
        world,
        "--volume",
        "./intruder.py:/opt/intruder.py:ro",
        "--health-cmd",
        "sleep 0.02",
        "--health-interval",
        "20ms",
        *user,
        *init,
        "--",
        "python3",
        "/opt/intruder.py",
    )
    assert done.stdout == "seen []\n", done.stdout + done.stderr


# ---- working directories and open files (CVE-2024-21626) ----


def test_no_working_directory_leads_out(world, canary, image):
    (image / "links").mkdir()
    for number in range(3, 33):
        (image / f"links/{number}").symlink_to(f"/proc/self/fd/{number}")
    words = "exec " + " ".join(f"{number}</" for number in (3, 5, 7, 9)) + "; exec nucleus run --rootfs image --workdir"
    for path in itertools.chain(
        (f"/proc/self/fd/{number}" for number in range(0, 33)),
        (f"/links/{number}" for number in range(3, 12)),
        ("/proc/self/fd/7/../..", "/proc/self/cwd", "/proc/self/root", "/proc/1/root/", "/proc/self/task/1/fd/5", "/dev/fd/7"),
    ):
        done = world.run("bash", "-c", f"{words} {path} -- /bin/sh -c 'pwd; ls'", status=125)
        assert (
            done.stdout == ""
            and ("must not have '..'" if ".." in path else f"enter working directory {path.rstrip('/')}") in done.stderr
        )
    nothing_left(world)


def test_a_working_directory_that_flips(world, canary, image):
    """It is a directory of a volume, and then a link to where a leaked file would lead."""
    (world.directory / "vol/at").mkdir(parents=True)
    (world.directory / "vol/link").symlink_to("/proc/self/fd/7")
    with flipping(world.directory / "vol/at", world.directory / "vol/link"):
        for _ in range(30):
            done = world.run(
                "bash",
                "-c",
                "exec 7</; nucleus run --rootfs image --volume ./vol:/vol --workdir /vol/at -- /bin/pwd",
                status=None,
            )
            assert (done.returncode, done.stdout) in (
                (0, "/vol/at\n"),
                (0, "/vol/link\n"),
            ) or "enter working directory" in done.stderr, done


# ---- terminals (CVE-2017-5226, 2019-7303) ----


@pytest.mark.parametrize("options", [["-t"], [], ["-t", "--init"], ["-t", "--user", "1000"]])
def test_nothing_is_typed_into_the_callers_terminal(world, canary, image, options):
    """With a terminal of its own, and without, where its standard input is the caller's."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = world.popen(
        "nucleus",
        "run",
        *options,
        "--rootfs",
        "image",
        "--volume",
        "./out:/out",
        "--",
        "/payload",
        "/out/said",
        stdin=slave,
        stdout=subprocess.DEVNULL if "-t" not in options else slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: (world.directory / "out").mkdir() or (world.directory / "out").chmod(0o777),
    )
    reader = threading.Thread(target=lambda: drain(master), daemon=True)
    reader.start()
    assert process.wait(60) == 0
    uid = 1000 if "--user" in options else 0
    said = (world.directory / "out/said").read_text()
    assert posture.problems(said, uid, uid, tty=True) == []
    assert {posture.parse(said)["try " + name] for name in ("TIOCSTI", "TIOCSTI with high bits", "TIOCLINUX", "TIOCSETD")} == {
        "EPERM"
    }
    os.set_blocking(slave, False)
    raw = termios.tcgetattr(slave)
    assert raw == before
    raw[3] &= ~termios.ICANON
    termios.tcsetattr(slave, termios.TCSANOW, raw)
    with pytest.raises(BlockingIOError):
        os.read(slave, 100)
    os.close(slave)


def drain(master):
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass


def test_a_run_that_is_killed_half_way_leaves_the_host_as_it_was(world, canary, image):
    """At any moment of its set-up."""
    for delay in range(0, 60, 4):
        process = world.popen(
            "nucleus",
            "run",
            "--name",
            "box",
            "--rootfs",
            "image",
            "--",
            "/bin/sh",
            "-c",
            "while :; do :; done",
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay / 1000)
        process.send_signal(signal.SIGSTOP)  # nsenter, which else may start it once its children were read
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        inner = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in map(int, inner):
            if pid > 0:  # 0 is one that is just going, and would mean ourselves
                os.kill(pid, signal.SIGKILL)
        process.send_signal(signal.SIGCONT if inner else signal.SIGKILL)  # it waits for what was killed
        process.wait()
    assert run(world, "--name", "box", "--rootfs", "image", "--", "/bin/sh", "-c", "echo again").stdout == "again\n"
    nothing_left(world)


def test_a_single_file_is_given_and_no_more(world, canary, image):
    (world.directory / "conf").write_text("given\n")
    options = ["--rootfs", "image", "--volume", "./conf:/etc/conf:ro"]
    done = run(world, *options, "--", "/bin/sh", "-c", "cat /etc/conf; echo x > /etc/conf", status=1)
    assert done.stdout == "given\n" and "Read-only" in done.stderr


def test_a_removed_working_directory_is_not_the_root(world, canary):
    """What is relative to it is not looked for at / instead."""
    done = world.run("sh", "-c", "mkdir gone; cd gone; rmdir ../gone; nucleus run --rootfs usr -- /bin/true", status=125)
    assert "--rootfs: " in done.stderr and "/usr" in done.stderr and "there is no directory /usr" not in done.stderr, done.stderr
