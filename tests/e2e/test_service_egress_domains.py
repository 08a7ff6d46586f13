"""Names that services may send to: looked up, kept fresh and changed live, on a bridge and in user space."""

import functools
import re
import subprocess

import pytest
from internet import HERE, OTHER, THERE, Internet
from nameserver import NameServer
from test_ipv6 import Internet6, THERE6
from userspace import BACKENDS, heard, keepers, settled, write
from world import NUCLEUS, wait_for

every_backend = pytest.mark.parametrize("backend", ["kernel", *BACKENDS])


@pytest.fixture
def names(world):
    internet = Internet(world)
    server = NameServer(internet, there=[THERE])
    yield server
    server.close()
    internet.close()


def lines(*domains, more=()):
    return (f'dns = ["{OTHER}"]', f"egress_domains = {list(domains)}".replace("'", '"'), *more)


def reached(world, host, port=80):
    return heard(functools.partial(world.inside, "service.web"), host, port, seconds=1) == f"{HERE}\n"


@every_backend
def test_a_name_leads_to_its_addresses_and_no_further(world, names, backend):
    path = write(world, backend, *lines("there.example"))
    world.apply(path)
    assert reached(world, THERE) and not reached(world, OTHER)
    assert len(keepers(world)) == 1
    settled(world, path)
    assert "nothing to do" in world.apply(path).stdout.lower()
    # Where it leads to by now.
    names.say(there=[OTHER])
    wait_for("another address", lambda: reached(world, OTHER), 30)
    assert reached(world, THERE)  # for a while yet
    settled(world, path)
    world.nucleus("destroy", world.project)
    world.nothing_left()
    assert keepers(world) == []


@every_backend
def test_names_come_and_go_live(world, names, backend):
    names.say(there=[THERE], other=[OTHER])
    world.apply(write(world, backend))
    pid = world.pid("service.web")
    if backend == "kernel":
        assert keepers(world) == []  # nothing needs one
    for domains, allowed in [(["there.example"], [THERE]), (["other.example", "there.example"], [OTHER, THERE]), (["other.example"], [OTHER])]:
        path = write(world, backend, *lines(*domains))
        assert re.search(r"~ +service.web +live", world.nucleus("diff", "-f", path).stdout)
        world.apply(path)
        assert [host for host in (OTHER, THERE) if reached(world, host)] == allowed
        settled(world, path)
    # Ports of theirs: the rules are made anew, and what is known is put into their set.
    path = write(world, backend, *lines("other.example", more=["egress_tcp_ports = [80]"]))
    world.apply(path)
    wait_for("the set", lambda: reached(world, OTHER))
    assert not reached(world, OTHER, 443)
    settled(world, path)
    path = write(world, backend, f'dns = ["{OTHER}"]')
    world.apply(path)
    assert reached(world, OTHER) and reached(world, THERE)
    if backend == "kernel":
        wait_for("its end", lambda: keepers(world) == [])
    assert world.pid("service.web") == pid
    settled(world, path)


def test_rules_that_are_restored_get_what_is_known(world, names):
    names.say(seconds=3000, there=[THERE])
    path = write(world, "kernel", *lines("there.example"))
    world.apply(path)
    names.say()  # nobody says it any more
    world.inside("service.web", "nft", "flush", "ruleset")
    assert "egress" in world.nucleus("diff", "-f", path).stdout
    world.apply(path)
    wait_for("the set", lambda: reached(world, THERE))
    assert not reached(world, OTHER)
    settled(world, path)


