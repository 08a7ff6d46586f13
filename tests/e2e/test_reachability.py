"""Who reaches whom: hosts outside, the machine itself, containers and services of both modes, as one table each.

    far (198.51.100.2), dns (8.8.8.8) -- router (203.0.113.2) --+-- the machine (203.0.113.1 and .11) -- containers
                                             neighbour (.9) ----+

With IPv6 beside it: 2001:db8:1:: instead of 203.0.113., 2001:db8:2::2; dns has none. The three
outside send whatever is for 10.0.0.0/8 and fd00::/8 to the machine, as an attacker on the wire would. A row is who asks, a column whom and
where; a cell is o: reached, and seen under its own address, x: reached, and seen under another, -: not reached.
"""

import shutil
import subprocess

import pytest
from hosts import PROGRAM, Host, Speaker, matrix, parse, row, write
from sandbox import production
from world import NUCLEUS

MACHINE, SECOND, ROUTER, NEIGHBOUR, FAR, DNS = "203.0.113.1", "203.0.113.11", "203.0.113.2", "203.0.113.9", "198.51.100.2", "8.8.8.8"
MACHINE6, SECOND6, ROUTER6, NEIGHBOUR6, FAR6 = "2001:db8:1::1", "2001:db8:1::b", "2001:db8:1::2", "2001:db8:1::9", "2001:db8:2::2"

TOPOLOGY = """name = "PROJECT"
[defaults]
service_mode = "MODE"
volumes = ["SHARED:/shared"]
restart = "no"
dns = ["8.8.8.8"]
KEYS
[networks.front]
subnet = "10.77.1.0/24"
subnet6 = "fd00:77:1::/64"
[networks.back]
subnet = "10.77.2.0/24"
subnet6 = "fd00:77:2::/64"
internal = true
[networks.side]
subnet = "10.77.3.0/24"
subnet6 = "fd00:77:3::/64"
[services.web]
command = ["/usr/bin/python3", "-c", '''PROGRAM''', "/shared/web", "tcp:0.0.0.0:80", "udp:0.0.0.0:53", "tcp:0.0.0.0:90", "tcp:0.0.0.0:92",
           "tcp::::80", "udp::::53", "tcp::::90", "tcp::::92"]
networks = ["front", "back"]
port_forwards = ["8080:80", "8053:53/udp", "127.0.0.1:8081:80", "203.0.113.11:8082:80", "[2001:db8:1::b]:8082:80", "8090-8092:90-92"]
[services.db]
command = ["/usr/bin/python3", "-c", '''PROGRAM''', "/shared/db", "tcp:0.0.0.0:80", "tcp::::80"]
networks = ["back"]
port_forwards = ["8083:80"]
[services.aside]
command = ["/usr/bin/python3", "-c", '''PROGRAM''', "/shared/aside", "tcp:0.0.0.0:80", "tcp::::80"]
networks = ["side"]
"""

