"""`apply --watch`: what drifts is repaired without being asked, what the files say is followed, what others do by hand is left to them, and
while nothing happens nothing is done."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from test_drift import QUIET, ROWS, STRANGERS, shell, surroundings
from test_topology import stack
from world import NUCLEUS, children, wait_for

PLAIN = """name = "PROJECT"
[networks.internal]
subnet = "10.91.7.0/24"
[services.web]
command = ["/bin/sleep", "1000"]
networks = ["internal"]
"""

# What no event tells of: settings of a namespace other than the machine's, and the size of a mount.
NO_EVENT = {"setting of the namespace", "link inside that takes redirects", "ephemeral volume of another size"}


class Watched:
    """A watch in a world, and what it says."""

    def __init__(self, world, *arguments, until="watched", **options):
        self.world = world
        self.path = world.directory / f"watch.{time.monotonic_ns()}"
        self.process = world.popen(NUCLEUS, "apply", "--watch", *arguments, stdout=open(self.path, "w"), stderr=subprocess.STDOUT, **options)
        if until:
            wait_for(until, lambda: re.search(until, self.said()) or self.process.poll() is not None, 60)
            assert self.process.poll() is None, self.said()

    def said(self):
        return self.path.read_text()

    def pid(self):
        """On the machine."""
        return (children(self.process.pid) or [self.process.pid])[0]

    def send(self, number):
        os.kill(self.pid(), number)

    def tells(self, text, seconds=30):
        try:
            wait_for(text, lambda: re.search(text, self.said()), seconds)
        except AssertionError:
            raise AssertionError(f"not within {seconds} s: {text}; but:\n{self.said()}") from None

    def end(self, number=signal.SIGTERM, status=0):
        self.send(number)
        assert self.process.wait(30) == status, self.said()


@pytest.fixture
def watch(world):
    watches = []

    def start(*arguments, **options):
        watches.append(Watched(world, *arguments, **options))
        return watches[-1]

    yield start
    for one in watches:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def in_order(world, path):
    return world.nucleus("diff", "-f", path, "--detailed-exitcode", status=None).returncode == 0


def switches(pid):
    """How often its threads were run."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += sum(int(number) for number in re.findall(r"ctxt_switches:\s+(\d+)", status.read_text()))
    return total


def idle(watched):
    """Once nothing of what came before is left to be done."""
    def same():
        before = switches(watched.pid())
        time.sleep(1)
        return switches(watched.pid()) == before
    wait_for("the watch to be idle", same, 60)


def supervisor(world, service):
    return world.run("ps", "-o", "ppid=", "-p", world.pid(service)).stdout.strip()


def test_every_kind_of_drift_is_repaired_without_being_asked(world, watch):
    path = stack(world, QUIET)
    watched = watch("-f", path, "--recheck", "0s")
    shell(world, STRANGERS, surroundings(world))
    table = surroundings(world)["TABLE"]
    missed = []
    for name, (_, _, how) in ROWS.items():
        if name in NO_EVENT:
            continue
        before = len(watched.said())
        shell(world, how, {**surroundings(world), "TABLE": table})
        try:
            wait_for(name, lambda: "done, revision" in watched.said()[before:] and in_order(world, path), 30)
        except AssertionError:
            missed.append((name, watched.said()[before:], world.nucleus("diff", "-f", path, status=None).stdout))
            world.nucleus("apply", "-f", path, "--yes")
    assert missed == []
    watched.end()


def test_what_no_event_tells_of_is_found_by_looking_now_and_then(world, watch):
    path = stack(world, QUIET)
    watch("-f", path, "--recheck", "1s")
    for name in sorted(NO_EVENT):
        shell(world, ROWS[name][2], surroundings(world))
        wait_for(name, lambda: in_order(world, path))


