"""A container that is started by hand, in the foreground or the background, while faults are injected."""
import dataclasses
import json
import re

from scenario import Trial, unexplained
from world import NUCLEUS


@dataclasses.dataclass(frozen=True)
class Run:
    name: str
    options: tuple[str, ...]
    workload: str

    @property
    def detached(self):
        return "-d" in self.options


BRIDGE = ("--network", "bridge", "--dns", "10.9.9.9")
WITH = (*BRIDGE, "--volume", "DIRECTORY/data:/data", "--secret", "DIRECTORY/secret:/run/secrets/key",
        "--context", "DIRECTORY/context", "--tmpfs", "/scratch")
RUNS = {run.name: run for run in [
    Run("run", WITH, "echo up"),
    Run("run-detached", ("-d", *WITH), "exec sleep 1000"),
]}


class RunTrial(Trial):
    """A world in which a container is started, with whatever goes wrong on the way. The next one with a bridge looks, and nothing is
    left then; of one in the background whoever asks for it again has it, and takes it away."""

    def __enter__(self):
        self.internet = self.empty = None
        for name in ("data", "context"):
            (self.world.directory / name).mkdir()
        (self.world.directory / "secret").write_text("of nobody's business")
        (self.world.directory / "context/file").write_text("given")
        # Once there and back, so that what stays for good is in both snapshots.
        self.world.run(*self.command)
        self.problems()
        self.empty = self.steady()
        return self

    def begin(self):
        pass

    @property
    def container(self):
        return self.world.project + "c"

    @property
    def command(self):
        options = [word.replace("DIRECTORY", str(self.world.directory)) for word in self.change.options]
        return [NUCLEUS, "run", *options, "--name", self.container, "--", "/bin/sh", "-c", self.change.workload]

    def untold(self):
        return []  # what is begun by hand is no step of a plan

    def repaired(self):
        """One in the background that was begun and not finished stands in nobody's way; one that runs is told of."""
        if not self.change.detached:
            return []
        running = self.container in self.world.containers()
        again = self.world.run(*self.command, status=None)
        told = running and again.returncode == 125 and "there is a container of that name" in again.stderr
        return [] if told or again.returncode == 0 else [f"again, {'while it runs' if running else 'as nothing runs'} ({again.returncode}): {again.stderr}"]

    def false_success(self, done):
        if done.returncode != 0:
            return unexplained(done, (125,))
        right = re.fullmatch("[0-9a-f]{32}\n", done.stdout) if self.change.detached else done.stdout == "up\n"
        missing = self.change.detached and self.container not in self.world.containers()
        return [] if right and not missing else [f"exit status 0, and yet: {done.stdout!r}{' and it does not run' if missing else ''}"]

    def problems(self, reference=None):
        found = []
        looked = self.world.nucleus("run", *BRIDGE, "--name", self.world.project + "next", "--", "/bin/true", status=None)
        if looked.returncode != 0 or looked.stderr:
            found.append(f"the next command ({looked.returncode}): {looked.stderr}")
        listed = self.world.nucleus("ps", "--all", "--output", "json", status=None)
        for row in json.loads(listed.stdout or '{"services": []}')["services"]:
            if not self.change.detached or row["state"] != "running":
                found.append(f"left: {row['name']} {row['state']}")
            gone = self.world.nucleus("rm", "--force", row["name"], status=None)
            if gone.returncode != 0:
                found.append(f"rm: {gone.stderr}")
        if self.empty is not None:
            found += ["left over: " + line for line in self.lasting_difference(self.empty)]
        return found