# kernel, user, pasta: three of `run --network bridge`, of each backend (user: userspace), with ports published on 203.0.113.1 and on 127.0.0.1.
# every: a port of the machine's on all its addresses, asked for at 203.0.113.1 and at its addresses on networks; own: one on 127.0.0.1 alone.
# Then the containers at their own addresses; the ports that services publish, at 203.0.113.1 or where it says: 8081 is published on 127.0.0.1,
# 8082 on 203.0.113.11, 8083 leads to an internal network; those of kernel and user; and what is asked for at 127.0.0.1.
# pasta refuses a TCP port of the machine's own addresses that no socket is bound to, as nobody's: a service's, which are translated before.
# A cell of two letters is of agents and of production.
TABLES = {
    4: """
            far far/udp neighbour dns:53 dns:53/udp dns:80 every front.every back.every own
  router    o   o       o         o      o          o      o     o           o          -
  neighbour o   o       o         o      o          o      o     o           o          -
  far       o   o       o         o      o          o      o     o           o          -
  dns       o   o       o         o      o          o      o     o           o          -
  machine   o   o       o         o      o          o      o     o           o          -
  kernel    x-  x-      x-        x      x          x-     o-    o-          o-         -
  user      x-  x-      x-        x      x          x-     x-    x-          x-         -
  pasta     x-  x-      x-        x      x          x-     x-    x-          x-         -
  web       x-  x-      x-        x      x          x-     o-    o-          -          -
  db        -   -       -         -      -          -      -     -           -          -
  aside     x-  x-      x-        x      x          x-     o-    o-          o-         -

            web web/udp web.back db aside kernel
  router    -   -       -        -  -     -
  neighbour -   -       -        -  -     -
  far       -   -       -        -  -     -
  dns       -   -       -        -  -     -
  machine   o   o       o        o  o     o
  kernel    -   -       -        -  -     o
  user      x-  x-      x-       x- x-    x-
  pasta     x-  x-      x-       x- x-    x-
  web       o   o       o        o  -     -
  db        -   -       o        o  -     -
  aside     -   -       -        -  o     -

            8080 8053/udp 8081 8082 second:8082 8090 8092 8083 back:8083
  router    o    o        -    -    o           o    o    -    -
  neighbour o    o        -    -    o           o    o    -    -
  far       o    o        -    -    o           o    o    -    -
  dns       o    o        -    -    o           o    o    -    -
  machine   o    o        -    -    o           o    o    o    o
  kernel    x-   x-       -    -    x-          x-   x-   -    -
  user      x-   x-       -    -    x-          x-   x-   x-   x-
  pasta     -    x-       -    -    -           -    -    -    -
  web       x-   x-       -    -    x-          x-   x-   -    x-
  db        -    -        -    -    -           -    -    -    x-
  aside     x-   x-       -    -    x-          x-   x-   -    -

            8180 second:8180 8181 8153/udp 8280 second:8280 8281 8253/udp 8380 second:8380 8381 8353/udp
  router    o    -           -    o        o    -           -    o        o    -           -    o
  neighbour o    -           -    o        o    -           -    o        o    -           -    o
  far       o    -           -    o        o    -           -    o        o    -           -    o
  dns       o    -           -    o        o    -           -    o        o    -           -    o
  machine   o    -           -    o        o    -           -    o        o    -           -    o
  kernel    x-   -           -    x-       o-   -           -    o-       o-   -           -    o-
  user      x-   -           -    x-       x-   -           -    x-       x-   -           -    x-
  pasta     x-   -           -    x-       x-   -           -    x-       x-   -           -    x-
  web       x-   -           -    x-       o-   -           -    o-       o-   -           -    o-
  db        -    -           -    -        -    -           -    -        -    -           -    -
  aside     x-   -           -    x-       o-   -           -    o-       o-   -           -    o-

            lo:7001 lo:8080 lo:8053/udp lo:8081 lo:8082 lo:8083 lo:8180 lo:8181 lo:8281 lo:8381
  router    -       -       -           -       -       -       -       -       -       -
  neighbour -       -       -           -       -       -       -       -       -       -
  far       -       -       -           -       -       -       -       -       -       -
  dns       -       -       -           -       -       -       -       -       -       -
  machine   o       o       o           o       -       o       -       o       x       o
  kernel    -       -       -           -       -       -       -       -       -       -
  user      -       -       -           -       -       -       -       -       -       -
  pasta     -       -       -           -       -       -       -       -       -       -
  web       -       -       -           -       -       -       -       -       -       -
  db        -       -       -           -       -       -       -       -       -       -
  aside     -       -       -           -       -       -       -       -       -       -
""",
    6: """
            far far/udp neighbour every front.every back.every own
  router    o   o       o         o     o           o          -
  neighbour o   o       o         o     o           o          -
  far       o   o       o         o     o           o          -
  machine   o   o       o         o     o           o          -
  kernel    x-  x-      x-        o-    o-          o-         -
  user      x-  x-      x-        x-    x-          x-         -
  pasta     x-  x-      x-        x-    x-          x-         -
  web       x-  x-      x-        o-    o-          -          -
  db        -   -       -         -     -           -          -
  aside     x-  x-      x-        o-    o-          o-         -

            web web/udp web.back db aside kernel
  router    -   -       -        -  -     -
  neighbour -   -       -        -  -     -
  far       -   -       -        -  -     -
  machine   o   o       o        o  o     o
  kernel    -   -       -        -  -     o
  user      x-  x-      x-       x- x-    x-
  pasta     x-  x-      x-       x- x-    x-
  web       o   o       o        o  -     -
  db        -   -       o        o  -     -
  aside     -   -       -        -  o     -

            8080 8053/udp 8081 8082 second:8082 8090 8092 8083 back:8083
  router    o    o        -    -    o           o    o    -    -
  neighbour o    o        -    -    o           o    o    -    -
  far       o    o        -    -    o           o    o    -    -
  machine   o    o        -    -    o           o    o    o    o
  kernel    x-   x-       -    -    x-          x-   x-   -    -
  user      x-   x-       -    -    x-          x-   x-   x-   x-
  pasta     -    x-       -    -    -           -    -    -    -
  web       x-   x-       -    -    x-          x-   x-   -    x-
  db        -    -        -    -    -           -    -    -    x-
  aside     x-   x-       -    -    x-          x-   x-   -    -

            8180 second:8180 8181 8153/udp 8280 8480 second:8480 8453/udp
  router    o    -           -    o        -    o    -           o
  neighbour o    -           -    o        -    o    -           o
  far       o    -           -    o        -    o    -           o
  machine   o    -           -    o        -    o    -           o
  kernel    x-   -           -    x-       -    o-   -           o-
  user      x-   -           -    x-       -    x-   -           x-
  pasta     x-   -           -    x-       -    x-   -           x-
  web       x-   -           -    x-       -    o-   -           o-
  db        -    -           -    -        -    -    -           -
  aside     x-   -           -    x-       -    o-   -           o-

            lo:7001 lo:8080 lo:8053/udp lo:8083 lo:8180 lo:8480
  router    -       -       -           -       -       -
  neighbour -       -       -           -       -       -
  far       -       -       -           -       -       -
  machine   o       -       -           -       -       -
  kernel    -       -       -           -       -       -
  user      -       -       -           -       -       -
  pasta     -       -       -           -       -       -
  web       -       -       -           -       -       -
  db        -       -       -           -       -       -
  aside     -       -       -           -       -       -
""",
}


