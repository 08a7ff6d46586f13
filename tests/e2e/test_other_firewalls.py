"""Beside the rules of others: a forward policy of drop as Docker sets it, and a table like firewalld's. Not the programs themselves."""

import subprocess

import pytest
from internet import HERE, THERE, Internet
from world import NUCLEUS, wait_for

DOCKER = """table ip filter {
  chain DOCKER-USER { }
  chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}"""
LET_THROUGH = """insert rule ip filter DOCKER-USER iifname "nb*" accept
insert rule ip filter DOCKER-USER oifname "nb*" accept"""
FIREWALLD = """table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    jump filter_FORWARD_POLICIES
    ct state invalid drop
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_POLICIES { oifname "up0" accept; }
}"""


@pytest.fixture
def internet(world):
    internet = Internet(world)
    yield internet
    internet.close()


def load(world, rules):
    path = world.directory / "others.nft"
    path.write_text(rules + "\n")
    world.run("nft", "-f", path)


def says(where, host, port):
    return where("sh", "-c", f"timeout 3 busybox nc -w 1 {host} {port} < /dev/null", status=None).stdout.strip()


@pytest.fixture
def ways(world, internet):
    """What a client outside is told at the published port of a container, and of a service; and what those two are told outside."""
    container = world.popen(NUCLEUS, "run", "--network", "bridge", "-p", "8081:80", "--", "sh", "-c", "echo up; exec busybox nc -ll -p 80 -e busybox echo run",
                            stdout=subprocess.PIPE, text=True)
    assert container.stdout.readline() == "up\n"
    path = world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/usr/bin/busybox", "echo", "web"]
networks = ["front"]
port_forwards = ["8080:80"]
""")
    world.apply(path)
    bridged = world.run("pgrep", "-f", "^busybox nc -ll -p 80 -e busybox echo run").stdout.split()[-1]
    inside = lambda *words, **options: world.run("nsenter", "-t", bridged, "--net", "--", *words, **options)

    def found():
        return (says(internet.run, HERE, 8081), says(internet.run, HERE, 8080), says(inside, THERE, 80),
                says(lambda *words, **options: world.inside("service.web", *words, **options), THERE, 80))

    found.path = path
    wait_for("all ways", lambda: found() == ("run", "web", HERE, HERE))
    yield found
    container.kill()
    container.wait()
    container.stdout.close()


OPEN, CLOSED = ("run", "web", HERE, HERE), ("", "", "", "")


def test_a_forward_policy_of_drop_holds_until_its_owner_lets_bridges_through(world, ways):
    load(world, DOCKER)
    assert ways() == CLOSED
    load(world, LET_THROUGH)
    assert ways() == OPEN
    assert "nothing to do" in world.nucleus("diff", "-f", ways.path).stdout.lower()
    # Our own rules go on to keep networks apart.
    address = world.inside("service.web", "sh", "-c", "ip -4 -o address show dev eth0").stdout.split()[3].split("/")[0]
    assert world.nucleus("run", "--network", "bridge", "--", "sh", "-c", f"busybox nc -w 1 {address} 80 < /dev/null || echo no").stdout == "no\n"


def test_a_table_like_firewallds_is_no_obstacle_and_a_flushed_ruleset_is_repaired(world, ways):
    load(world, FIREWALLD)
    assert ways() == OPEN
    world.run("nft", "delete", "table", "inet", "firewalld")  # as a reload does
    load(world, FIREWALLD)
    assert ways() == OPEN
    assert "nothing to do" in world.nucleus("diff", "-f", ways.path).stdout.lower()
    world.run("nft", "flush", "ruleset")
    assert "nft table missing" in world.nucleus("drift", world.project, status=None).stdout
    world.apply(ways.path)
    run, web, _, way_out = ways()
    assert (run, web, way_out) == ("", "web", HERE)  # of a run nobody repairs the rules
    assert "nothing to do" in world.nucleus("diff", "-f", ways.path).stdout.lower()
