"""Sandboxes one after the other leave the machine as it was. bench/sandbox/run does the same with five hundred."""
from world import NUCLEUS, cgroup_root

COUNT = 40
WORKLOAD = "cat /proc/sys/kernel/hostname; echo x >/data/x; exit 7"


def machine(world):
    return {
        "mounts": world.run("cat", "/proc/self/mountinfo").stdout,
        "processes": world.processes(),
        "files": world.run("find", world.runtime).stdout,
        "files elsewhere": sorted(path.name for path in world.directory.iterdir()),
        "memory of the runtime directory": world.run("df", "--output=used", world.runtime).stdout,
    }


def test_nothing_is_left_of_many(world):
    # In one process of the world, so that what counts is the sandboxes and not who starts them.
    loop = f"for i in $(seq {COUNT}); do {NUCLEUS} run --tmpfs /data -- sh -c '{WORKLOAD}'; test $? = 7 || exit 1; done"
    world.nucleus("run", "--", "true")  # directories that stay are there
    before = machine(world)
    names = world.run("sh", "-c", loop, timeout=120).stdout.split()
    assert machine(world) == before
    assert len(set(names)) == COUNT
    # The machine's control groups are everybody's: those of our names are ours.
    if cgroup_root():
        assert [name for name in names if (cgroup_root() / f"nucleus/_/container.{name}").exists()] == []
