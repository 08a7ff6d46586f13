"""Several services: networks, names, volumes, jobs, health, published ports, and what must not be touched."""
import json
import subprocess

import pytest
from world import wait_for

STACK = """
name = "PROJECT"
[networks.internal]
subnet = "10.91.7.0/24"
[volumes.data]
volume_type = "persistent"
path = "DIRECTORY/volumes/data"
owner = "0:0"
[volumes.cache]
volume_type = "ephemeral"
size = "16M"

[services.server]
command = ["/usr/bin/python3", "-m", "http.server", "8000", "--directory", "/data"]
networks = ["internal"]
volumes = ["data:/data", "cache:/cache"]
port_forwards = ["127.0.0.1:18000:8000"]
health_check = { http = 8000 }
health_interval = "300ms"

[services.fill]
type = "job"
command = ["/bin/sh", "-c", "echo filled >> /data/job"]
volumes = ["data:/data"]

[services.client]
command = ["/bin/sleep", "infinity"]
networks = ["internal"]
depends_on = [{ service = "server", condition = "healthy" }, { service = "fill", condition = "completed" }]
"""


def stack(world, text=STACK):
    return world.write(text.replace("DIRECTORY", str(world.directory)))


def test_a_stack_comes_up_talks_and_goes(world):
    path = stack(world)
    world.nucleus("validate", "-f", path)
    world.apply(path)
    assert world.run("curl", "-sf", "http://127.0.0.1:18000/job").stdout == "filled\n"
    assert "filled" in world.run("nsenter", "-t", world.pid("client"), "--net", "--mount", "--", "/usr/bin/python3", "-c",
                                 "import urllib.request; print(urllib.request.urlopen('http://server:8000/job').read())").stdout
    pids = world.pids()
    world.apply(path, "--detailed-exitcode")
    assert world.pids() == pids
    data = world.directory / "volumes/data/job"
    assert data.read_text() == "filled\n", "the job ran again"
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()
    assert data.exists(), "destroy took the data"
    world.apply(path)
    world.nucleus("destroy", world.project, "--delete-data", "--yes")
    assert not data.exists()


def test_data_that_another_volume_has_are_not_deleted(world):
    """Whichever of the two steps comes first: the same directory by another name, and one in another project."""
    def volume(project, name):
        return world.write(f'name = "{project}"\n[volumes.{name}]\npath = "{world.directory}/shared"\n', f"{name}.toml")
    world.apply(volume(world.project, "a"))
    data = world.directory / "shared/row"
    data.write_text("precious")
    said = world.nucleus("apply", "-f", volume(world.project, "b"), "--delete-data", "--yes").stdout
    assert data.read_text() == "precious" and f"its data stay, volume.b has them: {world.directory}/shared" in said, said
    world.apply(volume(world.project + "two", "c"))
    said = world.nucleus("destroy", world.project, "--delete-data", "--yes").stdout
    assert data.read_text() == "precious" and f"its data stay, {world.project}two/volume.c has them" in said, said
    world.nucleus("destroy", world.project + "two", "--delete-data", "--yes")
    assert not data.exists()


def test_jobs_run_again_when_their_inputs_change_or_they_are_asked_to(world):
    path = stack(world)
    world.apply(path)
    data = world.directory / "volumes/data/job"
    world.apply(path, "--rerun", "service.fill")
    assert data.read_text() == "filled\n" * 2
    stack(world, STACK.replace("echo filled", "echo again"))
    world.apply(path)
    assert data.read_text() == "filled\nfilled\nagain\n"
    world.apply(path)
    assert data.read_text() == "filled\nfilled\nagain\n"


def test_removing_a_service_removes_exactly_its_objects(world):
    path = stack(world)
    world.apply(path)
    server, links = world.pid("server"), world.links()
    stack(world, STACK[:STACK.index("[services.client]")])
    world.apply(path)
    assert world.pid("server") == server
    assert f"{world.project}/client" not in world.containers("--all")
    gone = set(links) - set(world.links())
    assert len(gone) == 1 and "service.client" in gone.pop()


