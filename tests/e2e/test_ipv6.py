"""Networks that speak IPv6 beside IPv4: who reaches whom, what is published, what may be sent, what changes live, what is repaired."""

import json
import subprocess

import pytest
from internet import HERE, THERE
from internet6 import ASK, HERE6, SERVER, THERE6, Internet6
from sandbox import image, run  # noqa: F401 (fixture)
from world import NUCLEUS, wait_for

TOPOLOGY = """name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
subnet6 = "fd00:77::/64"
[networks.back]
subnet = "10.78.0.0/24"
subnet6 = "fd00:78::/64"
internal = true
[services.db]
command = ["/bin/sleep", "10000"]
networks = ["back"]
[services.web]
command = ["/usr/bin/python3", "-c", '''SERVER''']
networks = ["front", "back"]
{}
"""

@pytest.fixture
def internet(world):
    internet = Internet6(world)
    yield internet
    internet.close()


def topology(*lines):
    return TOPOLOGY.format("\n".join(lines)).replace("SERVER", SERVER)


def ask(world, service, host, port, seconds=2):
    return world.inside(service, "/usr/bin/python3", "-c", ASK, host, port, seconds).stdout.strip()


def settled(world, path):
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower()


def forwarding(world):
    return world.run("sysctl", "-n", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.up0.accept_ra").stdout.split()


def test_both_families_reach_the_same(world, internet):
    before = forwarding(world)
    assert before == ["0", "1"]
    path = world.write(topology('port_forwards = ["8080:80"]'))
    world.apply(path)
    settled(world, path)
    assert forwarding(world) == ["1", "2"]  # and a router's advertisements are taken as before
    web = world.pid("service.web")
    hosts = world.run("cat", f"/proc/{web}/root/etc/hosts").stdout
    assert "fd00:78::2\tdb " in hosts and "10.78.0.2\tdb " in hosts, hosts
    # Inside: each other, on the network they share.
    assert ask(world, "service.db", "fd00:78::3", 80) == "fd00:78::2"
    assert ask(world, "service.db", "fd00:77::2", 80, 1) == "nothing"
    assert ask(world, "service.db", THERE6, 8006, 1) == "nothing"
    # Out, under the machine's address.
    assert ask(world, "service.web", THERE6, 8006) == HERE6
    assert ask(world, "service.web", THERE, 80) == HERE
    # In, by what is published: from outside with the client's address, from the machine, from a container.
    assert internet.ask(HERE6, 8080) == THERE6
    assert internet.ask(HERE, 8080) == THERE
    assert world.run("/usr/bin/python3", "-c", ASK, HERE6, 8080, 2).stdout.strip() == HERE6
    assert ask(world, "service.web", HERE6, 8080) == "fd00:77::1"
    # And by nothing else.
    internet.run("ip", "-6", "route", "add", "fd00:77::/64", "via", HERE6)
    assert internet.ask("fd00:77::2", 80, 1) == "nothing"
    world.nucleus("destroy", world.project, "--yes")
    assert forwarding(world) == before


def test_a_port_is_published_on_the_addresses_that_are_named(world, internet):
    path = world.write(topology('port_forwards = ["[::]:8080:80", "[2001:db8::1]:8081:80", "0.0.0.0:8082:80", "203.0.113.1:8083:80"]'))
    world.apply(path)
    settled(world, path)
    for port, v4, v6 in [(8080, "nothing", THERE6), (8081, "nothing", THERE6), (8082, THERE, "nothing"), (8083, THERE, "nothing")]:
        assert (internet.ask(HERE, port, 1), internet.ask(HERE6, port, 1)) == (v4, v6), port
    told = world.nucleus("validate", "-f", world.write(topology('port_forwards = ["[::1]:8080:80"]'), "loopback.toml"), status=1).stderr
    assert "port_forwards: [::1]:8080:80/tcp: the kernel translates nothing that is sent from ::1" in told
    told = world.nucleus("validate", "-f", world.write(topology('port_forwards = ["[::]:80:80", "[2001:db8::1]:80:81"]'), "twice.toml"), status=1).stderr
    assert "clashes with" in told


def test_ipv6_comes_and_goes_live(world, internet):
    plain = topology().replace('subnet6 = "fd00:77::/64"\n', "").replace('subnet6 = "fd00:78::/64"\n', "")
    path = world.write(plain)
    world.apply(path)
    pids = world.pids()
    assert world.inside("service.web", "ip", "-6", "-o", "address", "show", "dev", "eth0").stdout == ""
    for text, reached in [(topology(), HERE6), (plain, "nothing"), (topology(), HERE6)]:
        path = world.write(text)
        actions = {change["action"] for change in world.json("diff", "-f", path)["changes"]}
        assert actions == {"live"}, actions
        world.apply(path)
        settled(world, path)
        assert ask(world, "service.web", THERE6, 8006, 1) == reached
    assert world.pids() == pids


SUBNET6 = 'subnet6 = "fd00:77::/64"\n'
FRONT = '[networks.front]\nsubnet = "10.77.0.0/24"\n' + SUBNET6
DB = '[services.db]\ncommand = ["/bin/sleep", "10000"]\nnetworks = ["back"]\n'


@pytest.mark.parametrize("removed", [[SUBNET6], [FRONT, '"front", '], ['"front", '], [DB]], ids=["IPv6", "network", "attachment", "service"])
def test_what_is_removed_from_the_file_is_a_change_and_no_drift(world, internet, removed):
    path = world.write(topology())
    world.apply(path)
    links = lambda: {link["ifname"] for link in json.loads(world.run("ip", "-j", "link", "show").stdout)}
    before, text = links(), topology()
    for part in removed:
        assert part in text
        text = text.replace(part, "")
    path = world.write(text)
    changes = world.json("diff", "-f", path)["changes"]
    assert changes and not any(change["drift"] or reason["type"] == "drift" for change in changes for reason in change["reasons"]), changes
    world.apply(path)
    settled(world, path)
    # Nothing is said of links that are gone.
    listed = world.run("nft", "list", "ruleset").stdout
    assert not [link for link in before - links() if link in listed], listed


def test_egress_rules_hold_for_ipv6(world, internet):
    path = world.write(topology("egress_allow = []"))
    world.apply(path)
    pid, before = world.pid("service.web"), internet.packets("v6_sent")
    assert ask(world, "service.web", THERE6, 8006, 1) == "nothing"
    assert ask(world, "service.web", "fd00:78::2", 80, 1) == "nothing"
    world.inside("service.web", "busybox", "ping6", "-c", "2", "-W", "1", THERE6, status=None)
    world.inside("service.web", "busybox", "ping6", "-c", "2", "-W", "1", "ff02::1%eth0", status=None)
    assert internet.packets("v6_sent") == before
    for policy, port, reached in [('["2001:db8::2/128"]', 8006, HERE6), ('["2001:db8::3/128"]', 8006, "nothing"), ('["::/0"]', 8006, HERE6),
                                  ('["0.0.0.0/0"]', 8006, "nothing"), (f'["2001:db8::/32"]\negress_tcp_ports = [8007]', 8006, "nothing"),
                                  (f'["2001:db8::/32"]\negress_tcp_ports = [8006]', 8006, HERE6)]:
        path = world.write(topology(f"egress_allow = {policy}"))
        world.apply(path)
        settled(world, path)
        assert ask(world, "service.web", THERE6, port, 1) == reached, policy
    assert world.pid("service.web") == pid


@pytest.mark.parametrize("inside,damage,told", [
    (True, "ip -6 address del fd00:77::2/64 dev eth0", "network front"), (True, "ip -6 address add fd00:77::99/64 dev eth0", "network front"),
    (True, "ip -6 route del default", "default route of IPv6"), (True, "sysctl -qw net.ipv6.conf.eth0.accept_ra=1", "accept_ra"),
    (True, "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", "network front"), (True, "ip -6 route add 2001:db8:9::/48 via fd00:77::1", "route 2001:db8:9::/48"),
    (True, "ip -6 route del fd00:77::/64 dev eth0", "route fd00:77::/64 in table main"), (True, "ip -6 route flush table main", "default route of IPv6"),
    (False, "sysctl -qw net.ipv6.conf.all.forwarding=0", "ip6_forward"), (False, "nft flush ruleset", "nft table missing")])
def test_drift_is_seen_and_repaired(world, internet, inside, damage, told):
    path = world.write(topology())
    world.apply(path)
    pids = world.pids()
    world.inside("service.web", *damage.split()) if inside else world.run(*damage.split())
    seen = world.nucleus("drift", world.project, status=None).stdout
    assert told in seen, seen
    world.apply(path)
    settled(world, path)
    assert ask(world, "service.web", THERE6, 8006) == HERE6
    assert world.pids() == pids


def test_a_bridge_drifts_by_its_ipv6_too(world, internet):
    path = world.write(topology())
    world.apply(path)
    bridge = world.links()[f"nucleus:{world.project}/network.front"]
    for damage in (f"ip -6 address del fd00:77::1/64 dev {bridge}", f"ip -6 route del fd00:77::/64 dev {bridge}", f"sysctl -qw net.ipv6.conf.{bridge}.accept_ra=1"):
        world.run(*damage.split())
        assert "network.front" in world.nucleus("drift", world.project, status=None).stdout, damage
        world.apply(path)
        settled(world, path)
        assert ask(world, "service.web", THERE6, 8006) == HERE6


@pytest.mark.parametrize("text,told", [
    ('[networks.a]\nsubnet6 = "fd00::/125"', "subnet6: fd00::/125 has no room for the counterparts of the IPv4 addresses; it may be a /120 at most"),
    ('[networks.a]\nsubnet6 = "fe80::/64"', "subnet6: fe80::/64 is none that a network can have"),
    ('[networks.a]\nsubnet6 = "fd00::1/64"', "did you mean fd00::/64?"),
    ('[networks.a]\nsubnet6 = "fd00::/64"\n[networks.b]\nsubnet6 = "fd00::/48"', "overlaps that of"),
    ('[networks.a]\nsubnet6 = "fd00::/64"\nmtu = 1000', "mtu: IPv6 (subnet6) needs 1280 at least"),
    ('[networks.a]\n[services.s]\ncommand = ["x"]\nnetworks = ["a"]\nport_forwards = ["[::]:1:1"]', "has no IPv6 (subnet6)"),
    ('[networks.a]\n[services.s]\ncommand = ["x"]\nnetworks = ["a"]\ndns = ["2001:db8::53"]', "no network of the service has IPv6 (subnet6)")])
def test_what_makes_no_sense_is_refused(world, text, told):
    assert told in world.nucleus("validate", "-f", world.write(f'name = "PROJECT"\n{text}\n'), status=1).stderr


def test_a_long_name_and_address_fit_the_comment_of_a_rule(world, internet):
    name = "w" * 63
    world.run("ip", "address", "add", "2001:db8:1111:2222:3333:4444:5555:6666/128", "dev", "up0", "nodad")
    path = world.write(topology('port_forwards = ["[2001:db8:1111:2222:3333:4444:5555:6666]:18080:80"]').replace("services.web", f"services.{name}"))
    world.apply(path)
    settled(world, path)


def test_what_the_machine_had_comes_back(world, internet):
    """Also where links came, and somebody has set forwarding back, while it was up."""
    world.run("sysctl", "-qw", "net.ipv6.conf.lo.forwarding=1", "net.ipv6.conf.default.accept_ra=1")
    path = world.write(topology())
    world.apply(path)
    world.run("ip", "link", "add", "lan1", "type", "veth", "peer", "name", "lan2")
    world.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0")
    world.apply(path)
    world.nucleus("destroy", world.project, "--yes")
    assert forwarding(world) == ["0", "1"]
    assert world.run("sysctl", "-n", "net.ipv6.conf.lo.forwarding", "net.ipv6.conf.lan1.forwarding", "net.ipv6.conf.lan1.accept_ra").stdout.split() == ["1", "0", "1"]


def test_two_topologies_do_not_have_one_subnet(world, internet):
    world.apply(world.write(topology()))
    bridge = world.links()[f"nucleus:{world.project}/network.front"]
    world.run("ip", "link", "del", bridge)  # as after a reboot
    other = world.write('name = "other"\n[networks.n]\nsubnet6 = "fd00:77::/80"\n', "other.toml")
    told = world.apply(other, status=1).stderr
    assert "fd00:77::/80 overlaps fd00:77::/64" in told, told


def test_a_port_that_the_machine_listens_on_by_ipv6_is_refused(world, internet):
    holder = world.popen("/usr/bin/python3", "-c", "import socket, time; s = socket.create_server(('2001:db8::1', 8080), family=socket.AF_INET6); print('up', flush=True); time.sleep(100)",
                         stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "up\n"
    told = world.apply(world.write(topology('port_forwards = ["8080:80"]')), status=1).stderr
    assert "[::]:8080/tcp is held by python3" in told and "[2001:db8::1]:8080" in told, told
    holder.kill()
    holder.wait()
    holder.stdout.close()


def test_a_subnet_that_the_machine_reaches_already_is_refused(world, internet):
    path = world.write(topology().replace("fd00:77::/64", "2001:db8::/96"))
    assert "2001:db8::/96 overlaps 2001:db8::/64, which this machine reaches already" in world.apply(path, status=1).stderr


def test_run_speaks_ipv6_where_its_options_do(world, internet, image):
    server = world.popen(NUCLEUS, "run", "--network", "bridge", "-p", "[::]:8080:80", "--", "python3", "-c", SERVER, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "up\n"
    assert internet.ask(HERE6, 8080) == THERE6
    assert internet.ask(HERE, 8080, 1) == "nothing"
    taken = run(world, "--network", "bridge", "-p", "[2001:db8::1]:8080:80", "--", "true", status=125)
    assert "--publish [2001:db8::1]:8080:80/tcp" in taken.stderr and "nucleus" in taken.stderr
    world.run("pkill", "-TERM", "-f", "nucleus run --network")
    server.wait(timeout=20)
    server.stdout.close()
    said = run(world, "--network", "bridge", "--egress-allow", f"{THERE6}/128", "--", "python3", "-c", ASK, THERE6, "8006", "2")
    assert said.stdout.strip() == HERE6
    denied = run(world, "--network", "bridge", "--egress-allow", "2001:db8::77/128", "--", "python3", "-c", ASK, THERE6, "8006", "1")
    assert denied.stdout.strip() == "nothing"
    assert forwarding(world) == ["0", "1"]
    plain = run(world, "--network", "bridge", "--", "cat", "/proc/net/if_inet6").stdout
    assert "eth0" not in plain


# Packets made by hand, below every rule of the namespace, from the service's own addresses: of protocols that connections are not followed of,
# in fragments, behind extension headers, errors about connections that there are none of. GATEWAY'S-ADDRESS OWN OWN6 THERE THERE6
STRANGE = """
import socket, struct, sys
there = bytes.fromhex(sys.argv[1].replace(":", ""))
own, own6, to, to6 = (socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text) for text in sys.argv[2:])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
mac = s.getsockname()[4]
def sum16(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def icmp6(kind, body):
    text = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = own6 + to6 + struct.pack("!II", len(text), 58)
    return text[:2] + struct.pack("!H", sum16(pseudo + text)) + text[4:]
def ip6(protocol, payload, hops=255):
    return struct.pack("!IHBB", 0x60000000, len(payload), protocol, hops) + own6 + to6 + payload
def ip(protocol, payload, fragment=0, options=b""):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64, protocol, 0, own, to) + options
    return head[:10] + struct.pack("!H", sum16(head)) + head[12:] + payload
def icmp(kind, body):
    text = struct.pack("!BBH", kind, 0, 0) + body
    return text[:2] + struct.pack("!H", sum16(text)) + text[4:]
frames = []
for kind in [1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 141, 143, 151, 200]:
    text = icmp6(kind, b"\\0" * 4 + to6 + b"\\0" * 28)
    frames += [ip6(58, text, hops) for hops in (255, 64)]
    frames += [ip6(0, b"\\x3a\\0\\1\\4\\0\\0\\0\\0" + text), ip6(60, b"\\x3a\\0\\1\\4\\0\\0\\0\\0" + text), ip6(44, b"\\x3a\\0\\0\\0\\0\\0\\0\\x09" + text),
               ip6(44, b"\\x3a\\0\\0\\1\\0\\0\\0\\x0a" + text[:24]), ip6(44, b"\\x3a\\0\\0\\x18\\0\\0\\0\\x0b" + text[:24])]
for protocol in [2, 4, 33, 41, 43, 47, 50, 51, 59, 89, 103, 112, 115, 132, 135, 136, 139, 140, 253]:
    frames += [ip6(protocol, b"\\0" * 40), ip(protocol, b"\\0" * 40)]
for kind in [0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 15, 17, 30, 42]:
    frames += [ip(1, icmp(kind, b"\\0" * 4 + ip(17, struct.pack("!HHHH", 1, 2, 8, 0)))), ip(1, icmp(kind, b"\\0" * 4 + own + to + own))]
for fragment in [0x2000, 0x2001, 1, 0x1fff]:
    frames += [ip(17, b"\\0\\1\\0\\2\\0\\x10\\0\\0" + b"x" * 8, fragment), ip(1, icmp(8, b"\\0" * 12), fragment)]
frames += [ip(17, b"\\0\\1\\0\\2\\0\\x10\\0\\0" + b"x" * 8, 0, options) for options in (b"\\x83\\7\\4" + to + b"\\0", b"\\x89\\7\\4" + to + b"\\0", b"\\x94\\4\\0\\0")]
for frame in frames:
    s.send(there + mac + (b"\\x86\\xdd" if frame[0] >> 4 == 6 else b"\\x08\\0") + frame)
print(len(frames))
"""


def test_packets_of_no_connection_do_not_leave_under_an_address_of_inside(world, internet):
    path = world.write(topology())
    world.apply(path)
    settled(world, path)
    internet.run("nft", "table inet inside { chain in { type filter hook prerouting priority -400; iifname != lo ip saddr 10.0.0.0/8 counter; "
                        "iifname != lo ip6 saddr fc00::/7 counter; iifname != lo ip6 saddr 2001:db8::1 counter; }; }")
    front = next(name for alias, name in world.links().items() if alias.endswith("/network.front"))
    bridge = json.loads(world.run("ip", "-j", "link", "show", "dev", front).stdout)[0]["address"]
    links = json.loads(world.inside("service.web", "ip", "-j", "address", "show", "eth0").stdout)[0]["addr_info"]
    own, own6 = (next(a["local"] for a in links if a["family"] == family and a["scope"] == "global") for family in ("inet", "inet6"))
    done = world.inside("service.web", "/usr/bin/python3", "-c", STRANGE, bridge, own, own6, THERE, THERE6)
    assert int(done.stdout) > 100
    packets = [int(line.split("packets ")[1].split()[0]) for line in internet.run("nft", "list", "table", "inet", "inside").stdout.splitlines() if "counter" in line]
    assert packets[:2] == [0, 0] and packets[2] > 0, packets


# Neighbour advertisements of a friend's address, at the victim: as they are, behind extension headers, in a fragment, tagged; and ARP of it.
# VICTIM'S-MAC OWN6 VICTIM6 FRIEND6 VICTIM4 FRIEND4
FORGED = """
import socket, struct, sys
there = bytes.fromhex(sys.argv[1].replace(":", ""))
own6, to6, friend6, to, friend = (socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text) for text in sys.argv[2:])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
mac = s.getsockname()[4]
def sum16(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def icmp6(source, kind, body):
    text = struct.pack("!BBH", kind, 0, 0) + body
    return text[:2] + struct.pack("!H", sum16(source + to6 + struct.pack("!II", len(text), 58) + text)) + text[4:]
frames = []
local = bytes.fromhex("fe80000000000000") + bytes([mac[0] ^ 2]) + mac[1:3] + b"\\xff\\xfe" + mac[3:]
for source in (own6, local, friend6):
    def ip6(protocol, payload):
        return b"\\x86\\xdd" + struct.pack("!IHBB", 0x60000000, len(payload), protocol, 255) + source + to6 + payload
    advertised = icmp6(source, 136, b"\\xe0\\0\\0\\0" + friend6 + b"\\2\\1" + mac)
    asked = icmp6(source, 135, b"\\0\\0\\0\\0" + to6 + b"\\1\\1" + mac)
    led = icmp6(source, 137, b"\\0\\0\\0\\0" + friend6 + friend6 + b"\\2\\1" + mac)
    router = icmp6(source, 134, b"\\x40\\0\\x07\\x08" + b"\\0" * 8 + b"\\1\\1" + mac + struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 9999, 9999, 0) + bytes.fromhex("fd00dead000000000000000000000000"))
    empty = b"\\0\\1\\4\\0\\0\\0\\0"
    for text in (advertised, asked, led, router):
        plain = ip6(58, text)
        frames += [plain, ip6(0, b"\\x3a" + empty + text), ip6(60, b"\\x3a" + empty + text), ip6(43, b"\\x3a" + empty + text), ip6(44, b"\\x3a\\0\\0\\0\\0\\0\\0\\7" + text),
                   ip6(0, b"\\x3c" + empty + b"\\x3a" + empty + text), ip6(60, b"\\x2c" + empty + b"\\x3a\\0\\0\\0\\0\\0\\0\\7" + text),
                   ip6(44, b"\\x3a\\0\\0\\1\\0\\0\\0\\x09" + text[:16]), ip6(44, b"\\x3a\\0\\0\\x10\\0\\0\\0\\x09" + text[16:]), ip6(41, plain[2:]),
                   b"\\x81\\0\\0\\0" + plain, b"\\x81\\0\\0\\1" + plain, b"\\x88\\xa8\\0\\0\\x81\\0\\0\\0" + plain, b"\\x88\\x64\\x11\\0\\0\\1" + struct.pack("!H", len(plain)) + b"\\0\\x57" + plain[2:]]
for operation in (1, 2):
    arp = b"\\x08\\6" + struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + mac + friend + there + to
    frames += [arp, b"\\x81\\0\\0\\0" + arp, b"\\x88\\xa8\\0\\0" + arp, b"\\x80\\x35" + arp[2:]]
for frame in frames:
    for target in (there, b"\\xff" * 6, b"\\x33\\x33\\0\\0\\0\\1"):
        s.send(target + mac + frame)
print(len(frames))
"""


KNOCK = "import socket, sys; socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], 9))"


def test_a_neighbour_is_not_made_believe_that_one_is_another(world, internet):
    world.apply(world.write("""name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
subnet6 = "fd00:77::/64"
""" + "".join(f'[services.{name}]\ncommand = ["/bin/sleep", "10000"]\nnetworks = ["front"]\n' for name in ("friend", "mallory", "victim"))))
    links = {name: json.loads(world.inside(f"service.{name}", "ip", "-j", "address", "show", "eth0").stdout)[0] for name in ("friend", "mallory", "victim")}
    def address(name, family):
        return next(a["local"] for a in links[name]["addr_info"] if a["family"] == family and a["scope"] == "global")
    def known():
        return {entry["dst"]: entry.get("lladdr") for entry in json.loads(world.inside("service.victim", "ip", "-j", "neigh").stdout)}
    send = lambda: world.inside("service.mallory", "/usr/bin/python3", "-c", FORGED, links["victim"]["address"], address("mallory", "inet6"), address("victim", "inet6"),
                                address("friend", "inet6"), address("victim", "inet"), address("friend", "inet"))
    both = [address("friend", family) for family in ("inet", "inet6")]
    before = world.inside("service.victim", "sh", "-c", "ip -6 route; ip -6 address").stdout
    for known_before in (False, True):
        if known_before:
            for to in both:
                world.inside("service.victim", "/usr/bin/python3", "-c", KNOCK, to)
            wait_for("the friend to be known", lambda: {links["friend"]["address"]} == {known().get(to) for to in both})
        assert int(send().stdout) > 100
        entries = known()
        assert all(entries.get(to, links["friend"]["address"]) == links["friend"]["address"] for to in both), entries
        assert links["mallory"]["address"] not in {mac for to, mac in entries.items() if to in both + ["10.77.0.1", "fd00:77::1"]}, entries
    assert world.inside("service.victim", "sh", "-c", "ip -6 route; ip -6 address").stdout == before
