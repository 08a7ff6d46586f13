"""What egress rules have denied is told; and what happens where there can be no rules."""

import json
import pathlib
import subprocess

import pytest
from internet import HERE, OTHER, THERE
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
    by_hand = world.name("byhand")
    started = world.popen(NUCLEUS, "run", *BRIDGE, "--egress-allow", "", "--name", by_hand, "--", "sh", "-c", datagrams(OTHER, 2) + "; echo up; exec sleep 1000",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "up\n"
    wait_for("it to run", lambda: world.containers()[by_hand]["state"] == "running")
    shown = world.containers()
    assert {name: row["egress_denied"] for name, row in shown.items()} == {f"{world.project}/web": 5, f"{world.project}/free": None, by_hand: 2}
    lines = world.nucleus("ps").stdout.splitlines()
    at = lines[0].index("DENIED")
    assert {line.split()[0]: line[at:].split()[0] for line in lines[1:]} == {f"{world.project}/web": "5", f"{world.project}/free": "-", by_hand: "2"}
    world.kill(shown[by_hand]["pid"])
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


# In the place of nucleus-nft: refuses the table of egress rules, with what the kernel says; and has no library to ask.
REFUSING = """#!/bin/sh
echo asked >> ASKED
if grep -q nucleus_egress; then printf "Could not process rule: WORDS"; exit 41; fi
exec REAL "$@" < /proc/self/fd/0
"""
CANNOT = REFUSING.replace("WORDS", "Operation not supported")
BUSY = REFUSING.replace("WORDS", "Cannot allocate memory")
MISSING = """#!/bin/sh
printf "libnftables.so.1: cannot open shared object file"
exit 42
"""


def put_in_place(world, script):
    """Until NFT is unmounted."""
    real, stub = world.directory / "nft", world.directory / "stub"
    real.write_bytes(NFT.read_bytes())
    stub.write_text(script.replace("REAL", str(real)).replace("ASKED", str(world.directory / "asked")))
    for file in (real, stub):
        file.chmod(0o755)
    world.run("mount", "--bind", stub, NFT)


def test_what_was_denied_before_other_rules_is_told_too(world, internet):
    text = SERVICE.replace("BACKEND", "kernel")
    denied = lambda: world.container("web")["egress_denied"]
    world.apply(world.write(text))
    world.inside("service.web", "sh", "-c", datagrams(OTHER, 7))
    assert denied() == 7
    world.apply(world.write(text + "egress_tcp_ports = [443]\n"))
    assert denied() == 7
    world.inside("service.web", "sh", "-c", datagrams(OTHER, 2))
    world.nucleus("stop", "web", "--timeout", "0s")
    told = [event for line in world.nucleus("events", "--output", "jsonl").stdout.splitlines() if (event := json.loads(line))["event"] == "egress-denied"]
    assert sum(event["packets"] for event in told) == told[-1]["total"] == 9
    world.nucleus("destroy", world.project)
    world.nothing_left()


def test_what_was_denied_before_the_rules_were_taken_away_is_told(world, internet):
    text = SERVICE.replace("BACKEND", "kernel")
    free = "".join(line + "\n" for line in text.splitlines() if not line.startswith("egress"))
    told = lambda: [(event["packets"], event["total"]) for line in world.nucleus("events", "--output", "jsonl").stdout.splitlines()
                    if (event := json.loads(line))["event"] == "egress-denied"]
    expected = []
    for _ in range(2):  # the second rules count from nothing
        world.apply(world.write(text))
        world.inside("service.web", "sh", "-c", datagrams(OTHER, 4))
        world.apply(world.write(text + 'stop_timeout = "1s"\n'))
        wait_for("the first event", lambda: told() == [*expected, (4, 4)])
        world.inside("service.web", "sh", "-c", datagrams(OTHER, 3))
        world.apply(world.write(free))
        expected += [(4, 4), (3, 7)]
        wait_for("the last event", lambda: told() == expected)
        assert world.container("web")["egress_denied"] is None
        world.inside("service.web", "sh", "-c", datagrams(OTHER, 1))
    assert internet.packets("strange") == 2
    world.nucleus("stop", "web", "--timeout", "0s")
    assert told() == expected
    world.nucleus("destroy", world.project)
    world.nothing_left()


def test_what_is_denied_while_rules_are_replaced_is_counted(world, internet):
    """Every packet is refused by the old rules or by the new ones, and counted once."""
    text = SERVICE.replace("BACKEND", "kernel")
    world.apply(world.write(text))
    sender = world.popen("nsenter", "-t", world.pid("service.web"), "--net", "--", "/usr/bin/python3", "-c", f"""import select, socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
refused = 0
print("up", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(100):
        try: s.sendto(b"x", ("{OTHER}", 9999))
        except PermissionError: refused += 1
print(refused)""", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert sender.stdout.readline() == "up\n"
    for round in range(12):
        world.apply(world.write(text + ["egress_tcp_ports = [443]\n", "egress_udp_ports = [53]\n", ""][round % 3]))
    refused = int(sender.communicate("\n")[0])
    assert refused > 10000
    assert world.container("web")["egress_denied"] == refused
    assert internet.packets("strange") == 0, internet.strangers()


def test_a_supervisor_wakes_for_denials_only_where_there_are_rules(world, internet):
    """What it waits for, in milliseconds, is an argument of its poll(2)."""
    text = SERVICE.replace("BACKEND", "kernel")
    without = "".join(line + "\n" for line in text.splitlines() if not line.startswith("egress"))
    def patience():
        """Of one that does not rest: None."""
        pid = world.run("pgrep", "-f", "^nucleus-supervisor ").stdout.split()[-1]
        number, *arguments = world.run("cat", f"/proc/{pid}/syscall", status=None).stdout.split() or [""]
        return int(arguments[2], 16) & 0xffffffff if number == "7" else None
    for words, wakes in ((without, False), (text, True), (without, False)):
        world.apply(world.write(words))
        (rest,) = wait_for("its rest", lambda: (now := patience()) is not None and [now])
        assert (rest != 0xffffffff) == wakes, hex(rest)
    assert len(world.nucleus("events", "--output", "jsonl").stdout.splitlines()) < 10
    world.nucleus("destroy", world.project)
    world.nothing_left()


@needs_slirp
def test_without_the_rules_nothing_starts_unless_it_was_asked_for(world, internet, image):  # noqa: F811
    """libnftables is missing, or the kernel refuses."""
    userspace = ("--nat-backend", "userspace", "--egress-allow", f"{THERE}/32")
    # What may be otherwise at the next try is an error.
    world.run("mount", "--bind", "/bin/false", NFT)
    refused = run(world, *userspace, "--allow-degraded-security", "echo ran", status=125)
    assert refused.stdout == "" and "nft" in refused.stderr, refused.stderr
    world.run("umount", NFT)
    put_in_place(world, MISSING)
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


SERVICE = f"""name = "PROJECT"
[networks.front]
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front"]
nat_backend = "BACKEND"
egress_allow = ["{THERE}/32"]
"""
WORD = "service.web egress rules: not in force, what it sends is not restricted: "
ALLOWED = "allow_degraded_security = true\n"


def said(world):
    """What a server says that the rules do not let through."""
    return world.inside("service.web", "sh", "-c", f"timeout 3 busybox nc -w 1 {OTHER} 80 < /dev/null", status=None).stdout


@pytest.mark.parametrize("backend", [pytest.param("kernel"), pytest.param("slirp4netns", marks=needs_slirp)])
def test_a_service_goes_without_them_where_it_may_and_gets_them_when_they_can_be_had(world, internet, backend):
    text = SERVICE.replace("BACKEND", backend)
    path = world.write(text)
    put_in_place(world, CANNOT)
    refused = world.apply(path, status=1)
    assert "Operation not supported" in refused.stderr, refused.stderr
    world.nucleus("destroy", world.project, status=None)
    path = world.write(text + ALLOWED + f'egress_domains = ["a.example"]\ndns = ["{HERE}"]\n')
    (world.directory / "asked").unlink()
    assert WORD not in world.nucleus("diff", "-f", path).stdout and not (world.directory / "asked").exists()  # it tries nothing
    told = world.apply(path).stderr
    assert "service.web: warning: egress rules: " in told and "not restricted" in told, told
    pid = world.pid("service.web")
    told = world.nucleus("diff", "-f", path).stdout
    assert "nothing to do" in told.lower() and WORD + "replace egress rules: Could not process rule: Operation not supported" in told, told
    assert "nothing to do" in world.apply(path).stdout.lower()
    assert world.json("drift", world.project)["changes"] == []
    assert said(world) != ""
    # Others are tried.
    path = world.write(path.read_text() + "egress_tcp_ports = [443]\n")
    world.apply(path)
    told = world.nucleus("diff", "-f", path).stdout
    assert "nothing to do" in told.lower() and WORD in told, told
    # And the same again, once none were wanted.
    restricted = path.read_text()
    world.apply(world.write("".join(line for line in restricted.splitlines(True) if not line.startswith("egress_"))))
    world.run("umount", NFT)
    path = world.write(restricted)
    world.apply(path)
    told = world.nucleus("diff", "-f", path).stdout
    assert "nothing to do" in told.lower() and WORD not in told, told
    assert said(world) == "" and world.pid("service.web") == pid
    # Who takes them away from now on is told of.
    world.inside("service.web", "nft", "flush", "ruleset")
    told = world.nucleus("diff", "-f", path).stdout
    assert "egress" in told and WORD not in told, told
    world.apply(path)
    assert said(world) == ""
    world.nucleus("destroy", world.project)
    world.nothing_left()


@pytest.mark.parametrize("script", [pytest.param(CANNOT, id="refused"), pytest.param(BUSY, id="no memory"), pytest.param(MISSING, id="no library")])
def test_rules_in_force_stay_whatever_becomes_of_who_makes_them(world, internet, script):
    text = SERVICE.replace("BACKEND", "kernel") + ALLOWED
    path = world.write(text)
    world.apply(path)
    assert said(world) == ""
    put_in_place(world, script)
    for more in ("", "egress_tcp_ports = [443]\n"):
        path = world.write(text + more)
        for command in (["diff", "-f", path], ["apply", "-f", path, "--yes"], ["drift", world.project]):
            done = world.nucleus(*command, status=None)
            assert WORD not in done.stdout and "as root" not in done.stderr, done
        assert said(world) == ""
    world.run("umount", NFT)
    world.apply(path)
    assert said(world) == ""
    world.nucleus("destroy", world.project)
    world.nothing_left()


def test_where_they_fail_for_another_reason_nothing_starts(world, internet):
    put_in_place(world, BUSY)
    refused = world.apply(world.write(SERVICE.replace("BACKEND", "kernel") + ALLOWED), status=1)
    assert "Cannot allocate memory" in refused.stderr, refused.stderr
    world.run("umount", NFT)
    world.nucleus("destroy", world.project)
    world.nothing_left()


@needs_slirp
def test_a_network_whose_program_is_gone_for_good_is_told(world, internet):
    started = world.popen(NUCLEUS, "run", *BRIDGE, "--nat-backend", "userspace", "--name", world.name("server"), "--", "sh", "-c", "echo up; exec sleep 1000",
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
