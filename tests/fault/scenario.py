"""What is done to a topology of three services with a network, volumes, a job and health checks, while faults are injected."""
import contextlib
import dataclasses
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from internet import FLOOD, OTHER, THERE, Internet  # noqa: E402
from world import NUCLEUS, World, wait_for  # noqa: E402

import injector  # noqa: E402
import snapshot  # noqa: E402

BASE = """
name = "PROJECT"
[networks.internal]
subnet = "10.97.3.0/24"
[volumes.data]
volume_type = "persistent"
path = "DIRECTORY/data"
[volumes.cache]
volume_type = "ephemeral"
size = "4M"
[services.db]
command = ["/bin/sleep", "infinity"]
networks = ["internal"]
volumes = ["data:/data", "cache:/cache"]
memory = "64M"
health_check = ["/bin/true"]
health_interval = "1h"  # once it is healthy, no probe comes and goes
[services.fill]
type = "job"
command = ["/bin/sh", "-c", "echo kept >> /data/rows"]
volumes = ["data:/data"]
depends_on = [{ service = "db", condition = "healthy" }]
[services.web]
command = ["/bin/sleep", "infinity"]
networks = ["internal"]
port_forwards = ["127.0.0.1:18080:80"]
depends_on = [{ service = "fill", condition = "completed" }]
"""


# The service sends without end to whom no policy allows.
EGRESS = f"""
name = "PROJECT"
[networks.front]
subnet = "10.97.3.0/24"
[volumes.data]
volume_type = "persistent"
path = "DIRECTORY/data"
[services.web]
command = ["/bin/sh", "-c", 'echo kept >> /data/rows; exec /usr/bin/python3 -c "$FLOOD" /data/tries {OTHER} 8.8.4.4']
environment = {{ FLOOD = '''{FLOOD}''', PAUSE = "0.02" }}
networks = ["front"]
volumes = ["data:/data"]
dns = ["10.9.9.9"]
egress_allow = ["{THERE}/32"]
egress_udp_ports = [9999]
stop_signal = "KILL"  # python that is PID 1 is not ended by SIGTERM
"""


@dataclasses.dataclass(frozen=True)
class Change:
    """From one file to another; None: nothing is there, destroyed. outside: there is something beyond the machine, which counts packets."""
    name: str
    before: str | None
    after: str | None
    outside: bool = False


CHANGES = {change.name: change for change in [
    Change("create", None, BASE),
    Change("live", BASE, BASE.replace('"64M"', '"96M"').replace("18080", "18081").replace('"1h"', '"2h"')),
    Change("restart", BASE, BASE.replace('[services.web]\ncommand = ["/bin/sleep", "infinity"]', '[services.web]\ncommand = ["/bin/sleep", "100000"]')),
    Change("replace", BASE, BASE.replace("10.97.3.0", "10.97.4.0")),
    Change("remove", BASE, BASE[:BASE.index("[services.web]")]),
    Change("destroy", BASE, None),
    Change("egress", EGRESS, EGRESS.replace('egress_udp_ports = [9999]', 'egress_tcp_ports = [443]'), outside=True),
    Change("flood", None, EGRESS, outside=True),
]}


def unexplained(done, statuses):
    """Of a command that failed: that it does so with another status, or without a message."""
    if done.returncode == 127 and "error while loading shared libraries" in done.stderr:
        return []  # it had not begun
    if done.returncode not in statuses:
        return [f"exit status {done.returncode}: {done.stderr}"]
    # Points are counted by thread: the one that tells may be refused its write as well.
    told = "nucleus: " in done.stderr or done.silenced
    return [] if told else [f"exit status {done.returncode} without a message: {done.stderr}"]