@pytest.mark.parametrize("way", ["written", "replaced", "behind a link", "included", "named by it", "in a directory"])
def test_a_file_that_changes_is_followed(world, watch, way):
    text = PLAIN + 'env_file = "web.env"\n'
    (world.directory / "web.env").write_text("A=1\n")
    path = asked = world.write(text)
    if way == "behind a link":
        for number in "12":
            (world.directory / number).mkdir()
            (world.directory / number / "web.env").write_text("A=1\n")
            (world.directory / number / "topology.toml").write_text(path.read_text().replace("1000", f"{number}000"))
        (world.directory / "current").symlink_to("1")
        asked = world.directory / "current" / "topology.toml"
    if way == "included":
        path.write_text('include = ["services.toml"]\n' + path.read_text().partition("[services")[0])
        (world.directory / "services.toml").write_text("[services" + world.write(text, "whole.toml").read_text().partition("[services")[2])
    if way == "in a directory":
        asked = world.directory / "files"
        asked.mkdir()
        path = path.rename(asked / "topology.toml")
        (asked / "web.env").write_text("A=1\n")
    watched = watch("-f", asked)
    pid = world.pid("web")
    match way:
        case "written":
            path.write_text(path.read_text().replace("1000", "2000"))
        case "replaced":
            (world.directory / "new").write_text(path.read_text().replace("1000", "2000"))
            (world.directory / "new").rename(path)
        case "behind a link":
            (world.directory / "next").symlink_to("2")
            (world.directory / "next").rename(world.directory / "current")
        case "included":
            (world.directory / "services.toml").write_text((world.directory / "services.toml").read_text().replace("1000", "2000"))
        case "named by it":
            (world.directory / "web.env").write_text("A=2\n")
        case "in a directory":
            (asked / "more.toml").write_text('[services.more]\ncommand = ["/bin/sleep", "1000"]\n')
            watched.tells("service.more +create")
            wait_for("both", lambda: len(world.pids()) == 2)
            return
    watched.tells("service.web +restart")
    wait_for("another process", lambda: world.pids().get(f"{world.project}/web") not in (pid, None))
    wait_for("order", lambda: in_order(world, asked))


def test_a_file_that_is_named_before_it_is_there_is_waited_for(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path, "--recheck", "0s")
    idle(watched)
    path.write_text(path.read_text() + 'env_file = "web.env"\n')
    watched.tells("what was read before goes on being kept")
    idle(watched)
    (world.directory / "web.env").write_text("A=1\n")
    watched.tells("service.web +restart(.*\n)*.*done, revision 2")
    assert watched.said().count("goes on being kept") == 1


def test_a_file_that_cannot_be_read_is_told_and_what_it_said_goes_on_being_kept(world, watch):
    path = world.write(PLAIN)
    good = path.read_text()
    watched = watch("-f", path)
    path.write_text(good.replace("command", "comand"))
    watched.tells(r"topology.toml:\d+:\d+: unknown key 'comand'(.|\n)*what was read before goes on being kept")
    world.kill(supervisor(world, "web"))
    watched.tells("supervisor gone")
    wait_for("it to run again", lambda: len(world.pids()) == 1)
    path.write_text(good.replace("1000", "2000"))
    watched.tells("command changed")
    assert watched.said().count("unknown key") == 1
    path.write_text(good.replace(world.project, "another"))
    watched.tells("they are about 'another' now")


def test_sighup_reads_again_and_sigterm_leaves_what_runs(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path)
    pids = world.pids()
    watched.send(signal.SIGHUP)
    watched.tells("reads its files again")
    idle(watched)
    watched.end()
    assert "what runs goes on" in watched.said() and world.pids() == pids
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_to_a_manager_of_services_it_does_not_fail_when_it_is_ended_in_the_midst_of_an_apply(world, watch, number, status):
    path = world.write(PLAIN + 'readiness_exec = "test -e /tmp/well"\n')
    watched = watch("-f", path, until="create service.web/process")
    watched.end(number, status)
    assert "interrupted" in watched.said() and len(world.pids()) == 1


def test_the_manager_of_services_is_told(world, watch):
    inside = world.write(PLAIN.replace('"/bin/sleep", "1000"', '"/bin/sh", "-c", "echo got $NOTIFY_SOCKET.; exec sleep 1000"'))
    address = str(world.directory / "notify")
    said = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(30)

        def until(words):
            while not any(words in text for text in said):
                said.append(manager.recv(4096).decode())

        watched = watch("-f", inside, until=None, env={**world.environment, "NOTIFY_SOCKET": address})
        until("STATUS=")
        assert "READY=1" not in said[0]
        until("READY=1\nSTATUS=" + world.project + ": as its files say, revision 1")
        said.clear()
        watched.send(signal.SIGHUP)
        until("READY=1")
        assert re.match(r"RELOADING=1\nMONOTONIC_USEC=\d+$", said[0])
        inside.write_text(inside.read_text().replace("[services.web]", "[services.web]\nnonsense = 1"))
        until("they cannot be read now")
        watched.end()
        until("STOPPING=1")
    assert "got ." in world.nucleus("logs", f"{world.project}/web").stdout


