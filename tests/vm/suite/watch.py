"""`apply --watch` as a unit of systemd's: ready once all is up, limits and processes repaired, reloaded, and what runs goes on when it ends."""
import json
import pathlib
import time

import guest

UNIT = "nucleus-watch@kept.service"
FILE = pathlib.Path("/etc/nucleus/kept.toml")
TEXT = """
name = "kept"
[services.web]
service_mode = "agent"
command = ["/bin/sleep", "100000"]
memory = "64M"
pids = 30
"""


def row():
    return next((one for one in json.loads(guest.nucleus("ps", "--output", "json"))["services"] if one["project"] == "kept"), None)


def shown(field):
    return guest.run("systemctl", "show", "--value", "-p", field, UNIT).strip()


def group(pid):
    return pathlib.Path("/sys/fs/cgroup" + pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::"))


def test_it_is_ready_once_all_is_up():
    template = (guest.HERE / "nucleus-watch@.service.in").read_text()
    text = template.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(guest.HERE / "bin"))
    pathlib.Path("/etc/systemd/system/nucleus-watch@.service").write_text(text)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(TEXT)
    assert not guest.run("systemd-analyze", "verify", "--man=no", UNIT)
    guest.run("systemctl", "start", UNIT)
    assert row()["state"] == "running"
    guest.wait_for("its status", lambda: "as its files say, revision 1" in shown("StatusText"))


def test_limits_and_processes_are_repaired():
    limit = group(row()["pid"]) / "memory.max"
    limit.write_text("max")
    guest.wait_for("the limit", lambda: limit.read_text() == f"{64 << 20}\n")
    before = row()
    guest.run("kill", "-KILL", str(before["supervisor_pid"]))
    guest.wait_for("another process", lambda: (now := row()) and now["pid"] not in (0, before["pid"]) and now["state"] == "running")


def test_a_reload_reads_the_file_again():
    FILE.write_text(TEXT.replace("pids = 30", "pids = 40"))
    guest.run("systemctl", "reload", UNIT)
    guest.wait_for("the limit", lambda: (group(row()["pid"]) / "pids.max").read_text() == "40\n")
    guest.wait_for("the end of the reload", lambda: shown("ActiveState") == "active")


def test_at_rest_it_takes_no_time():
    main = int(shown("MainPID"))
    def spent():
        return pathlib.Path(f"/proc/{main}/status").read_text().split("voluntary_ctxt_switches:")[1].split()[0]
    def rests():
        before = spent()
        time.sleep(5)
        return spent() == before
    guest.wait_for("rest", rests, 120)


def test_what_runs_goes_on_when_it_ends():
    before = row()
    guest.run("systemctl", "stop", UNIT)
    assert row() == {**row(), "pid": before["pid"], "state": "running"}
    guest.nucleus("destroy", "kept", "--yes")
