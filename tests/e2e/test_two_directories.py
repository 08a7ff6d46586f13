"""Two runtime and state directories of root's on one machine: what is the machine's is chosen and changed by one of them at a time."""

import concurrent.futures
import contextlib
import ipaddress
import json
import pathlib
import re
import subprocess

import pytest
from world import NUCLEUS, wait_for

LOCK = "/run/nucleus-machine.lock"
CLAIM = '''import fcntl, os, sys
f = open(sys.argv[1], "r+")
first = (os.stat("/proc/self/ns/net").st_ino & 0x7fffffff) << 32 | int(sys.argv[2])
fcntl.lockf(f, fcntl.LOCK_EX, int(sys.argv[3]), first)
print("held", flush=True)
sys.stdin.readline()'''
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


def two_topologies(world):
    """Their files; one for each of the sides."""
    paths = [world.directory / f"{number}.toml" for number in (0, 1)]
    for number, path in enumerate(paths):
        path.write_text(TOPOLOGY.format(f"{world.project}s{number}"))
    return paths


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


@contextlib.contextmanager
def held(world, script, *arguments):
    holder = world.popen("/usr/bin/python3", "-c", script, LOCK, *map(str, arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        holder.communicate("\n")


def test_a_container_chooses_no_subnet_that_somebody_else_is_about_to_have(world, sides):
    address = ("run", "--network", "bridge", "--", "sh", "-c", "ip -4 -o address show dev eth0")
    first = ipaddress.ip_interface(re.search(r"inet (\S+)", world.run(NUCLEUS, *address, env=sides[0]).stdout).group(1)).network
    with held(world, CLAIM, int(first.network_address), 64):
        second = ipaddress.ip_interface(re.search(r"inet (\S+)", world.run(NUCLEUS, *address, env=sides[0]).stdout).group(1)).network
    assert int(second.network_address) == int(first.network_address) + 64
    # And those who choose are left alone: a topology that declares one says that it is taken.
    assert ipaddress.ip_interface(re.search(r"inet (\S+)", world.run(NUCLEUS, *address, env=sides[1]).stdout).group(1)).network == first


@pytest.mark.parametrize("is_there", [True, False])
def test_a_lease_whose_bridge_was_never_made_is_chosen_anew(world, sides, is_there):
    """The apply that was to make it was killed; then somebody with directories of its own has, or is about to have, the same."""
    paths = two_topologies(world)
    with held(world, HOLD, 1):
        killed = world.popen(NUCLEUS, "apply", "-f", paths[0], env=sides[0], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for("it to be at its bridge", lambda: bridges(world))
        world.run("pkill", "-KILL", "-f", f"^{NUCLEUS} apply -f {paths[0]}")
        killed.wait(20)
    bridge, addresses = next(iter(bridges(world).items()))
    assert addresses == []
    if is_there:
        world.run(NUCLEUS, "apply", "-f", paths[1], env=sides[1])
        world.run(NUCLEUS, "apply", "-f", paths[0], env=sides[0])
    else:
        world.run("ip", "link", "delete", bridge)
        first = ipaddress.ip_network("10.89.0.0/24")
        with held(world, CLAIM, int(first.network_address), first.num_addresses):
            world.run(NUCLEUS, "apply", "-f", paths[0], env=sides[0])
        assert [first] not in bridges(world).values()
        world.run(NUCLEUS, "apply", "-f", paths[1], env=sides[1])
    subnets = [subnet for all_ in bridges(world).values() for subnet in all_]
    assert len(subnets) == len(set(subnets)) == 2, subnets
    for number in (0, 1):
        world.run(NUCLEUS, "diff", "-f", paths[number], "--detailed-exitcode", env=sides[number])
        world.run(NUCLEUS, "destroy", f"{world.project}s{number}", env=sides[number])
    assert bridges(world) == {}


def test_a_lease_whose_bridge_is_being_made_again_is_chosen_by_nobody_else(world, sides):
    """As after a reboot: what it was is known, and the kernel says nothing of it."""
    paths = two_topologies(world)
    world.run(NUCLEUS, "apply", "-f", paths[0], env=sides[0])
    (bridge, (subnet,)), = bridges(world).items()
    world.run("ip", "link", "delete", bridge)
    with held(world, HOLD, 1):
        again = world.popen(NUCLEUS, "apply", "-f", paths[0], env=sides[0], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for("it to be at its bridge", lambda: bridges(world))
        other = world.popen(NUCLEUS, "apply", "-f", paths[1], env=sides[1])
        wait_for("the other to be at its own", lambda: len(bridges(world)) == 2)
    assert (again.wait(30), other.wait(30)) == (0, 0)
    assert bridges(world)[bridge] == [subnet]
    for number in (0, 1):
        world.run(NUCLEUS, "destroy", f"{world.project}s{number}", env=sides[number])
    assert bridges(world) == {}


@pytest.mark.parametrize("lock", [0, 2])
@pytest.mark.parametrize("number, code", [("INT", 130), ("TERM", 143)])
def test_an_interrupt_ends_a_runs_wait_for_the_machines_lock(world, sides, lock, number, code):
    with held(world, HOLD, lock):
        waits = world.popen(NUCLEUS, "run", "--network", "bridge", "--name", world.name("waits"), "--", "echo", "ran", env=sides[1], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
        having = lambda: world.run("sh", "-c", f"find /proc/[0-9]*/fd -lname {LOCK}", status=None).stdout.split()
        wait_for("it to come to the lock", lambda: bridges(world) if lock == 2 else len(having()) > 1)
        world.run("pkill", f"-{number}", "-f", f"^{NUCLEUS} run .*--name {world.name('waits')}")
        out, err = waits.communicate(timeout=20)
        assert (waits.returncode, out) == (code, "") and f"{LOCK}: interrupted" in err, (waits.returncode, out, err)
        assert bridges(world) == {}
    assert world.run("find", world.runtime, "-name", "container.*").stdout == ""


@pytest.mark.parametrize("number", ["INT", "TERM"])
def test_an_interrupt_ends_an_applys_wait_for_a_lock(world, sides, number):
    path = world.directory / "topology.toml"
    path.write_text(TOPOLOGY.format(f"{world.project}s"))
    apply = (NUCLEUS, "apply", "-f", path, "--lock-timeout", "1h")

    def interrupted(reached):
        waits = world.popen(*apply, env=sides[0], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for("it to come to the lock", lambda: waits.poll() is not None or reached(waits))
        world.run("pkill", f"-{number}", "-n", "-f", f"^{NUCLEUS} apply -f {path}")
        out = waits.communicate(timeout=20)[0]
        assert waits.returncode == 130 and "interrupted" in out, (waits.returncode, out)
        return out

    with held(world, HOLD, 1):
        assert "goes on from here" in interrupted(lambda _: bridges(world))
        # The project's own, which another has.
        holder = world.popen(*apply, env=sides[0], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the bridge", lambda: bridges(world))
        assert "held by process" in interrupted(lambda waits: waits.stdout.readline().startswith("waiting for the lock"))
    assert holder.wait(30) == 0
    world.run(NUCLEUS, "destroy", f"{world.project}s", env=sides[0])
    assert bridges(world) == {}


def test_what_killed_containers_left_is_waited_for_no_longer_than_was_said(world, sides):
    for name in ("a", "b"):
        left = world.popen(NUCLEUS, "run", "--network", "bridge", "--name", world.name(name), "--", "sh", "-c", "echo up; exec sleep 1000", env=sides[0], stdout=subprocess.PIPE, text=True)
        assert left.stdout.readline() == "up\n"
    world.run("pkill", "-KILL", "-f", f"^{NUCLEUS} run ")
    wait_for("they to be gone", lambda: not world.run("pgrep", "-f", f"^{NUCLEUS} run ", status=None).stdout)
    assert len(bridges(world)) == 2
    path = world.directory / "topology.toml"
    path.write_text(f'name = "{world.project}s"\n[defaults]\nservice_mode = "agent"\n[networks.n]\n[services.web]\ncommand = ["/bin/sleep", "1000"]\nnetworks = ["n"]\n')
    with held(world, HOLD, 2):
        world.run(NUCLEUS, "apply", "-f", path, "--lock-timeout", "200ms", env=sides[0], status=5, timeout=20)
    world.run(NUCLEUS, "destroy", f"{world.project}s", env=sides[0])
    world.run(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[0])
    assert bridges(world) == {}


def test_rules_of_a_killed_container_are_found_again_when_the_next_of_its_name_is_interrupted(world, sides):
    tables = lambda: re.findall(r"table \w+ (nucleus_\w+)", world.run("nft", "list", "tables").stdout)
    left = world.popen(NUCLEUS, "run", "--network", "bridge", "--publish", "8080:80", "--name", world.name("a"), "--", "sh", "-c", "echo up; exec sleep 1000", env=sides[0],
                       stdout=subprocess.PIPE, text=True)
    assert left.stdout.readline() == "up\n"
    world.run("pkill", "-KILL", "-f", f"^{NUCLEUS} run ")
    wait_for("it to be gone", lambda: not world.run("pgrep", "-f", f"^{NUCLEUS} run ", status=None).stdout)
    assert tables()
    with held(world, HOLD, 2):
        waits = world.popen(NUCLEUS, "run", "--network", "bridge", "--name", world.name("a"), "--", "echo", "ran", env=sides[0], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for("it to come to the lock", lambda: len(world.run("sh", "-c", f"find /proc/[0-9]*/fd -lname {LOCK}", status=None).stdout.split()) > 1)
        world.run("pkill", "-INT", "-f", f"^{NUCLEUS} run .*--name {world.name('a')}")
        out, _ = waits.communicate(timeout=20)
        assert (waits.returncode, out) == (130, "")
    world.run(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[0])
    assert (tables(), bridges(world)) == ([], {})


def test_who_has_the_machines_lock_is_waited_for(world, sides):
    holder = world.popen("/usr/bin/python3", "-c", HOLD, LOCK, "2", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    waits = world.popen(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[1])
    with pytest.raises(subprocess.TimeoutExpired):
        waits.wait(timeout=1)
    holder.communicate("\n")
    assert waits.wait(timeout=20) == 0


def test_who_has_the_machines_lock_for_good_is_told(world, sides):
    holder = world.popen("/usr/bin/python3", "-c", HOLD, LOCK, "0", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    refused = world.run(NUCLEUS, "run", "--network", "bridge", "--", "true", env=sides[1], status=125)
    assert LOCK in refused.stderr and "held by another process" in refused.stderr and "lslocks" in refused.stderr, refused.stderr
    holder.communicate("\n")


def test_the_holder_of_the_machines_lock_is_named_and_waited_for_as_long_as_was_said(world, sides):
    paths = two_topologies(world)
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


def test_a_container_of_that_name_of_the_other_is_not_killed(world, sides):
    one, two = sides
    name = world.name("box")

    def state(container):
        rows = json.loads(world.run(NUCLEUS, "ps", "--all", "--output", "json", env=one).stdout)["services"]
        return next((row["state"] for row in rows if row["name"] == container), None)

    with world.popen(NUCLEUS, "run", "--name", name, "--", "sleep", "1000", env=one) as first:
        wait_for("it runs", lambda: state(name) == "running")
        refused = world.run(NUCLEUS, "run", "--name", name, "--", "true", env=two, status=125).stderr
        assert "one of that name runs in it, of" in refused and one["NUCLEUS_RUNTIME_DIR"] in refused, refused
        path = world.write(f'name = "{name}"\n[services.web]\ncommand = ["/bin/sleep", "1000"]\n')
        for side in sides:
            world.run(NUCLEUS, "apply", "-f", path, env=side, status=0 if side is one else 1)
        assert state(f"{name}/web") == "running"
        # Neither what begins it anew nor what gives it up takes what is there for its own.
        assert "create" in world.run(NUCLEUS, "diff", "-f", path, env=two).stdout
        world.run(NUCLEUS, "destroy", name, "--yes", env=two)
        assert state(f"{name}/web") == "running"
        world.run(NUCLEUS, "diff", "-f", path, "--detailed-exitcode", env=one)
        world.run(NUCLEUS, "destroy", name, "--yes", env=one)
        world.run(NUCLEUS, "apply", "-f", path, env=two)
        world.run(NUCLEUS, "stop", f"{name}/web", env=two)
        assert state(name) == "running"
        world.run(NUCLEUS, "destroy", name, "--yes", env=two)
        assert first.poll() is None
        world.kill(world.numbered(first))


def test_between_two_runs_a_container_of_the_other_keeps_its_group(world, sides):
    one, two = sides
    path = world.write("""
name = "PROJECT"
[services.web]
command = ["/bin/sh", "-c", "exit 1"]
restart = "always"
""")
    world.run(NUCLEUS, "apply", "-f", path, env=one, status=None)
    shown = lambda: json.loads(world.run(NUCLEUS, "ps", "--all", "--output", "json", env=one).stdout)["services"][0]
    wait_for("it waits for its next run", lambda: shown()["restarts"] >= 5 and shown()["state"] == "backoff")
    refused = world.run(NUCLEUS, "apply", "-f", path, env=two, status=1).stderr
    assert "one of that name runs in it, of " + one["NUCLEUS_RUNTIME_DIR"] in refused, refused
    # By another way to the same directory it is the same container.
    link = world.directory / "way"
    world.run("ln", "-s", one["NUCLEUS_RUNTIME_DIR"], link)
    assert "missing" not in world.run(NUCLEUS, "diff", "-f", path, env={**one, "NUCLEUS_RUNTIME_DIR": str(link)}).stdout
    for side in (two, one):
        world.run(NUCLEUS, "destroy", world.project, "--yes", env=side, status=None)
    assert world.cgroups() == []
