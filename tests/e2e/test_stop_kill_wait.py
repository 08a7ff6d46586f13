"""`nucleus stop`, `kill`, `wait`, `state`, and what `ps --all` tells of what has ended."""
import json
import re
import shutil
import subprocess
import threading

import pytest
from world import NUCLEUS, children, controllers, wait_for

SERVICE = """
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "trap 'exit 4' TERM; echo up; while :; do sleep 0.1; done"]
restart = "always"
"""
STUBBORN = SERVICE.replace("exit 4", "true")


def up(world, name="a", times=1):
    wait_for("it is up", lambda: world.nucleus("logs", name, status=None).stdout.count("up") >= times)


def start(world, text=SERVICE):
    path = world.write(text)
    world.apply(path)
    up(world)
    return path


def test_a_stopped_service_stays_stopped_until_the_next_apply(world):
    path = start(world)
    pid = world.pid("a")
    assert world.nucleus("stop", "a").stdout == f"{world.project}/a\n"
    row = world.container("a")
    assert (row["state"], row["exit_code"], row["reason"]) == ("stopped", 4, "stopped") and row["pid"] is None and row["finished"]
    assert "a" not in world.nucleus("ps").stdout.split()
    assert "stopped (4)" in world.nucleus("ps", "--all").stdout
    assert world.run("test", "-e", f"/proc/{pid}", status=1)
    assert world.nucleus("stop", "a").returncode == 0, "stopped already"
    assert "drift" in world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2).stdout
    world.apply(path)
    assert world.container("a")["state"] == "running" and world.pid("a") != pid
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_who_does_not_stop_is_killed_when_the_time_is_over(world):
    path = start(world, STUBBORN)
    world.nucleus("stop", "a", "--timeout", "200ms")
    assert world.container("a")["exit_code"] == 137
    world.apply(path)
    world.nucleus("stop", "a", "-t", "0s")
    assert world.container("a")["exit_code"] == 137


def test_a_second_stop_that_will_not_wait_as_long_ends_the_first(world):
    start(world, STUBBORN)
    with world.popen(NUCLEUS, "stop", "a", "--timeout", "10m") as first:
        wait_for("it is stopping", lambda: world.container("a")["state"] == "stopping")
        world.nucleus("stop", "a", "--timeout", "100ms")
        assert first.wait(30) == 0


UNHEALTHY = """
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "trap : TERM; while :; do sleep 0.1; done"]
restart = "always"
stop_timeout = "10m"
health_check = ["/bin/sh", "-c", "test -e /tmp/h && exit 1; >/tmp/h"]
health_interval = "200ms"
health_retries = 1
on_unhealthy = "restart"
"""


def test_a_stop_wins_over_the_restart_of_what_is_unhealthy(world):
    world.apply(world.write(UNHEALTHY))
    wait_for("it is being stopped", lambda: world.container("a")["state"] == "stopping")
    world.nucleus("stop", "a", "--timeout", "0s", timeout=30)
    row = world.container("a")
    assert (row["state"], row["exit_code"], row["reason"], row["restarts"]) == ("stopped", 137, "stopped", 0)
    assert "stop timeout_ms=0" in world.nucleus("events", "a").stdout


def test_what_is_still_being_prepared_is_stopped(world):
    """A directory is copied for as long as that takes, and no stop waits for a workload."""
    slow = world.name("slow")
    with world.popen(NUCLEUS, "run", "--service-mode", "agent", "--name", slow, "--context", "/usr", "--", "/bin/sh", "-c", "echo up; sleep 1000",
                     stdout=subprocess.PIPE, text=True) as process:
        wait_for("it is there", lambda: slow in world.nucleus("ps", "--all").stdout)
        world.nucleus("stop", slow, "--timeout", "0s")
        said = process.communicate(timeout=60)[0]
    assert (process.returncode, said) == (143, "")
    assert world.containers("--all") == {}


