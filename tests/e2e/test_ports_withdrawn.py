"""A port that is published no more is closed, to connections that are open too, and to nothing else."""

import json
import re
import subprocess

import pytest
from internet import HERE
from userspace import BACKENDS
from world import wait_for

# Sends each line that it is given over one connection, and tells what comes back within a second.
TALKER = """
import socket, sys
talk = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
talk.settimeout(1)
for line in sys.stdin:
    try:
        talk.sendall(line.encode())
        print(talk.recv(100).decode().strip() or "closed", flush=True)
    except OSError:
        print("nothing", flush=True)
"""

class Netcat:
    """The same by netcat, which an old pasta gets on with."""

    def __init__(self, popen, host, port):
        self.process = popen("busybox", "nc", host, str(port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hears(self):
        self.process.stdin.write("hello\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "hello\n"

    def ends(self):
        """It is told that the other side has gone."""
        self.process.stdin.close()
        assert self.process.stdout.read() == ""
        self.process.wait(timeout=20)
        self.process.stdout.close()


TOPOLOGY = """name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
[services.web]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/usr/bin/busybox", "cat"]
networks = ["front"]
PORTS
BACKEND
[services.other]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/usr/bin/busybox", "cat"]
networks = ["front"]
port_forwards = ["8085:80"]
"""


class Talker:
    def __init__(self, popen, host, port):
        self.process = popen("/usr/bin/python3", "-c", TALKER, host, str(port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it has ended, for it was refused
            return ""
        return self.process.stdout.readline().strip()

    def hears(self):
        return self.says("hello") == "hello"


def talkers(world, internet):
    return {"outside": Talker(internet.popen, HERE, 8080), "here": Talker(world.popen, HERE, 8080), "loopback": Talker(world.popen, "127.0.0.1", 8081),
            "range": Talker(internet.popen, HERE, 8091), "other": Talker(internet.popen, HERE, 8085)}


def heard(open_):
    return [name for name, talker in open_.items() if talker.hears()]


def write(world, *ports, backend="kernel"):
    return world.write(TOPOLOGY.replace("PORTS", f"port_forwards = {json.dumps(ports)}").replace("BACKEND", f'nat_backend = "{backend}"'))


def test_open_connections_end_with_their_port(world, internet):
    every = ["8080:80", "127.0.0.1:8081:80", "8090:80", "8091:80", "8092:80"]
    world.apply(write(world, *every))
    pid = world.pid("service.web")
    open_ = wait_for("all of them", lambda: (found := talkers(world, internet)) and heard(found) == list(found) and found)
    for withdrawn, closed in [(every[0], ["outside", "here"]), (every[3], ["range"]), (every[1], ["loopback"])]:
        every.remove(withdrawn)
        path = write(world, *every)
        world.apply(path)
        open_ = {name: talker for name, talker in open_.items() if name not in closed or not expect_closed(talker)}
        assert heard(open_) == list(open_), withdrawn
    assert list(open_) == ["other"] and world.pid("service.web") == pid
    # Another service has the port now: the old connection is none of its.
    path.write_text(path.read_text().replace("8085:80", "8086:80").replace('"8090:80"', '"8090:80", "8085:80"'))
    world.apply(path)
    assert heard(open_) == [] and Talker(internet.popen, HERE, 8085).hears()
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower()


def expect_closed(talker):
    assert not talker.hears()
    return True


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_user_space_too(world, internet, backend):
    every = ["8080:80", "127.0.0.1:8081:80", "8091:80"]
    put = lambda: world.apply(write(world, *every, backend=backend))
    put()
    pid = world.pid("service.web")
    # The program in the container speaks first of nothing, and a client that does is what an old pasta forgets.
    ways = {"outside": (internet.popen, HERE, 8080), "here": (world.popen, HERE, 8080), "loopback": (world.popen, "127.0.0.1", 8081),
            "range": (internet.popen, HERE, 8091)}
    open_ = {name: Netcat(*way) for name, way in ways.items()}
    assert heard(open_) == list(open_)
    for withdrawn, closed in [("8080:80", ["outside", "here"]), ("127.0.0.1:8081:80", ["loopback"])]:
        every.remove(withdrawn)
        put()
        for name in closed:
            open_.pop(name).ends()
        # pasta is started anew for that, and nothing outlives it.
        if backend == "pasta":
            open_.popitem()[1].ends()
            open_ = {"range": Netcat(*ways["range"])} | ({"loopback": Netcat(*ways["loopback"])} if closed[0] == "outside" else {})
        assert heard(open_) == list(open_), withdrawn
    assert world.pid("service.web") == pid
    refused = internet.run("busybox", "timeout", "3", "busybox", "nc", "-w", "1", HERE, "8080", status=None)
    assert refused.returncode != 0


def test_a_translation_of_somebody_elses_lets_nobody_in(world, internet):
    world.apply(write(world, "8080:80"))
    address = re.search(r"(10\.77\.0\.\d+)", world.inside("service.web", "ip", "-4", "address", "show").stdout).group(1)
    world.run("nft", f"table ip stranger {{ chain in {{ type nat hook prerouting priority -100; tcp dport 9090 dnat to {address}:80; }}; }}")
    assert Talker(internet.popen, HERE, 8080).hears()
    refused = internet.run("busybox", "timeout", "3", "busybox", "nc", "-z", HERE, "9090", status=None)
    assert refused.returncode != 0
    world.nucleus("destroy", world.project)
    world.run("nft", "list", "table", "ip", "stranger")
