"""An ordinary user of a world, with a directory of its own."""
import os
import pathlib

from world import NUCLEUS

USER = 33  # www-data, whom Debian has everywhere: newuidmap looks the caller up


class Ordinary:
    """An ordinary user of a world, with a directory of its own."""

    def __init__(self, world):
        self.world = world
        world.run("mount", "-t", "tmpfs", "-o", "mode=0755", "ordinary", "/mnt")
        self.home = pathlib.Path("/mnt")
        self.environment = {"PATH": os.environ["PATH"], "HOME": "/mnt/run", "XDG_RUNTIME_DIR": "/mnt/run", "LC_ALL": "C.UTF-8"}
        # What the tests were built into may be below a directory of root's.
        world.run("sh", "-c", f"cp {NUCLEUS} {NUCLEUS}-nft {NUCLEUS}-supervisor {NUCLEUS}-network /mnt")
        world.run("install", "-d", "-o", USER, "-g", USER, "-m", "0700", "/mnt/run", "/mnt/data")

    def nucleus(self, *arguments, groups="--clear-groups", **options):
        return self.world.run("setpriv", f"--reuid={USER}", f"--regid={USER}", groups, "/mnt/nucleus", *arguments,
                              env=self.environment, cwd="/", **options)

    def sh(self, script, *options, **more):
        return self.nucleus("run", *options, "--", "sh", "-c", script, **more)

    def lend(self, first=200000, count=65536):
        """Subordinate ids, as adduser(8) gives them."""
        path = self.world.directory / "subids"
        path.write_text(f"www-data:{first}:{count}\n")
        for name in ("/etc/subuid", "/etc/subgid"):
            self.world.run("sh", "-c", f"test -e {name} || touch {name}")
            self.world.run("mount", "--bind", path, name)
