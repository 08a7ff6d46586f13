"""Names that may be sent to: who says what they stand for, for how long, and what they never stand for."""

import json
import subprocess

import pytest
from internet import HERE, OTHER, THERE, Internet
from nameserver import NameServer
from sandbox import image  # noqa: F401 (fixture)
from world import NUCLEUS, wait_for

BRIDGE = ("--network", "bridge", "--dns", OTHER)


@pytest.fixture
def names(world):
    internet = Internet(world)
    server = NameServer(internet, there=[THERE])
    yield server
    server.close()
    internet.close()


def talk(host, port=80):
    """Shell words that print what a server says, or `no`."""
    return f"(busybox nc -w 1 {host} {port} < /dev/null 2>/dev/null || echo no); "


def run(world, *arguments, **options):
    *flags, script = arguments
    return world.nucleus("run", *BRIDGE, *flags, "--", "sh", "-c", script, **options)


def test_a_name_leads_to_its_addresses_and_no_further(world, names):
    done = run(world, "--egress-domain", "There.Example.", talk(THERE) + talk(THERE, 443) + talk(OTHER))
    assert done.stdout == f"{HERE}\n{HERE}\nno\n"
    assert done.stderr.startswith("nucleus: ") and "denied by egress rules" in done.stderr, done.stderr
    assert run(world, "--egress-domain", "there.example", "--egress-tcp-port", "443", talk(THERE) + talk(THERE, 443)).stdout == f"no\n{HERE}\n"
    assert run(world, "--egress-domain", "there.example", "--egress-allow", f"{OTHER}/32", talk(THERE) + talk(OTHER)).stdout == f"{HERE}\n{HERE}\n"


def test_what_does_not_fit_a_datagram_is_asked_for_by_tcp(world, names):
    here = NameServer(names.internet, HERE, long=[THERE])
    assert world.nucleus("run", "--network", "bridge", "--dns", HERE, "--egress-domain", "long.example", "--", "sh", "-c", talk(THERE)).stdout == f"{HERE}\n"
    here.close()


def test_the_rules_show_which_names(world, names):
    shown = json.loads(run(world, "--egress-domain", "there.example", "--egress-tcp-port", "443", "--dry-run", "--output", "json", "true").stdout)
    assert "output: ip daddr @domains jump ports" in shown["network"]["egress"]


def sees(world, *flags, script):
    """A run that goes on until its script has seen what it waits for."""
    process = world.popen(NUCLEUS, "run", *BRIDGE, *flags, "--", "sh", "-c", "echo up; " + script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


def test_what_a_name_stands_for_is_looked_up_again_and_what_it_stood_for_stays_a_while(world, names):
    names.say(there=[THERE])
    process = sees(world, "--egress-domain", "there.example", script=f"until busybox nc -w 1 {OTHER} 80 < /dev/null 2>/dev/null; do sleep 0.5; done; " + talk(THERE))
    names.say(there=[OTHER])
    out, _ = process.communicate(timeout=60)
    assert out == f"{HERE}\n{HERE}\n"


def test_production_starts_only_where_every_name_stands_for_something(world, names, image):  # noqa: F811
    production = ("--service-mode", "production", "--rootfs", image, "--memory", "64M")
    refused = run(world, *production, "--egress-domain", "there.example", "--egress-domain", "nowhere.example", "echo ran", status=125)
    assert refused.stdout == ""
    if "memory" in world.run("cat", "/sys/fs/cgroup/cgroup.controllers", status=None).stdout:
        assert "nowhere.example" in refused.stderr, refused.stderr


def test_an_agent_is_warned_and_the_name_may_come_later(world, names):
    process = sees(world, "--egress-domain", "later.example", script=f"until busybox nc -w 1 {THERE} 80 < /dev/null 2>/dev/null; do sleep 0.5; done")
    names.say(later=[THERE])
    out, err = process.communicate(timeout=60)
    assert out == f"{HERE}\n"
    warned, denied = err.splitlines()
    assert warned.startswith("nucleus: warning: ") and "later.example" in warned and "denied" in denied


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.64.0.1", "169.254.169.254", "192.168.1.1", "224.0.0.1"])
def test_a_name_does_not_stand_for_what_is_inside(world, names, inside):
    names.say(there=[inside])
    done = run(world, "--egress-domain", "there.example", "true")
    assert inside in done.stderr and "egress_allow" in done.stderr, done.stderr


def test_a_name_does_not_stand_for_the_machine_itself(world, names):
    names.say(there=[THERE], me=[HERE])
    server = world.popen("busybox", "nc", "-ll", "-s", HERE, "-p", "8099", "-e", "busybox", "echo", "secret")
    done = run(world, "--egress-domain", "me.example", "--egress-domain", "there.example", talk(THERE) + talk(HERE, 8099), status=None)
    assert done.stdout == f"{HERE}\nno\n", done
    assert f"it stands for {HERE}" in done.stderr
    server.kill()
    server.wait()


def test_who_waits_for_names_may_be_interrupted(world, names):
    internet = names.internet
    internet.run("nft", "add table inet quiet; add chain inet quiet in { type filter hook input priority 0; udp dport 53 drop; }")
    process = world.popen(NUCLEUS, "run", *BRIDGE, "--egress-domain", "there.example", "--", "echo", "ran", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Its table is among the last things before names are looked up.
    wait_for("its bridge", lambda: "nucleus" in world.run("nft", "list", "tables").stdout)
    world.run("pkill", "-INT", "-f", "nucleus run.*there.example")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, ""), (process.returncode, out, err)


def test_the_set_is_kept_with_a_time_for_each_address(world, names):
    """Whoever keeps it may die: nothing stays open for it."""
    process = sees(world, "--egress-domain", "there.example", "--name", world.name("kept"), script="exec sleep 1000")
    pid = wait_for("it to run", lambda: next((row["pid"] for row in world.json("ps")["services"] if row["name"] == world.name("kept")), None))
    listed = world.run("nsenter", "-t", str(pid), "--net", "--", "nft", "-j", "list", "set", "inet", "nucleus_egress", "domains").stdout
    elements = next(entry["set"]["elem"] for entry in json.loads(listed)["nftables"] if "set" in entry)
    assert [element["elem"]["val"] for element in elements] == [THERE] and all(0 < element["elem"]["timeout"] <= 1000 for element in elements)
    world.kill(pid)
    process.communicate(timeout=20)


@pytest.mark.parametrize("flags, word", [
    (("--egress-domain", "*.example"), "wildcards"), (("--egress-domain", "10.0.0.1"), "not a domain name"), (("--egress-domain", "a..b"), "not a domain name")])
def test_what_is_no_name_is_refused(world, flags, word):
    assert word in run(world, *flags, "true", status=125).stderr
    assert "bridge" in world.nucleus("run", "--egress-domain", "a.example", "--", "true", status=125).stderr
