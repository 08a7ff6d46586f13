"""Several services: networks, names, volumes, jobs, health, published ports, and what must not be touched."""
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
health_interval = "100ms"

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
health_interval = "100ms"
health_retries = 2
on_unhealthy = "none"
""")
    failed = world.apply(path, "--timeout", "20s", status=6)
    assert "no pulse" in failed.stdout + failed.stderr
