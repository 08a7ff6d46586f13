"""What a container is handed as its standard files, where somebody starts it without some of them, or with what it must not have."""

import itertools
import shlex

import pytest
from sandbox import image, run  # noqa: F401 (fixture)
from world import NUCLEUS

@pytest.mark.parametrize("closed", [set(some) for count in (1, 2, 3) for some in itertools.combinations((0, 1, 2), count)], ids=str)
def test_what_is_closed_is_the_null_device_inside(world, image, closed):
    """Not what nucleus opens next: a cgroup's directory leads out of the root (CVE-2024-21626)."""
    out = world.directory / "seen"
    out.mkdir()
    out.chmod(0o777)
    words = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[fd] for fd in closed)
    script = 'said=$(for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done); echo "$said" > /seen/said'
    for _ in range(4):  # what comes next is up to which thread is first
        world.run("sh", "-c", f"exec {NUCLEUS} run --volume {out}:/seen -- sh -c {shlex.quote(script)} {words}", status=None)
        said = (out / "said").read_text().split("\n")
        for fd in closed:
            assert said[fd] == "/dev/null", (fd, said)
        (out / "said").unlink()


def test_a_directory_is_not_handed_on(world, image):
    done = world.run("sh", "-c", f"exec {NUCLEUS} run -- true < /", status=None)
    assert done.returncode == 125 and "standard input: it is a directory" in done.stderr, done
