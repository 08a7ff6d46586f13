"""What tests that attack a sandbox have in common: an image, a canary of the host, and paths that change places."""

import ctypes
import os
import pathlib
import shutil
import threading
import time

import posture
import pytest
from canary import Canary
from fail_closed import CONTROLLERS
from world import NUCLEUS, controllers

BUSYBOX = "/usr/bin/busybox"


@pytest.fixture
def canary(world):
    canary = Canary(world, world.directory / "canary", [NUCLEUS])
    yield canary
    canary.check()


@pytest.fixture
def image(world):
    """A root file system of two programs: a shell, and what tells of the sandbox it is in."""
    root = world.directory / "image"
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for name in ("sh", "cat", "ls", "stat", "pwd", "id", "grep"):
        (root / "bin" / name).symlink_to("busybox")
    shutil.copy(posture.program(), root / "payload")
    return root


def run(world, *arguments, **options):
    return world.nucleus("run", *arguments, **options)


def production(world):
    """The words before a nucleus that starts something in production: where the machine has no memory controller, one is made up (fault_child.c)."""
    if "memory" in controllers():
        return []
    made_up = world.directory / "controllers"
    made_up.mkdir()
    for name, text in CONTROLLERS.items():
        (made_up / name).write_text(text + "\n")
    world.environment.update(NUCLEUS_TEST_CONTROLLERS=str(made_up))
    return [str(posture.program("fault_child.c")), "run"]


def nothing_left(world):
    projects = pathlib.Path(f"/proc/{world.init}/root{world.runtime}/projects")
    assert not projects.exists() or not list(projects.rglob("*"))


class flipping:
    """Two paths change places, over and over."""

    def __init__(self, first, second):
        self.paths, self.stop, self.libc = [os.fsencode(first), os.fsencode(second)], False, ctypes.CDLL(None)

    def __enter__(self):
        self.thread = threading.Thread(target=self._flip)
        self.thread.start()

    def _flip(self):
        while not self.stop:
            assert self.libc.renameat2(-100, self.paths[0], -100, self.paths[1], 2) == 0  # RENAME_EXCHANGE
            time.sleep(0.0002)

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()
