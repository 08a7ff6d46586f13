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


def test_the_kernel_has_the_limits_of_the_file():
    apply('[services.a]\ncommand = ["/bin/sleep", "1000"]\ncpus = 0.5\ncpu_weight = 50\npids = 40\nmemory = "100M"\n')
    files = {name: (cgroup("a") / name).read_text().strip() for name in ("memory.max", "cpu.max", "cpu.weight", "pids.max")}
    assert files == {"memory.max": str(100 << 20), "cpu.max": "50000 100000", "cpu.weight": "50", "pids.max": "40"}, files


def test_a_limit_changes_live():
    before = service("a")["pid"]
    apply('[services.a]\ncommand = ["/bin/sleep", "1000"]\ncpus = 1.5\ncpu_weight = 50\npids = 30\nmemory = "80M"\n')
    assert service("a")["pid"] == before
    files = {name: (cgroup("a") / name).read_text().strip() for name in ("memory.max", "cpu.max", "pids.max")}
    assert files == {"memory.max": str(80 << 20), "cpu.max": "150000 100000", "pids.max": "30"}, files


def test_a_limit_changed_by_hand_is_drift_and_repaired_live():
    before = service("a")["pid"]
    (cgroup("a") / "memory.max").write_text("max")
    seen = guest.nucleus("drift", "limits", "--detailed-exitcode", status=2)
    assert "service.a" in seen and "memory" in seen, seen
    guest.nucleus("apply", "-f", str(FILE))
    assert (cgroup("a") / "memory.max").read_text().strip() == str(80 << 20)
    assert service("a")["pid"] == before
    guest.nucleus("drift", "limits", "--detailed-exitcode")
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
