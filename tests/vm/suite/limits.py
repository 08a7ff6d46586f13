"""Limits really limit, on a machine that has all controllers."""
import json
import pathlib
import re
import time

import guest

FILE = pathlib.Path("/root/limits.toml")


def apply(services, *arguments, **options):
    FILE.write_text('name = "limits"\n[defaults]\nrootfs = "%s"\nmemory = "64M"\n%s' % (guest.minimal_rootfs(), services))
    return guest.nucleus("apply", "-f", str(FILE), *arguments, **options)


def service(name):
    listed = json.loads(guest.nucleus("ps", "--all", "--output", "json"))["services"]
    return next(entry for entry in listed if entry["name"] == f"limits/{name}")


def cgroup(name):
    path = pathlib.Path(f"/proc/{service(name)['pid']}/cgroup").read_text().strip().removeprefix("0::")
    # The workload is in its service's cgroup or in one below it.
    found = pathlib.Path("/sys/fs/cgroup" + path)
    while found.name != f"service.{name}":
        assert found.parent != found, path
        found = found.parent
    return found


def destroy():
    guest.nucleus("destroy", "limits", "--yes")
    assert not list(pathlib.Path("/sys/fs/cgroup").glob("**/nucleus/limits/*")), "cgroups are left"


def test_what_takes_too_much_memory_is_killed_and_says_so():
    # tail keeps what it reads while it waits for a line to end.
    out = apply('[services.hog]\ntype = "job"\nmemory_swap = "0"\ncommand = ["/bin/sh", "-c", "tail /dev/zero"]\n', status=None)
    assert re.search(r"(?i)oom|out of memory|memory limit", out), out
    destroy()


def disk():
    """The number of the disk, which io limits name."""
    return pathlib.Path("/sys/block/vda/dev").read_text().strip()


def every_limit(memory, high, swap, cpus, weight, pids, rate):
    """A service with every limit there is, and what the kernel is to say then."""
    text = f"""
[services.a]
command = ["/bin/sleep", "1000"]
memory = "{memory}M"
memory_high = "{high}M"
memory_swap = "{swap}M"
cpus = {cpus}
cpu_weight = {weight}
pids = {pids}
io_limits = ["{disk()} wbps={rate}"]
"""
    return text, {
        "memory.max": str(memory << 20), "memory.high": str(high << 20), "memory.swap.max": str(swap << 20),
        "memory.oom.group": "1", "cpu.max": f"{int(cpus * 100_000)} 100000", "cpu.weight": str(weight), "pids.max": str(pids),
        "io.max": f"{disk()} rbps=max wbps={rate} riops=max wiops=max"}


def held(wanted):
    group = cgroup("a")
    return {name: (group / name).read_text().strip() for name in wanted}


def test_the_kernel_has_the_limits_of_the_file():
    text, wanted = every_limit(100, 90, 10, 0.5, 50, 40, 1 << 20)
    apply(text)
    assert held(wanted) == wanted


def test_every_limit_changes_live():
    before = service("a")["pid"]
    text, wanted = every_limit(80, 70, 20, 1.5, 70, 30, 2 << 20)
    apply(text)
    assert held(wanted) == wanted
    assert service("a")["pid"] == before


def test_every_limit_changed_by_hand_is_drift_and_repaired_live():
    before = service("a")["pid"]
    _, wanted = every_limit(80, 70, 20, 1.5, 70, 30, 2 << 20)
    other = {"memory.max": "max", "memory.high": "max", "memory.swap.max": "max", "memory.oom.group": "0",
             "cpu.max": "max 100000", "cpu.weight": "100", "pids.max": "max", "io.max": f"{disk()} wbps=max"}
    for name, value in other.items():
        (cgroup("a") / name).write_text(value)
    seen = guest.nucleus("drift", "limits", "--detailed-exitcode", status=2)
    missing = [name for name in wanted if name not in seen]
    assert "service.a" in seen and not missing, f"{missing} of\n{seen}"
    guest.nucleus("apply", "-f", str(FILE))
    assert held(wanted) == wanted
    assert service("a")["pid"] == before
    guest.nucleus("drift", "limits", "--detailed-exitcode")
    destroy()


def test_a_limit_of_writes_holds():
    # 2 MiB at 512 KiB a second. What the disk itself can do is more, even here.
    apply(f"""
[volumes.data]
volume_type = "persistent"
path = "/srv/limits"
[services.writer]
type = "job"
volumes = ["data:/data"]
io_limits = ["{disk()} wbps=524288"]
command = ["/bin/sh", "-c", "s=$(date +%s); dd if=/dev/zero of=/data/x bs=64k count=32 conv=fsync; echo $(($(date +%s) - s)) >/data/took"]
""")
    took = int(pathlib.Path("/srv/limits/took").read_text())
    assert took >= 3, f"{took} s"
    destroy()


def test_a_fork_bomb_stops_at_its_pids():
    apply('[services.bomb]\npids = 20\ncommand = ["/bin/sh", "-c", "b() { b & b; }; while :; do (b) 2>/dev/null; sleep 1; done"]\n'
          'restart = "always"\n')
    most = 0
    for _ in range(20):
        time.sleep(0.3)
        found = list(pathlib.Path("/sys/fs/cgroup").glob("**/nucleus/limits/service.bomb/**/pids.current"))
        most = max([most, *(int(path.read_text()) for path in found)])
    assert 10 <= most <= 20, most
    destroy()


def test_a_cpu_quota_holds():
    apply('[services.spin]\ncpus = 0.2\ncommand = ["/bin/sh", "-c", "while :; do :; done"]\n')
    group = cgroup("spin")
    usage = lambda: int(re.search(r"usage_usec (\d+)", (group / "cpu.stat").read_text())[1])
    begin, used = time.monotonic(), usage()
    time.sleep(10)
    share = (usage() - used) / 1e6 / (time.monotonic() - begin)
    assert 0.05 < share < 0.25, f"{share:.2f} CPUs of 0.2"
    destroy()


def test_production_mode_is_what_ran():
    apply('[services.a]\ncommand = ["/bin/sh", "-c", "cat /proc/self/status; exec sleep 1000"]\n')
    status = guest.wait_for("its log", lambda: (lambda text: text if "Seccomp:" in text else "")(guest.nucleus("logs", "limits/a")))
    assert re.search(r"NoNewPrivs:\s+1", status) and re.search(r"CapBnd:\s+0+$", status, re.M), status
    assert pathlib.Path(f"/proc/{service('a')['pid']}/comm").read_text().strip() != "sleep", "no init of its own"
    destroy()
