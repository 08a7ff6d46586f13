"""IPv6 of networks in user space: a way out, rules that hold, ports where the program can publish them, and a word where it cannot."""

import functools
import re
import subprocess

import pytest
from internet import HERE
from internet6 import ASK, HERE6, OTHER6, SERVER, THERE6, Internet6
from ordinary import Ordinary
from userspace import BACKENDS, digest, fetch, heard, helpers, keepers, settled, write
from world import NUCLEUS, wait_for

backends = pytest.mark.parametrize("backend", BACKENDS)
pasta = pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend.values[0] == "pasta"])

# At the host outside: what comes for the address that is allowed, and for the other.
COUNTERS = f"""table ip6 count6 {{
  counter allowed {{ }}
  counter strange {{ }}
  chain in {{
    type filter hook prerouting priority -400; iifname "lo" return
    ip6 daddr {THERE6} meta l4proto != ipv6-icmp counter name "allowed"
    ip6 daddr {OTHER6} counter name "strange"
  }}
}}"""


class Counting(Internet6):
    def __init__(self, world):
        super().__init__(world)
        self.run("ip", "address", "add", f"{OTHER6}/64", "dev", "in0", "nodad", "preferred_lft", "0")  # it asks nobody from there
        (world.directory / "counters6.nft").write_text(COUNTERS)
        self.run("nft", "-f", world.directory / "counters6.nft")

    def packets6(self, name):
        told = self.run("nft", "list", "counter", "ip6", "count6", name).stdout
        return int(re.search(r"packets (\d+)", told).group(1))


@pytest.fixture
def internet(world):
    internet = Counting(world)
    yield internet
    internet.close()


def write6(world, backend, *lines, v6=True):
    path = write(world, backend, *lines)
    if v6:
        path.write_text(path.read_text().replace("[networks.front]", '[networks.front]\nsubnet6 = "fd00:77::/64"'))
    return path


@backends
def test_there_is_a_way_out_and_none_to_the_machines_loopback(world, internet, backend):
    path = write6(world, backend)
    world.apply(path)
    inside = functools.partial(world.inside, "service.web")
    assert heard(inside, THERE6, 8006) == HERE6
    world.popen("/usr/bin/python3", "-c", SERVER.replace('("::", 80)', '("::1", 7001)'))
    wait_for("the listener", lambda: heard(world.run, "::1", 7001) == "::1")
    for address in ("fd00::2", "fd00::3", "fd00::1"):
        assert heard(inside, address, 7001, seconds=1) == "", address
    world.run("pkill", "-f", "7001")
    hosts = world.run("cat", world.runtime / "projects" / world.project / "service.web/hosts").stdout
    assert "fd00::64\tweb" in hosts
    settled(world, path)
    # Only the addresses that it was given.
    addresses = inside("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global").stdout
    assert re.findall(r"inet6 (\S+)", addresses) == ["fd00::64/64"]
    world.nucleus("destroy", world.project)
    world.nothing_left()
    assert helpers(world, backend) == keepers(world) == []


# Sends to an address by TCP and UDP without a pause that would wait for anything.
SENDER = """
import socket, sys, time
print("up", flush=True)
while True:
    for type in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6, type) as s:
            s.setblocking(False)
            try: s.connect((sys.argv[1], 9999)); s.send(b"x")
            except OSError: pass
    time.sleep(0.001)
"""


@backends
def test_rules_hold_while_ports_and_rules_change_and_the_program_dies(world, internet, backend):
    allow = f'egress_allow = ["{THERE6}/128"]'
    published = 'port_forwards = ["8080:80"]'
    on = lambda *more: world.apply(write6(world, backend, allow, *more))
    on(published)
    denied = lambda: world.container("web")["egress_denied"]
    sender = world.popen("nsenter", "-t", str(world.pid("service.web")), "--net", "--", "/usr/bin/python3", "-c", SENDER, OTHER6, stdout=subprocess.PIPE, text=True)
    assert sender.stdout.readline() == "up\n"
    for number in range(3):
        before = denied()
        on(f"egress_tcp_ports = [{440 + number}]")
        on(published)
        world.kill(*helpers(world, backend))
        wait_for("it to be started again", lambda: heard(functools.partial(world.inside, "service.web"), THERE6, 8006) == HERE6)
        wait_for("more to be denied", lambda: denied() > before)  # noqa: B023
    assert internet.packets6("strange") == 0
    # What is let through does arrive there.
    world.apply(write6(world, backend, f'egress_allow = ["{THERE6}/128", "{OTHER6}/128"]'))
    wait_for("it to arrive", lambda: internet.packets6("strange") > 0)
    world.run("pkill", "-KILL", "-f", "9999")
    sender.wait(timeout=20)
    sender.stdout.close()
    world.nucleus("destroy", world.project)
    world.nothing_left()