def test_whoever_keeps_them_is_started_again(world, names):
    names.say(seconds=1, there=[THERE])
    path = write(world, "kernel", *lines("there.example"), 'port_forwards = ["8080:80"]')
    world.apply(path)
    pid = world.pid("service.web")
    before = keepers(world)
    ports = lambda: world.json("ps")["services"][0]["ports"]
    published = ports()
    world.kill(*before)
    while keepers(world) in ([], before):  # it publishes nothing: the kernel does
        assert ports() == published != []
    names.say(there=[OTHER])
    wait_for("another address", lambda: reached(world, OTHER), 30)
    wait_for("its word", lambda: "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower())
    assert world.pid("service.web") == pid


def test_an_agent_is_warned_and_the_name_may_come_later(world, names):
    path = write(world, "kernel", *lines("later.example"))
    world.apply(path)
    assert "later.example" in world.nucleus("logs", f"{world.project}/web").stdout
    settled(world, path)
    names.say(later=[THERE])
    wait_for("the name", lambda: reached(world, THERE), 30)


def test_a_name_does_not_stand_for_what_is_inside(world, names):
    names.say(there=["10.77.0.1"], me=[HERE])
    world.apply(write(world, "kernel", *lines("there.example", "me.example")))
    told = world.nucleus("logs", f"{world.project}/web").stdout
    assert "10.77.0.1" in told and HERE in told
    assert world.inside("service.web", "nft", "list", "set", "inet", "nucleus_egress", "domains").stdout.count("elements") == 0


@every_backend
def test_production_starts_only_where_every_name_stands_for_something(world, names, backend):
    path = write(world, backend, *lines("there.example", "nowhere.example"))
    text = path.read_text().replace('service_mode = "agent"', 'service_mode = "production"').replace(
        "networks = [", 'rootfs = "/"\nmemory = "64M"\nnetworks = [')
    path.write_text(text)
    failed = world.apply(path, status=1)
    if "memory" in world.run("cat", "/sys/fs/cgroup/cgroup.controllers", status=None).stdout:
        assert "nowhere.example" in failed.stderr, failed.stderr
    assert world.containers() == {} and keepers(world) == []


def test_of_production_somebody_is_asked(world):
    path = write(world, "kernel", 'egress_domains = ["there.example"]')
    path.write_text(path.read_text().replace('service_mode = "agent"', 'service_mode = "production"'))
    refused = world.nucleus("validate", "-f", path, status=1)
    assert re.search(r"topology.toml:\d+:\d+: egress_domains: .*dns", refused.stderr), refused.stderr


# ---- with IPv6 ----

@pytest.fixture
def names6(world):
    internet = Internet6(world)
    server = NameServer(internet, both=[THERE, THERE6], six=[THERE6])
    yield server
    server.close()
    internet.close()


def test_a_name_stands_for_its_ipv6_addresses_too(world, names6):
    path = write(world, "kernel", *lines("six.example"))
    path.write_text(path.read_text().replace('subnet = "10.77.0.0/24"', 'subnet = "10.77.0.0/24"\nsubnet6 = "fd00:77::/64"'))
    world.apply(path)

    def reached6():
        return world.inside("service.web", "busybox", "timeout", "5", "busybox", "nc", "-w", "2", THERE6, "8006", status=None).stdout != ""

    assert reached6() and not reached(world, THERE)
    settled(world, path)
    path.write_text(path.read_text().replace("six.example", "both.example"))
    world.apply(path)
    assert reached6() and reached(world, THERE) and not reached(world, OTHER)
    settled(world, path)
    # What is documentation's leads nowhere but here; what is a network's own is none of a name's.
    names6.say(six=["fd00:77::1"], both=[THERE, "2002:a00::1"])
    path.write_text(path.read_text().replace("both.example", "six.example"))
    world.apply(path)
    assert "fd00:77::1" in world.nucleus("logs", f"{world.project}/web").stdout
    assert not reached6()


def test_a_container_with_ipv6_too(world, names6):
    script = f"(busybox nc -w 2 {THERE6} 8006 < /dev/null || echo no) | grep -q : && echo reached"
    done = world.nucleus("run", "--network", "bridge", "--dns", OTHER, "--egress-allow", "2001:db8:9::/64", "--egress-domain", "six.example",
                         "--", "sh", "-c", script)
    assert done.stdout == "reached\n", done


SILENT = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('10.99.0.1', 53))\nprint(len(s.recv(512)), flush=True)\nwhile True: s.recv(512)"


def test_a_stop_is_heeded_while_names_are_looked_up(world):
    world.run("sh", "-c", "ip link add d0 type bridge && ip addr add 10.99.0.1/24 dev d0 && ip link set d0 up")
    path = world.write('''name = "PROJECT"
[networks.n]
[services.web]
command = ["/bin/sleep", "1000"]
networks = ["n"]
dns = ["10.99.0.1"]
egress_domains = ["some.example"]
''')
    with world.popen("/usr/bin/python3", "-c", SILENT, stdout=subprocess.PIPE, text=True) as server, \
         world.popen(NUCLEUS, "apply", "-f", path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as applying:
        assert int(server.stdout.readline()) > 0, "it was asked"
        assert world.container("web")["state"] == "starting"
        world.nucleus("stop", "web", "--timeout", "0s")
        said = applying.communicate(timeout=60)[0]
        server.kill()
    assert applying.returncode != 0 and "somebody asked to stop" in said, said
    assert "does not stop" not in said and "start pid" not in world.nucleus("events", "web").stdout
