"""`nucleus inspect`: what a network, a service, a volume and a container are, by the kernel's names."""

import json
import subprocess

from sandbox import image, run  # noqa: F401 (fixture)
from world import NUCLEUS, wait_for

TOPOLOGY = """name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
subnet6 = "fd00:77::/64"
[networks.back]
internal = true
[volumes.data]
volume_type = "ephemeral"
[services.web]
command = ["/bin/sleep", "10000"]
networks = ["front", "back"]
volumes = ["data:/data"]
port_forwards = ["8080:80"]
egress_allow = []
[services.db]
command = ["/bin/sleep", "10000"]
networks = ["back"]
"""


def inspect(world, *names):
    return json.loads(world.nucleus("inspect", *names, "--output", "json").stdout)


def test_a_network_tells_who_is_on_it_and_what_is_published(world):
    world.apply(world.write(TOPOLOGY))
    for names in [("network", "front"), ("network.front",), (f"{world.project}/network.front",), ("network", f"{world.project}/front")]:
        network = inspect(world, *names)
        assert (network["subnet"], network["subnet6"], network["internal"]) == ("10.77.0.0/24", "fd00:77::/64", False)
        assert network["bridge"] == world.links()[f"nucleus:{world.project}/network.front"]
        assert [(one["service"], one["address"], one["address6"]) for one in network["services"]] == [("web", "10.77.0.2/24", "fd00:77::2/64")]
        assert network["published"] == [{"service": "web", "port": "8080:80/tcp"}]
        assert network["seen"]["bridge"]["facts"]["up"] == "yes"
    back = inspect(world, "network", "back")
    assert back["internal"] and {one["service"] for one in back["services"]} == {"web", "db"}
    world.run("ip", "link", "set", network["bridge"], "down")
    assert inspect(world, "network.front")["seen"]["bridge"]["facts"]["up"] == "no"


def test_a_service_tells_its_links_and_what_was_denied(world):
    world.apply(world.write(TOPOLOGY))
    service = inspect(world, "web")
    assert service["pid"] == world.pid("service.web") and service["ports"] == ["8080:80/tcp"]
    assert [(one["network"], one["link"]) for one in service["networks"]] == [("front", "eth0"), ("back", "eth1")]
    assert service["networks"][0]["gateway"] == "10.77.0.1"
    denied = service["egress"]["denied"]
    world.inside("service.web", "/usr/bin/python3", "-c", "import socket; socket.socket(type=socket.SOCK_DGRAM).connect_ex(('10.77.0.1', 9)); "
                 "s = socket.socket(type=socket.SOCK_DGRAM); s.setblocking(False); [s.sendto(b'x', ('10.77.0.1', 9)) for _ in range(1)]", status=None)
    assert inspect(world, f"{world.project}/web")["egress"]["denied"] > denied
    assert 'output: counter name "denied"' in service["egress"]["rules"]
    text = world.nucleus("inspect", "web").stdout
    assert "address: 10.77.0.2/24" in text and "state: running" in text
    assert inspect(world, "volume", "data")["path"].endswith("data")


def test_what_is_not_there_is_refused_with_the_nearest(world):
    world.apply(world.write(TOPOLOGY))
    for name in ("frnt", f"{world.project}/frnt"):
        told = world.nucleus("inspect", "network", name, status=1).stderr
        assert "no such network" in told and "did you mean" in told, told
    assert "did you mean" in world.nucleus("inspect", "wbe", status=1).stderr


def test_a_container_started_by_hand(world, image):
    mine = world.name("mine")
    process = world.popen(NUCLEUS, "run", "--name", mine, "--", "sh", "-c", "echo up; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    wait_for("it to run", lambda: inspect(world, mine)["state"] == "running")
    assert inspect(world, "container", mine)["state"] == "running"
    assert "no such service" in world.nucleus("inspect", "service", mine, status=1).stderr
    world.run("pkill", "-TERM", "-f", f"nucleus run --name {mine}")
    process.wait(timeout=20)
    process.stdout.close()
