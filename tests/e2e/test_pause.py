"""`nucleus pause` and `unpause`."""
import time

from world import wait_for

TICKER = """
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "while :; do echo x; sleep 0.05; done"]
HEALTH
"""
HEALTH = """
health_check = ["/bin/sh", "-c", "echo probed >> /tmp/probes"]
health_interval = "200ms"
health_timeout = "1s"
health_retries = 1
on_unhealthy = "restart"
"""


def lines(world):
    return len(world.nucleus("logs", "a").stdout)


def test_it_stands_still_and_goes_on(world):
    path = world.write(TICKER.replace("HEALTH", ""))
    world.apply(path)
    world.nucleus("pause", "a")
    assert world.container("a")["state"] == "paused"
    assert "paused" in world.nucleus("ps").stdout
    before = lines(world)
    time.sleep(0.5)
    assert lines(world) == before
    assert "drift" in world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2).stdout
    world.nucleus("pause", "a")
    world.nucleus("unpause", "a")
    wait_for("it goes on", lambda: lines(world) > before)
    assert world.container("a")["state"] == "running"
    world.nucleus("unpause", "a")


def test_what_is_killed_while_paused_starts_again(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\nrestart = "always"\n'))
    pid = world.pid("a")
    world.nucleus("pause", "a")
    world.nucleus("kill", "a")
    wait_for("it runs again", lambda: (now := world.container("a"))["state"] == "running" and now["pid"] != pid)
    assert world.nucleus("exec", "a", "--", "echo", "in").stdout == "in\n"


def test_unpause_does_not_need_what_runs(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\n'))
    world.nucleus("pause", "a")
    group = [path for path in world.cgroups() if (path / "cgroup.freeze").exists() and "a" in path.name][-1]
    world.nucleus("stop", "a", "--timeout", "0s")
    (group / "cgroup.freeze").write_text("1")
    world.nucleus("unpause", "a")
    assert (group / "cgroup.freeze").read_text() == "0\n"


def test_it_is_not_probed_meanwhile(world):
    world.apply(world.write(TICKER.replace("HEALTH", HEALTH)))
    assert world.container("a")["health"] == "healthy"
    pid = world.pid("a")
    world.nucleus("pause", "a")
    time.sleep(4)  # several intervals and timeouts
    row = world.container("a")
    assert (row["state"], row["health"], row["restarts"], row["pid"]) == ("paused", "healthy", 0, pid)
    world.nucleus("unpause", "a")
    probes = f"/proc/{pid}/root/tmp/probes"
    before = len(world.run("cat", probes).stdout)
    wait_for("it is probed again", lambda: len(world.run("cat", probes).stdout) > before)
    assert world.container("a")["health"] == "healthy"


def test_what_is_paused_can_be_stopped_and_removed(world):
    path = world.write(TICKER.replace("HEALTH", ""))
    world.apply(path)
    world.nucleus("pause", "a")
    world.nucleus("stop", "a", "--timeout", "1s")
    assert world.container("a")["state"] == "stopped"
    world.apply(path)
    world.nucleus("pause", "a")
    world.apply(path)
    assert world.container("a")["state"] == "running", "an apply lets it go on"
    world.nucleus("pause", "a")
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()
