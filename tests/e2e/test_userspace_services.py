"""Services whose way out is a program in user space: published ports, rules that hold, what dies and comes back, what changes live."""

import functools
import hashlib
import re
import subprocess

import pytest
from internet import HERE, OTHER, THERE
from ordinary import Ordinary
from userspace import BACKENDS, digest, fetch, heard, helpers, keepers, processes, settled, write
from world import NUCLEUS, wait_for

backends = pytest.mark.parametrize("backend", BACKENDS)
PORTS = 'port_forwards = ["8080:80", "127.0.0.1:8081:80"]'


def served(world, internet):
    """Who gets the file, by way of which port."""
    whole = digest(world)
    return [where for where, run, host, port in [("here", world.run, HERE, 8080), ("loopback", world.run, "127.0.0.1", 8081),
                                                 ("outside", internet.run, HERE, 8080), ("never", internet.run, HERE, 8081)]
            if fetch(run, host, port) == whole]


@backends
def test_a_port_is_published_and_there_is_a_way_out(world, internet, backend):
    path = write(world, backend, PORTS)
    world.apply(path)
    assert served(world, internet) == ["here", "loopback", "outside"]
    inside = functools.partial(world.inside, "service.web")
    assert heard(inside, THERE, 80) == f"{HERE}\n"
    assert heard(inside, "10.0.2.2", 8081, seconds=1) == ""
    assert len(helpers(world, backend)) >= 1 and len(keepers(world)) == 1
    settled(world, path)
    assert "nothing to do" in world.apply(path).stdout.lower()
    # Its own name; it is on no bridge, and takes no address there.
    hosts = (world.runtime / "projects" / world.project / "service.web/hosts")
    assert "10.0.2.100\tweb" in world.run("cat", hosts).stdout
    assert world.json("drift", world.project)["changes"] == []
    world.nucleus("destroy", world.project)
    world.nothing_left()
    assert helpers(world, backend) == keepers(world) == []


def test_user_space_is_whichever_program_is_there(world, internet):
    found = [backend.values[0] for backend in BACKENDS if not backend.marks[0].args[0]]
    if not found:
        pytest.skip("needs slirp4netns or pasta")
    path = write(world, "userspace", PORTS)
    world.apply(path)
    assert helpers(world, found[0]) != []
    assert served(world, internet) == ["here", "loopback", "outside"]
    world.nucleus("destroy", world.project)
    for backend in found:  # none of them is to be had
        world.run("mount", "--bind", "/dev/null", f"/usr/bin/{backend}")
    refused = world.nucleus("diff", "-f", path, status=1)
    assert re.search(r"topology.toml:\d+:\d+: nat_backend: .*apt install", refused.stderr), refused.stderr
    refused = world.apply(path, status=1)
    assert "apt install" in refused.stderr
    world.nothing_left()


