"""nucleus inside a chroot: containers begin there, and nothing of theirs reaches what lies outside."""
import pathlib

import pytest
from world import NUCLEUS

SERVICE = """
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
health_check = ["/bin/sh", "-c", "test ! -e /mnt/outside && test -e /usr/bin"]
health_interval = "100ms"
health_retries = 1
on_unhealthy = "none"
"""


@pytest.mark.parametrize("mount_point", [True, False], ids=["whose root is a mount point", "whose root is a plain directory"])
def test_probes_stay_in_the_container(world, mount_point):
    root = world.directory / "chroot"
    if mount_point:
        root.mkdir()
        world.run("mount", "--rbind", "/", root)
    else:
        (root / "mnt").mkdir(parents=True)
        for name in {"usr", "etc", "proc", "sys", "dev", "tmp", "run", pathlib.Path(NUCLEUS).parts[1]}:
            (root / name).mkdir()
            world.run("mount", "--rbind", f"/{name}", root / name)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
    # After the chroot has its copy of the mounts: outside only.
    world.run("mount", "-t", "tmpfs", "outside", "/mnt")
    world.run("touch", "/mnt/outside")
    world.run("chroot", root, "test", "!", "-e", "/mnt/outside")
    path = world.write(SERVICE)
    world.run("chroot", root, NUCLEUS, "apply", "-f", path, "--timeout", "20s")
    # What setns(2) gives is what the container has.
    inside = world.run("nsenter", "-t", world.pid("a"), "--mount", "--", "/bin/sh", "-c", "ls -d /mnt/outside; ls /", status=None)
    assert "outside" not in inside.stdout, inside
    world.run("chroot", root, NUCLEUS, "destroy", world.project)
    world.nothing_left()
