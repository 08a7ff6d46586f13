"""`nucleus run --network bridge`: the way out, the ways in, what is resolved, what may be sent; and that nothing stays."""

import json
import os
import pathlib
import subprocess

import pytest
from internet import HERE, OTHER, RESOLVER, THERE
from ordinary import Ordinary
from sandbox import image, run  # noqa: F401 (fixture)
from world import NUCLEUS, wait_for

BRIDGE = ("--network", "bridge")


def forwarding(world):
    return world.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip()


def links(world):
    return {link["ifname"] for link in json.loads(world.run("ip", "-j", "link").stdout)}


def rules(world):
    return world.run("nft", "list", "ruleset").stdout


@pytest.fixture
def unchanged(world, internet):
    """The machine is after the test what it was before it."""
    before = links(world), rules(world), forwarding(world)
    yield
    assert (links(world), rules(world), forwarding(world)) == before


def talk(host, port, seconds=2):
    """Shell words that print what a server says, or nothing."""
    return f"busybox nc -w {seconds} {host} {port} < /dev/null 2>/dev/null"


def ask(host, port):
    """The same by a datagram."""
    return f"""python3 -c 'import socket
s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(1); s.sendto(b"x", ("{host}", {port})); print(s.recv(99))'"""


TRIES = "".join(f'[ -n "$({words} 2>/dev/null)" ] && echo {name}; ' for name, words in {
    "80": talk(THERE, 80, 1), "443": talk(THERE, 443, 1), "other": talk(OTHER, 80, 1), "udp": ask(THERE, 9999), "dns": ask(RESOLVER, 53)}.items()) + "true"


def sh(world, *arguments, status=0, **options):
    *flags, script = arguments
    return run(world, *BRIDGE, *flags, "--", "sh", "-c", script, status=status, **options)


def up_when_listening(port):
    """Shell words before those that start a server: proc_pid_net(5) has it as listening."""
    return f'(until grep -qE ":{port:04X} [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6; do busybox sleep 0.02; done; echo up) & exec '


