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
import tries
from sandbox import canary, flipping, image, nothing_left, production, run  # noqa: F401  # pylint: disable=unused-import
from world import NUCLEUS, wait_for

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
    (world.directory / "tries.py").write_text(tries.all_of(tries.TRIES, canary.top / "file"))
    options = [*KINDS[kind], "--volume", "./tries.py:/opt/try/tries.py:ro", *(["--rootfs", rootfs] if root == "image" else [])]
    done = run(world, *options, "--", "/usr/bin/python3", "/opt/try/tries.py")
    assert tries.problems(done.stdout, tries.TRIES) == [], done.stdout + done.stderr


@pytest.mark.parametrize("keys", ["", 'user = "1000"'], ids=["root", "user"])
def test_every_try_is_refused_in_production(world, canary, rootfs, keys):
    """Of `run` and of a service; what they say comes by a volume, and by the log."""
    prefix = production(world)
    (world.directory / "tries.py").write_text(tries.all_of(tries.TRIES, canary.top / "file"))
    program = ["/usr/bin/python3", "/opt/try/tries.py"]
    user = ["--user", "1000"] if keys else []
    done = world.run(*prefix, NUCLEUS, "run", "--service-mode", "production", "--rootfs", rootfs, "--memory", "64M", *user,
                     "--volume", "./tries.py:/opt/try/tries.py:ro", "--", *program)
    assert tries.problems(done.stdout, tries.TRIES) == [], done.stdout + done.stderr
    path = world.write(f"""
name = "PROJECT"
[services.a]
service_mode = "production"
type = "job"
rootfs = "{rootfs}"
memory = "64M"
command = ["/usr/bin/python3", "/opt/try/tries.py"]
volumes = ["{world.directory}/tries.py:/opt/try/tries.py:ro"]
{keys}
""")
    world.run(*prefix, NUCLEUS, "apply", "-f", path, "--timeout", "60s", timeout=120)
    said = world.nucleus("logs", f"{world.project}/a").stdout
    world.nucleus("destroy", world.project, "--yes")
    assert tries.problems(said, tries.TRIES) == [], said


LISTENER = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0' + NAME); s.listen(100); print('up', flush=True)\nwhile True: s.accept()"


def test_on_the_hosts_network_its_abstract_sockets_are_listed_and_refused(world, canary, rootfs):
    """CVE-2020-15257: the one case in which a socket of somebody else is in the same namespace of the network."""
    name = world.name("socket")
    (world.directory / "try.py").write_text(tries.script(tries.TRIES["no abstract sockets of the runtime"], canary.top / "file", name))
    tried = ["--volume", "./try.py:/opt/try.py:ro", "--", "/usr/bin/python3", "/opt/try.py"]
    with world.popen("/usr/bin/python3", "-c", LISTENER.replace("NAME", repr(name)), stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout.readline() == "up\n"
            # Without a sandbox it is reached: there is something to be refused.
            assert "a socket of the host" in world.run("/usr/bin/python3", "try.py", status=1).stderr
            run(world, *tried)
            shared = run(world, "--network", "host", "--allow-host-network", *tried, status=None)
            assert f"none is listed ['@{name}']" in shared.stderr and "a socket of the host" not in shared.stderr, shared
            assert listener.poll() is None
        finally:
            listener.kill()


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


@pytest.mark.parametrize("user", [[], ["--user", "1000"]])
@pytest.mark.parametrize("init", [[], ["--init"]])
def test_nobody_reaches_into_who_enters(world, canary, user, init):
    """CVE-2016-9962, CVE-2019-5736: a loop that opens whatever the helper has, while probes enter one after the other."""
    (world.directory / "intruder.py").write_text(tries.INTRUDER)
    done = run(
        world,
        "--volume",
        "./intruder.py:/opt/intruder.py:ro",
        "--health-cmd",
        "sleep 0.02",
        "--health-interval",
        "20ms",
        "--on-unhealthy",
        "none",  # on a busy machine a probe may be late
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
            world.name("box"),
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
    assert run(world, "--name", world.name("box"), "--rootfs", "image", "--", "/bin/sh", "-c", "echo again").stdout == "again\n"
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


# ---- what the workload reads of the command line ----


def test_no_command_line_of_the_runtimes_is_read(world, image):
    """The mini-init executes nothing: what it is called with is that of who started it, host paths of secrets included."""
    (world.directory / "key").write_text("correct-horse")
    looks = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'"
    done = run(world, "--init", "--rootfs", "image", "--secret", "./key:/run/secrets/a", "--", "/bin/sh", "-c", looks)
    assert "nucleus\n" in done.stdout and "cat\n" in done.stdout, done.stdout
    assert "secret" not in done.stdout and "rootfs" not in done.stdout and str(world.directory) not in done.stdout, done.stdout


def test_no_command_line_of_the_supervisors_is_read(world, image):
    world.apply(world.write(f"""
name = "PROJECT"
[services.a]
service_mode = "agent"
init = true
rootfs = "{image}"
command = ["/bin/sh", "-c", "tr '\\\\0' '\\\\n' < /proc/1/cmdline; echo done; sleep 1000"]
"""))
    said = wait_for("its words", lambda: "done" in (words := world.nucleus("logs", "a").stdout) and words)
    assert "nucleus" in said and str(world.runtime) not in said and "supervisor" not in said, said
