"""Services of both modes side by side, a supervisor that is killed, and systemd, which goes about its business around us."""
import json
import pathlib
import re

import guest

FILE = pathlib.Path("/root/neighbours.toml")
TEXT = """
name = "neighbours"
[networks.n]
subnet = "10.91.21.0/24"
[services.strict]
rootfs = "ROOTFS"
command = ["/bin/sh", "-c", "echo strict > /tmp/index.html; exec /bin/busybox httpd -f -p 80 -h /tmp"]
tmpfs = ["/tmp"]
networks = ["n"]
memory = "64M"
pids = 30
[services.loose]
service_mode = "agent"
command = ["/bin/sh", "-c", "exec sleep 100000"]
networks = ["n"]
"""


def pids():
    return {entry["name"]: entry["pid"] for entry in json.loads(guest.nucleus("ps", "--output", "json"))["services"]}


def field(pid, name):
    return re.search(rf"^{name}:\s+(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def gone(pid):
    return not pathlib.Path(f"/proc/{pid}").exists()


def inside(pid, *command):
    return guest.run("nsenter", "--net", "--target", str(pid), *command)


def limits(pid):
    group = pathlib.Path("/sys/fs/cgroup" + pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::"))
    while group.name != "service.strict":
        group = group.parent
    return {name: (group / name).read_text().strip() for name in ("memory.max", "pids.max")}


def test_both_modes_run_side_by_side():
    FILE.write_text(TEXT.replace("ROOTFS", guest.minimal_rootfs()))
    guest.nucleus("apply", "-f", str(FILE))
    strict, loose = (pids()[f"neighbours/{name}"] for name in ("strict", "loose"))
    # Agent mode executes the workload as PID 1; production puts an init before it.
    guest.wait_for("the workload itself", lambda: field(loose, "Name") == "sleep")
    assert field(strict, "Name") not in ("sh", "busybox")
    for pid in (strict, loose):
        assert field(pid, "NSpid").split()[-1] == "1" and int(field(pid, "CapBnd"), 16) == 0
        assert field(pid, "Seccomp") == "2"
    hosts = pathlib.Path(f"/proc/{loose}/root/etc/hosts").read_text()
    address = next(line.split()[0] for line in hosts.splitlines() if "strict" in line.split()[1:])
    guest.wait_for("an answer", lambda: "strict" in inside(loose, "curl", "-s", "--max-time", "20", f"http://{address}/"))
    guest.nucleus("diff", "-f", str(FILE), "--detailed-exitcode")


def test_systemd_stops_reloads_and_starts_anew_without_touching_us():
    before = pids()
    was = limits(before["neighbours/strict"])
    assert was == {"memory.max": str(64 << 20), "pids.max": "30"}, was
    guest.run("systemd-run", "--unit=stranger", "-p", "MemoryMax=50M", "sleep", "1000")
    guest.run("systemctl", "stop", "stranger.service")
    guest.run("systemctl", "daemon-reload")
    guest.run("systemctl", "daemon-reexec")
    assert pids() == before and limits(before["neighbours/strict"]) == was
    guest.nucleus("drift", "neighbours", "--detailed-exitcode")


def test_a_killed_supervisor_takes_its_workload_along_and_apply_repairs_it():
    before = pids()
    strict = before["neighbours/strict"]
    guest.run("kill", "-KILL", field(strict, "PPid"))
    guest.wait_for("the end of the workload", lambda: gone(strict), 20)
    seen = guest.nucleus("drift", "neighbours", "--detailed-exitcode", status=2)
    assert "service.strict" in seen and "service.loose" not in seen, seen
    guest.nucleus("apply", "-f", str(FILE))
    after = pids()
    assert after["neighbours/strict"] != strict and after["neighbours/loose"] == before["neighbours/loose"]
    guest.nucleus("diff", "-f", str(FILE), "--detailed-exitcode")
    guest.nucleus("destroy", "neighbours", "--yes")
    assert gone(after["neighbours/strict"]) and gone(after["neighbours/loose"])