def serve(world, *flags, port=80):
    """A container that greets who connects."""
    process = world.popen(
        NUCLEUS, "run", *BRIDGE, "--name", world.name("server"), *flags, "--", "sh", "-c",
        f"{up_when_listening(port)} busybox nc -ll -p {port} -e busybox echo from-inside", stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


def stop(world, process, words):
    """Asks what has these words on its command line; the process here is the one that entered the world."""
    world.run("pkill", "-TERM", "-f", words)
    process.wait(timeout=20)
    process.stdout.close()


def test_a_bridge_leads_out_under_the_address_of_the_host_and_nothing_stays(world, internet, unchanged):
    assert sh(world, talk(THERE, 80)).stdout == f"{HERE}\n"
    assert not list(pathlib.Path(f"/proc/{world.init}/root{world.runtime}").rglob("container.*"))


def test_without_a_bridge_there_is_no_way_out(world, internet):
    assert run(world, "--", "sh", "-c", talk(THERE, 80) + " || echo no").stdout == "no\n"
    assert internet.packets() == 0


def test_a_published_port_is_reached_where_it_was_published_and_nowhere_else(world, internet, unchanged):
    server = serve(world, "-p", "8080:80", "-p", f"{HERE}:8081:80", "-p", "127.0.0.1:8082:80")
    world.run("ip", "address", "add", "198.51.100.1/24", "dev", "up0")
    wait_for("the port to answer", lambda: world.run("sh", "-c", talk("127.0.0.1", 8080, 1), status=None).stdout)
    reach = lambda where, host, port: where("sh", "-c", talk(host, port, 1), status=None).stdout
    inside, outside = world.run, internet.run
    internet.run("ip", "route", "add", "198.51.100.0/24", "via", HERE)
    for where, host, port, reached in [
            (inside, "127.0.0.1", 8080, True), (inside, HERE, 8080, True), (outside, HERE, 8080, True), (outside, "198.51.100.1", 8080, True),
            (inside, HERE, 8081, True), (outside, HERE, 8081, True), (inside, "127.0.0.1", 8081, False), (outside, "198.51.100.1", 8081, False),
            (inside, "127.0.0.1", 8082, True), (outside, HERE, 8082, False), (outside, HERE, 80, False)]:
        assert (reach(where, host, port) == "from-inside\n") == reached, (where is inside, host, port)
    stop(world, server, "nucleus run.*server")
    world.run("ip", "address", "del", "198.51.100.1/24", "dev", "up0")


def test_the_source_address_of_who_comes_from_outside_is_kept(world, internet):
    server = world.popen(NUCLEUS, "run", *BRIDGE, "-p", "8080:80", "--", "sh", "-c",
                         up_when_listening(80) + "busybox nc -l -p 80 -e busybox cat /proc/net/tcp6", stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "up\n"
    table = internet.run("sh", "-c", talk(HERE, 8080)).stdout
    assert "027100CB:" in table  # 203.0.113.2 as proc_pid_net(5) has it
    server.wait(timeout=20)
    server.stdout.close()


def test_a_port_that_is_taken_is_refused_with_its_holder_before_anything_starts(world, internet, unchanged):
    holder = world.popen("/usr/bin/python3", "-c", "import socket\ns = socket.create_server(('127.0.0.1', 8080))\nprint('up', flush=True)\ns.accept()",
                         stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "up\n"
    refused = sh(world, "-p", "8080:80", "echo ran", status=125)
    assert refused.stdout == "" and "8080" in refused.stderr and "python3" in refused.stderr, refused.stderr
    stop(world, holder, "import socket.s = socket.create")
    first = serve(world, "-p", "8080:80")
    refused = sh(world, "-p", "127.0.0.1:8080:80", "echo ran", status=125)
    assert refused.stdout == "" and "nucleus" in refused.stderr, refused.stderr
    stop(world, first, "nucleus run.*server")


def test_a_port_of_a_topology_is_taken_too(world, internet):
    path = world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "1000"]
networks = ["front"]
port_forwards = ["8080:80"]
""")
    world.apply(path)
    refused = sh(world, "-p", "8080:80", "true", status=125)
    assert f"{world.project}/" in refused.stderr and "8080" in refused.stderr, refused.stderr
    # And the other way round: apply finds who listens.
    world.nucleus("destroy", "--yes", world.project)
    server = serve(world, "-p", "8080:80")
    refused = world.apply(path, status=1)
    assert "8080" in refused.stderr and "nucleus" in refused.stderr, refused.stderr
    stop(world, server, "nucleus run.*server")


def test_agents_have_public_name_servers_and_production_has_to_name_them(world, internet, image):  # noqa: F811
    assert sh(world, "cat /etc/resolv.conf").stdout == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    assert sh(world, "--dns", "10.0.0.1", "cat /etc/resolv.conf").stdout == "nameserver 10.0.0.1\n"
    production = ("--service-mode", "production", "--rootfs", image, "--memory", "64M")
    refused = sh(world, *production, "true", status=125)
    assert "--dns" in refused.stderr
    if "memory" in world.run("cat", "/sys/fs/cgroup/cgroup.controllers", status=None).stdout:
        assert sh(world, *production, "--dns", "10.0.0.1", "cat /etc/resolv.conf").stdout == "nameserver 10.0.0.1\n"


def test_the_contracts_example_of_a_rule_reads_as_it_is_written(world, internet):
    shown = json.loads(sh(world, "--dns", "10.0.0.1", "--egress-allow", "10.0.0.0/8", "--egress-tcp-port", "443", "--egress-tcp-port", "8443",
                          "--dry-run", "--output", "json", "true").stdout)
    assert shown["network"]["egress"] == [
        "ports: tcp dport 443 accept", "ports: tcp dport 8443 accept", 'output: oifname "lo" accept',
        "output: ct direction reply ct state established,related accept", "output: ct state related accept",
        "output: ip daddr 10.0.0.1 udp dport 53 accept", "output: ip daddr 10.0.0.1 tcp dport 53 accept",
        "output: ip daddr 10.0.0.0/8 jump ports", 'output: counter name "denied"',
        'output: limit rate 10/minute log prefix "nucleus-egress-denied: " level info', "output: drop", "forward: drop"]
    assert "accept" in sh(world, "--egress-allow", "", "--dry-run", "true").stdout


@pytest.mark.parametrize("flags, reached", [
    ((), {"80", "443", "other", "udp", "dns"}),
    (("--egress-allow", ""), {"dns"}),
    (("--egress-allow", "0.0.0.0/0"), {"80", "443", "other", "udp", "dns"}),
    (("--egress-allow", f"{THERE}/32"), {"80", "443", "udp", "dns"}),
    (("--egress-allow", "203.0.113.0/24", "--egress-tcp-port", "443"), {"443", "dns"}),
    (("--egress-allow", "203.0.113.0/24", "--egress-udp-port", "9999"), {"udp", "dns"}),
    (("--egress-allow", f"{OTHER}/32", "--egress-allow", "10.0.0.0/8"), {"other", "dns"}),
    (("--egress-allow", "", "--dns", "10.1.1.1"), set()),
])
def test_what_may_be_sent_is_what_was_allowed(world, internet, flags, reached):
    assert set(sh(world, *flags, TRIES).stdout.split()) == reached
    if not reached:
        assert internet.packets() == 0


def test_thousands_of_tries_of_every_kind_send_nothing(world, internet):
    """As root of the container, by every protocol that it can have a socket of."""
    tries = f"""
import socket, errno, os
sent = 0
def attempt(family, kind, protocol, address, data=b"x" * 64):
    global sent
    try:
        s = socket.socket(family, kind, protocol)
        s.setblocking(False)
        try:
            s.connect(address) if kind == socket.SOCK_STREAM else s.sendto(data, address)
        except BlockingIOError:
            pass
        s.close()
        sent += 1
    except OSError as error:
        pass
for i in range(700):
    port = 1 + i * 89 % 65535
    for host in ("{THERE}", "{OTHER}", "8.8.4.4", "224.0.0.1", "255.255.255.255"):
        attempt(socket.AF_INET, socket.SOCK_STREAM, 0, (host, port))
        attempt(socket.AF_INET, socket.SOCK_DGRAM, 0, (host, port))
    attempt(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP, ("{THERE}", 0), b"\\x08\\0\\0\\0\\0\\1\\0\\1hello")
    attempt(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, ("{THERE}", 0))
    attempt(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW, ("{THERE}", 0))
    attempt(socket.AF_INET6, socket.SOCK_DGRAM, 0, ("ff02::1%eth0", port))
    attempt(socket.AF_INET6, socket.SOCK_STREAM, 0, ("::ffff:{THERE}", port))
    attempt(socket.AF_PACKET, socket.SOCK_RAW, 0, ("eth0", 0x0800))
print(sent)
"""
    done = run(world, *BRIDGE, "--dns", "10.9.9.9", "--egress-allow", "", "--", "/usr/bin/python3", "-c", tries, timeout=120)
    assert int(done.stdout) > 1000, done.stdout  # they were allowed to try
    assert internet.packets() == 0


def test_the_rules_cannot_be_changed_or_gone_beneath(world, internet):
    policy = world.directory / "caps.toml"
    for name in ("NET_RAW", "CAP_NET_ADMIN"):
        policy.write_text(f'[bounding]\nkeep = ["{name}"]\n[effective]\nkeep = ["{name}"]\n[permitted]\nkeep = ["{name}"]\n')
        refused = sh(world, "--caps-policy", policy, "--egress-allow", "", "true", status=125)
        assert "egress" in refused.stderr, refused.stderr
    assert "refused" in sh(world, "--egress-allow", "", "nft flush ruleset 2>/dev/null || echo refused").stdout


def test_a_user_namespace_has_no_power_over_the_rules(world, internet, unchanged):
    assert sh(world, "--userns", "auto", "--egress-allow", f"{THERE}/32", talk(THERE, 80) + "; " + talk(OTHER, 80, 1) + " || echo no").stdout == f"{HERE}\nno\n"


@pytest.mark.parametrize("flags, words", [
    (("-p", "80:80"), "bridge"), (("--egress-allow", "10.0.0.0/8"), "bridge"), (("--network", "none", "--egress-tcp-port", "80"), "bridge"),
    ((*BRIDGE, "--egress-tcp-port", "80"), "--egress-allow"), ((*BRIDGE, "--egress-allow", "everywhere"), "not a network"),
    ((*BRIDGE, "--egress-allow", "", "--egress-udp-port", "0"), "1 to 65535"), ((*BRIDGE, "-p", "0:80"), "0:80"),
    ((*BRIDGE, "--dns", "nowhere"), "nowhere"),
])
def test_what_makes_no_sense_is_refused(world, flags, words):
    refused = run(world, *flags, "--", "true", status=125)
    assert words in refused.stderr and refused.stdout == "", refused.stderr


def test_what_a_killed_nucleus_leaves_the_next_one_takes_away(world, internet, unchanged):
    server = serve(world, "-p", "8080:80", "--egress-allow", "")
    world.run("pkill", "-KILL", "-f", "nucleus run.*--name [^ ]*server")
    server.wait(timeout=20)
    server.stdout.close()
    assert any(link.startswith("nb") for link in links(world))
    assert sh(world, talk(THERE, 80)).stdout == f"{HERE}\n"


def test_a_port_that_a_killed_nucleus_published_is_free_for_a_topology(world, internet):
    server = serve(world, "-p", "8080:80")
    world.run("pkill", "-KILL", "-f", "nucleus run.*--name [^ ]*server")
    server.wait(timeout=20)
    server.stdout.close()
    world.apply(world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/usr/bin/busybox", "echo", "topology"]
networks = ["front"]
port_forwards = ["8080:80"]
"""))
    wait_for("the service to answer", lambda: world.run("sh", "-c", talk(HERE, 8080, 1), status=None).stdout == "topology\n")


