"""`nucleus events`, and `logs --since`."""
import json
import subprocess
import time

from world import NUCLEUS, wait_for

SERVICE = """
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "echo up; sleep 1000"]
restart = "always"
"""


def events(world, *arguments):
    return [json.loads(line) for line in world.nucleus("events", *arguments, "--output", "jsonl").stdout.splitlines()]


def test_what_became_of_a_service(world):
    path = world.write(SERVICE)
    world.apply(path)
    world.nucleus("kill", "a")
    wait_for("it was started again", lambda: world.container("a")["restarts"] == 1 and world.container("a")["state"] == "running")
    world.nucleus("pause", "a")
    wait_for("its supervisor has seen it", lambda: [e for e in events(world) if e["event"] == "pause"])
    world.nucleus("unpause", "a")
    wait_for("its supervisor has seen it", lambda: [e for e in events(world) if e["event"] == "unpause"])
    world.nucleus("stop", "a", "--timeout", "2s")
    told = events(world, "a")
    assert [event["event"] for event in told] == ["start", "exit", "restart", "start", "pause", "unpause", "stop", "exit"]
    assert all(event["container"] == f"{world.project}/a" for event in told)
    assert (told[1]["code"], told[1]["reason"], told[2]["number"]) == (137, "exit", 1)
    assert (told[6]["timeout_ms"], told[7]["reason"]) == (2000, "stopped")
    assert "restart number=1" in world.nucleus("events").stdout
    assert events(world, "--since", "1h") == told and events(world, "--since", told[-1]["time"]) == told[-1:]
    world.nucleus("events", "--since", "yesterday", status=64)
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()
    assert events(world) == []


def test_a_start_that_fails_and_health_are_told(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/no/such/program"]\n'), status=1)
    told = events(world)
    assert told[0]["event"] == "fail" and told[0]["code"] == 127 and "/no/such/program" in told[0]["message"]
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\nhealth_check = ["/bin/true"]\n'))
    wait_for("healthy", lambda: [e for e in events(world) if e["event"] == "health" and e["state"] == "healthy"])


def test_following_also_what_comes_later(world):
    path = world.write(SERVICE)
    with world.popen(NUCLEUS, "events", "-f", "--output", "jsonl", stdout=subprocess.PIPE, text=True) as following:
        try:
            world.apply(path)
            first = json.loads(following.stdout.readline())
            assert (first["event"], first["container"]) == ("start", f"{world.project}/a")
            world.nucleus("stop", "a", "-t", "0s")
            assert [json.loads(following.stdout.readline())["event"] for _ in range(2)] == ["stop", "exit"]
        finally:
            world.run("kill", "-KILL", world.numbered(following), status=None)


def test_following_before_there_is_anything(world):
    """Not even the directory in which that of the project would be made."""
    world.environment["NUCLEUS_RUNTIME_DIR"] = str(world.runtime / "deeper/still")
    path = world.write(SERVICE)
    with world.popen(NUCLEUS, "events", "-f", "--output", "jsonl", stdout=subprocess.PIPE, text=True) as following:
        try:
            wait_for("it follows", lambda: "events -f" in world.run("ps", "-e", "-o", "args=").stdout)
            world.apply(path)
            assert json.loads(following.stdout.readline())["event"] == "start"
            # What is made anew under the name is followed as well.
            world.nucleus("destroy", "-f", path, "--yes")
            world.apply(path)
            told = [json.loads(following.stdout.readline())["event"] for _ in range(2)]
            while told[-1] != "start":
                told.append(json.loads(following.stdout.readline())["event"])
            world.nucleus("stop", "a", "-t", "0s")
            assert [json.loads(following.stdout.readline())["event"] for _ in range(2)] == ["stop", "exit"]
        finally:
            world.run("kill", "-KILL", world.numbered(following), status=None)
    world.nucleus("destroy", "-f", path, "--yes")


def test_it_is_bounded(world):
    world.apply(world.write(SERVICE))
    directory = f"/proc/{world.init}/root{world.runtime}/projects/{world.project}/service.a"
    world.nucleus("stop", "a", "-t", "0s")
    with open(f"{directory}/events", "a") as file:
        file.writelines(f"{1000 + i} o start pid=1\n" for i in range(20000))
    world.apply(world.directory / "topology.toml")
    assert len(events(world)) > 20000, "what was rotated away is shown too"
    world.nucleus("stop", "a", "-t", "0s")
    world.apply(world.directory / "topology.toml")
    size = int(world.run("stat", "-c", "%s", f"{world.runtime}/projects/{world.project}/service.a/events").stdout)
    assert size < 256 << 10


def test_logs_since(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sh", "-c", "echo early; sleep 1; echo late; sleep 1000"]\n'))
    wait_for("late", lambda: "late" in world.nucleus("logs", "a").stdout)
    stamp = [line.split()[0] for line in world.nucleus("logs", "a", "-t").stdout.splitlines() if "late" in line][0]
    assert world.nucleus("logs", "a", "--since", stamp).stdout == "late\n"
    assert world.nucleus("logs", "a", "--since", "1h").stdout == "early\nlate\n"
    time.sleep(1)
    assert world.nucleus("logs", "a", "--since", "1s").stdout == ""
    world.nucleus("logs", "a", "--since", "once", status=64)
