"""A supervisor that brings its workload back: between two runs, while hooks run, it is left to its work, and what changes meanwhile reaches
the next run."""
import json
import signal
import subprocess

import pytest
from test_watch import idle, watch  # noqa: F401
from world import NUCLEUS, wait_for

SERVICE = """
name = "PROJECT"
[networks.n]
[services.a]
command = ["/bin/sleep", "1000"]
networks = ["n"]
restart = "always"
stop_signal = "KILL"
reload_signal = "USR1"
volumes = ["CONFIG:/etc/config:ro"]
health_check = ["/bin/true"]
health_interval = "1s"
[services.a.hooks]
POINT = [{ path = "HOOK", timeout = "60s" }]
"""
# Once it is to be held, it waits until it is let go.
HOOK = "#!/bin/sh\ncat > /dev/null\n[ -e HOLD ] || exit 0\ntouch AT_WORK\nwhile [ -e HOLD ]; do sleep 0.05; done\n"


class Held:
    """A service whose hook, once it is to be held, waits until it is let go."""

    def __init__(self, world, point):
        self.world = world
        self.hold, self.at_work, self.config = (world.directory / name for name in ("hold", "at-work", "config"))
        self.config.write_text("one\n")
        hook = world.directory / "hook"
        hook.write_text(HOOK.replace("HOLD", str(self.hold)).replace("AT_WORK", str(self.at_work)))
        hook.chmod(0o755)
        self.text = SERVICE.replace("POINT", point).replace("HOOK", str(hook)).replace("CONFIG", str(self.config))
        self.path = world.write(self.text)
        world.apply(self.path)
        self.supervisor = world.container("a")["supervisor_pid"]

    def die(self):
        """Until its hook is at work."""
        self.hold.touch()
        self.world.kill(self.world.pid("a"))
        wait_for("its hook is at work", self.at_work.exists)

    def comes_back(self):
        self.hold.unlink(missing_ok=True)
        row = wait_for("it runs again", lambda: (now := self.world.container("a"))["state"] == "running" and now)
        assert (row["restarts"], row["supervisor_pid"]) == (1, self.supervisor)
        assert " stop" not in self.world.nucleus("events", "a").stdout


@pytest.mark.parametrize("point", ["createRuntime", "poststop"])
def test_what_is_brought_back_has_not_drifted(world, point):
    held = Held(world, point)
    held.die()
    row = world.container("a")
    assert (row["state"], row["pid"]) == ("starting" if point == "createRuntime" else "backoff", None)
    world.nucleus("diff", "-f", held.path, "--detailed-exitcode")
    world.apply(held.path)
    held.comes_back()


def test_a_watch_leaves_it_alone(world, watch):
    held = Held(world, "createRuntime")
    watched = watch("-f", held.path)
    held.die()
    watched.send(signal.SIGHUP)
    watched.tells("reads its files again")
    idle(watched)
    held.comes_back()
    watched.end()
    assert "revision 2" not in watched.said(), watched.said()


def test_one_that_is_stopped_says_so_while_its_last_hooks_run(world):
    held = Held(world, "poststop")
    held.hold.touch()
    with world.popen(NUCLEUS, "stop", "a") as stopping:
        wait_for("its hook is at work", held.at_work.exists)
        row = world.container("a")
        assert (row["state"], row["pid"]) == ("stopping", None)
        held.hold.unlink()
        assert stopping.wait(30) == 0
    assert world.container("a")["state"] == "stopped"


@pytest.mark.parametrize("point", ["createRuntime", "poststop"])
def test_a_file_that_changes_meanwhile_is_the_next_runs(world, point):
    held = Held(world, point)
    held.die()
    held.config.write_text("two\n")
    with world.popen(NUCLEUS, "apply", "-f", held.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as applying:
        if point == "createRuntime":  # nobody knows yet which it reads: it is told once it runs, which ends it
            held.hold.unlink()
        said = applying.communicate(timeout=60)[0]
    assert applying.returncode == 0, said
    if point == "poststop":
        held.comes_back()
    wait_for("it runs", lambda: world.container("a")["state"] == "running")
    assert world.nucleus("exec", "a", "--", "cat", "/etc/config").stdout == "two\n"


def test_a_supervisor_takes_up_what_changes_once_its_hooks_are_done(world):
    held = Held(world, "poststop")
    held.die()
    path = world.write(held.text.replace('"1s"', '"2s"'), "changed.toml")
    with world.popen(NUCLEUS, "apply", "-f", path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as applying:
        with pytest.raises(subprocess.TimeoutExpired):
            applying.wait(7)  # longer than what takes no hook
        held.hold.unlink()
        said = applying.communicate(timeout=60)[0]
    assert applying.returncode == 0, said
    held.comes_back()
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


JOB = """
name = "PROJECT"
[services.j]
type = "job"
command = ["/bin/sh", "-c", "echo ran >> /out/runs; exit CODE"]
volumes = ["OUT:/out"]
[services.j.hooks]
poststop = [{ path = "HOOK", timeout = "60s" }]
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_whose_last_hooks_run_is_judged_by_its_exit_code(world, code):
    hold, at_work, out = (world.directory / name for name in ("hold", "at-work", "out"))
    out.mkdir()
    hold.touch()
    hook = world.directory / "hook"
    hook.write_text(HOOK.replace("HOLD", str(hold)).replace("AT_WORK", str(at_work)))
    hook.chmod(0o755)
    path = world.write(JOB.replace("OUT", str(out)).replace("HOOK", str(hook)).replace("CODE", str(code)))
    with world.popen(NUCLEUS, "apply", "-f", path) as applying:
        wait_for("its hook is at work", at_work.exists)
        world.kill(world.numbered(applying))
    row = world.container("j")
    assert (row["state"], row["exit_code"], row["reason"], row["pid"]) == ("stopping", code, "exit", None)
    assert ("restart" in world.nucleus("diff", "-f", path).stdout) == (code != 0)
    with world.popen(NUCLEUS, "apply", "-f", path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as applying:
        hold.unlink()
        said = applying.communicate(timeout=60)[0]
    assert (applying.returncode == 0) == (code == 0), said
    assert (out / "runs").read_text() == "ran\n" * (1 if code == 0 else 2)


def test_starts_that_fail_again_and_again_are_a_crash_loop(world):
    fails, hook = world.directory / "fails", world.directory / "hook"
    hook.write_text(f"#!/bin/sh\ncat > /dev/null\n! [ -e {fails} ]\n")
    hook.chmod(0o755)
    path = world.write(SERVICE.replace("POINT", "createRuntime").replace("HOOK", str(hook)).replace("CONFIG", str(hook)))
    world.apply(path)
    fails.touch()
    world.nucleus("kill", "a")
    wait_for("its starts fail", lambda: world.container("a")["restarts"] >= 3 and world.container("a")["state"] == "backoff", 60)
    annotations = json.loads(world.nucleus("state", "a").stdout)["annotations"]
    assert "nucleus.reason" not in annotations, "that was of the last run"
    assert "state backoff → running" in world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2).stdout
