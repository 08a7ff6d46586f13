"""What may not be sent is not sent, counted where it would arrive: while rules change, after they were flushed, and below sockets."""

import json

import pytest
from internet import FLOOD, OTHER, THERE
from world import wait_for

TOPOLOGY = f"""name = "PROJECT"
[networks.front]
subnet = "10.77.1.0/24"
[services.web]
command = ["/usr/bin/python3", "-c", '''{FLOOD}''', "/shared/tries", "{OTHER}", "8.8.4.4", "203.0.113.77"]
networks = ["front"]
volumes = ["SHARED:/shared"]
dns = ["10.9.9.9"]
RULES
"""

# None of them allows more than THERE and 10.0.0.0/8, behind which is nobody.
POLICIES = [f'egress_allow = ["{THERE}/32"]', 'egress_allow = []', f'egress_allow = ["{THERE}/32", "10.9.0.0/16"]', 'egress_allow = ["10.0.0.0/8"]',
            f'egress_allow = ["{THERE}/32"]\negress_udp_ports = [9999]', f'egress_allow = ["{THERE}/32"]\negress_tcp_ports = [443]']


class Flood:
    def __init__(self, world):
        self.world, self.shared = world, world.directory / "shared"
        self.shared.mkdir(exist_ok=True)

    def write(self, rules):
        return self.world.write(TOPOLOGY.replace("SHARED", str(self.shared)).replace("RULES", rules))

    def apply(self, rules):
        self.world.apply(self.write(rules))

    def tries(self):
        text = (self.shared / "tries").read_text() if (self.shared / "tries").exists() else ""
        return int(text or 0)

    def more(self, count):
        goal = self.tries() + count
        wait_for("further tries", lambda: self.tries() >= goal, 60)


def test_while_rules_change_nothing_is_sent_that_none_of_them_allows(world, internet):
    flood = Flood(world)
    flood.apply(POLICIES[0])
    flood.more(100)
    pid = world.pid("service.web")
    while flood.tries() < 10000:
        for policy in POLICIES[1:] + POLICIES[:1]:
            flood.apply(policy)
    assert internet.packets("strange") == 0, internet.strangers()
    assert internet.packets() > 0  # what is allowed at times does arrive
    assert world.pid("service.web") == pid


def test_what_was_begun_while_the_rules_were_gone_ends_when_they_are_back(world, internet):
    """And nothing else is sent from then on: the machine's rules and those inside were flushed."""
    flood = Flood(world)
    flood.apply(POLICIES[0])
    flood.more(100)
    assert internet.packets("strange") == 0, internet.strangers()
    world.run("nft", "flush", "ruleset")
    flood.more(1000)
    assert internet.packets("strange") == 0, internet.strangers()  # what is inside needs nothing of the machine's
    flood.apply(POLICIES[0])
    world.run("nft", "flush", "ruleset")
    world.inside("service.web", "nft", "flush", "ruleset")
    told = world.nucleus("drift", world.project, status=None).stdout
    assert "egress" in told and "nft table missing" in told, told
    wait_for("tries to arrive, that they are real ones", lambda: internet.packets("strange"))
    flood.apply(POLICIES[0])
    sent = internet.packets("strange")
    flood.more(3000)
    assert internet.packets("strange") == sent
    assert "nothing to do" in world.nucleus("diff", "-f", flood.write(POLICIES[0])).stdout.lower()


# Frames made by hand, below every rule of the namespace: from SOURCES to everybody, by several protocols. The last are of no connection.
FRAMES = """
import fcntl, json, socket, struct, sys
gateway, sources, targets = json.loads(sys.argv[1])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
own = s.getsockname()[4]
there = bytes.fromhex(gateway.replace(":", ""))
def sum16(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def ip(source, target, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", sum16(head)) + head[12:] + payload
def over(source, target, protocol, segment, place):
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, protocol, len(segment))
    return segment[:place] + struct.pack("!H", sum16(pseudo + segment)) + segment[place + 2:]
sent = 0
for i in range(60):
    for source in sources:
        for target in targets:
            port = 20000 + i
            tcp = lambda flags: over(source, target, 6, struct.pack("!HHIIBBHHH", port, 80, 1000 + i, 0, 0x50, flags, 1024, 0, 0), 16)
            udp = over(source, target, 17, struct.pack("!HHHH", port, 53, 12, 0) + b"ping", 6)
            echo = struct.pack("!BBHHH", 8, 0, 0, i, 1)
            echo = echo[:2] + struct.pack("!H", sum16(echo)) + echo[4:]
            packets = [ip(source, target, 6, tcp(2)), ip(source, target, 17, udp), ip(source, target, 1, echo), ip(source, target, 132, b"x" * 32)]
            packets += [ip(source, target, 6, tcp(flags)) for flags in (0x04, 0x10, 0x03, 0x00, 0x3f)]
            packets += [ip(source, target, 17, udp[:6] + b"\\x12\\x34" + udp[8:]), ip(source, target, 1, b"\\0\\0\\0\\0" + echo[4:])]
            for packet in packets:
                s.send(there + own + b"\\x08\\0" + packet)
                sent += 1
        s.send(there + own + b"\\x86\\xdd" + b"\\x60" + b"\\0" * 3 + b"\\0\\x08\\x11\\x40" + b"\\x20\\x01" + b"\\0" * 13 + b"\\1" + b"\\x20\\x02" + b"\\0" * 13 + b"\\1" + b"x" * 8)
print(sent)
"""


@pytest.mark.parametrize("internal, counter", [(True, "every"), (False, "foreign")])
def test_frames_made_by_hand_do_not_leave_an_internal_network_nor_any_under_another_address(world, internet, internal, counter):
    world.apply(world.write(f"""name = "PROJECT"
[networks.front]
subnet = "10.77.1.0/24"
internal = {str(internal).lower()}
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front"]
[services.neighbour]
command = ["/bin/sleep", "10000"]
networks = ["front"]
port_forwards = ["8080:80"]
"""))
    bridge = json.loads(world.run("ip", "-j", "link", "show", "type", "bridge").stdout)[0]
    own = json.loads(world.inside("service.web", "ip", "-j", "address", "show", "eth0").stdout)[0]["addr_info"][0]["local"]
    sources = [own, "198.51.100.77", "127.0.0.1", "203.0.113.1", "203.0.113.77", "10.77.1.1", "0.0.0.0"]
    done = world.inside("service.web", "/usr/bin/python3", "-c", FRAMES, json.dumps([bridge["address"], sources, [THERE, OTHER, "8.8.4.4"]]), timeout=120)
    assert int(done.stdout) > 10000
    if not internal:
        assert internet.packets() > 0  # what is sent under its own address does arrive
    assert internet.packets(counter) == 0