def test_a_service_between_two_runs_is_stopped(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/false"]\nrestart = "always"\n'), status=None)
    wait_for("it waits", lambda: world.container("a")["state"] == "backoff")
    world.nucleus("stop", "a")
    assert world.container("a")["state"] == "stopped"


def test_kill_sends_the_signal_and_the_restart_policy_says_what_follows(world):
    start(world)
    pid = world.pid("a")
    world.nucleus("kill", "a", "--signal", "TERM")
    wait_for("it was started again", lambda: world.container("a")["restarts"] == 1 and world.container("a")["pid"] not in (None, pid))
    up(world, times=2)
    world.nucleus("kill", "a")
    wait_for("and again", lambda: world.container("a")["restarts"] == 2 and world.container("a")["state"] == "running")
    said = world.nucleus("kill", "a", "-s", "SIGUSR1").stderr
    assert "does not handle SIGUSR1" in said
    for wrong in ("NOSUCH", "99", ""):
        world.nucleus("kill", "a", f"--signal={wrong}", status=64)


def test_wait_tells_how_it_ended(world):
    path = start(world)
    with world.popen(NUCLEUS, "wait", "a", "a", stdout=subprocess.PIPE, text=True) as waiting:
        world.nucleus("kill", "a", "--signal", "TERM")
        wait_for("it was started again", lambda: world.container("a")["restarts"] == 1 and world.container("a")["state"] == "running")
        assert waiting.poll() is None, "not for good"
        up(world, times=2)
        world.nucleus("stop", "a")
        assert waiting.communicate(timeout=30)[0] == "4\n4\n"
    assert world.nucleus("wait", "a").stdout == "4\n"
    assert world.json("wait", "a")["containers"] == [{"name": f"{world.project}/a", "exit_code": 4}]
    world.nucleus("destroy", "-f", path, "--yes")


def test_wait_for_what_is_in_the_foreground(world):
    front = world.name("front")
    with world.popen(NUCLEUS, "run", "--name", front, "--", "/bin/sh", "-c", "echo up; read x; exit 9", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        with world.popen(NUCLEUS, "wait", front, stdout=subprocess.PIPE, text=True) as waiting:
            wait_for("it waits", lambda: waiting.poll() is not None or
                     "[pidfd" in world.run("ls", "-l", f"/proc/{world.numbered(waiting)}/fd", status=None).stdout)
            process.stdin.close()
            assert process.wait(30) == 9
            assert waiting.communicate(timeout=30)[0] in ("9\n", "?\n")  # before Linux 6.15 nobody else is told


def test_wait_for_what_is_removed_as_it_ends(world):
    """The second ends first, and its directory is gone when its turn comes."""
    for name, end in (("w1", "sleep 3; exit 3"), ("w2", "sleep 1.5; exit 4")):
        world.nucleus("run", "-d", "--rm", "--service-mode", "agent", "--name", world.name(name), "--", "/bin/sh", "-c", end)
    assert world.nucleus("wait", world.name("w1"), world.name("w2")).stdout == "3\n4\n"
    wait_for("they are removed", lambda: world.containers("--all") == {})


def test_state_is_that_of_oci(world):
    start(world)
    state = json.loads(world.nucleus("state", "a").stdout)
    row = world.container("a")
    assert (state["status"], state["id"], state["pid"]) == ("running", row["id"], row["pid"]) and state["ociVersion"]
    assert state["annotations"]["nucleus.name"] == f"{world.project}/a"
    world.nucleus("pause", "a")
    assert json.loads(world.nucleus("state", "a").stdout)["status"] == "paused"
    world.nucleus("stop", "a")
    state = json.loads(world.nucleus("state", "a").stdout)
    assert (state["status"], state["annotations"]["nucleus.exit_code"], state["annotations"]["nucleus.reason"]) == ("stopped", "4", "stopped")
    assert "pid" not in state
    assert world.json("state")["services"] == []


@pytest.mark.skipif("memory" not in controllers(), reason="this machine has no memory controller in cgroup2")
def test_want_of_memory_is_told(world):
    world.apply(world.write("""
name = "PROJECT"
[services.a]
command = ["/usr/bin/python3", "-c", "x = 'x' * (1 << 30)"]
memory = "32M"
memory_swap = "0"
"""), status=None)
    wait_for("it has ended", lambda: world.container("a")["reason"] == "oom")
    assert "(137, oom)" in world.nucleus("ps", "--all").stdout


def test_unknown_names_and_several_at_once(world):
    world.apply(world.write(SERVICE.replace("restart", "[services.bee]\ncommand = [\"/bin/sleep\", \"1000\"]\nrestart")))
    for command in ("stop", "kill", "wait", "pause", "unpause", "state", "stats", "events"):
        said = world.nucleus(command, "baa", status=1).stderr
        assert "'baa': no such" in said and "did you mean" in said, command
    world.nucleus("stop", "bee", "nobody", status=1)
    assert world.container("bee")["state"] == "running", "nothing is done where one of the names is wrong"
    assert len(world.nucleus("stop", "a", "bee", "-t", "1s").stdout.split()) == 2
    assert "is not running" in world.nucleus("kill", "bee", status=1).stderr


def test_a_stranger_may_not(world):
    start(world)
    for command in (["stop", "a"], ["kill", "a"], ["pause", "a"]):
        said = world.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", NUCLEUS, *command, status=1).stderr
        assert "permitted" in said or "denied" in said, said
    assert world.container("a")["state"] == "running"


def test_a_process_with_its_number_is_not_signalled(world):
    """The workload of the last status is gone, and a process of another's has its number: forced, by way of ns_last_pid."""
    path = start(world)
    pid = world.pid("a")
    supervisor = world.container("a")["supervisor_pid"]
    status = f"/proc/{world.init}/root{world.runtime}/projects/{world.project}/service.a/status"
    world.kill(supervisor)
    wait_for("it is gone", lambda: world.run("test", "-e", f"/proc/{pid}", status=None).returncode != 0)
    assert f"workload.pid {pid}" in open(status).read()
    other = world.popen("sh", "-c", f"for i in $(seq 200); do echo {pid - 1} > /proc/sys/kernel/ns_last_pid; sleep 1000 & [ $! = {pid} ] && break; kill $!; done; echo $!; wait",
                        stdout=subprocess.PIPE, text=True)
    try:
        assert int(other.stdout.readline()) == pid
        for command in (["kill", "a"], ["exec", "a", "--", "true"], ["pause", "a"], ["stats", "a"]):
            assert "has ended" in world.nucleus(*command, status=None).stderr, command
        world.nucleus("stop", "a")
        assert world.run("cat", f"/proc/{pid}/comm").stdout == "sleep\n"
    finally:
        world.kill(pid)
        other.kill()
        other.communicate()
    world.nucleus("destroy", "-f", path, "--yes")


def test_32_commands_at_once(world):
    """Whatever they are and however they come, no wrong signal is sent, nothing is left, and the store is whole."""
    path = world.write(SERVICE + """[services.other]
command = ["/bin/sleep", "1000"]
""")
    world.apply(path)
    bystander = world.pid("other")
    commands = [["stop", "a", "-t", "1s"], ["kill", "a", "-s", "KILL"], ["exec", "a", "--", "true"], ["pause", "a"], ["unpause", "a"], ["stats", "a"],
                ["state", "a"], ["apply", "-f", str(path)], ["ps", "--all"], ["cp", "a:/etc/hostname", str(world.directory / "x")], ["events", "a"],
                ["kill", "a", "-s", "TERM"], ["inspect", "a"], ["logs", "a"], ["exec", "a", "--", "sh", "-c", "exit 3"], ["verify"]] * 2
    results = {}

    def run(number):
        results[number] = world.nucleus(*commands[number], status=None, timeout=120)

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, result in results.items():
        words = " ".join(commands[number])
        assert result.returncode in (0, 1, 3, 5, 6, 125, 137), f"{words}: {result.returncode}\n{result.stderr}"
        assert "internal" not in result.stderr and "corrupt" not in result.stderr, f"{words}: {result.stderr}"
    assert world.pid("other") == bystander
    world.nucleus("unpause", "a", status=None)
    world.apply(path)
    wait_for("it runs: after a kill it is started again after a while", lambda: world.container("a")["state"] == "running")
    assert world.run("sqlite3", world.state / "applied.db", "pragma integrity_check").stdout == "ok\n"
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_what_is_in_the_background_is_handled_likewise(world):
    back = world.name("back")
    world.nucleus("run", "-d", "--name", back, "--", "/bin/sh", "-c", "trap 'exit 4' TERM; echo up; while :; do sleep 0.1; done")
    up(world, back)
    assert world.nucleus("exec", back, "--", "hostname").stdout == back + "\n"
    assert json.loads(world.nucleus("state", back).stdout)["status"] == "running"
    assert [one["name"] for one in world.json("stats")["containers"]] == [back]
    assert world.nucleus("stop", back).stdout == back + "\n"
    assert world.nucleus("wait", back).stdout == "4\n"
    assert world.containers("--all")[back]["state"] == "stopped"
    assert [json.loads(line)["event"] for line in world.nucleus("events", back, "-o", "jsonl").stdout.splitlines()] == ["start", "stop", "exit"]
    world.nucleus("rm", back)
    assert world.containers("--all") == {}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_stop_that_ends_what_is_left_is_taken_for_no_supervisor(world):
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\nstop_signal = "KILL"\n')
    world.apply(path)
    world.nucleus("stop", "a")
    group = next(group for group in world.cgroups() if group.name == "service.a")
    lock = f"{world.runtime}/projects/{world.project}/service.a/lock"
    inode = world.run("stat", "-c", "%i", lock).stdout.strip()
    with world.popen("/bin/sleep", "1000") as stranger:
        (group / "cgroup.procs").write_text(str(wait_for("it is there", lambda: children(stranger.pid))[0]))
        with world.popen("strace", "-f", "-qq", "-o", "/dev/null", "-P", lock, "-e", "trace=fcntl", "-e", "inject=fcntl:delay_exit=3000000",
                         NUCLEUS, "stop", "a", stderr=subprocess.PIPE, text=True) as stopping:
            wait_for("it has the lock", lambda: re.search(rf"POSIX .*:{inode} 1 EOF", world.run("cat", "/proc/locks").stdout))
            assert world.container("a")["supervisor_pid"] is None
            world.apply(path)
            assert stopping.wait(60) == 0, stopping.stderr.read()
    assert world.container("a")["state"] == "running"


@pytest.fixture
def left(world):
    """A stopped service's directory and control group, and a stranger in that."""
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\nstop_signal = "KILL"\n'))
    world.nucleus("stop", "a")
    group = next(group for group in world.cgroups() if group.name == "service.a")
    with world.popen("/bin/sleep", "1000") as stranger:
        (group / "cgroup.procs").write_text(str(wait_for("it is there", lambda: children(stranger.pid))[0]))
        yield f"{world.runtime}/projects/{world.project}/service.a", group
        (group / "cgroup.kill").write_text("1")


def test_a_stop_fails_where_it_may_not_clear_what_is_left(world, left):
    directory, group = left
    world.run("sh", "-c", f"mount --bind {directory}/lock {directory}/lock && mount -o remount,bind,ro {directory}/lock")
    assert f"{directory}/lock" in world.nucleus("stop", "a", status=1).stderr
    assert (group / "cgroup.procs").read_text()
    world.run("umount", f"{directory}/lock")
    world.nucleus("stop", "a")
    assert not (group / "cgroup.procs").read_text()


def test_a_stop_clears_what_is_left_though_the_lock_is_lost(world, left):
    directory, group = left
    world.run("rm", f"{directory}/lock")
    world.nucleus("stop", "a")
    assert not (group / "cgroup.procs").read_text()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_stop_waits_for_another_that_clears_what_is_left(world, left):
    directory, group = left
    lock = f"{directory}/lock"
    inode = world.run("stat", "-c", "%i", lock).stdout.strip()
    with world.popen("strace", "-f", "-qq", "-o", "/dev/null", "-P", lock, "-e", "trace=fcntl", "-e", "inject=fcntl:delay_exit=3000000",
                     NUCLEUS, "stop", "a", stderr=subprocess.PIPE, text=True) as first:
        wait_for("it has the lock", lambda: re.search(rf"POSIX .*:{inode} 1 EOF", world.run("cat", "/proc/locks").stdout))
        world.nucleus("stop", "a")
        assert not (group / "cgroup.procs").read_text()
        assert first.wait(60) == 0, first.stderr.read()