@pytest.mark.parametrize("command", ["/bin/sleep", "/nowhere"])
def test_a_manager_with_a_watchdog_is_told_at_rest_and_in_a_back_off(world, watch, command):
    path, address = world.write(PLAIN.replace("/bin/sleep", command)), str(world.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(30)
        watched = watch("-f", path, until="watched|tries again", env={**world.environment, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"})
        manager.setblocking(False)
        while True:  # what was said up to here
            try:
                manager.recv(4096)
            except BlockingIOError:
                break
        manager.settimeout(30)
        said = []
        while said.count("WATCHDOG=1") < 5:
            said.append(manager.recv(4096).decode())
        watched.send(signal.SIGTERM)
        watched.process.wait(30)


def test_while_nothing_happens_nothing_is_done_or_held(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path)
    idle(watched)
    before = switches(watched.pid())
    time.sleep(3)
    assert switches(watched.pid()) == before
    open_files = [os.readlink(link) for link in pathlib.Path(f"/proc/{watched.pid()}/fd").iterdir()]
    assert not [name for name in open_files if name.endswith((".db", ".lock"))], open_files
    assert len(open_files) < 20, open_files
    world.apply(path, "--lock-timeout", "0s", "--detailed-exitcode")
    world.nucleus("run", "-d", "--rm", "--name", world.project + "other", "--", "true")
    idle(watched)
    assert watched.said().count("done, revision") == 1


def test_two_watches_keep_two_topologies(world, watch):
    paths = {}
    for name, subnet in (("one", "10.91.7.0"), ("two", "10.91.8.0")):
        text = PLAIN.replace("PROJECT", f"PROJECT{name}").replace("10.91.7.0", subnet)
        paths[name] = world.write(text, f"{name}.toml")
    watches = {name: watch("-f", path) for name, path in paths.items()}
    for name, path in paths.items():
        links = world.links()
        world.run("ip", "link", "set", links[f"nucleus:{world.project}{name}/service.web"], "down")
        watches[name].tells("host end down")
        wait_for("order", lambda path=path: in_order(world, path))
        path.write_text(path.read_text().replace("1000", "2000"))
        watches[name].tells("command changed")
        wait_for("order", lambda path=path: in_order(world, path))
    for name, one in watches.items():
        assert len(re.findall(r"host end down → up", one.said())) == 1
        one.end()
        world.nucleus("destroy", world.project + name, "--yes")


def test_what_is_destroyed_by_hand_is_left_until_the_files_change(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path)
    world.nucleus("destroy", world.project, "--yes")
    watched.tells("destroyed by another command: left alone until its files change, or SIGHUP")
    idle(watched)
    assert world.containers("--all") == {}
    world.apply(path)
    watched.tells("as the files say again")
    world.kill(supervisor(world, "web"))
    watched.tells("supervisor gone")
    wait_for("it to run", lambda: len(world.pids()) == 1)
    world.nucleus("destroy", world.project, "--yes")
    wait_for("it to say so", lambda: watched.said().count("destroyed by another command") == 2)
    watched.send(signal.SIGHUP)
    wait_for("it to run", lambda: len(world.pids()) == 1)


def test_what_is_rolled_back_by_hand_is_left_until_the_files_change(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path)
    path.write_text(path.read_text().replace("1000", "2000"))
    watched.tells("done, revision 2")
    idle(watched)
    world.nucleus("rollback", world.project, "1", "--yes")
    watched.tells("changed by another command, revision 3: left alone")
    command = world.run("cat", f"/proc/{world.pid('web')}/cmdline").stdout
    assert "1000" in command
    path.write_text(path.read_text().replace("2000", "3000"))
    watched.tells("command changed(.*\n)*.*done, revision 4")


def test_what_was_stopped_or_paused_by_hand_is_drift(world, watch):
    watched = watch("-f", world.write(PLAIN))
    world.nucleus("stop", f"{world.project}/web")
    watched.tells("state exited → running")
    wait_for("it to run", lambda: len(world.pids()) == 1)
    idle(watched)
    world.nucleus("pause", f"{world.project}/web")
    watched.tells("frozen 1 → 0")
    wait_for("it to go on", lambda: world.container("web")["state"] == "running")


def test_what_fails_is_told_once_and_tried_again(world, watch):
    program = world.directory / "bin" / "program"
    program.parent.mkdir()
    text = PLAIN.replace('command = ["/bin/sleep", "1000"]', f'command = ["/srv/program"]\nvolumes = ["{program.parent}:/srv:ro"]')
    watched = watch("-f", world.write(text), until="tries again")
    wait_for("it to be tried again", lambda: int(world.json("history", world.project)["revisions"][-1]["revision"]) >= 3, 60)
    assert watched.said().count("tries again") == 1
    assert len(re.findall("nucleus: apply:", watched.said())) <= 2, watched.said()
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    watched.tells("watched, revision")
    assert len(world.pids()) == 1


@pytest.mark.parametrize("command, restart", [("/nowhere", "on-failure"), ("/bin/sleep\", \"0.3", "no")])
def test_what_does_not_last_is_made_again_less_and_less_often(world, watch, command, restart):
    text = PLAIN.replace('"/bin/sleep", "1000"', f'"{command}"') + f'restart = "{restart}"\n'
    watch("-f", world.write(text), until="revision|tries again")
    revisions = lambda: int(world.json("history", world.project)["revisions"][-1]["revision"])
    wait_for("it to be tried again", lambda: revisions() >= 2)
    time.sleep(8)
    assert revisions() <= 6


def test_gates_hold_and_rollbacks_stay(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path, "--fail-on", "destroy,replace,restart")
    pids = world.pids()
    path.write_text(path.read_text().replace("1000", "2000"))
    watched.tells("refused by --fail-on")
    assert world.pids() == pids
    watched.end()
    path.write_text(path.read_text().replace("2000", "1000"))
    watched = watch("-f", path, "--on-failure", "rollback")
    path.write_text(path.read_text().replace('"/bin/sleep", "1000"', '"/nowhere"'))
    watched.tells("taken back, because it failed: left alone")
    idle(watched)
    assert "1000" in world.run("cat", f"/proc/{world.pid('web')}/cmdline").stdout


def test_with_rollbacks_it_is_not_given_up_before_something_was_begun(world, watch):
    path = world.write(PLAIN)
    watched = watch("-f", path, "--on-failure", "rollback", "--lock-timeout", "0s", "--fail-on", "destroy")
    with open(f"/proc/{world.init}/root{world.runtime}/locks/{world.project}.lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        path.write_text(path.read_text().replace("1000", "2000"))
        watched.tells("tries again, less and less often")
    watched.tells("command changed(.*\n)*.*done, revision 2")
    path.write_text(path.read_text() + '[services.more]\ncommand = ["/bin/sleep", "1000"]\n')
    watched.tells("done, revision 3")
    path.write_text(path.read_text().partition("[services.more]")[0])
    watched.tells("refused by --fail-on")
    assert "left alone" not in watched.said()


@pytest.mark.parametrize("arguments, words", [
    (("--out", "plan"), "--out is for one time"),
    (("--rerun", "service.web"), "--rerun is for one time"),
    (("--output", "json"), "jsonl"),
])
def test_what_makes_no_sense_is_refused(world, arguments, words):
    path = world.write(PLAIN)
    assert words in world.nucleus("apply", "--watch", "-f", path, *arguments, status=64).stderr
    assert world.containers("--all") == {}


def test_only_files_can_be_watched(world):
    path = world.write(PLAIN)
    world.nucleus("diff", "-f", path, "--out", "plan")
    assert "not a saved plan" in world.nucleus("apply", "--watch", "plan", status=64).stderr
    assert "read once only" in world.nucleus("apply", "--watch", "-f", "-", status=64).stderr
    path.write_text("nonsense")
    assert "topology.toml:1" in world.nucleus("apply", "--watch", "-f", path, status=1).stderr


# ---- no instance of inotify left ----

BLIND = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=inotify_init1", "-e", "inject=inotify_init1:error=EMFILE", NUCLEUS)
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@needs_strace
def test_who_cannot_be_told_of_files_looks_now_and_then(world):
    path = world.write(PLAIN)
    said = world.directory / "said"
    with world.popen(*BLIND, "apply", "--watch", "-f", path, stdout=open(said, "w"), stderr=subprocess.STDOUT) as process:
        wait_for("it is watched", lambda: "watched" in said.read_text() or process.poll() is not None, 60)
        assert "raise the sysctl fs.inotify.max_user_instances" in said.read_text(), said.read_text()
        changed = world.write(PLAIN.replace("1000", "2000"))
        assert changed == path
        wait_for("what was written is made", lambda: in_order(world, path), 60)
        world.run("pkill", "-TERM", "-x", "nucleus")  # strace itself goes on with the supervisor
        wait_for("it has ended", lambda: "not watched any more" in said.read_text(), 30)
        process.kill()
    assert said.read_text().count("max_user_instances") == 1


@needs_strace
@pytest.mark.parametrize("command", [("logs", "--tail", "0"), ("events",)])
def test_what_is_followed_goes_on(world, command):
    one = world.name("one")
    world.nucleus("run", "-d", "--name", one, "--restart", "always", "--", "sh", "-c", "echo tick; sleep 0.3")
    with world.popen(*BLIND, command[0], "--follow", *command[1:], one, stdout=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline() != "" for _ in range(5)] == [True] * 5
        process.kill()
    world.nucleus("rm", "-f", one)
