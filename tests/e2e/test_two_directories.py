"""Two runtime and state directories of root's on one machine: what is the machine's is chosen and changed by one of them at a time."""

import concurrent.futures
import ipaddress
import json
import pathlib
import re
import subprocess

import pytest
from world import NUCLEUS, wait_for

LOCK = "/run/nucleus-machine.lock"
HOLD = "import fcntl, struct, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX, 1, int(sys.argv[2])); print('held', flush=True); sys.stdin.readline()"


@pytest.fixture
def sides(world):
    """Environments; each with directories of its own."""
    found = []
    for name in ("one", "two"):
        found.append({**world.environment, "NUCLEUS_RUNTIME_DIR": str(world.runtime / name), "NUCLEUS_STATE_DIR": str(world.directory / f"state-{name}")})
    return found


def bridges(world):
    """name -> subnets of IPv4."""
    return {link["ifname"]: [ipaddress.ip_interface(f"{a['local']}/{a['prefixlen']}").network for a in link["addr_info"] if a["family"] == "inet"]
            for link in json.loads(world.run("ip", "-j", "address", "show", "type", "bridge").stdout)}


def test_containers_of_both_have_subnets_of_their_own(world, sides):
    # Each tells its own address, and what else the machine had at that moment.
    def one(number):
        return world.run(NUCLEUS, "run", "--network", "bridge", "--", "sh", "-c", "ip -4 -o address show dev eth0; sleep 1", env=sides[number % 2], status=None)

    for _ in range(2):
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            runs = list(pool.map(one, range(12)))
        assert [run.stderr for run in runs if run.returncode] == []
        subnets = [ipaddress.ip_interface(re.search(r"inet (\S+)", run.stdout).group(1)).network for run in runs]
        assert len(set(subnets)) == len(subnets), subnets
    assert bridges(world) == {}


TOPOLOGY = """name = "{}"
[defaults]
service_mode = "agent"
[networks.front]
[services.web]
command = ["/bin/sleep", "1000"]
networks = ["front"]
"""


def test_topologies_that_choose_at_one_moment_all_have_subnets_of_their_own(world):
    """Each with directories of its own, so that no store knows of what the others have chosen."""
    many = range(12)
    sides = [{**world.environment, "NUCLEUS_RUNTIME_DIR": str(world.runtime / f"r{i}"), "NUCLEUS_STATE_DIR": str(world.directory / f"s{i}")} for i in many]
    paths = [world.directory / f"{i}.toml" for i in many]
    for number, path in enumerate(paths):
        path.write_text(TOPOLOGY.format(f"{world.project}s{number}") + "[networks.back]\n")
    for _ in range(3):
        with concurrent.futures.ThreadPoolExecutor(len(many)) as pool:
            done = list(pool.map(lambda number: world.run(NUCLEUS, "apply", "-f", paths[number], env=sides[number], status=None), many))
        assert [one.stderr for one in done if one.returncode] == []
        subnets = [subnet for all_ in bridges(world).values() for subnet in all_]
        assert len(subnets) == len(set(subnets)) == 2 * len(many), subnets
        for number in many:
            world.run(NUCLEUS, "diff", "-f", paths[number], "--detailed-exitcode", env=sides[number])
            world.run(NUCLEUS, "destroy", f"{world.project}s{number}", env=sides[number])
    assert bridges(world) == {}


def test_an_overlap_that_came_meanwhile_is_refused(world, sides):
    path = world.directory / "other.toml"
    path.write_text(TOPOLOGY.format(f"{world.project}a").replace("[networks.front]", '[networks.front]\nsubnet = "10.77.0.0/24"'))
    world.run(NUCLEUS, "apply", "-f", path, env=sides[0])
    # As where both have looked before either had its bridge: the other's route is hidden from who plans.
    bridge = next(iter(bridges(world)))
    world.run("ip", "address", "add", "10.88.0.1/24", "dev", bridge)
    own = world.directory / "own.toml"
    own.write_text(TOPOLOGY.format(f"{world.project}b").replace("[networks.front]", '[networks.front]\nsubnet = "10.88.0.0/24"'))
    world.run("ip", "route", "del", "10.88.0.0/24")
    refused = world.run(NUCLEUS, "apply", "-f", own, env=sides[1], status=1)
    assert f"10.88.0.1/24 is of {world.project}a/network.front" in refused.stderr, refused.stderr
    assert list(bridges(world)) == [bridge]
    for name, side in ((f"{world.project}b", sides[1]), (f"{world.project}a", sides[0])):
        world.run(NUCLEUS, "destroy", name, env=side, status=None)
    assert bridges(world) == {}


