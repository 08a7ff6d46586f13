"""Applies that a loss of power cuts off at any moment, and reboots with stale files: what was reported as done is there, and nobody else
is signalled. How often is in power.json beside the suites: tests/vm/run --cuts N --reboots N."""
import json
import os
import pathlib
import subprocess

import guest

COUNTS = json.loads((guest.HERE / "power.json").read_text())
FIRST_BOOT = COUNTS["first_boot"]  # after those of the other suites
FILE = pathlib.Path("/root/power.toml")
DONE = pathlib.Path("/root/power-done")
PIDS = pathlib.Path("/root/power-pids")
# On the disk, so that everything in it is stale after a boot.
WHERE = ["--runtime-dir", "/var/power-runtime"]
TEXT = """
name = "power"
[defaults]
rootfs = "ROOTFS"
memory = "32M"
stop_signal = "KILL"
[networks.n]
subnet = "10.91.30.0/24"
[volumes.data]
volume_type = "persistent"
path = "/srv/power"
[services.a]
command = ["/bin/sleep", "NUMBER"]
networks = ["n"]
volumes = ["data:/data"]
[services.fill]
type = "job"
command = ["/bin/sh", "-c", "echo NUMBER >> /data/rows; sync"]
volumes = ["data:/data"]
[services.b]
command = ["/bin/sleep", "NUMBER"]
depends_on = [{ service = "fill", condition = "completed" }]
"""
# Another desired state every time, and a line that is on the disk once apply has said that it is done.
LOOP = f"""
import os, pathlib, subprocess, sys
text = pathlib.Path("{FILE}.in").read_text()
number = int(sys.argv[1])
while True:
    number += 1
    pathlib.Path("{FILE}").write_text(text.replace("NUMBER", str(number)))
    os.sync()
    if subprocess.run(["{guest.NUCLEUS}", "apply", "-f", "{FILE}", *{WHERE}]).returncode != 0:
        break
    with open("{DONE}", "a") as done:
        done.write(f"{{number}}\\n")
        os.fsync(done.fileno())
"""


def done():
    return [int(line) for line in DONE.read_text().split()] if DONE.exists() else []


def with_pid(pid):
    """A process of nobody's with that number; None where somebody has it."""
    for _ in range(20):
        if pathlib.Path(f"/proc/{pid}").exists():
            return None
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "1000"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    return None


def check():
    """After a boot: what was reported as done is known, the next apply brings it back, and leaves strangers alone."""
    strangers = [stranger for pid in (json.loads(PIDS.read_text()) if PIDS.exists() else []) if (stranger := with_pid(pid))]
    rows = done()
    if rows:
        revisions = json.loads(guest.nucleus("history", "power", "--output", "json", *WHERE))["revisions"]
        assert sum(row["state"] == "applied" for row in revisions) >= min(len(rows), 99), revisions
        kept = pathlib.Path("/srv/power/rows").read_text().split()
        assert {str(number) for number in rows} <= set(kept), (rows, kept)
    FILE.write_text(TEXT.replace("ROOTFS", guest.minimal_rootfs()).replace("NUMBER", "999999"))
    guest.nucleus("apply", "-f", str(FILE), *WHERE)
    guest.nucleus("diff", "-f", str(FILE), "--detailed-exitcode", *WHERE)
    listed = json.loads(guest.nucleus("ps", "--output", "json", *WHERE))["services"]
    assert sorted(entry["name"] for entry in listed) == ["power/a", "power/b"], listed
    assert strangers or not PIDS.exists(), "none of the numbers could be had again"
    assert all(stranger.poll() is None for stranger in strangers), "a stranger was hit"
    for stranger in strangers:
        stranger.kill()
    PIDS.write_text(json.dumps([pid for entry in listed for pid in (entry["pid"], entry["supervisor_pid"])]))
    os.sync()


def go_on():
    """Applies without end, which the test does not wait for: the power is cut meanwhile."""
    pathlib.Path(f"{FILE}.in").write_text(TEXT.replace("ROOTFS", guest.minimal_rootfs()))
    subprocess.Popen(["/usr/bin/python3", "-c", LOOP, str(max(done(), default=0))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)


def rounds():
    boot = FIRST_BOOT
    for _ in range(COUNTS["reboots"]):
        yield boot, "reboot", False
        boot += 1
    for _ in range(COUNTS["cuts"]):
        yield boot, "power loss at any moment", True
        boot += 1
    if COUNTS["cuts"]:
        yield boot, "power loss at any moment", False


def make(boot, how, cut):
    # `how` is how this boot was come to; a cut is prepared by the one before.
    def test():
        check()
        if cut:
            go_on()
    test.__name__ = f"test_boot_{boot}"
    return guest.boot(boot, how)(test)


_rounds = list(rounds())
for _index, (_boot, _how, _cut) in enumerate(_rounds):
    # Nothing runs yet in the boot before the first cut.
    _came = "power loss" if _how != "reboot" and (_index == 0 or not _rounds[_index - 1][2]) else _how
    globals()[f"test_boot_{_boot}"] = make(_boot, _came, _cut)
