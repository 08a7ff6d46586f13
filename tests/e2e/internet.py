"""What a network's way out leads to, made of a network namespace: a host with servers, which counts every packet that reaches it."""

import json
import subprocess

HERE = "203.0.113.1"  # the world's own address
THERE = "203.0.113.2"
OTHER = "203.0.113.3"  # another address there
RESOLVER = "8.8.8.8"  # one of those that agents have by default, here somebody we made
TCP, UDP = (53, 80, 443, 8443), (443, 9999)

# Answers every connection and datagram with the address it came from.
SERVER = """
import socket, selectors, sys
tcp, udp = (map(int, text.split(",")) for text in sys.argv[1:])
selector = selectors.DefaultSelector()
print("there", flush=True)
sys.stdin.readline()  # until it has its addresses
for port in tcp:
    server = socket.create_server(("", port), backlog=1000)
    selector.register(server, selectors.EVENT_READ, "tcp")
for address, port in [("", port) for port in udp] + [("8.8.8.8", 53)]:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    selector.register(server, selectors.EVENT_READ, "udp")
print("up", flush=True)
connections = []
while True:
    for key, _ in selector.select():
        server = key.fileobj
        if key.data == "tcp":
            connection, peer = server.accept()
            try:
                connection.sendall(peer[0].encode() + b"\\n")
                selector.register(connection, selectors.EVENT_READ, "connection")
            except OSError:  # it has gone
                connection.close()
        elif key.data == "udp":
            data, peer = server.recvfrom(65536)
            try:
                server.sendto(peer[0].encode() + b"\\n", peer)
            except OSError:  # nobody is there
                pass
        else:
            try:
                data = server.recv(65536)
            except OSError:
                data = b""
            if data:
                server.sendall(data)
            else:
                selector.unregister(server)
                server.close()
"""

# strange: for another address than 203.0.113.2. foreign: from another than the world's.
COUNTERS = """table inet count {
  counter every { }
  counter v6 { }
  counter v6_sent { } # but for what kernels say about neighbours
  counter strange { }
  counter foreign { }
  set strangers { type ipv4_addr . ipv4_addr . inet_proto; flags dynamic; size 100; } # who was counted as strange
  chain in {
    type filter hook prerouting priority -400; iifname "lo" return
    counter name "every"
    meta nfproto ipv6 counter name "v6"
    meta nfproto ipv6 icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } counter name "v6_sent"
    meta nfproto ipv6 meta l4proto != ipv6-icmp counter name "v6_sent"
    meta nfproto ipv6 counter name "strange"
    ip daddr != 203.0.113.2 counter name "strange" add @strangers { ip saddr . ip daddr . ip protocol }
    ip saddr != 203.0.113.1 counter name "foreign"
  }
}"""

# Runs in a container: sends on and on by every kind of socket that it can have, and writes into a file how often. FILE ADDRESS...
FLOOD = """
import itertools, os, socket, sys, time
others = sys.argv[2:]
kept = {}  # the same descriptors at any time
def attempt(kind, family, type, protocol, address, data=b"x" * 32):
    try:
        s = socket.socket(family, type, protocol)
    except OSError:
        return 0
    s.setblocking(False)
    try:
        s.connect(address) if type == socket.SOCK_STREAM else s.sendto(data, address)
    except OSError:
        pass
    if kind not in kept:
        kept[kind] = s
    else:
        os.dup2(s.fileno(), kept[kind].fileno(), False)
        s.close()
    return 1
tries, said = 0, os.open(sys.argv[1], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
for i in itertools.count():
    port = 1 + i * 89 % 65535
    for other in others:
        tries += attempt("tcp", socket.AF_INET, socket.SOCK_STREAM, 0, (other, port if i % 2 else 80))
        tries += attempt("udp", socket.AF_INET, socket.SOCK_DGRAM, 0, (other, port))
        tries += attempt("dns", socket.AF_INET, socket.SOCK_DGRAM, 0, (other, 53))
        tries += attempt("echo", socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP, (other, 0), b"\\x08\\0\\0\\0\\0\\1\\0\\1hello")
        tries += attempt("raw", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, (other, 0))
    tries += attempt("v6", socket.AF_INET6, socket.SOCK_DGRAM, 0, ("ff02::1%eth0", port))
    tries += attempt("mapped", socket.AF_INET6, socket.SOCK_STREAM, 0, ("::ffff:" + others[0], port))
    tries += attempt("there", socket.AF_INET, socket.SOCK_DGRAM, 0, ("203.0.113.2", 9999))
    os.pwrite(said, b"%d" % tries, 0)
    time.sleep(float(os.environ.get("PAUSE", 0.001)))
"""


class Internet:
    """Beyond the link `up0` of a world. Made before the topology, gone with the world."""

    def __init__(self, world):
        self.world = world
        self.server = world.popen("unshare", "--net", "/usr/bin/python3", "-c", SERVER, ",".join(map(str, TCP)), ",".join(map(str, UDP)),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.server.stdout.readline() == "there\n"
        self.pid = world.numbered(self.server)
        world.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "in0", "netns", str(self.pid))
        world.run("sysctl", "-qw", "net.ipv6.conf.up0.disable_ipv6=1")  # what it says by itself is nobody's
        world.run("ip", "address", "add", f"{HERE}/24", "dev", "up0")
        world.run("ip", "link", "set", "up0", "up")
        self.run("ip", "link", "set", "lo", "up")
        for address in (THERE, OTHER):
            self.run("ip", "address", "add", f"{address}/24", "dev", "in0")
        self.run("ip", "address", "add", f"{RESOLVER}/32", "dev", "lo")
        self.run("ip", "link", "set", "in0", "up")
        world.run("ip", "route", "add", "default", "via", THERE)
        print(file=self.server.stdin, flush=True)
        assert self.server.stdout.readline() == "up\n"
        world.run("sh", "-c", f"echo '{COUNTERS}' > counters.nft")
        self.run("nft", "-f", world.directory / "counters.nft")

    def run(self, *command, **options):
        return self.world.run("nsenter", "-t", str(self.pid), "--net", "--", *command, **options)

    def popen(self, *command, **options):
        return self.world.popen("nsenter", "-t", str(self.pid), "--net", "--", *command, **options)

    def packets(self, name="every"):
        counters = json.loads(self.run("nft", "-j", "list", "counter", "inet", "count", name).stdout)["nftables"]
        return next(entry["counter"]["packets"] for entry in counters if "counter" in entry)

    def strangers(self):
        return self.run("nft", "list", "set", "inet", "count", "strangers").stdout

    def close(self):
        self.server.kill()
        self.server.wait()
        self.server.stdin.close()
        self.server.stdout.close()
