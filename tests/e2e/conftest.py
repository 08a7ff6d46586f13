import os
import pathlib
import signal
import subprocess

import pytest
from internet import Internet
from world import NUCLEUS, TREE, World

# What the ordinary programs of test_programs.py come from.
PROGRAMS = """bash coreutils findutils grep sed gawk python3-minimal python3 nodejs git perl tar gzip gcc libc6-dev make curl
postgresql nginx-light procps openssl""".split()


# What a shell in the background has started ignores these, and so would what is started from here.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root"))
    elif not os.access(NUCLEUS, os.X_OK):
        raise pytest.UsageError(f"{NUCLEUS} is not there: ./dev build")


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def internet(world):
    internet = Internet(world)
    yield internet
    internet.close()


@pytest.fixture(scope="session")
def rootfs():
    """A Debian root file system with the programs that people run; kept from one run to the next."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "nucleus"
    directory = cache / "rootfs-programs"
    subprocess.run([TREE / "examples/shop/make-rootfs", directory, *PROGRAMS], check=True)
    return directory