def test_membership_reaches_the_hosts_files_of_those_who_stay(world):
    path = stack(world)
    world.apply(path)
    pid = world.pid("server")
    hosts = lambda: world.run("nsenter", "-t", pid, "--mount", "--", "cat", "/etc/hosts").stdout
    assert "client" in hosts()
    stack(world, STACK[:STACK.index("[services.client]")])
    world.apply(path)
    assert "client" not in hosts()
    assert world.pid("server") == pid


def test_a_topology_whose_name_begins_like_another_is_left_alone(world):
    short = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "infinity"]\n[networks.n]\n'
                        'subnet = "10.91.8.0/24"\n'.replace('[services.a]', '[services.a]\nnetworks = ["n"]'), "short.toml")
    long_name = world.project + "-more"
    long = world.write(short.read_text().replace(world.project, long_name).replace("10.91.8", "10.91.9"), "long.toml")
    world.apply(short)
    world.apply(long)
    kept = world.pid("a", long_name)
    world.nucleus("destroy", "-f", short, "--yes")
    assert world.pid("a", long_name) == kept
    world.nucleus("diff", "-f", long, "--detailed-exitcode")
    world.nucleus("destroy", "-f", long, "--yes")
    world.nothing_left()


def test_networks_are_isolated_from_each_other(world):
    path = world.write("""
name = "PROJECT"
[networks.one]
subnet = "10.91.1.0/24"
[networks.two]
subnet = "10.91.2.0/24"
[services.a]
command = ["/usr/bin/python3", "-m", "http.server", "8000"]
networks = ["one"]
[services.b]
command = ["/bin/sleep", "infinity"]
networks = ["two"]
[services.c]
command = ["/bin/sleep", "infinity"]
networks = ["one"]
""")
    world.apply(path)
    address = world.inside("a", "ip", "-4", "-o", "addr", "show", "eth0").stdout.split()[3].split("/")[0]
    wait_for("an answer in the same network", lambda: world.inside(
        "c", "curl", "-s", "-m", "2", f"http://{address}:8000/", status=None).returncode == 0)
    assert world.inside("b", "curl", "-s", "-m", "2", f"http://{address}:8000/", status=None).returncode != 0


def test_published_ports_change_live(world):
    path = stack(world)
    world.apply(path)
    pid = world.pid("server")
    stack(world, STACK.replace("18000", "18001"))
    world.apply(path)
    assert world.pid("server") == pid
    world.run("curl", "-sf", "http://127.0.0.1:18001/job")
    assert world.run("curl", "-sf", "-m", "2", "http://127.0.0.1:18000/job", status=None).returncode != 0