def targets(family, web, db, aside, kernel):
    """Blocks of column -> protocol, address, port, and who is to answer."""
    if family == 6:
        return [
            {"far": ("tcp", FAR6, 80, "far"), "far/udp": ("udp", FAR6, 9999, "far"), "neighbour": ("tcp", NEIGHBOUR6, 80, "neighbour"),
             "every": ("tcp", MACHINE6, 7000, "machine"), "front.every": ("tcp", "fd00:77:1::1", 7000, "machine"),
             "back.every": ("tcp", "fd00:77:2::1", 7000, "machine"), "own": ("tcp", MACHINE6, 7001, "machine")},
            {"web": ("tcp", web[0], 80, "web"), "web/udp": ("udp", web[0], 53, "web"), "web.back": ("tcp", web[1], 80, "web"),
             "db": ("tcp", db[0], 80, "db"), "aside": ("tcp", aside[0], 80, "aside"), "kernel": ("tcp", kernel[0], 80, "kernel")},
            {"8080": ("tcp", MACHINE6, 8080, "web"), "8053/udp": ("udp", MACHINE6, 8053, "web"), "8081": ("tcp", MACHINE6, 8081, "web"),
             "8082": ("tcp", MACHINE6, 8082, "web"), "second:8082": ("tcp", SECOND6, 8082, "web"), "8090": ("tcp", MACHINE6, 8090, "web"),
             "8092": ("tcp", MACHINE6, 8092, "web"), "8083": ("tcp", MACHINE6, 8083, "db"), "back:8083": ("tcp", "fd00:77:2::1", 8083, "db")},
            {"8180": ("tcp", MACHINE6, 8180, "kernel"), "second:8180": ("tcp", SECOND6, 8180, "kernel"), "8181": ("tcp", MACHINE6, 8181, "kernel"),
             "8153/udp": ("udp", MACHINE6, 8153, "kernel"), "8280": ("tcp", MACHINE6, 8280, "user"),
             "8480": ("tcp", MACHINE6, 8480, "pasta"), "second:8480": ("tcp", SECOND6, 8480, "pasta"), "8453/udp": ("udp", MACHINE6, 8453, "pasta")},
            {f"lo:{port}": (kind, "::1", int(port.split("/")[0]), name) for port, kind, name in (
                ("7001", "tcp", "machine"), ("8080", "tcp", "web"), ("8053/udp", "udp", "web"), ("8083", "tcp", "db"), ("8180", "tcp", "kernel"),
                ("8480", "tcp", "pasta"))},
        ]
    return [
        {"far": ("tcp", FAR, 80, "far"), "far/udp": ("udp", FAR, 9999, "far"), "neighbour": ("tcp", NEIGHBOUR, 80, "neighbour"),
         "dns:53": ("tcp", DNS, 53, "dns"), "dns:53/udp": ("udp", DNS, 53, "dns"), "dns:80": ("tcp", DNS, 80, "dns"),
         "every": ("tcp", MACHINE, 7000, "machine"), "front.every": ("tcp", "10.77.1.1", 7000, "machine"),
         "back.every": ("tcp", "10.77.2.1", 7000, "machine"), "own": ("tcp", MACHINE, 7001, "machine")},
        {"web": ("tcp", web[0], 80, "web"), "web/udp": ("udp", web[0], 53, "web"), "web.back": ("tcp", web[1], 80, "web"),
         "db": ("tcp", db[0], 80, "db"), "aside": ("tcp", aside[0], 80, "aside"), "kernel": ("tcp", kernel[0], 80, "kernel")},
        {"8080": ("tcp", MACHINE, 8080, "web"), "8053/udp": ("udp", MACHINE, 8053, "web"), "8081": ("tcp", MACHINE, 8081, "web"),
         "8082": ("tcp", MACHINE, 8082, "web"), "second:8082": ("tcp", SECOND, 8082, "web"), "8090": ("tcp", MACHINE, 8090, "web"),
         "8092": ("tcp", MACHINE, 8092, "web"), "8083": ("tcp", MACHINE, 8083, "db"), "back:8083": ("tcp", "10.77.2.1", 8083, "db")},
        {"8180": ("tcp", MACHINE, 8180, "kernel"), "second:8180": ("tcp", SECOND, 8180, "kernel"), "8181": ("tcp", MACHINE, 8181, "kernel"),
         "8153/udp": ("udp", MACHINE, 8153, "kernel"), "8280": ("tcp", MACHINE, 8280, "user"), "second:8280": ("tcp", SECOND, 8280, "user"),
         "8281": ("tcp", MACHINE, 8281, "user"), "8253/udp": ("udp", MACHINE, 8253, "user"), "8380": ("tcp", MACHINE, 8380, "pasta"),
         "second:8380": ("tcp", SECOND, 8380, "pasta"), "8381": ("tcp", MACHINE, 8381, "pasta"), "8353/udp": ("udp", MACHINE, 8353, "pasta")},
        {f"lo:{port}": (kind, "127.0.0.1", int(port.split("/")[0]), name) for port, kind, name in (
            ("7001", "tcp", "machine"), ("8080", "tcp", "web"), ("8053/udp", "udp", "web"), ("8081", "tcp", "web"), ("8082", "tcp", "web"),
            ("8083", "tcp", "db"), ("8180", "tcp", "kernel"), ("8181", "tcp", "kernel"), ("8281", "tcp", "user"), ("8381", "tcp", "pasta"))},
    ]


