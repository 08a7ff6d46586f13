"""Beside others who have the machine's firewall: Docker, which lets nothing be forwarded but its own, and firewalld, which loads its rules anew."""
import concurrent.futures
import json
import pathlib
import re

import guest

FILE = pathlib.Path("/root/firewalls.toml")
SERVER = '["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/usr/bin/busybox", "echo", "from-{}"]'
TEXT = f"""
name = "firewalls"
[defaults]
service_mode = "agent"
[networks.front]
subnet = "10.91.31.0/24"
subnet6 = "fd00:91:31::/64"
[networks.back]
subnet = "10.91.32.0/24"
internal = true
[networks.aside]
subnet = "10.91.33.0/24"
subnet6 = "fd00:91:33::/64"
[services.web]
command = {SERVER.format("web")}
networks = ["front", "back"]
port_forwards = ["8080:80"]
[services.db]
command = {SERVER.format("db")}
networks = ["back"]
[services.held]
command = {SERVER.format("held")}
networks = ["aside"]
egress_allow = ["203.0.113.2/32"]
egress_tcp_ports = [80]
"""
HOST, OUTSIDE = "203.0.113.1", "203.0.113.2"
HOST6, OUTSIDE6 = "2001:db8::1", "2001:db8::2"
OUT = ["ip", "netns", "exec", "outside"]


def outside():
    """A host on a wire of its own, with servers."""
    for words in ("netns add outside", "link add up0 type veth peer name in0 netns outside", f"address add {HOST}/24 dev up0", "link set up0 up",
                  f"-n outside address add {OUTSIDE}/24 dev in0", "-n outside link set in0 up", "-n outside link set lo up",
                  f"-n outside route add default via {HOST}",
                  f"address add {HOST6}/64 dev up0 nodad", f"-n outside address add {OUTSIDE6}/64 dev in0 nodad", f"-n outside route add ::/0 via {HOST6}"):
        guest.run("ip", *words.split())
    for port in ("80", "81"):
        guest.run("systemd-run", f"--unit=outside{port}", *OUT, "busybox", "nc", "-ll", "-p", port, "-e", "busybox", "echo", "from-outside")


class Ways:
    """Who is asked from where, and what they answer: the servers' words, or "" for nothing."""

    def __init__(self):
        pids = {entry["name"].split("/")[1]: entry["pid"] for entry in json.loads(guest.nucleus("ps", "--output", "json"))["services"]
                if entry["name"].startswith("firewalls/")}
        web, db, held = (["nsenter", "--net", "--target", str(pids[name])] for name in ("web", "db", "held"))
        at = {name: guest.run(*inside, "ip", "-4", "-o", "address", "show", "dev", link).split()[3].split("/")[0]
              for name, inside, link in (("web", web, "eth0"), ("web.back", web, "eth1"), ("db", db, "eth0"), ("held", held, "eth0"))}
        web6, held6 = (re.search(r"inet6 (\S+)/", guest.run(*inside, "ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global")).group(1)
                       for inside in (web, held))
        self.ours = {"from outside, IPv6": (OUT, HOST6, 8080, "from-web"), "of the machine, IPv6": ([], HOST6, 8080, "from-web"),
                     "its address, IPv6": ([], web6, 80, "from-web"), "out, IPv6": (web, OUTSIDE6, 80, "from-outside"), "from outside": (OUT, HOST, 8080, "from-web"), "of the machine": ([], HOST, 8080, "from-web"), "its address": ([], at["web"], 80, "from-web"),
                     "out": (web, OUTSIDE, 80, "from-outside"), "out, held": (held, OUTSIDE, 80, "from-outside"), "each other": (web, at["db"], 80, "from-db"),
                     "back": (db, at["web.back"], 80, "from-web")}
        self.never = {"around the port, IPv6": (OUT, web6, 80), "held, IPv6": (held, OUTSIDE6, 80), "networks apart, IPv6": (web, held6, 80),
                      "around the port": (OUT, at["web"], 80), "held, another port": (held, OUTSIDE, 81), "held, another host": (held, at["web"], 80),
                      "out of internal": (db, OUTSIDE, 80), "the machine from internal": (db, HOST, 8080), "into internal": (held, at["db"], 80),
                      "networks apart": (web, at["held"], 80)}
        self.theirs = {}

    def beside_box(self):
        """With a container of Docker's, published as 8090."""
        told = guest.wait_for("the box", lambda: next((told for told in json.loads(guest.run("docker", "inspect", "box")) if told["State"]["Running"]), None))
        box, inside = told["NetworkSettings"]["IPAddress"], ["nsenter", "--net", "--target", str(told["State"]["Pid"])]
        self.theirs = {"theirs from outside": (OUT, HOST, 8090, "from-box"), "theirs out": (inside, OUTSIDE, 80, "from-outside")}
        self.never |= {"theirs to ours": (inside, self.ours["its address"][1], 80), "held to theirs": (self.never["held, another port"][0], box, 80)}

    @staticmethod
    def ask(before, host, port):
        said = guest.run(*before, "busybox", "sh", "-c", f"busybox nc -w 3 {host} {port} < /dev/null", status=None).strip()
        return said if said.startswith("from-") else ""

    def found(self, ways):
        with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
            return dict(zip(ways, pool.map(lambda way: self.ask(*way[:3]), ways.values())))

    def are_right(self, never=True):
        ways = self.ours | self.theirs
        wanted = {name: way[3] for name, way in ways.items()}
        found = {}

        def right():
            found.update(self.found({name: way for name, way in ways.items() if found.get(name) != wanted[name]}))
            return found == wanted
        try:
            guest.wait_for("all ways", right, 120)
        except AssertionError:
            wrong = {name: answer for name, answer in found.items() if answer != wanted[name]}
            raise AssertionError(f"{wrong}\n{guest.run('nft', 'list', 'ruleset')[:6000]}") from None
        assert not never or not any((open_now := self.found(self.never)).values()), open_now


