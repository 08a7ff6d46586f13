"""What egress rules have denied is told; and what happens where there can be no rules."""

import json
import pathlib
import subprocess

import pytest
from internet import OTHER, THERE
from sandbox import image  # noqa: F401 (fixture)
from world import NUCLEUS, wait_for

BRIDGE = ("--network", "bridge")
NFT = pathlib.Path(NUCLEUS).with_name("nucleus-nft")
needs_slirp = pytest.mark.skipif(not pathlib.Path("/usr/bin/slirp4netns").exists(), reason="needs slirp4netns")


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


def test_what_was_denied_is_an_event(world, internet):
    text = f"""name = "PROJECT"
[networks.front]
[services.web]
command = ["/usr/bin/python3", "-c", '''
import socket, time
s = socket.socket(type=socket.SOCK_DGRAM)
for i in range(3):
    try: s.sendto(b"x", ("{OTHER}", 9999))
    except OSError: pass
time.sleep(1000)
''']
networks = ["front"]
egress_allow = ["{THERE}/32"]
restart = "always"
"""
    world.apply(world.write(text))
    denied = lambda: world.container("web")["egress_denied"]
    told = lambda: [(event["packets"], event["total"]) for line in world.nucleus("events", "--output", "jsonl").stdout.splitlines()
                    if (event := json.loads(line))["event"] == "egress-denied"]
    wait_for("the packets", lambda: denied() == 3)
    assert told() == []  # nobody has looked
    # A change of how it is watched over, of its rules, and its end are occasions.
    world.apply(world.write(text + 'stop_timeout = "1s"\n'))
    wait_for("the event", told)
    assert told() == [(3, 3)]
    world.nucleus("kill", "web")
    wait_for("its second run", lambda: denied() == 6)
    assert told() == [(3, 3)]
    world.nucleus("stop", "web", "--timeout", "0s")
    assert told() == [(3, 3), (3, 6)]
    world.nucleus("destroy", world.project)
    world.nothing_left()


@needs_slirp
def test_without_the_rules_nothing_starts_unless_it_was_asked_for(world, internet, image):  # noqa: F811
    """libnftables is missing, or the kernel refuses: what asks it fails."""
    world.run("mount", "--bind", "/bin/false", NFT)
    userspace = ("--nat-backend", "userspace", "--egress-allow", f"{THERE}/32")
    refused = run(world, *userspace, "echo ran", status=125)
    assert refused.stdout == "" and "nft" in refused.stderr, refused.stderr
    went = run(world, *userspace, "--allow-degraded-security", "echo ran")
    assert went.stdout == "ran\n"
    assert went.stderr.count("\n") == 1 and went.stderr.startswith("nucleus: warning: egress rules: "), went.stderr
    production = ("--service-mode", "production", "--rootfs", image, "--dns", THERE)
    refused = run(world, *userspace, *production, "--memory", "64M", "--allow-degraded-security", "echo ran", status=125)
    assert refused.stdout == "" and "allow-degraded-security" in refused.stderr, refused.stderr
    # Without rules there is nothing to be had.
    assert run(world, "--nat-backend", "userspace", "echo ran").stderr == ""
    # The rules of a bridge of the machine are no matter of egress alone.
    refused = run(world, "--egress-allow", "", "--allow-degraded-security", "echo ran", status=125)
    assert refused.stdout == ""


# In the place of nucleus-nft: refuses the table of egress rules, as a kernel does that lacks what it is made of.
REFUSING = """#!/bin/sh
if grep -q nucleus_egress; then printf "Could not process rule: Operation not supported"; exit 41; fi
exec REAL "$@" < /proc/self/fd/0
"""


@pytest.mark.parametrize("backend", [pytest.param("kernel"), pytest.param("slirp4netns", marks=needs_slirp)])
def test_a_service_goes_without_them_where_it_may_and_gets_them_when_they_can_be_had(world, internet, backend):
    text = f"""name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front"]
nat_backend = "{backend}"
egress_allow = ["{THERE}/32"]
"""
    path = world.write(text)
    real, refusing = world.directory / "nft", world.directory / "refusing"
    real.write_bytes(NFT.read_bytes())
    refusing.write_text(REFUSING.replace("REAL", str(real)))
    for file in (real, refusing):
        file.chmod(0o755)
    world.run("mount", "--bind", refusing, NFT)
    refused = world.apply(path, status=1)
    assert "Operation not supported" in refused.stderr, refused.stderr
    world.nucleus("destroy", world.project, status=None)
    path = world.write(text + "allow_degraded_security = true\n")
    word = "service.web egress rules: not in force, what it sends is not restricted: Could not process rule"
    assert word in world.nucleus("diff", "-f", path).stdout
    assert word in world.apply(path).stdout
    pid = world.pid("service.web")
    told = world.nucleus("diff", "-f", path).stdout
    assert "nothing to do" in told.lower() and word in told
    assert world.json("drift", world.project)["changes"] == []
    said = lambda: world.inside("service.web", "sh", "-c", f"timeout 3 busybox nc -w 1 {OTHER} 80 < /dev/null", status=None).stdout
    assert said() != ""
    world.run("umount", NFT)
    told = world.nucleus("diff", "-f", path).stdout
    assert "service.web" in told and word not in told
    world.apply(path)
    assert said() == "" and world.pid("service.web") == pid
    # In force, they are not taken away for a program that cannot be asked.
    world.run("mount", "--bind", "/bin/false", NFT)
    assert word not in world.nucleus("diff", "-f", path, status=None).stdout
    world.run("umount", NFT)
    world.nucleus("destroy", world.project)
    world.nothing_left()


@needs_slirp
def test_a_network_whose_program_is_gone_for_good_is_told(world, internet):
    started = world.popen(NUCLEUS, "run", *BRIDGE, "--nat-backend", "userspace", "--name", "server", "--", "sh", "-c", "echo up; exec sleep 1000",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "up\n"
    world.run("mount", "--bind", "/bin/false", "/usr/bin/slirp4netns")
    world.run("pkill", "-KILL", "-x", "slirp4netns")
    told = started.stderr.readline()
    assert "slirp4netns" in told and "could not be started again" in told, told
    world.run("umount", "/usr/bin/slirp4netns")
    wait_for("it to be started again", lambda: world.run("pgrep", "-x", "slirp4netns", status=None).stdout)
    world.run("pkill", "-KILL", "-x", "sleep")
    out, err = started.communicate(timeout=20)
    assert err == ""