class Site:
    def __init__(self, world, shared, mode, rootfs):
        self.world, self.shared, self.mode, self.processes = world, shared, mode, []
        self.traced, self.options, self.keys = [], [], ""
        if mode == "production":
            self.options = ["--service-mode", "production", "--rootfs", rootfs, "--memory", "64M", "--dns", DNS]
            self.keys = f'rootfs = "{rootfs}"\nmemory = "64M"'
            self.traced = production(world)
        self.hosts()

    def hosts(self):
        world, shared = self.world, self.shared
        self.router = Host(world, shared, "router", "tcp:0.0.0.0:80")
        self.outside = {"router": self.router, "neighbour": Host(world, shared, "neighbour", "tcp:0.0.0.0:80", "tcp::::80"),
                        "far": Host(world, shared, "far", "tcp:0.0.0.0:80", "udp:0.0.0.0:9999", "tcp::::80", "udp::::9999"),
                        "dns": Host(world, shared, "dns", "udp:0.0.0.0:53", "tcp:0.0.0.0:53", "tcp:0.0.0.0:80")}
        router, batch = self.router, []
        batch.append(f"link add up0 type veth peer name in0 netns {router.pid}")
        for name in ("neighbour", "far", "dns"):
            router.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(self.outside[name].pid))
        batch += [f"address add {address}/24 dev up0" for address in (MACHINE, SECOND)]
        batch += [f"address add {address}/64 dev up0 nodad" for address in (MACHINE6, SECOND6)]
        batch += ["link set up0 up", f"route add default via {ROUTER}", f"route add ::/0 via {ROUTER6}"]
        self.batch(world, *batch)
        self.batch(router, "link add wire type bridge", "link set in0 master wire up", "link set neighbour master wire up", "link set wire up",
                   f"address add {ROUTER}/24 dev wire", "address add 198.51.100.1/24 dev far", "link set far up", "address add 8.8.8.1/24 dev dns",
                   "link set dns up", f"route add 10.0.0.0/8 via {MACHINE}",
                   f"address add {ROUTER6}/64 dev wire nodad", "address add 2001:db8:2::1/64 dev far nodad", f"route add fd00::/8 via {MACHINE6}")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for name, address, gateway in (("neighbour", NEIGHBOUR, ROUTER), ("far", FAR, "198.51.100.1"), ("dns", DNS, "8.8.8.1")):
            self.batch(self.outside[name], f"address add {address}/24 dev eth0", "link set eth0 up", f"route add default via {gateway}")
        for name, address, gateway in (("neighbour", NEIGHBOUR6, ROUTER6), ("far", FAR6, "2001:db8:2::1")):
            self.batch(self.outside[name], f"address add {address}/64 dev eth0 nodad", f"route add ::/0 via {gateway}")
        self.batch(self.outside["neighbour"], f"route add 10.0.0.0/8 via {MACHINE}", f"route add fd00::/8 via {MACHINE6}")
        self.start("machine", "/usr/bin/python3", "-c", PROGRAM, shared / "machine", "tcp:0.0.0.0:7000", "tcp:127.0.0.1:7001", "tcp::::7000", "tcp:::1:7001")

    def batch(self, where, *lines):
        file = self.world.directory / "batch"
        file.write_text("\n".join(lines) + "\n")
        where.run("ip", "-batch", file)

    def start(self, name, *command):
        errors = (self.world.directory / f"{name}.errors").open("w+")
        self.processes.append((name, self.world.popen(*command, stdout=subprocess.DEVNULL, stderr=errors), errors))

    def containers(self):
        for name, backend, first in (("kernel", "kernel", 8180), ("user", "userspace", 8280), ("pasta", "pasta", 8380)):
            other = first + 100 * (name == "pasta")  # which of Debian 12 has a number once only
            both = ["-p", f"[{MACHINE6}]:{other}:80", "-p", f"[{MACHINE6}]:{other - 27}:53/udp"] if name != "user" else []
            ports = ["tcp::::80", "udp::::53"] if both else []
            both = both or ["--dns", FAR6]  # a name server makes it speak IPv6 too, which slirp4netns publishes nothing by
            self.start(name, *self.traced, NUCLEUS, "run", "--network", "bridge", "--nat-backend", backend, "--name", self.world.name(name), *self.options,
                       "-p", f"{MACHINE}:{first}:80", "-p", f"127.0.0.1:{first + 1}:80", "-p", f"{MACHINE}:{first - 27}:53/udp", *both,
                       "--volume", f"{self.shared}:/shared", "--", "/usr/bin/python3", "-c", PROGRAM, f"/shared/{name}", "tcp:0.0.0.0:80", "udp:0.0.0.0:53", *ports)
        path = self.world.write(TOPOLOGY.replace("MODE", self.mode).replace("SHARED", str(self.shared)).replace("KEYS", self.keys)
                                .replace("PROGRAM", PROGRAM))
        self.world.run(*self.traced, NUCLEUS, "apply", "-f", path, timeout=120)

    def speakers(self):
        names = ["machine", "kernel", "user", "pasta", "web", "db", "aside"]
        try:
            return self.outside | {name: Speaker(self.shared, name).wait() for name in names}
        except AssertionError as late:
            told = [f"{name}: {(self.world.directory / f'{name}.errors').read_text()}" for name, _, _ in self.processes]
            raise AssertionError("\n".join([str(late), *told])) from None

    def close(self):
        for host in self.outside.values():
            host.close()
        for _, process, errors in self.processes:
            process.kill()
            process.wait()
            errors.close()


