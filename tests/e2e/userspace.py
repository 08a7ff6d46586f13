"""The programs that make networks in user space, and a service of a topology that has one."""

import hashlib
import os
import pathlib

import pytest

PROGRAMS = {"slirp4netns": "slirp4netns", "pasta": "pas"}  # what a process of each is called, or begins with

BACKENDS = [pytest.param(name, marks=pytest.mark.skipif(not pathlib.Path("/usr/bin", name).exists(), reason=f"needs {name}"))
            for name in PROGRAMS]

TOPOLOGY = """name = "PROJECT"
[networks.front]
subnet = "10.77.0.0/24"
[services.web]
command = ["/usr/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]
volumes = ["DIRECTORY/www:/www:ro"]
networks = ["front"]
nat_backend = "BACKEND"
MORE
"""


def write(world, backend, *lines, others=""):
    www = world.directory / "www"
    if not www.exists():
        www.mkdir()
        (www / "file").write_bytes(os.urandom(1 << 20))
    text = TOPOLOGY.replace("DIRECTORY", str(world.directory)).replace("BACKEND", backend).replace("MORE", "\n".join(lines))
    return world.write(text + others)


def digest(world):
    return hashlib.sha256((world.directory / "www/file").read_bytes()).hexdigest()


def fetch(run, host, port):
    """The digest of what is served there; None where nothing is."""
    done = run("sh", "-c", f"busybox timeout 5 busybox wget -q -O - http://{host}:{port}/file | sha256sum", status=None).stdout.split()
    return None if done[0] == hashlib.sha256(b"").hexdigest() else done[0]


def heard(run, host, port, seconds=5):
    """What a server says of its own accord. The client goes on to listen: a pasta of Debian 12 forgets a connection whose client ends first."""
    client = f"import socket; print(socket.create_connection(('{host}', {port}), {seconds}).recv(100).decode(), end='')"
    return run("/usr/bin/python3", "-c", client, status=None).stdout


def processes(world, name):
    """Those of a program, by the beginning of its name, as the world numbers them."""
    return world.run("pgrep", f"^{name}", status=None).stdout.split()


def helpers(world, backend):
    return processes(world, PROGRAMS[backend])


def keepers(world):
    return processes(world, "nucleus-network")


def settled(world, path):
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower()
