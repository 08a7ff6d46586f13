"""Moby 2024-29018: whoever is on the wire says that it is a router, with a network and a name server of its own. Nobody takes it up."""

import subprocess

from world import wait_for

# RFC 4861 4.2 and 4.6.2, RFC 8106 5.1: three of them, from an address of the link.
ADVERTISE = r"""
import socket, struct, sys
link, source = sys.argv[1], socket.inet_pton(socket.AF_INET6, sys.argv[2])
everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8:66::")
servers = struct.pack("!BBHI", 25, 3, 0, 3600) + socket.inet_pton(socket.AF_INET6, "2001:db8:66::53")
body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix + servers
total = sum(struct.unpack(f"!{(len(body) + 40) // 2}H", source + everybody + struct.pack("!II", len(body), 58) + body))
while total >> 16: total = (total & 0xFFFF) + (total >> 16)
body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
packet = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + everybody + body
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x86DD)
wire.bind((link, 0x86DD))
hardware = wire.getsockname()[4]
for _ in range(3): wire.send(b"\x33\x33\0\0\0\1" + hardware + b"\x86\xDD" + packet)
"""
TOPOLOGY = """
name = "PROJECT"
[networks.six]
subnet = "10.77.0.0/24"
subnet6 = "fd00:77::/64"
[networks.four]
subnet = "10.78.0.0/24"
[services.a]
command = ["/bin/sleep", "1000"]
networks = ["six"]
[services.peer]
command = ["/bin/sleep", "1000"]
networks = ["six"]
[services.b]
command = ["/bin/sleep", "1000"]
networks = ["four"]
"""


def known(run):
    """What an advertisement would change: addresses, routes and neighbours that are routers."""
    return [run("ip", "-6", "-o", "address").stdout, run("ip", "-6", "route").stdout, run("ip", "-6", "neighbour").stdout.count("router")]


def heard(run):
    return sum(int(line.split()[1]) for line in run("cat", "/proc/net/snmp6").stdout.splitlines() if line.startswith("Icmp6InRouterAdvertisements"))


def advertise(world, run, link, source="fe80::dead"):
    run("/usr/bin/python3", world.directory / "advertise.py", link, source)


def test_what_is_advertised_is_what_a_host_takes_up(world):
    """Or there is nothing to be refused."""
    (world.directory / "advertise.py").write_text(ADVERTISE)
    with world.popen("unshare", "--net", "sh", "-c", "echo up; exec sleep 1000", stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout.readline() == "up\n"
        pid = str(world.numbered(host))

        def inside(*command):
            return world.run("nsenter", "-t", pid, "--net", "--", *command)

        world.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", pid)
        inside("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra; ip link set eth0 up")
        world.run("ip", "link", "set", "wire", "up")
        advertise(world, world.run, "wire")
        wait_for("an address of the advertised network", lambda: "2001:db8:66:" in "".join(map(str, known(inside))))
        host.kill()


def test_no_service_takes_up_what_a_router_says(world):
    (world.directory / "advertise.py").write_text(ADVERTISE)
    world.apply(world.write(TOPOLOGY))

    def of(name):
        return lambda *command: world.inside(f"service.{name}", *command)

    wait_for("addresses that are tried out", lambda: "tentative" not in known(of("a"))[0] + known(of("peer"))[0])
    before = {name: known(of(name)) for name in ("a", "b", "peer")}
    servers = {name: world.run("cat", f"/proc/{world.pid(f'service.{name}')}/root/etc/resolv.conf").stdout for name in before}
    own = [line.split()[3].split("/")[0] for line in before["peer"][0].splitlines() if "fe80:" in line and "eth0" in line]
    for source in ["fe80::dead", *own]:
        advertise(world, of("peer"), "eth0", source)
    bridges = [name for alias, name in world.links().items() if "network" in alias]
    assert len(bridges) == 2, world.links()
    for bridge in bridges:
        advertise(world, world.run, bridge)
    wait_for("what the bridge said", lambda: heard(of("a")) >= 3 and heard(of("peer")) >= 3)
    for name, was in before.items():
        assert known(of(name)) == was
        assert world.run("cat", f"/proc/{world.pid(f'service.{name}')}/root/etc/resolv.conf").stdout == servers[name]