@pytest.fixture
def site(world, request):
    shared = world.directory / "shared"
    shared.mkdir()
    rootfs = request.getfixturevalue("rootfs") if request.param == "production" else None
    site = Site(world, shared, request.param, rootfs)
    yield site
    site.close()


def differing(site, speakers, family):
    """What the table of that family has otherwise, and what it should be."""
    of = {name: [address for address in speakers[name].addresses(family) if address not in ("127.0.0.1", "::1")] for name in ("web", "db", "aside", "kernel")}
    if family == 6:
        of["web"].sort()  # the kernel has them in no order
    blocks = targets(family, *of.values())
    asked = {column: target for block in blocks for column, target in block.items()}
    expected = {name: {column: cell[0 if site.mode == "agent" else -1] for column, cell in cells.items()} for name, cells in parse(TABLES[family]).items()}
    got = matrix({name: speaker for name, speaker in speakers.items() if family == 4 or name != "dns"}, asked)
    # What did not answer in time, one after the other: the machine may be busy.
    for name, cells in expected.items():
        for column in [column for column, cell in cells.items() if cell != "-" and got[name][column] == "-"]:
            got[name] |= row(speakers[name], {column: asked[column]}, 10)
    if got == expected:
        return []
    return [*(f"IPv{family}: {row} -> {column}: {got[row][column]}, not {cell}" for row, cells in expected.items() for column, cell in cells.items()
              if got[row][column] != cell), f"IPv{family}, {site.mode}:", write(got, blocks)]


@pytest.mark.skipif(shutil.which("pasta") is None, reason="needs pasta")
@pytest.mark.parametrize("site", ["agent", "production"], indirect=True)
def test_who_reaches_whom_is_what_is_written_down(site):
    site.containers()
    speakers = site.speakers()
    if wrong := differing(site, speakers, 4) + differing(site, speakers, 6):
        pytest.fail("\n".join(wrong), pytrace=False)