# Sends by every kind of socket, to one that is allowed and to one that is not, from its first moment on; says how often.
TALKER = f"""
import socket, time
tries = 0
while True:
    for host in ("{THERE6}", "{OTHER6}"):
        for kind, protocol in ((socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0), (socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)):
            try:
                with socket.socket(socket.AF_INET6, kind, protocol) as s:
                    s.setblocking(False)
                    s.connect((host, 80))
                    s.send(b"\\\\x80\\\\0\\\\0\\\\0\\\\0\\\\1\\\\0\\\\1hello")
            except OSError:
                pass
            tries += 1
    with open("/tries", "w") as file:
        file.write(str(tries))
    time.sleep(0.001)
"""


@backends
def test_rules_hold_whatever_dies_and_changes(world, internet, backend):
    text = f"""name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
subnet6 = "fd00:77::/64"
[services.web]
command = ["/usr/bin/python3", "-c", '''{TALKER}''']
volumes = ["{world.directory}/tries:/tries"]
networks = ["front"]
nat_backend = "{backend}"
egress_allow = ["{THERE6}/128"]
"""
    tries = world.directory / "tries"
    tries.write_text("0")
    world.apply(world.write(text))
    pid = world.pid("service.web")
    more = lambda count: internet.packets6("allowed") > count
    wait_for("what is allowed", lambda: more(50))
    for kill in (lambda: helpers(world, backend), lambda: keepers(world)):
        before = internet.packets6("allowed")
        world.kill(*kill())
        wait_for("what is allowed", lambda: more(before + 50))  # noqa: B023
    # Narrower and wide again, under the running workload.
    for port in (443, 80):
        world.apply(world.write(text + f"egress_tcp_ports = [{port}]\n"))
    before = internet.packets6("allowed")
    wait_for("what is allowed", lambda: more(before + 50))
    world.inside("service.web", "ip", "link", "del", "eth0")
    before = internet.packets6("allowed")
    wait_for("what is allowed", lambda: more(before + 50))
    wait_for("thousands of tries", lambda: int(tries.read_text() or 0) > 6000)
    assert internet.packets6("strange") == 0 and world.pid("service.web") == pid


@pasta
def test_pasta_publishes_on_either(world, internet, backend):
    path = write6(world, backend, 'port_forwards = ["8080:80", "[::1]:8081:80", "[2001:db8::1]:8082:80", "0.0.0.0:8083:80"]')
    world.apply(path)
    whole = digest(world)
    served = {(name, port) for name, run in (("here", world.run), ("outside", internet.run)) for host, port in (
        (HERE, 8080), (f"[{HERE6}]", 8080), ("[::1]", 8081), (f"[{HERE6}]", 8082), ("[::1]", 8082), (f"[{HERE6}]", 8083), (HERE, 8083))
        for port in [f"{host}:{port}"] if fetch(run, *port.rsplit(":", 1)) == whole}
    both = {f"{HERE}:8080", f"[{HERE6}]:8080", f"[{HERE6}]:8082", f"{HERE}:8083"}
    assert served == {("outside", port) for port in both} | {("here", port) for port in both | {"[::1]:8081"}}
    settled(world, path)


def test_what_slirp4netns_cannot_is_said_and_pasta_is_found(world, internet):
    port = 'port_forwards = ["[::]:8080:80"]'
    refused = world.nucleus("validate", "-f", write6(world, "slirp4netns", port), status=1)
    assert re.search(r"topology.toml:\d+:\d+: .*slirp4netns publishes on IPv4 addresses alone.*pasta", refused.stderr), refused.stderr
    path = write6(world, "userspace", port)
    for backend in BACKENDS:
        if backend.marks[0].args[0]:
            pytest.skip(backend.marks[0].kwargs["reason"])
    # Changed while it runs: another program.
    world.apply(write6(world, "userspace", 'port_forwards = ["8080:80"]'))
    pid = world.pid("service.web")
    assert helpers(world, "slirp4netns") != []
    path = write6(world, "userspace", port)
    world.apply(path)
    assert fetch(internet.run, f"[{HERE6}]", 8080) == digest(world)
    assert helpers(world, "slirp4netns") == [] and helpers(world, "pasta") != [] and world.pid("service.web") == pid
    settled(world, path)
    world.nucleus("destroy", world.project)
    world.run("mount", "--bind", "/dev/null", "/usr/bin/pasta")
    refused = world.apply(path, status=1)
    assert "[::]:8080:80/tcp is published by no other" in refused.stderr and "apt install passt" in refused.stderr, refused.stderr
    world.nothing_left()


