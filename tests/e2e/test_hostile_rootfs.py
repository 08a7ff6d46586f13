"""A few of the trees of hostile_rootfs.py, others every day: `hostile_rootfs.py --trees 3000` tries many."""

import datetime
import os
import pathlib
import subprocess
import sys

import hostile_rootfs
import posture
import pytest
from hostile_tree import Tree

OFTEN = range(1, 31)
TODAY = datetime.date.today().toordinal() * 1000


@pytest.mark.parametrize("first", [OFTEN.start, TODAY], ids=["always the same", "of today"])
def test_hostile_trees(first):
    wrong = []
    hostile_rootfs.tried(range(first, first + len(OFTEN) // 2), wrong.append)
    assert not wrong, "\n".join(wrong)


def test_a_tree_is_made_of_its_number(tmp_path):
    def made(seed, name):
        tree = Tree(seed, tmp_path / name, posture.program(), "/canary")
        return (
            [(depth, name, mode, uid, size) for depth, name, _, mode, uid, _, size, _, _ in tree.state()],
            tree.mounts,
            tree.honest,
        )

    for seed in range(20):
        first, second = made(seed, f"a{seed}"), made(seed, f"b{seed}")
        assert first[0] == second[0] and first[2] == second[2]
    assert made(1, "c") != made(2, "d")


@pytest.mark.parametrize(
    "harm, words",
    [
        ("chmod 600 canary/file", "the host: "),
        ("echo more >> canary/inner/deep", "the host: "),
        ("echo x > volume/made", "in the volume: "),
        ("mkdir -p runtime/projects/_/container.x", "left: "),
        ("mount -t tmpfs left /mnt", "the host: "),
        ("truncate -s +1 tree*/payload", "the image was changed"),
    ],
)
def test_what_it_looks_for_it_finds(tmp_path, harm, words, monkeypatch):
    """The harm is done in the place of what is run."""
    with hostile_rootfs.Trial(tmp_path) as trial:

        def run(_name, *_, **__):
            trial.world.run("sh", "-c", harm)
            return 0

        monkeypatch.setattr(trial, "_run", run)
        seed = next(number for number in range(1, 100) if _is_plain(number, tmp_path))
        _, _, wrong = trial.one(seed)
        assert any(line.startswith(words) for line in wrong), wrong


def _is_plain(seed, directory):
    """Whether it is used as a root file system with nothing mounted in it, and an honest program."""
    if hostile_rootfs.kind_of(seed) != "rootfs":
        return False
    tree = Tree(seed, directory / f"plain{seed}", posture.program(), "/canary")
    return not tree.mounts and tree.honest


def test_by_hand(tmp_path):
    """The command line is what a person runs."""
    script = pathlib.Path(hostile_rootfs.__file__)
    done = subprocess.run(
        [sys.executable, script, "--trees", "2", "--seed", "7"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.stdout.endswith("2 trees, 0 with something wrong\n")
