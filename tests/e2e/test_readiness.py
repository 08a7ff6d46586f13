"""When a container is ready: `--sd-notify`, `--readiness-tcp`, `--readiness-exec`, in the foreground, in the background and in files."""
import socket
import subprocess

import pytest
from test_run import left, until
from world import NUCLEUS

# Says its arguments to the socket that it was given, one datagram each.
SAY = """import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
for words in sys.argv[1:]: s.send(words.encode().decode("unicode_escape").encode())
"""


def saying(*words, then="exec sleep 1000"):
    """A command that waits for /run/go, then says these words."""
    said = " ".join(f"'{word}'" for word in words)
    return ["sh", "-c", f"until test -e /run/go; do sleep 0.05; done; python3 -c '{SAY}' {said}; {then}"]


class Manager:
    """Stands where systemd does: has a socket, and hears what is said to it."""

    def __init__(self, directory):
        self.path = directory / "manager"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(self.path))
        self.socket.settimeout(30)

    def hear(self):
        return self.socket.recv(4096).decode().splitlines()

    def silent(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(4096)
        except BlockingIOError:
            return None
        finally:
            self.socket.settimeout(30)


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def foreground(world, manager, *arguments, **options):
    environment = {**world.environment, "NOTIFY_SOCKET": str(manager.path)}
    return world.popen(NUCLEUS, "run", "--name", world.name("unit"), *arguments, env=environment, **options)


def end(world, process):
    if process.poll() is None:
        world.run("kill", "-TERM", world.numbered(process))


def state_of(world, name):
    return next((row for row in world.json("ps", "--all")["services"] if row["name"] == name), None)


def go(world, name):
    world.nucleus("exec", name, "--", "touch", "/run/go")


# ---- in the foreground, below somebody's unit ----

@pytest.mark.parametrize("arguments", [[], ["--init"], ["--rootless"], ["--network", "bridge"], ["--user", "65534", "--tmpfs", "/run"]])
def test_what_the_workload_says_is_passed_on_with_the_pid_to_watch(world, manager, arguments):
    with foreground(world, manager, "--sd-notify", *arguments, "--",
                    *saying("STATUS=warming up", r"MAINPID=1\nREADY=1\nSTATUS=serving\nFDSTORE=1", "WATCHDOG=1")) as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        row = state_of(world, world.name("unit"))
        assert (row["state"], row["ready"]) == ("starting", False)
        go(world, world.name("unit"))
        assert manager.hear() == ["STATUS=warming up"]
        assert manager.hear() == ["STATUS=serving"]
        assert manager.hear() == ["READY=1", f"MAINPID={world.numbered(process)}"]
        assert manager.hear() == ["WATCHDOG=1"]
        row = until(lambda: (row := state_of(world, world.name("unit")))["ready"] and row)
        assert (row["state"], row["status"]) == ("running", "serving")
        end(world, process)
        assert manager.hear()[0] == "STOPPING=1"
    assert left(world) == []


def test_between_two_runs_a_manager_with_a_watchdog_hears_from_us(world, manager):
    manager_environment = {**world.environment, "NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "100000"}
    with world.popen(NUCLEUS, "run", "--name", world.name("unit"), "--sd-notify", "--restart", "always", "--", *saying("READY=1", then="exit 1"),
                     env=manager_environment) as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        go(world, world.name("unit"))
        assert manager.hear()[0] == "READY=1"
        assert manager.hear() == ["WATCHDOG=1"]  # which the workload never says
        end(world, process)
    assert left(world) == []


def test_it_is_said_from_a_root_of_its_own_that_is_read_only(world, manager, rootfs):
    with foreground(world, manager, "--sd-notify", "--init", "--rootfs", rootfs, "--", *saying("READY=1")) as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        assert world.nucleus("exec", world.name("unit"), "--", "touch", "/new", status=1).stderr.endswith("Read-only file system\n")
        go(world, world.name("unit"))
        assert manager.hear()[0] == "READY=1"
        end(world, process)


def test_the_socket_is_the_containers_alone(world, manager):
    with foreground(world, manager, "--sd-notify", "--", *saying("READY=1")) as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        place = world.runtime / f"projects/_/container.{world.name('unit')}/notify"
        assert world.run("stat", "-c", "%a", place).stdout == "700\n"
        assert world.nucleus("exec", world.name("unit"), "--", "sh", "-c", 'echo "$NOTIFY_SOCKET"; grep -c " /run/host/notify ro" /proc/self/mountinfo').stdout.split()[0] == "/run/host/notify"
        end(world, process)
    assert left(world) == []


def test_without_a_way_it_is_ready_once_it_runs(world, manager):
    with foreground(world, manager, "--", "sleep", "1000") as process:
        assert manager.hear() == ["READY=1", f"MAINPID={world.numbered(process)}"]
        assert state_of(world, world.name("unit"))["ready"] is None
        end(world, process)


def test_a_command_that_succeeds_makes_it_ready(world, manager):
    with foreground(world, manager, "--readiness-exec", "test -e /run/go", "--", "sleep", "1000") as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        assert state_of(world, world.name("unit"))["ready"] is False and manager.silent() is None
        go(world, world.name("unit"))
        assert manager.hear()[0] == "READY=1"
        end(world, process)


def test_a_port_that_answers_makes_it_ready(world, manager):
    script = "until test -e /run/go; do sleep 0.05; done; exec python3 -m http.server --bind 127.0.0.1 8123"
    with foreground(world, manager, "--readiness-tcp", "8123", "--", "sh", "-c", script) as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        assert state_of(world, world.name("unit"))["state"] == "starting" and manager.silent() is None
        go(world, world.name("unit"))
        assert manager.hear()[0] == "READY=1"
        end(world, process)


def test_a_barrier_is_passed_once_what_came_before_was_heard(world, manager):
    script = f"""{SAY}
r, w = os.pipe()
socket.send_fds(s, [b"READY=1"], [])
socket.send_fds(s, [b"BARRIER=1"], [w])
os.close(w)
os.read(r, 1)
print("passed", flush=True)
"""
    with foreground(world, manager, "--sd-notify", "--", "python3", "-c", script, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.read() == "passed\n" and process.wait() == 0
    assert manager.hear()[0] == "READY=1"


def test_the_end_of_a_workload_is_none_of_the_units(world, manager):
    with foreground(world, manager, "--restart", "always", "--sd-notify", "--", *saying("READY=1", r"STOPPING=1\nWATCHDOG_USEC=1000000\nSTATUS=ends", then="exit 1")) as process:
        until(lambda: (state_of(world, world.name("unit")) or {}).get("pid"))
        go(world, world.name("unit"))
        assert manager.hear() == ["READY=1", f"MAINPID={world.numbered(process)}"]
        assert manager.hear() == ["STATUS=ends"]
        until(lambda: (state_of(world, world.name("unit")) or {}).get("restarts"))
        assert manager.silent() is None
        end(world, process)


def test_a_signal_that_the_workload_survives_is_no_end(world, manager):
    script = "trap 'echo >> /run/got' HUP INT QUIT; echo >> /run/up; while :; do sleep 0.05; done"
    with foreground(world, manager, "--", "sh", "-c", script) as process:
        assert manager.hear()[0] == "READY=1"
        until(lambda: world.nucleus("exec", world.name("unit"), "--", "test", "-e", "/run/up", status=None).returncode == 0)
        for count, name in enumerate(("HUP", "INT", "QUIT"), 1):
            world.run("kill", f"-{name}", world.numbered(process))
            until(lambda: world.nucleus("exec", world.name("unit"), "--", "sh", "-c", "cat /run/got 2>/dev/null || true").stdout.count("\n") == count)
        assert manager.silent() is None
        end(world, process)
        assert manager.hear()[0] == "STOPPING=1"
        world.nucleus("kill", "--signal", "KILL", world.name("unit"), status=None)


def test_a_restart_that_becomes_an_end_is_told(world, manager):
    with foreground(world, manager, "--restart", "always", "--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1", "--on-unhealthy", "restart",
                    "--", "sh", "-c", "trap : TERM; while :; do sleep 0.05; done") as process:
        assert manager.hear()[0] == "READY=1"
        until(lambda: (state_of(world, world.name("unit")) or {}).get("state") == "stopping")
        assert manager.silent() is None
        world.nucleus("stop", "--timeout", "0s", world.name("unit"))
        assert manager.hear()[0] == "STOPPING=1"


@pytest.mark.parametrize("options, words", [
    (["--sd-notify", "--readiness-tcp", "80"], "give one of them"),
    (["--readiness-tcp", "0"], "from 1 to 65535"),
    (["--readiness-exec", ""], "empty"),
])
def test_what_cannot_be_meant_is_refused(world, options, words):
    assert words in world.nucleus("run", *options, "--", "true", status=None).stderr


# ---- in the background ----

def test_detached_prints_its_id_once_it_is_ready(world):
    name = world.project + "bg"
    with world.popen(NUCLEUS, "run", "-d", "--name", name, "--sd-notify", "--", *saying("READY=1"), stdout=subprocess.PIPE, text=True) as process:
        until(lambda: (state_of(world, name) or {}).get("pid"))
        assert process.poll() is None and state_of(world, name)["state"] == "starting"
        go(world, name)
        identity = process.stdout.read().strip()
    assert len(identity) == 32 and state_of(world, name)["ready"] is True
    assert [event for event in world.nucleus("events", name).stdout.splitlines() if event.endswith(" ready")]
    world.nucleus("rm", "-f", name)
    assert left(world) == []


def test_detached_that_ends_before_it_is_ready_was_never_up(world):
    name = world.project + "bg"
    done = world.nucleus("run", "-d", "--name", name, "--sd-notify", "--", "sh", "-c", "exit 3", status=125)
    assert done.stdout == "" and "exit status 3" in done.stderr
    assert state_of(world, name) is None and left(world) == []


def test_one_that_never_stops_talking_keeps_nobody_from_the_rest(world):
    name = world.project + "loud"
    talk = f"{SAY}\ns.send(b'READY=1')\nimport itertools\nfor i in itertools.count(): s.send(b'STATUS=%d' % i)"
    world.nucleus("run", "-d", "--name", name, "--sd-notify", "--health-cmd", "true", "--", "python3", "-c", talk)
    until(lambda: state_of(world, name)["health"] == "healthy")
    before = state_of(world, name)["status"]
    until(lambda: state_of(world, name)["status"] != before)
    world.nucleus("stop", "--timeout", "0s", name)
    assert state_of(world, name)["state"] == "stopped"
    world.nucleus("rm", name)


# ---- in files ----

FILE = """name = "PROJECT"
[services.db]
command = ["/bin/sh", "-c", "sleep 1; python3 -c '{say}' 'READY=1\\\\nSTATUS=up'; exec sleep 1000"]
sd_notify = true
[services.web]
command = ["/bin/sleep", "1000"]
depends_on = ["db"]
"""


def test_what_depends_on_it_waits_until_it_is_ready(world):
    text = FILE.format(say=SAY.replace('"', '\\"').replace("\n", "\\n"))
    world.apply(world.write(text))
    db, web = world.container("db"), world.container("web")
    assert db["ready"] is True and db["status"] == "up"
    assert [line.split()[3] for line in world.nucleus("events", f"{world.project}/db").stdout.splitlines()][-1] == "ready"
    assert web["started"] > db["started"]
    assert world.nucleus("diff", "-f", world.directory / "topology.toml").stdout.count("service.") == 0


def test_what_never_becomes_ready_is_told_with_what_it_says(world):
    text = FILE.format(say=SAY.replace('"', '\\"').replace("\n", "\\n")).replace("READY=1", "READY=0")
    done = world.nucleus("apply", "-f", world.write(text), "--timeout", "3s", status=6)
    assert "not ready yet; it says: up" in done.stderr
    assert "web" not in world.pids()


def test_a_probe_changes_under_a_workload_that_runs(world):
    path = world.write("""name = "PROJECT"
[services.web]
command = ["/bin/sleep", "1000"]
readiness_exec = "true"
""")
    world.apply(path)
    pid = world.pid("web")
    path.write_text(path.read_text().replace('"true"', '["/bin/true"]'))
    assert "live" in world.apply(path).stdout
    assert world.pid("web") == pid and world.container("web")["ready"] is True


def test_a_restart_has_to_become_ready_again(world):
    world.apply(world.write("""name = "PROJECT"
[services.web]
command = ["/bin/sleep", "1000"]
readiness_exec = "true"
restart = "always"
"""))
    before = world.pid("web")
    world.kill(str(before))
    until(lambda: world.container("web")["pid"] not in (None, before) and world.container("web")["ready"])
    ready = [line for line in world.nucleus("events", f"{world.project}/web").stdout.splitlines() if line.endswith(" ready")]
    assert len(ready) == 2
