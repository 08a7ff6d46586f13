"""IPv6 beside the rules of others: what Docker and an administrator do to the table of ip6tables, and a table like firewalld's."""

import re
import subprocess

import pytest
from internet6 import ASK, HERE6, SERVER, THERE6, Internet6
from test_other_firewalls import FIREWALLD, ZONES, load, others
from world import NUCLEUS, wait_for

# Docker's, since it handles IPv6 (ip6tables, on from 27): its own first, and nothing else is forwarded.
DOCKER = ["-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -j RETURN", "-P FORWARD DROP"]
PLAIN = ["-P FORWARD DROP", "-A FORWARD -m state --state ESTABLISHED -j ACCEPT"]

OPEN, CLOSED = (THERE6, THERE6, HERE6, HERE6), ("nothing",) * 4
TOPOLOGY = f"""name = "PROJECT"
[networks.front]
subnet6 = "fd00:77::/64"
[services.web]
command = ["/usr/bin/python3", "-c", '''{SERVER}''']
networks = ["front"]
port_forwards = ["[::]:8080:80"]
"""


@pytest.fixture
def internet(world):
    internet = Internet6(world)
    yield internet
    internet.close()


@pytest.fixture
def ways(world, internet):
    """What a client outside is told at the published port of a container, and of a service; and what those two are told outside."""
    container = world.popen(NUCLEUS, "run", "--network", "bridge", "-p", "[::]:8081:80", "--name", world.name("byhand"), "--", "python3", "-c", SERVER,
                            stdout=subprocess.PIPE, text=True)
    assert container.stdout.readline() == "up\n"
    path = world.write(TOPOLOGY)
    world.apply(path)
    pids = [world.containers()[world.name("byhand")]["pid"], world.pid("service.web")]

    def asked(pid):
        return world.run("nsenter", "-t", str(pid), "--net", "--", "/usr/bin/python3", "-c", ASK, THERE6, "8006", "1").stdout.strip()

    def found():
        return (internet.ask(HERE6, 8081, 1), internet.ask(HERE6, 8080, 1), *map(asked, pids))

    found.path = path
    wait_for("all ways", lambda: found() == OPEN)
    yield found
    container.kill()
    container.wait()
    container.stdout.close()


def ip6tables(world, rules):
    for rule in rules:
        world.run("ip6tables-nft", *rule.split())


@pytest.mark.parametrize("rules", [DOCKER, PLAIN], ids=["docker", "plain"])
def test_a_forward_policy_of_drop_is_drift_and_apply_opens_a_way(world, ways, rules):
    ip6tables(world, rules)
    assert ways() == CLOSED
    told = world.nucleus("drift", world.project, status=None).stdout
    assert "way through ip6 filter FORWARD" in told, told
    world.apply(ways.path)
    assert ways() == OPEN  # of a run too, which nobody looks after
    assert "nothing to do" in world.nucleus("diff", "-f", ways.path).stdout.lower()
    listed = world.run("ip6tables-nft", "-S", "FORWARD").stdout.splitlines()
    bridge = world.links()[f"nucleus:{world.project}/network.front"]
    ours = [line for line in listed if "nucleus_" in line]
    assert {line.split()[2:4] == ["-i", bridge] for line in ours} == {True, False} and ours == listed[-len(ours):], listed


@pytest.mark.parametrize("rules", [DOCKER, PLAIN], ids=["docker", "plain"])
def test_the_way_is_there_from_the_start_and_goes_with_the_last_of_us(world, internet, rules):
    ip6tables(world, rules)
    rules_of_others = lambda: re.sub(r"packets \d+ bytes \d+", "", others(world))
    before = rules_of_others()
    path = world.write(TOPOLOGY)
    world.apply(path)
    assert internet.ask(HERE6, 8080) == THERE6
    said = world.nucleus("run", "--network", "bridge", "--egress-allow", f"{THERE6}/128", "--", "python3", "-c", ASK, THERE6, "8006", "2")
    assert said.stdout.strip() == HERE6
    world.nucleus("destroy", world.project, "--yes")
    assert rules_of_others() == before


def test_who_is_banned_by_a_rule_of_dockers_stays_banned(world, internet, ways):
    ip6tables(world, [*DOCKER, f"-I DOCKER-USER -s {THERE6} -j DROP"])
    world.apply(ways.path)
    assert ways()[:2] == ("nothing", "nothing")
    ip6tables(world, ["-F DOCKER-USER"])
    assert internet.ask(HERE6, 8080) == THERE6


def test_firewalld_lets_in_what_is_published_and_its_warning_says_what_is_missing(world, internet, ways):
    load(world, ZONES)
    assert ways() == (THERE6, THERE6, "nothing", "nothing")
    warned = world.nucleus("diff", "-f", ways.path).stderr
    assert "firewalld lets nothing be forwarded" in warned and "policy.xml" in warned, warned
    load(world, 'table inet firewalld { chain filter_FORWARD_ZONES { iifname "nb*" accept; }; }')
    assert ways() == OPEN and "firewalld" not in world.nucleus("diff", "-f", ways.path).stderr
    world.run("nft", "delete", "table", "inet", "firewalld")
    load(world, FIREWALLD)  # the link that leads out is in a zone
    assert ways() == OPEN
