"""`nucleus stats`: against what /proc and the control group say."""
import json
import subprocess

from world import NUCLEUS, cgroup_root, controllers, wait_for

BUSY = """
name = "PROJECT"
[networks.front]
subnet = "10.78.0.0/24"
[services.a]
command = ["/bin/sh", "-c", "while :; do :; done"]
networks = ["front"]
[services.b]
command = ["/bin/sleep", "1000"]
"""


def stats(world, *names):
    return {one["name"].split("/")[1]: one for one in world.json("stats", *names)["containers"]}


def test_it_says_what_the_kernel_says(world):
    world.apply(world.write(BUSY))
    wait_for("it has worked", lambda: stats(world)["a"]["cpu"]["usage_usec"] > 300_000)
    both = stats(world)
    assert set(both) == {"a", "b"} and set(stats(world, "b")) == {"b"}
    a = both["a"]
    ticks = sum(map(int, world.run("cat", f"/proc/{world.pid('a')}/stat").stdout.rpartition(") ")[2].split()[11:13]))
    assert a["cpu"]["usage_usec"] <= ticks * 10_000 + 500_000 and a["cpu"]["percent"] > 0
    assert both["b"]["cpu"]["usage_usec"] < a["cpu"]["usage_usec"]
    before = a["network"]["eth0"]["received_packets"]
    assert "lo" not in a["network"]
    world.run("/usr/bin/python3", "-c", "import socket; s = socket.create_connection; \nfor port in (1, 2, 3):\n try: s(('10.78.0.2', port), 2)\n except OSError: pass")
    assert stats(world)["a"]["network"]["eth0"]["received_packets"] >= before + 3
    assert both["b"]["network"] == {}
    has = controllers()
    for controller, group, key in (("memory", "memory", "bytes"), ("pids", "pids", "count"), ("io", "io", "read_bytes")):
        assert (a[group][key] is not None) == (controller in has), controller
    assert a["id"] == world.container("a")["id"]


def test_what_the_machine_has_not_is_said(world):
    world.apply(world.write(BUSY))
    said = world.nucleus("stats")
    assert "NAME" in said.stdout and f"{world.project}/a" in said.stdout
    missing = [one for one in ("memory", "pids", "io") if one not in controllers()]
    assert (", ".join(missing) in said.stderr) if missing else not said.stderr


def test_watching_is_a_look_after_the_other(world):
    world.apply(world.write(BUSY))
    with world.popen(NUCLEUS, "stats", "--watch", "--output", "jsonl", "a", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
        looks = [json.loads(watch.stdout.readline()) for _ in range(3)]
        world.kill(world.numbered(watch))
        watch.kill()
    assert looks[0]["cpu"]["usage_usec"] < looks[1]["cpu"]["usage_usec"] < looks[2]["cpu"]["usage_usec"]
    assert 0 < looks[2]["cpu"]["percent"] <= 110


def test_one_that_does_not_run(world):
    world.apply(world.write(BUSY))
    world.nucleus("stop", "b", "-t", "0s")
    assert "is not running" in world.nucleus("stats", "b", status=1).stderr
    assert set(stats(world)) == {"a"}


def test_on_the_hosts_network_nothing_is_said_of_links(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\nnetwork = "host"\nallow_host_network = true\n'))
    assert stats(world)["a"]["network"] is None
    assert " host " in world.nucleus("stats").stdout


def test_watching_ends_with_what_was_named(world):
    world.apply(world.write(BUSY))
    with world.popen(NUCLEUS, "stats", "--watch", "--output", "jsonl", "a", "b", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        watch.stdout.readline()
        world.nucleus("stop", "a", "--timeout", "0s")
        world.nucleus("stop", "b", "--timeout", "0s")
        assert "error" not in watch.communicate(timeout=30)[1] and watch.returncode == 0