def test_who_has_the_machines_lock_is_waited_for(world, sides):
    world.run(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[0])  # the file is there
    holder = world.popen("/usr/bin/python3", "-c", HOLD, LOCK, "2", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    waits = world.popen(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[1])
    with pytest.raises(subprocess.TimeoutExpired):
        waits.wait(timeout=1)
    holder.communicate("\n")
    assert waits.wait(timeout=20) == 0


def test_who_has_the_machines_lock_for_good_is_told(world, sides):
    world.run(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[0])
    holder = world.popen("/usr/bin/python3", "-c", HOLD, LOCK, "0", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    refused = world.run(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[1], status=125)
    assert LOCK in refused.stderr and "held by another process" in refused.stderr and "lslocks" in refused.stderr, refused.stderr
    holder.communicate("\n")


def test_the_holder_of_the_machines_lock_is_named_and_waited_for_as_long_as_was_said(world, sides):
    paths = []
    for number in (0, 1):
        path = world.directory / f"{number}.toml"
        path.write_text(TOPOLOGY.format(f"{world.project}s{number}"))
        paths.append(path)
    # Whoever changes rules is at it for as long as this stands in the place of what changes them.
    nft, stub, asked = pathlib.Path(NUCLEUS).with_name("nucleus-nft"), world.directory / "stub", world.directory / "asked"
    stub.write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 1000\n")
    stub.chmod(0o755)
    world.run("mount", "--bind", stub, nft)
    holder = world.popen(NUCLEUS, "apply", "-f", paths[0], env=sides[0], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for("the lock to be held", asked.exists)
    refused = world.run(NUCLEUS, "apply", "-f", paths[1], "--lock-timeout", "200ms", env=sides[1], status=5, timeout=20)
    number = world.run("pgrep", "-f", f"^{NUCLEUS} apply -f {paths[0]}").stdout.strip()
    assert f"lock {LOCK}: held by process {number} ({NUCLEUS} apply -f {paths[0]}, for {world.project}s0)" in refused.stderr, refused.stderr
    # Who was killed has it no more, whatever name still stands there.
    world.run("pkill", "-KILL", "-f", f"^{NUCLEUS} apply -f {paths[0]}")
    world.run("pkill", "-f", "^sleep 1000", status=None)
    holder.wait(10)
    world.run("umount", nft)
    for number in (0, 1):
        world.run(NUCLEUS, "apply", "-f", paths[number], env=sides[number])
        world.run(NUCLEUS, "destroy", f"{world.project}s{number}", env=sides[number])
    assert bridges(world) == {}


def test_a_bridge_without_its_address_is_checked_as_a_new_one(world, sides):
    """As a command leaves it that was killed in between."""
    files = []
    for name in "ab":
        file = world.directory / f"{name}.toml"
        file.write_text(TOPOLOGY.format(world.project + name).replace("[networks.front]", '[networks.front]\nsubnet = "10.88.0.0/24"'))
        files.append(file)
    world.run(NUCLEUS, "apply", "-f", files[1], env=sides[1])
    bridge = next(iter(bridges(world)))
    world.run("ip", "address", "flush", "dev", bridge)
    world.run("ip", "link", "set", bridge, "down")
    world.run(NUCLEUS, "apply", "-f", files[0], env=sides[0])
    refused = world.run(NUCLEUS, "apply", "-f", files[1], env=sides[1], status=1)
    assert f"10.88.0.1/24 is of {world.project}a/network.front" in refused.stderr, refused.stderr
    for name, side in ((f"{world.project}a", sides[0]), (f"{world.project}b", sides[1])):
        world.run(NUCLEUS, "destroy", name, env=side, status=None)
    assert bridges(world) == {}