class Trial:
    """A world in which a change is made, with whatever goes wrong on the way, and then made again, rightly.

    Where nothing is wrong afterwards, the world is as empty as at first, and the next trial may begin in it."""

    def __init__(self, directory, change):
        self.world = World(directory)
        self.change = change
        self.path = None

    def __enter__(self):
        self.internet = Internet(self.world) if self.change.outside else None
        # Once there and back, so that what stays for good (directories, locks) is in both snapshots.
        self.write(self.change.before or self.change.after)
        self.world.apply(self.path)
        self.world.nucleus("destroy", self.world.project)
        self.empty = self.steady()
        self.begin()
        return self

    def __exit__(self, *_):
        if self.internet:
            self.internet.close()
        self.leftover_cgroups = self.world.close()

    def begin(self):
        """From an empty world to the state before the change."""
        for name in ("rows", "tries"):
            (self.world.directory / "data" / name).unlink(missing_ok=True)
        if self.change.before:
            self.write(self.change.before)
            self.world.apply(self.path)
        if self.change.after:
            self.write(self.change.after)

    def write(self, text):
        self.path = self.world.write(text.replace("DIRECTORY", str(self.world.directory)))

    @property
    def command(self):
        if self.change.after is None:
            return [NUCLEUS, "destroy", self.world.project, "--parallelism", "1"]
        return [NUCLEUS, "apply", "-f", str(self.path), "--parallelism", "1"]

    def made(self):
        """Makes the change without a fault."""
        return self.world.run(*self.command)

    def rows(self):
        rows = self.world.directory / "data/rows"
        return rows.read_text() if rows.exists() else ""

    def sent(self):
        """Of what no policy allows, the packets that arrived; after further tries."""
        tries = self.world.directory / "data/tries"
        count = lambda: int(tries.read_text() or 0) if tries.exists() else 0
        goal = count() + 20
        wait_for("further tries", lambda: count() >= goal)
        strange = self.internet.packets("strange")
        return [f"{strange} packets arrived that no policy allows"] if strange else []

    def told(self):
        """Parts that are in the journal or have been recorded."""
        with tempfile.TemporaryDirectory() as directory:
            # A copy, with the journal from which SQLite plays back what a killed writer left.
            for path in snapshot.inside(self.world, self.world.runtime).glob("observed.db*"):
                shutil.copy(path, directory)
            with contextlib.closing(sqlite3.connect(f"{directory}/observed.db")) as database:
                return {part for table in ("journal", "observation")
                        for (part,) in database.execute(f"SELECT part FROM {table} WHERE project = ?", (self.world.project,))}

    def untold(self):
        """Objects of the project of which the store says nothing: neither that they are there nor that somebody was at it."""
        told = self.told()
        project, found = self.world.project, {}
        for alias in self.world.links():
            owner, _, address = alias.removeprefix("nucleus:").partition("/")
            if owner == project:
                found[f"link {alias}"] = address + ("/bridge" if address.startswith("network.") else "/netns")
        for path in self.world.cgroups():
            if path.name.startswith("service."):
                found[f"cgroup {path.name}"] = path.name + "/cgroup"
        found |= {f"table {table}": f"topology.{project}/firewall" for table in self.world.tables()}
        runtime = snapshot.inside(self.world, self.world.runtime)
        for pin in (runtime / "netns").rglob("*"):
            if pin.is_file():
                found[f"pin {pin.name}"] = pin.name + "/netns"
        for launch in (runtime / "projects").rglob("launch"):
            found[f"launch of {launch.parent.name}"] = launch.parent.name + "/process"
        return [f"nobody's word of {what}" for what, part in found.items() if part not in told]

    def false_success(self, done):
        """Of a failing call: exit status 0 says that it is done, and anything else says why not."""
        if done.returncode == 0:
            if self.change.after is None:
                return []
            again = self.world.nucleus("diff", "-f", self.path, "--detailed-exitcode", status=None)
            return [] if again.returncode == 0 else [f"exit status 0, and yet: {again.stdout}"]
        if "mnl.c:" in done.stderr:
            return []  # libnftables ends the process, with a message of its own, where it cannot have a socket
        return unexplained(done, (1, 6))

    def repaired(self):
        """Makes the change once more, and says why not."""
        repair = self.world.run(*self.command, status=None)
        # What was destroyed in full before the end came is not there to be destroyed again.
        if repair.returncode == 0 or (self.change.after is None and "no such project" in repair.stderr):
            return []
        return [f"the repair failed ({repair.returncode}): {repair.stderr}"]

    def problems(self, reference=None):
        """After the change was made: what is not as it should be, as lines. The world is empty afterwards."""
        found = []
        if self.change.after is not None:
            again = self.world.run(NUCLEUS, "diff", "-f", str(self.path), "--detailed-exitcode", status=None)
            if again.returncode != 0:
                found.append(f"diff is not empty ({again.returncode}): {again.stdout}{again.stderr}")
            if "kept\n" not in self.rows():
                found.append("the data are gone")
            if self.internet:
                found += self.sent()
            if reference is not None:
                found += ["beside the reference: " + line for line in self.lasting_difference(reference)]
            gone = self.world.run(NUCLEUS, "destroy", self.world.project, status=None)
            if gone.returncode != 0:
                found.append(f"destroy: {gone.stderr}")
        found += ["left over: " + line for line in self.lasting_difference(self.empty)]
        return found

    def steady(self):
        """What there is, but for a health probe that comes and goes."""
        before = snapshot.take(self.world)
        while (now := snapshot.take(self.world)) != before:
            before = now
        return now

    def lasting_difference(self, reference):
        """What differs for longer than a health probe lives."""
        for _ in range(5):
            lines = snapshot.difference(reference, snapshot.take(self.world))
            if not lines:
                break
            time.sleep(0.2)
        return lines
