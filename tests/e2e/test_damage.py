"""Databases that are gone, cut off, overwritten, or of another version: what runs is adopted and not restarted, or the refusal says what
to do. Never is a wrong process signalled."""
import pathlib
import random
import sqlite3

import pytest
from test_topology import STACK, stack


def pids(world):
    found = world.pids()
    assert len(found) == 2
    return found


def rewritten(world, path, change):
    """The file as it is in the world, changed by a function of its bytes; None removes it."""
    inside = pathlib.Path(f"/proc/{world.init}/root{path}")
    data = change(inside.read_bytes())
    inside.unlink()
    journal = inside.with_name(inside.name + "-journal")
    journal.unlink(missing_ok=True)
    if data is not None:
        inside.write_bytes(data)


def pages(seed, at):
    """Overwrites whole pages with noise."""
    def change(data):
        noise = random.Random(seed)
        pages = [data[i:i + 4096] for i in range(0, len(data), 4096)]
        for index in at(len(pages)):
            pages[index] = noise.randbytes(4096)
        return b"".join(pages)
    return change


def foreign(then=""):
    database = sqlite3.connect(":memory:")
    database.executescript(f"CREATE TABLE other (x); {then}")
    return database.serialize()


def versioned(version):
    def change(data):
        database = sqlite3.connect(":memory:")
        database.deserialize(data)
        database.execute(f"PRAGMA user_version={version}")
        return database.serialize()
    return change


DAMAGES = {
    "removed": lambda data: None,
    "empty": lambda data: b"",
    "cut to a byte": lambda data: data[:1],
    "cut to its header": lambda data: data[:100],
    "cut in half": lambda data: data[:len(data) // 2],
    "cut by a byte": lambda data: data[:-1],
    "first page overwritten": pages(1, lambda count: [0]),
    "last page overwritten": pages(2, lambda count: [count - 1]),
    "some pages overwritten": pages(3, lambda count: range(1, count, 2)),
    "all pages overwritten": pages(4, range),
    "all zero": lambda data: bytes(len(data)),
    "another program's": lambda data: b"#!/bin/sh\nexit 0\n",
    "another program's database": lambda data: foreign(),
    "a database with nothing in it": lambda data: versioned(0)(foreign("VACUUM; DROP TABLE other")),
    "newer": versioned(99),
    "older than any": versioned(-1),
}
REFUSED = {"newer"}  # to be used by whoever made it


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_observed_db_costs_no_restart(world, damage):
    path = stack(world)
    world.apply(path)
    before = pids(world)
    rewritten(world, world.runtime / "observed.db", DAMAGES[damage])
    if damage in REFUSED:
        refused = world.apply(path, status=1).stderr
        assert "observed.db" in refused and "newer" in refused, refused
        world.run("rm", world.runtime / "observed.db")
    world.apply(path)
    assert pids(world) == before
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    world.nucleus("destroy", world.project)
    world.nothing_left()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_applied_db_is_refused_or_what_runs_is_adopted(world, damage):
    path = stack(world)
    world.apply(path)
    before = pids(world)
    rewritten(world, world.state / "applied.db", DAMAGES[damage])
    tried = world.apply(path, status=None)
    if tried.returncode != 0:
        assert tried.returncode == 1 and "applied.db" in tried.stderr, tried.stderr
        assert "newer nucleus" in tried.stderr or "restore it from a backup" in tried.stderr, tried.stderr
        assert world.nucleus("diff", "-f", path, status=None).returncode == 1
        assert {pid for pid in before.values()} <= {int(line.split()[0]) for line in world.processes()}, "something was ended"
        world.run("mv", world.state / "applied.db", world.state / "moved")  # as the hint has it
        world.apply(path)
    else:
        assert damage in ("removed", "empty", "cut by a byte", "last page overwritten", "some pages overwritten"), damage
    assert pids(world) == before
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    world.nucleus("destroy", world.project)
    world.nothing_left()


def test_addresses_that_were_chosen_are_found_again_in_the_kernel(world):
    text = STACK.replace('subnet = "10.91.7.0/24"', "")
    other = 'name = "{}b"\n[networks.n]\n[services.s]\ncommand = ["/bin/sleep", "infinity"]\nnetworks = ["n"]\n'.format(world.project)
    first = world.write(other, "other.toml")
    world.apply(first)
    path = stack(world, text)
    world.apply(path)
    before, leases = world.pids(), world.json("diff", "-f", path)["leases"]
    world.run("rm", "-r", world.state)
    # A third one comes before the others are known again: it keeps clear of what it sees.
    third = world.write(other.replace("b\"", "c\"", 1), "third.toml")
    world.apply(third)
    world.apply(path)
    world.apply(first)
    assert before.items() <= world.pids().items()
    assert world.json("diff", "-f", path)["leases"] == leases
    for file in (first, path, third):
        world.nucleus("diff", "-f", file, "--detailed-exitcode")
    refused = world.write(other.replace("b\"", "d\"", 1).replace("[networks.n]", f'[networks.n]\nsubnet = "{leases["subnets"]["network.internal"]}"'), "d.toml")
    assert f"{world.project}/network.internal" in world.apply(refused, status=1).stderr
