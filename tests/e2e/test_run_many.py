"""Sandboxes one after the other leave the machine as it was. bench/sandbox/run does the same with five hundred."""
from world import NUCLEUS, cgroup_root

COUNT = 40


def machine(world):
    root = cgroup_root()
    stat = dict(line.split() for line in (root / "cgroup.stat").read_text().splitlines()) if root else {}
    return {
        "mounts": world.run("cat", "/proc/self/mountinfo").stdout,
        "processes": world.processes(),
        "files": world.run("find", world.runtime).stdout,
        "control groups": world.cgroups("_"),
        "files elsewhere": sorted(path.name for path in world.directory.iterdir()),
        "dying control groups": int(stat.get("nr_dying_descendants", 0)) > COUNT,
    }


def kilobytes_of_tmpfs(world):
    return int(world.run("df", "--output=used", world.runtime).stdout.split()[-1])


def test_nothing_is_left_of_many(world):
    # In one process of the world, so that what counts is the sandboxes and not who starts them.
    loop = f"for i in $(seq {COUNT}); do {NUCLEUS} run --tmpfs /data -- sh -c 'echo $$ >/data/x; exit 7' >/dev/null; test $? = 7 || exit 1; done"
    world.nucleus("run", "--", "true")  # directories that stay are there
    before, used = machine(world), kilobytes_of_tmpfs(world)
    world.run("sh", "-c", loop, timeout=120)
    assert machine(world) == before
    assert kilobytes_of_tmpfs(world) <= used
