"""What egress rules have denied is told."""

import pathlib
import subprocess

import pytest
from internet import OTHER, THERE, Internet
from world import NUCLEUS

BRIDGE = ("--network", "bridge")
needs_slirp = pytest.mark.skipif(not pathlib.Path("/usr/bin/slirp4netns").exists(), reason="needs slirp4netns")


@pytest.fixture
def internet(world):
    internet = Internet(world)
    yield internet
    internet.close()


def datagrams(host, count):
    """Shell words that send so many, and wait for nothing."""
    return f"""python3 -c 'import socket
s = socket.socket(type=socket.SOCK_DGRAM)
for i in range({count}):
    try: s.sendto(b"x", ("{host}", 9999))
    except OSError: pass'"""


def run(world, *arguments, **options):
    *flags, script = arguments
    return world.nucleus("run", *BRIDGE, *flags, "--", "sh", "-c", script, **options)


def test_a_run_says_at_its_end_what_was_denied_and_nothing_where_nothing_was(world, internet):
    allowed = ("--egress-allow", f"{THERE}/32")
    assert run(world, *allowed, datagrams(OTHER, 3)).stderr == "nucleus: 3 packets denied by egress rules\n"
    assert run(world, *allowed, datagrams(OTHER, 1) + "; exit 7", status=7).stderr == "nucleus: 1 packet denied by egress rules\n"
    assert run(world, *allowed, datagrams(THERE, 3)).stderr == ""
    assert run(world, datagrams(OTHER, 3)).stderr == ""  # without rules


@needs_slirp
def test_a_network_in_user_space_says_so_too(world, internet):
    assert run(world, "--nat-backend", "userspace", "--egress-allow", "", datagrams(OTHER, 2)).stderr == "nucleus: 2 packets denied by egress rules\n"


def test_ps_shows_what_was_denied(world, internet):
    world.apply(world.write("""name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front"]
egress_allow = []
[services.free]
command = ["/bin/sleep", "10000"]
networks = ["front"]
"""))
    world.inside("service.web", "sh", "-c", datagrams(OTHER, 5))
    started = world.popen(NUCLEUS, "run", *BRIDGE, "--egress-allow", "", "--name", "byhand", "--", "sh", "-c", datagrams(OTHER, 2) + "; echo up; exec sleep 1000",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "up\n"
    shown = world.containers()
    assert {name: row["egress_denied"] for name, row in shown.items()} == {f"{world.project}/web": 5, f"{world.project}/free": None, "byhand": 2}
    lines = world.nucleus("ps").stdout.splitlines()
    at = lines[0].index("DENIED")
    assert {line.split()[0]: line[at:].split()[0] for line in lines[1:]} == {f"{world.project}/web": "5", f"{world.project}/free": "-", "byhand": "2"}
    world.run("kill", "-KILL", shown["byhand"]["pid"])
    out, err = started.communicate(timeout=20)
    assert err == "nucleus: 2 packets denied by egress rules\n"
