"""Beside the rules of others: a forward policy of drop as Docker sets it, and a table like firewalld's. Not the programs themselves."""

import subprocess

import pytest
from internet import HERE, THERE
from world import NUCLEUS, wait_for

DOCKER = """table ip filter {
  chain DOCKER-USER { }
  chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}"""
PLAIN = """table ip filter {
  chain FORWARD { type filter hook forward priority filter; policy drop; }
}
table ip6 filter {
  chain FORWARD { type filter hook forward priority filter; policy drop; }
}
table inet admin {
  chain forward { type filter hook forward priority 5; policy drop; ct state established accept; }
}"""
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

# As firewalld 1.3 has it where everything is in the zone public.
ZONES = """table inet firewalld {
  chain filter_FORWARD_POLICIES_pre { }
  chain filter_FORWARD_ZONES { }
  chain filter_FWD_public { jump filter_FORWARD_POLICIES_pre; reject with icmpx admin-prohibited; }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_FORWARD_ZONES
    goto filter_FWD_public
  }
}
"""


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


def others(world):
    """The rulesets of others without handles and counters, as they print."""
    return world.run("nft", "list", "ruleset").stdout


@pytest.mark.parametrize("rules", [DOCKER, PLAIN], ids=["docker", "plain"])
def test_a_forward_policy_of_drop_is_drift_and_apply_opens_a_way_for_bridges_alone(world, internet, ways, rules):
    load(world, rules)
    assert ways() == CLOSED
    told = world.nucleus("drift", world.project, status=None).stdout
    assert "way through ip filter FORWARD" in told, told
    world.apply(ways.path)
    assert ways() == OPEN  # of a run too, which nobody looks after
    assert "nothing to do" in world.nucleus("diff", "-f", ways.path).stdout.lower()
    # Their own tools go on to understand their table.
    listed = world.run("iptables-nft", "-S", "FORWARD").stdout.splitlines()
    bridge = world.links()[f"nucleus:{world.project}/network.front"]
    ours = [line for line in listed if "nucleus_" in line]
    assert ours and f"-i {bridge} " in ours[0] and ours == listed[-len(ours):], listed  # behind what they drop by rules
    assert any(f"-o {bridge} " in line for line in ours), listed
    # Our own rules go on to keep networks apart, and to keep everybody else out.
    address = world.inside("service.web", "sh", "-c", "ip -4 -o address show dev eth0").stdout.split()[3].split("/")[0]
    assert world.nucleus("run", "--network", "bridge", "--", "sh", "-c", f"busybox nc -w 1 {address} 80 < /dev/null || echo no").stdout == "no\n"
    internet.run("ip", "route", "add", f"{address}/32", "via", HERE)
    assert says(internet.run, address, 80) == ""


def test_what_others_drop_by_rules_stays_dropped(world, internet, ways):
    load(world, DOCKER.replace("chain DOCKER-USER { }", f"chain DOCKER-USER {{ ip saddr {THERE} drop; }}"))
    world.apply(ways.path)
    run, web, _, _ = ways()
    assert (run, web) == ("", "")  # who is banned stays banned
    world.run("nft", "flush", "chain", "ip", "filter", "DOCKER-USER")
    assert says(internet.run, HERE, 8080) == "web"
    world.run("nft", "flush", "chain", "ip", "filter", "FORWARD")
    assert "way through" in world.nucleus("drift", world.project, status=None).stdout
    world.apply(ways.path)
    assert says(internet.run, HERE, 8080) == "web"


def test_whoever_comes_by_opens_the_way_of_all_and_takes_along_its_own(world, internet, ways):
    load(world, DOCKER)
    assert ways() == CLOSED
    assert world.nucleus("run", "--network", "bridge", "--", "sh", "-c", f"busybox nc -w 5 {THERE} 80 < /dev/null").stdout.strip() == HERE
    assert ways() == OPEN
    assert "nothing to do" in world.nucleus("diff", "-f", ways.path).stdout.lower()
    world.nucleus("destroy", world.project, "--yes")
    assert says(internet.run, HERE, 8081) == "run"
    left = [line for line in world.run("nft", "list", "chain", "ip", "filter", "FORWARD").stdout.splitlines() if "nucleus_" in line]
    assert len(left) == 2, left  # the run's, of one bridge


@pytest.mark.parametrize("rules", [DOCKER, PLAIN], ids=["docker", "plain"])
def test_the_way_is_there_from_the_start_and_goes_with_the_last_of_us(world, internet, rules):
    load(world, rules)
    before = others(world)
    talk = f"busybox nc -w 5 {THERE} 80 < /dev/null"
    assert world.nucleus("run", "--network", "bridge", "--", "sh", "-c", talk).stdout.strip() == HERE
    assert others(world) == before
    path = world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "1000"]
networks = ["front"]
""")
    world.apply(path)
    assert world.nucleus("run", "--network", "bridge", "--", "sh", "-c", talk).stdout.strip() == HERE
    assert world.inside("service.web", "sh", "-c", talk).stdout.strip() == HERE  # the run has not taken it along
    world.nucleus("destroy", world.project, "--yes")
    assert others(world) == before


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


def test_firewalld_without_our_zone_is_told(world, internet):
    path = world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "1000"]
networks = ["front"]
""")
    word = "warning: firewalld lets nothing be forwarded from bridges of nucleus"
    told = lambda path: word in world.nucleus("diff", "-f", path).stderr
    assert not told(path)
    load(world, ZONES)
    assert told(path) and word in world.apply(path).stderr
    inner = world.write(path.read_text().replace("[networks.front]", "[networks.front]\ninternal = true"), "inner.toml")
    assert not told(inner)  # leads nowhere anyway

    def alone(more):
        world.run("nft", "delete", "table", "inet", "firewalld")
        load(world, ZONES + more)
        return not told(path)

    zone = ("chain filter_FWD_nucleus {\njump filter_FORWARD_POLICIES_pre\nreject with icmpx admin-prohibited\n}\n"
            'chain filter_FORWARD_ZONES {\niifname "nb*" goto filter_FWD_nucleus\n}\n')
    policy = ("chain filter_FWD_policy_nucleus-forward {\naccept\n}\n"
              'chain filter_FORWARD_POLICIES_pre {\niifname "nb*" jump filter_FWD_policy_nucleus-forward\n}\n')
    assert not alone(f"table inet firewalld {{ {zone} }}")  # the zone without its policy
    assert not alone("table inet firewalld { chain filter_FWD_other_nucleus { accept; }; }")
    assert alone(f"table inet firewalld {{ {policy} {zone} }}")
    trusted = 'chain filter_FWD_trusted {\naccept\n}\nchain filter_FORWARD_ZONES {\niifname "nb*" goto filter_FWD_trusted\n}\n'
    assert alone(f"table inet firewalld {{ {trusted} }}")