def test_rules_hold_though_the_caller_ignores_its_children(world, internet):
    words = f"trap '' CHLD; exec {NUCLEUS} run --network bridge --egress-allow '' --dns 10.9.9.9 -- sh -c '{talk(THERE, 80, 1)}; true'"
    assert world.run("sh", "-c", words).stdout == ""
    assert internet.packets() == 0


def test_many_at_a_time_have_addresses_of_their_own_and_leave_nothing(world, internet, unchanged):
    script = "busybox ip -4 -o addr show dev eth0 | busybox awk '{print $4}'; " + talk(THERE, 80) + "; read all"
    runs = [world.popen(NUCLEUS, "run", *BRIDGE, "--egress-allow", f"{THERE}/32", "--", "sh", "-c", script,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(24)]
    addresses = set()
    for process in runs:
        addresses.add(process.stdout.readline())
        assert process.stdout.readline() == f"{HERE}\n"
    assert len(addresses) == len(runs)
    for process in runs:
        out, err = process.communicate("all\n", timeout=120)
        assert (process.returncode, out, err) == (0, "", "")


# ---- ordinary users, and who asks for it: in user space ----

needs_slirp = pytest.mark.skipif(not pathlib.Path("/usr/bin/slirp4netns").exists(), reason="needs slirp4netns")


@pytest.fixture
def ordinary(world):
    user = Ordinary(world)
    # Open to all, as udev has it.
    world.run("sh", "-c", "mknod -m 0666 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun")
    return user


def helpers(world):
    return world.run("pgrep", "-x", "slirp4netns", status=None).stdout.split()


@needs_slirp
@pytest.mark.parametrize("flags, reached", [
    ((), {"80", "443", "other", "udp", "dns"}), (("--egress-allow", ""), {"dns"}),
    (("--egress-allow", "203.0.113.0/24", "--egress-tcp-port", "443"), {"443", "dns"}),
    (("--egress-allow", f"{OTHER}/32"), {"other", "dns"}), (("--egress-allow", "", "--dns", "10.1.1.1"), set())])
def test_an_ordinary_user_has_a_bridge_and_rules_that_hold(world, internet, ordinary, flags, reached):
    done = ordinary.nucleus("run", *BRIDGE, *flags, "--", "sh", "-c", TRIES)
    assert set(done.stdout.split()) == reached and (done.stderr.endswith(" denied by egress rules\n") if flags else done.stderr == ""), done.stderr
    if not reached:
        assert internet.packets() == 0
    assert helpers(world) == []
    assert world.run("find", "/mnt/run", "-type", "s").stdout == ""


@needs_slirp
def test_an_ordinary_users_port_is_published(world, internet, ordinary):
    server = world.popen("setpriv", "--reuid=33", "--regid=33", "--clear-groups", "/mnt/nucleus", "run", *BRIDGE, "-p", "8080:80", "-p", "127.0.0.1:8082:80",
                         "--egress-allow", "", "--name", world.name("server"), "--", "sh", "-c", "echo up; exec busybox nc -ll -p 80 -e busybox echo from-inside",
                         stdout=subprocess.PIPE, text=True, cwd="/",
                         env={"PATH": os.environ["PATH"], "HOME": "/mnt/run", "XDG_RUNTIME_DIR": "/mnt/run"})
    assert server.stdout.readline() == "up\n"
    wait_for("the port to answer", lambda: world.run("sh", "-c", talk(HERE, 8080, 1), status=None).stdout)
    for where, host, port, reached in [(world.run, HERE, 8080, True), (world.run, "127.0.0.1", 8080, True), (internet.run, HERE, 8080, True),
                                       (world.run, "127.0.0.1", 8082, True), (internet.run, HERE, 8082, False)]:
        assert (where("sh", "-c", talk(host, port, 1), status=None).stdout == "from-inside\n") == reached, (host, port)
    # Many may wait at a time: libslirp by itself listens with a queue of one.
    queues = lambda: [int(line.split()[2]) for line in world.run("ss", "-Hltn", "sport = 8080 or sport = 8082").stdout.splitlines()]
    wait_for("room at the ports", lambda: len(queues()) == 2 and min(queues()) >= 128)
    # What dies is started again, with its ports.
    first = helpers(world)
    world.kill(*first)
    wait_for("the port to answer", lambda: world.run("sh", "-c", talk(HERE, 8080, 1), status=None).stdout == "from-inside\n")
    assert helpers(world) != first
    wait_for("room at the ports", lambda: len(queues()) == 2 and min(queues()) >= 128)
    refused = ordinary.nucleus("run", *BRIDGE, "-p", "8080:80", "--", "true", status=125)
    assert "8080" in refused.stderr, refused.stderr
    # And ends with who started it, whatever ends that.
    world.run("pkill", "-KILL", "-f", "nucleus run.*server")
    server.wait(timeout=20)
    server.stdout.close()
    wait_for("the helper to end", lambda: helpers(world) == [])


@needs_slirp
def test_the_machines_loopback_is_out_of_reach(world, internet, ordinary):
    listener = world.popen("busybox", "nc", "-ll", "-p", "7777", "-e", "busybox", "echo", "secret")
    wait_for("the listener", lambda: world.run("sh", "-c", talk("127.0.0.1", 7777, 1), status=None).stdout == "secret\n")
    assert ordinary.nucleus("run", *BRIDGE, "--", "sh", "-c", talk(HERE, 7777, 1)).stdout == "secret\n"  # which is no loopback
    for host in ("10.0.2.2", "127.0.0.1", "10.0.2.3"):
        assert ordinary.nucleus("run", *BRIDGE, "--", "sh", "-c", talk(host, 7777, 1) + " || true").stdout == ""
    world.run("pkill", "-f", "nc -ll")
    listener.wait(timeout=20)


@needs_slirp
def test_root_may_ask_for_user_space(world, internet, unchanged):
    assert sh(world, "--nat-backend", "userspace", "--egress-allow", f"{THERE}/32", talk(THERE, 80) + "; " + talk(OTHER, 80, 1) + " || echo no").stdout == f"{HERE}\nno\n"


def test_an_ordinary_user_cannot_have_the_kernels(world, ordinary):
    refused = ordinary.nucleus("run", *BRIDGE, "--nat-backend", "kernel", "--", "true", status=125)
    assert "userspace" in refused.stderr, refused.stderr