@backends
def test_it_drifts_is_repaired_and_changes_live(world, internet, backend):
    path = write6(world, backend)
    world.apply(path)
    pid = world.pid("service.web")
    inside = functools.partial(world.inside, "service.web")
    for spoil in (("ip", "-6", "route", "del", "default"), ("ip", "address", "add", "2001:db8:9::1/64", "dev", "eth0")):
        inside(*spoil)
        assert "link of its program" in world.nucleus("diff", "-f", path).stdout
        world.apply(path)
        settled(world, path)
        assert heard(inside, THERE6, 8006) == HERE6
    for v6 in (False, True):
        path = write6(world, backend, v6=v6)
        world.apply(path)
        wait_for("its word", lambda: "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower())  # noqa: B023
        assert heard(inside, THERE6, 8006, seconds=2) == (HERE6 if v6 else "")
    assert world.pid("service.web") == pid


@backends
@pytest.mark.parametrize("who", ["root", "an ordinary user"])
def test_run_has_it_where_its_options_speak_of_it(world, internet, backend, who):
    nucleus, options = [NUCLEUS], {}
    if who != "root":
        ordinary = Ordinary(world)
        world.run("sh", "-c", "mknod -m 0666 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun")
        nucleus, options = ["setpriv", "--reuid=33", "--regid=33", "--clear-groups", "/mnt/nucleus"], {"env": ordinary.environment, "cwd": "/"}
    ask = f"{ASK}\nsys.argv[1] = '{OTHER6}'\n{ASK}"  # the second is not allowed
    ask = ask.replace("print(s.recv(100).decode())", "print(s.recv(100).decode()); s.recv(100)")
    said = world.run(*nucleus, "run", "--network", "bridge", "--nat-backend", backend, "--egress-allow", f"{THERE6}/128", "--",
                     "/usr/bin/python3", "-c", ask, THERE6, "8006", "2", **options)
    assert said.stdout.split() == [HERE6, "nothing"]
    assert internet.packets6("strange") == 0
    plain = world.run(*nucleus, "run", "--network", "bridge", "--nat-backend", backend, "--", "cat", "/proc/net/if_inet6", **options)
    assert "eth0" not in plain.stdout
    refused = world.run(*nucleus, "run", "--network", "bridge", "--nat-backend", "slirp4netns", "-p", "[::]:8080:80", "--", "true", status=None, **options)
    assert refused.returncode != 0 and "slirp4netns publishes on IPv4 addresses alone" in refused.stderr


def test_topologies_of_an_ordinary_user_have_it(world, internet):
    for backend in BACKENDS:
        if backend.marks[0].args[0]:
            pytest.skip(backend.marks[0].kwargs["reason"])
    ordinary = Ordinary(world)
    world.run("sh", "-c", "mknod -m 0666 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun")
    text = f"""name = "shop"
[defaults]
service_mode = "agent"
[networks.front]
subnet6 = "fd00:77::/64"
[services.web]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "page"]
networks = ["front"]
port_forwards = ["8080:80"]
egress_allow = ["{THERE6}/128"]
"""

    def put(text):
        (world.directory / "ordinary.toml").write_text(text)
        world.run("install", "-m", "0644", world.directory / "ordinary.toml", "/mnt/data/topology.toml")
        ordinary.nucleus("apply", "-f", "/mnt/data/topology.toml")
        assert "nothing to do" in ordinary.nucleus("diff", "-f", "/mnt/data/topology.toml").stdout.lower()

    put(text)
    pid = world.run("pgrep", "-f", "nc -ll -p 80").stdout.split()[0]
    inside = lambda *command, **more: world.run("nsenter", "-t", pid, "--net", "--", *command, **more)
    assert heard(inside, THERE6, 8006) == HERE6 and heard(inside, OTHER6, 8006, seconds=1) == ""
    asked = lambda host: internet.run("busybox", "timeout", "3", "busybox", "nc", "-w", "2", host, "8080", status=None).stdout
    assert (asked(HERE), asked(HERE6)) == ("page\n", "")
    put(text.replace('"8080:80"', '"[::]:8080:80"'))
    assert (asked(HERE), asked(HERE6)) == ("", "page\n")
    ordinary.nucleus("destroy", "shop")
    assert internet.packets6("strange") == 0