def test_a_taken_port_is_found_before_anything_starts(world):
    path = stack(world)
    with world.popen("/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "18000") as holder:
        wait_for("the holder", lambda: world.run("curl", "-s", "http://127.0.0.1:18000/", status=None).returncode == 0)
        refused = world.apply(path, status=1)
        holder.kill()
    assert "18000" in refused.stderr, refused.stderr
    world.nothing_left()


def test_the_last_one_out_restores_forwarding(world):
    forwarding = lambda: world.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip()
    assert forwarding() == "0"
    path = stack(world)
    world.apply(path)
    assert forwarding() == "1"
    world.nucleus("destroy", "-f", path, "--yes")
    assert forwarding() == "0"


@pytest.mark.parametrize("seconds", ("0", "0.03", "0.06", "0.09"))
def test_a_short_job_is_not_cleaned_up_before_it_has_been_seen(world, seconds):
    path = world.write("""
name = "PROJECT"
[services.migrate]
type = "job"
command = ["/bin/sleep", "%s"]
[services.web]
command = ["/bin/sleep", "infinity"]
depends_on = ["migrate"]
""" % seconds)
    world.apply(path)
    assert world.container("migrate")["state"] == "completed"
    assert world.container("web")["state"] == "running"
    world.apply(path, "--detailed-exitcode")


def test_a_failing_start_explains_itself_and_stops_only_what_needs_it(world):
    path = world.write("""
name = "PROJECT"
[services.bad]
type = "job"
command = ["/bin/sh", "-c", "echo the disk of the moon is full >&2; exit 7"]
[services.after]
command = ["/bin/sleep", "infinity"]
depends_on = [{ service = "bad", condition = "completed" }]
[services.independent]
command = ["/bin/sleep", "infinity"]
""")
    failed = world.apply(path, status=None)
    assert failed.returncode in (1, 6)
    words = failed.stdout + failed.stderr
    assert "7" in words and "the disk of the moon is full" in words, words
    assert "service.after" in words
    assert f"{world.project}/independent" in world.containers()
    assert f"{world.project}/after" not in world.containers()


def test_an_unhealthy_service_shows_its_last_probe(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
health_check = "echo no pulse; exit 3"
health_interval = "300ms"
health_retries = 2
on_unhealthy = "none"
""")
    failed = world.apply(path, "--timeout", "20s", status=6)
    assert "no pulse" in failed.stdout + failed.stderr


TWO_NETWORKS = """
name = "PROJECT"
[networks.front]
subnet = "10.91.1.0/24"
[networks.back]
subnet = "10.91.2.0/24"
internal = true
[services.web]
command = ["/usr/bin/python3", "-m", "http.server", "8000"]
networks = NETWORKS
[services.a]
command = ["/usr/bin/python3", "-m", "http.server", "8000"]
networks = ["front"]
[services.b]
command = ["/usr/bin/python3", "-m", "http.server", "8000"]
networks = ["back"]
"""

# The IPv4 packets that a namespace sees until it is told to stop: "FROM TO".
WATCH = """
import json, select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
print("up", flush=True)
seen = set()
while True:
    ready = select.select([s, sys.stdin], [], [])[0]
    if s in ready:
        frame = s.recv(2048)
        seen.add(socket.inet_ntoa(frame[26:30]) + " " + socket.inet_ntoa(frame[30:34]))
    elif sys.stdin in ready:
        break
print(json.dumps(sorted(seen)))
"""
# Sends to every address that it is given, as fast as it may, until it is told to stop.
FLOOD = """
import select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("up", flush=True)
while not select.select([sys.stdin], [], [], 0.002)[0]:
    for host in sys.argv[1:]:
        try: s.sendto(b"x", (host, 9))
        except OSError: pass
"""


def by_name(world, asker, name):
    return world.run("nsenter", "-t", world.pid(asker), "--net", "--mount", "--", "/usr/bin/python3", "-c",
                     "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=2).status)",
                     f"http://{name}:8000/", status=None).stdout.strip() == "200"


def interfaces(world, service):
    """network -> interface."""
    shown = json.loads(world.inside(service, "ip", "-j", "-4", "addr", "show").stdout)
    of = {"10.91.1": "front", "10.91.2": "back"}
    return {of[link["addr_info"][0]["local"].rpartition(".")[0]]: link["ifname"] for link in shown if link["ifname"] != "lo"}


def test_networks_are_added_and_removed_under_a_running_service(world):
    def change(networks, expected):
        path = world.write(TWO_NETWORKS.replace("NETWORKS", json.dumps(networks)))
        assert {c["address"]: c["action"] for c in world.json("diff", "-f", path)["changes"]}["service.web"] == "live"
        world.apply(path)
        assert world.pids() == pids
        assert interfaces(world, "web") == expected
        assert {name for name in ("a", "b") if by_name(world, "web", name)} == \
            {name for name, network in (("a", "front"), ("b", "back")) if network in networks}
        assert by_name(world, "a", "web") == ("front" in networks) and by_name(world, "b", "web") == ("back" in networks)
        world.nucleus("diff", "-f", path, "--detailed-exitcode")
        assert "nothing to do" in world.nucleus("apply", "-f", path).stdout.lower()
        for network in networks:
            assert addresses.setdefault(network, address(network)) == address(network)

    def address(network):
        return world.json("show", world.project)["addresses"][f"service.web/{network}"]

    path = world.write(TWO_NETWORKS.replace("NETWORKS", '["front"]'))
    world.apply(path)
    pids, addresses = world.pids(), {"front": address("front")}
    wait_for("the servers", lambda: by_name(world, "web", "a") and by_name(world, "a", "web"))
    wait_for("the other server", lambda: world.inside("b", "curl", "-s", "http://127.0.0.1:8000/", status=None).returncode == 0)
    change(["front", "back"], {"front": "eth0", "back": "eth1"})
    change(["back"], {"back": "eth1"})
    assert "default" not in world.inside("web", "ip", "route").stdout
    change(["front", "back"], {"front": "eth0", "back": "eth1"})
    assert "default via 10.91.1.1 dev eth0" in world.inside("web", "ip", "route").stdout
    change([], {})
    change(["back", "front"], {"back": "eth0", "front": "eth1"})
    change(["front"], {"front": "eth1"})
    assert "default via 10.91.1.1 dev eth1" in world.inside("web", "ip", "route").stdout
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


def test_a_network_and_its_bridge_go_while_a_service_on_it_runs_on(world):
    path = world.write(TWO_NETWORKS.replace("NETWORKS", '["front", "back"]'))
    world.apply(path)
    pid, bridge = world.pid("web"), world.links()[f"nucleus:{world.project}/network.front"]
    text = TWO_NETWORKS.replace("NETWORKS", '["back"]')
    world.write(text[:text.index("[networks.front]")] + text[text.index("[networks.back]"):text.index("[services.a]")]
                + text[text.index("[services.b]"):])
    world.apply(path)
    assert world.pid("web") == pid and interfaces(world, "web") == {"back": "eth1"}
    assert bridge not in world.links().values()
    wait_for("an answer", lambda: by_name(world, "web", "b"))
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_no_forbidden_packet_passes_while_networks_change(world):
    """Rules are in force before a link leads anywhere new, and until the last one went; nothing gets from one network into another."""
    def change(networks):
        world.apply(world.write(TWO_NETWORKS.replace("NETWORKS", json.dumps(networks)).replace(
            "[services.web]", '[services.web]\negress_allow = ["10.91.1.0/24", "10.91.2.0/24"]\negress_udp_ports = [9]')))

    change(["front"])
    pid = world.pid("web")
    ends = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    forbidden = ["203.0.113.5", "10.91.3.7", "8.8.8.8"]

    def inside(service, *command):
        process = world.popen("nsenter", "-t", world.pid(service), "--net", "--", "/usr/bin/python3", "-u", "-c", *command, **ends)
        assert process.stdout.readline() == "up\n"
        return process

    with world.popen("/usr/bin/python3", "-u", "-c", WATCH, **ends) as host, inside("a", WATCH) as a, inside("b", WATCH) as b, \
            inside("web", FLOOD, "10.91.1.2", "10.91.2.2", *forbidden) as flood:
        assert host.stdout.readline() == "up\n"
        for networks in (["back"], ["front", "back"], [], ["back"], ["front"]) * 2:
            change(networks)
        assert world.pid("web") == pid
        flood.communicate("stop\n", timeout=20)
        host, a, b = ([line.split() for line in json.loads(watch.communicate("stop\n", timeout=20)[0])] for watch in (host, a, b))
    assert ["10.91.1.3", "10.91.1.2"] in a and ["10.91.2.3", "10.91.2.2"] in b, (a, b)
    # The host sees whatever leaves a namespace, before its own rules.
    assert not [pair for pair in host if pair[1] in forbidden], host
    assert not [pair for pair in a if "10.91.2." in " ".join(pair)] and not [pair for pair in b if "10.91.1." in " ".join(pair)], (a, b)