@backends
def test_what_dies_is_started_again(world, internet, backend):
    path = write(world, backend, PORTS)
    world.apply(path)
    pid = world.pid("service.web")
    for find in (lambda: helpers(world, backend), lambda: keepers(world)):
        before = find()
        world.kill(*before)
        wait_for("another one", lambda: find() and not set(find()) & set(before))
        wait_for("the port to answer", lambda: served(world, internet) == ["here", "loopback", "outside"])
        wait_for("its word", lambda: "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower())
    assert world.pid("service.web") == pid


@backends
def test_a_killed_supervisor_takes_all_of_it_along(world, internet, backend):
    path = write(world, backend, PORTS)
    world.apply(path)
    world.kill(*processes(world, "nucleus-superv"))
    wait_for("all of it to end", lambda: not helpers(world, backend) and not keepers(world) and not processes(world, "busybox"))
    assert "service.web" in world.nucleus("diff", "-f", path).stdout
    world.apply(path)
    assert served(world, internet) == ["here", "loopback", "outside"]
    settled(world, path)


@backends
def test_what_cannot_be_started_again_is_drift(world, internet, backend):
    path = write(world, backend, PORTS)
    world.apply(path)
    pid = world.pid("service.web")
    world.run("mount", "--bind", "/bin/false", f"/usr/bin/{backend}")
    world.kill(*helpers(world, backend))
    told = wait_for("drift", lambda: re.search(r"! .*service.web .*network helper.*", world.nucleus("diff", "-f", path).stdout))
    assert "restart" not in told.group(), told.group()
    failed = world.apply(path, status=1)
    assert backend in failed.stderr, failed.stderr
    world.run("umount", f"/usr/bin/{backend}")
    world.apply(path)
    assert served(world, internet) == ["here", "loopback", "outside"] and world.pid("service.web") == pid
    settled(world, path)


@backends
def test_a_link_that_was_bent_is_drift(world, internet, backend):
    path = write(world, backend, PORTS)
    world.apply(path)
    pid = world.pid("service.web")
    for spoil in (("ip", "route", "del", "default"), ("ip", "route", "del", "10.0.2.0/24"), ("ip", "address", "add", "10.0.2.77/24", "dev", "eth0")):
        world.inside("service.web", *spoil)
        assert "link of its program" in world.nucleus("diff", "-f", path).stdout
        world.apply(path)
        wait_for("the port to answer", lambda: served(world, internet) == ["here", "loopback", "outside"])
        wait_for("its word", lambda: "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower())
    # And one that was taken away comes back by itself.
    world.inside("service.web", "ip", "link", "del", "eth0")
    wait_for("the port to answer", lambda: served(world, internet) == ["here", "loopback", "outside"])
    wait_for("its word", lambda: "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower())
    assert world.pid("service.web") == pid


@backends
def test_ports_change_live(world, internet, backend):
    path = write(world, backend, PORTS)
    world.apply(path)
    pid = world.pid("service.web")
    talking = world.popen("busybox", "nc", "127.0.0.1", "8081", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    path = write(world, backend, 'port_forwards = ["8085:80", "127.0.0.1:8081:80"]')
    plan = world.nucleus("diff", "-f", path).stdout
    assert re.search(r"~ +service.web +live", plan), plan
    world.apply(path)
    assert served(world, internet) == ["loopback"] and fetch(internet.run, HERE, 8085) == digest(world)
    assert world.pid("service.web") == pid
    settled(world, path)
    out, _ = talking.communicate(b"GET /file HTTP/1.0\r\n\r\n", timeout=20)
    if backend == "slirp4netns":  # what stays is not interrupted
        assert out.endswith((world.directory / "www/file").read_bytes())
    # None, and again.
    path = write(world, backend)
    world.apply(path)
    assert fetch(world.run, HERE, 8085) is None and fetch(world.run, "127.0.0.1", 8081) is None
    assert world.pid("service.web") == pid
    settled(world, path)


@backends
def test_a_taken_port_is_refused_before_anything(world, internet, backend):
    holder = world.popen("busybox", "nc", "-ll", "-p", "8080", "-e", "busybox", "true")
    wait_for("the listener", lambda: world.run("ss", "-Hltn", "sport = :8080").stdout)
    refused = world.apply(write(world, backend, PORTS), status=1)
    assert "8080" in refused.stderr and "busybox" in refused.stderr, refused.stderr
    world.nothing_left()
    world.run("pkill", "-f", "nc -ll")
    holder.wait(timeout=20)


def each_on_ports(world, backend, more="", **services):
    """A topology of services that serve a file of their own on these ports of the machine."""
    text = 'name = "PROJECT"\n[networks.front]\nsubnet = "10.77.0.0/24"\n'
    for name, ports in services.items():
        www = world.directory / name
        www.mkdir(exist_ok=True)
        (www / "file").write_text(name)
        text += f"""[services.{name}]
command = ["/usr/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]
volumes = ["{www}:/www:ro"]
networks = ["front"]
nat_backend = "{backend}"
stop_signal = "KILL"
port_forwards = [{", ".join(f'"{port}:80"' for port in ports)}]
"""
    return world.write(text + more)


@backends
def test_a_port_moves_from_one_service_to_another(world, internet, backend):
    def becomes(more="", **services):
        path = each_on_ports(world, backend, more, **services)
        world.apply(path, "--parallelism", "1")
        settled(world, path)
        for name, ports in services.items():
            for port in ports:
                wait_for(f"{name} on {port}", lambda: fetch(world.run, HERE, port) == hashlib.sha256(name.encode()).hexdigest())

    becomes(a=[8080])
    becomes(b=[8080])  # a goes, and b comes
    becomes(a=[8081], b=[8080])
    for first, second in [(8080, 8081), (8081, 8080)]:
        becomes(a=[first], b=[second])
    becomes(a=[8080, 8081], b=[])
    taker = world.pid("service.b")
    becomes(a=[], b=[8080, 8081])
    assert world.pid("service.b") == taker
    # To what the giver waits for from now on, and back; the key stands in the last table, which is a's.
    becomes(a=[8080], b=[])
    becomes('depends_on = ["b"]\n', b=[8080], a=[])
    becomes('depends_on = ["b"]\n', b=[], a=[8080])


def test_a_port_of_what_is_no_target_stays_with_it(world, internet):
    world.apply(each_on_ports(world, "slirp4netns", a=[8080], b=[]))
    path = each_on_ports(world, "slirp4netns", a=[], b=[8080])
    refused = world.apply(path, "--target", "service.b", status=1).stderr
    assert "service.a has the port, and is left as it is" in refused, refused
    world.apply(path, "--target", "service.b", "--target", "service.a")


# Sends to two hosts, of which one is allowed, from its first moment on.
TALKER = """
import itertools, socket, time
for i in itertools.count():
    for host, port in (("THERE", 80), ("OTHER", 80), ("THERE", 443), ("OTHER", 9999)):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(socket.AF_INET, kind)
            s.setblocking(False)
            try:
                s.connect((host, port))
                s.send(b"hello")
            except OSError:
                pass
            s.close()
    time.sleep(0.001)
""".replace("THERE", THERE).replace("OTHER", OTHER)


@backends
def test_rules_hold_whatever_dies(world, internet, backend):
    text = f"""name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
[services.web]
command = ["/usr/bin/python3", "-c", '''{TALKER}''']
networks = ["front"]
nat_backend = "{backend}"
egress_allow = ["{THERE}/32"]
"""
    path = world.write(text)
    world.apply(path)
    wait_for("what is allowed", lambda: internet.packets() > 50)
    for kill in (lambda: helpers(world, backend), lambda: keepers(world)):
        before = internet.packets()
        world.kill(*kill())
        wait_for("what is allowed", lambda: internet.packets() > before + 50)
    world.kill(*processes(world, "nucleus-superv"))
    world.apply(path)
    before = internet.packets()
    wait_for("what is allowed", lambda: internet.packets() > before + 50)
    # Narrower, under the running workload.
    pid = world.pid("service.web")
    world.apply(world.write(text.replace(f'"{THERE}/32"', f'"{THERE}/32"]\negress_tcp_ports = [443')))
    assert world.pid("service.web") == pid
    assert internet.packets("strange") == 0, internet.strangers()
    assert world.json("inspect", f"{world.project}/web")


@backends
def test_peers_are_reached_by_name_and_as_production_has_it_nobody_else(world, internet, backend):
    peer = """[services.peer]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "peer"]
networks = ["front"]
"""
    path = write(world, backend, PORTS, 'egress_allow = ["10.77.0.0/24"]', others=peer)
    world.apply(path)
    hosts = world.run("cat", world.runtime / "projects" / world.project / "service.web/hosts").stdout
    address = re.search(r"(10\.77\.0\.\d+)\tpeer ", hosts).group(1)
    inside = functools.partial(world.inside, "service.web")
    wait_for("the peer", lambda: heard(inside, address, 80, seconds=2) == "peer\n")
    assert heard(inside, THERE, 80, seconds=1) == ""
    assert "web" not in world.run("cat", world.runtime / "projects" / world.project / "service.peer/hosts").stdout
    settled(world, path)


@backends
def test_from_a_bridge_to_user_space_and_back(world, internet, backend):
    world.apply(write(world, "kernel", PORTS))
    first = world.pid("service.web")
    path = write(world, backend, PORTS)
    assert re.search(r"-/\+ service.web +replace", world.nucleus("diff", "-f", path).stdout)
    world.apply(path)
    assert served(world, internet) == ["here", "loopback", "outside"] and world.pid("service.web") != first
    settled(world, path)
    path = write(world, "kernel", PORTS)
    world.apply(path)
    assert served(world, internet) == ["here", "loopback", "outside"] and helpers(world, backend) == keepers(world) == []
    settled(world, path)
    world.nucleus("destroy", world.project)
    world.nothing_left()


@backends
@pytest.mark.parametrize("who", ["root", "an ordinary user"])
def test_run_has_the_same_programs(world, internet, backend, who):
    nucleus, options = [NUCLEUS], {}
    if who != "root":
        ordinary = Ordinary(world)
        world.run("sh", "-c", "mknod -m 0666 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun")
        nucleus, options = ["setpriv", "--reuid=33", "--regid=33", "--clear-groups", "/mnt/nucleus"], {"env": ordinary.environment, "cwd": "/"}
    server = world.popen(*nucleus, "run", "--network", "bridge", "--nat-backend", backend, "-p", "8080:80", "--egress-allow", f"{THERE}/32", "--name", world.name("server"),
                         "--", "sh", "-c", f"sleep 2 | busybox nc -w 9 {THERE} 80; busybox nc -w 1 {OTHER} 80; echo up; exec busybox nc -ll -p 80 -e busybox echo page",
                         stdout=subprocess.PIPE, text=True, **options)
    assert [server.stdout.readline(), server.stdout.readline()] == [f"{HERE}\n", "up\n"]

    def answers():
        return world.run("busybox", "timeout", "3", "busybox", "nc", "-w", "2", HERE, "8080", status=None).stdout == "page\n"

    wait_for("the port to answer", answers)
    before = helpers(world, backend)
    world.kill(*before)
    wait_for("another one", lambda: helpers(world, backend) and not set(helpers(world, backend)) & set(before))
    wait_for("the port to answer", answers)
    world.run("pkill", "-KILL", "-f", "nucleus run.*server")
    server.wait(timeout=20)
    server.stdout.close()
    wait_for("the helper to end", lambda: helpers(world, backend) == [])
    assert internet.packets("strange") == 0


@pytest.mark.parametrize("network, line, word", [
    ("", 'address = "10.77.0.5"', "the same address everywhere"), ("internal = true", "", "internal"),
    ("", 'port_forwards = ["[2001:db8::1]:80:80"]', "has no IPv6"), ("", 'dns = ["2001:db8::1"]', "has IPv6")])
def test_what_is_not_to_be_had_has_its_place(world, network, line, word):
    path = write(world, "userspace", line)
    path.write_text(path.read_text().replace("[networks.front]", f"[networks.front]\n{network}"))
    refused = world.nucleus("validate", "-f", path, status=1)
    assert re.search(r"topology.toml:\d+:\d+: ", refused.stderr) and word in refused.stderr, refused.stderr