def apply():
    guest.nucleus("apply", "-f", str(FILE))
    guest.nucleus("diff", "-f", str(FILE), "--detailed-exitcode")


def drift(status=2):
    return guest.nucleus("drift", "firewalls", "--detailed-exitcode", status=status)


def started(*units):
    for unit in units:
        guest.run("systemctl", "unmask", unit)
    guest.run("systemctl", "start", units[-1], timeout=600)


def gone(ways=None):
    """Nothing of ours is left among what others have, and that goes on."""
    guest.nucleus("destroy", "firewalls", "--yes")
    listed = guest.run("nft", "list", "ruleset")
    assert not re.search("(nucleus_|nb)[0-9a-f]{10}", listed), listed[-3000:]
    if ways:
        guest.wait_for("their ways", lambda: ways.found(ways.theirs) == {name: way[3] for name, way in ways.theirs.items()}, 30)


def test_beside_docker_both_work():
    outside()
    FILE.write_text(TEXT)
    started("containerd.service", "docker.socket", "docker.service")
    assert "-P FORWARD DROP" in guest.run("iptables", "-S", "FORWARD")
    guest.run("ip6tables", "-P", "FORWARD", "DROP")  # as one that handles IPv6 does, which it does not here
    root = guest.minimal_rootfs()
    guest.run("sh", "-ec", f"tar -C {root} -cf - . | docker import - box")
    guest.run("docker", "run", "--detach", "--restart", "always", "--stop-signal", "KILL", "--name", "box", "--publish", "8090:80", "box", "/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/bin/busybox", "echo", "from-box")
    apply()
    ways = Ways()
    ways.beside_box()
    ways.are_right()

    guest.run("nft", "flush", "ruleset")
    assert "nft table missing" in drift()
    guest.run("systemctl", "restart", "docker", timeout=600)  # has its rules again, and has ended the container
    for program in ("iptables", "ip6tables"):
        guest.run(program, "-P", "FORWARD", "DROP")  # it does so where it is the one to switch forwarding on
    told = drift()
    assert "nft table missing" in told, told
    guest.nucleus("apply", "-f", str(FILE))
    ways.beside_box()
    ways.are_right()
    gone(ways)
    guest.run("docker", "rm", "--force", "box")
    guest.run("systemctl", "kill", "--signal=KILL", "docker.socket", "docker.service", "containerd.service", status=None)
    guest.run("systemctl", "stop", "docker.socket", "docker.service", "containerd.service", timeout=600)
    guest.run("nft", "flush", "ruleset")
    guest.run("ip", "link", "del", "docker0")


def test_beside_firewalld_both_work():
    guest.run("modprobe", "br_netfilter")  # as Docker leaves it: bridged packets come by as well
    for source, place in {"zone": "zones/nucleus", "policy": "policies/nucleus-forward"}.items():  # as an installation below /usr has them
        guest.run("install", "-D", "-m", "644", guest.HERE / f"firewalld/{source}.xml", f"/usr/lib/firewalld/{place}.xml")
    started("firewalld.service")
    apply()
    ways = Ways()
    ways.are_right()
    guest.run("firewall-cmd", "--reload")
    drift(0)
    ways.are_right(never=False)
    guest.run("nft", "flush", "ruleset")
    assert "nft table missing" in drift()
    apply()
    ways.are_right()
    gone()
    assert "firewalld" in guest.run("nft", "list", "tables")
    guest.run("systemctl", "kill", "--signal=KILL", "firewalld.service")
    guest.run("nft", "flush", "ruleset")
    guest.run("ip", "netns", "del", "outside")
