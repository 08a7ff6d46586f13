"""Where services may send to: what holds, what changes live, what is seen and repaired, and what production does by itself."""

import re
import subprocess

import pytest
from internet import HERE, OTHER, THERE

TOPOLOGY = """name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front"]
{}
"""


def reaches(world, host, port=80, service="service.web"):
    return world.inside(service, "busybox", "nc", "-w", "1", host, str(port), status=None).stdout != ""


def rules(world, service="service.web"):
    return world.inside(service, "nft", "list", "table", "inet", "nucleus_egress").stdout


def test_a_policy_changes_live_and_a_second_apply_does_nothing(world, internet):
    path = world.write(TOPOLOGY.format(f'egress_allow = ["{THERE}/32"]'))
    world.apply(path)
    pid = world.pid("service.web")
    assert reaches(world, THERE) and not reaches(world, OTHER)
    for policy, there, other in [(f'egress_allow = ["{OTHER}/32"]', False, True), ('egress_allow = []', False, False),
                                 (f'egress_allow = ["203.0.113.0/24"]\negress_tcp_ports = [80]', True, True),
                                 (f'egress_allow = ["203.0.113.0/24"]\negress_tcp_ports = [443]', False, False), ("", True, True)]:
        path = world.write(TOPOLOGY.format(policy))
        plan = world.json("diff", "-f", path)
        assert [change["action"] for change in plan["changes"]] == ["live"], plan
        world.apply(path)
        assert (reaches(world, THERE), reaches(world, OTHER)) == (there, other), policy
        assert "nothing to do" in world.nucleus("apply", "-f", path).stdout.lower()
    assert world.pid("service.web") == pid


def test_a_connection_ends_with_the_policy_that_allowed_it(world, internet):
    path = world.write(TOPOLOGY.format(f'egress_allow = ["{THERE}/32"]'))
    world.apply(path)
    echo = world.popen("nsenter", "-t", str(world.pid("service.web")), "--net", "--", "/usr/bin/python3", "-c", f"""
import socket, sys
s = socket.create_connection(("{THERE}", 80))
s.settimeout(2)
s.recv(100)
for line in sys.stdin:
    s.sendall(b"x")
    try:
        print("answer" if s.recv(1) else "end", flush=True)
    except OSError:
        print("nothing", flush=True)
""", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask():
        print(file=echo.stdin, flush=True)
        return echo.stdout.readline()

    assert ask() == "answer\n"
    world.apply(world.write(TOPOLOGY.format('egress_allow = []')))
    before = internet.packets()
    assert ask() == "nothing\n"
    assert internet.packets() == before
    echo.stdin.close()
    echo.wait(timeout=20)
    echo.stdout.close()


def test_who_asks_is_answered_whatever_the_policy(world, internet):
    world.apply(world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/usr/bin/busybox", "echo", "hello"]
networks = ["front"]
port_forwards = ["8080:80"]
egress_allow = []
"""))
    assert internet.run("sh", "-c", f"for i in 1 2 3 4 5; do busybox nc -w 2 {HERE} 8080 < /dev/null && break; sleep 0.2; done").stdout == "hello\n"


@pytest.mark.parametrize("damage", [
    "flush ruleset", "add table inet nucleus_egress { flags dormant ; }", "delete table inet nucleus_egress",
    "flush chain inet nucleus_egress output", "insert rule inet nucleus_egress output accept",
    "add rule inet nucleus_egress ports tcp dport 22 accept", "chain inet nucleus_egress output { policy accept; }",
    "add table inet nucleus_egress; add chain inet nucleus_egress other", "swap"])
def test_rules_that_are_gone_changed_or_too_many_are_drift(world, internet, damage):
    path = world.write(TOPOLOGY.format(f'egress_allow = ["{THERE}/32"]\negress_tcp_ports = [80, 443]'))
    world.apply(path)
    pid, right = world.pid("service.web"), rules(world)
    if damage == "swap":  # the order matters: what is counted as denied first
        handle = re.search(r'counter name "denied".*# handle (\d+)', world.inside("service.web", "nft", "-a", "list", "ruleset").stdout)[1]
        damage = f"delete rule inet nucleus_egress output handle {handle}; insert rule inet nucleus_egress output counter name denied"
    world.inside("service.web", "nft", damage)
    told = world.nucleus("drift", world.project, status=None).stdout
    assert "service.web" in told and "egress" in told, told
    world.apply(path)
    assert re.sub(r"packets \d+ bytes \d+", "", rules(world)) == re.sub(r"packets \d+ bytes \d+", "", right)
    assert reaches(world, THERE) and not reaches(world, OTHER)
    assert world.pid("service.web") == pid
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower()


def test_a_namespace_that_forwards_is_drift_and_forwards_no_more(world):
    """As a new one does where the machine forwards. To stop it sets other settings back."""
    path = world.write(TOPOLOGY.format(""))
    world.apply(path)
    world.inside("service.web", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    assert "ip_forward" in world.nucleus("drift", world.project, status=None).stdout
    world.apply(path)
    assert world.inside("service.web", "sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.conf.all.accept_redirects").stdout == "0\n0\n"
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout


def test_an_address_is_the_one_that_was_asked_for(world):
    text = """name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front"]
address = "10.77.0.{}"
[services.other]
command = ["/bin/sleep", "10000"]
networks = ["front"]
"""
    world.apply(world.write(text.format(99)))
    assert "inet 10.77.0.99/24" in world.inside("service.web", "ip", "addr").stdout
    other = world.pid("service.other")
    path = world.write(text.format(2))  # what the other one has by now
    world.apply(path)
    assert "inet 10.77.0.2/24" in world.inside("service.web", "ip", "addr").stdout
    assert "inet 10.77.0.2/24" not in world.inside("service.other", "ip", "addr").stdout
    assert world.pid("service.other") == other
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower()


@pytest.mark.parametrize("line, word", [
    ('address = "10.77.0.1"', "the host's"), ('address = "10.78.0.2"', "not an address of"), ('address = "10.77.0.255"', "not an address of"),
    ('egress_tcp_ports = [80]', "egress_allow")])
def test_what_makes_no_sense_has_its_place(world, line, word):
    path = world.write(TOPOLOGY.format(line).replace("[networks.front]", '[networks.front]\nsubnet = "10.77.0.0/24"'))
    refused = world.nucleus("validate", "-f", path, status=1)
    assert re.search(r"topology.toml:\d+:\d+: ", refused.stderr) and word in refused.stderr, refused.stderr


def test_two_services_cannot_have_one_address(world):
    path = world.write("""name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
[services.a]
command = ["/bin/sleep", "1"]
networks = ["front"]
address = "10.77.0.5"
[services.b]
command = ["/bin/sleep", "1"]
networks = ["front"]
address = "10.77.0.5"
""")
    assert "is that of 'a'" in world.nucleus("validate", "-f", path, status=1).stderr
