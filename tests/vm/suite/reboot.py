"""A machine that goes down with containers running, in an orderly way and by power loss, and one that applies at boot."""
import json
import pathlib
import subprocess

import guest

UNIT = "nucleus-topology@stack.service"
FILE = pathlib.Path("/root/stack.toml")
STACK = """
name = "stack"
[defaults]
rootfs = "ROOTFS"
memory = "64M"
[networks.n]
subnet = "10.91.20.0/24"
[volumes.data]
volume_type = "persistent"
path = "/srv/stack"
[services.server]
command = ["/bin/sh", "-c", "date > /data/started; exec /bin/busybox httpd -f -p 8000 -h /data"]
networks = ["n"]
volumes = ["data:/data"]
port_forwards = ["127.0.0.1:8000:8000"]
health_check = { tcp = 8000 }
health_interval = "1s"
health_start_period = "60s"
[services.seed]
type = "job"
command = ["/bin/sh", "-c", "echo ran >> /data/seed"]
volumes = ["data:/data"]
[services.client]
command = ["/bin/sleep", "100000"]
networks = ["n"]
depends_on = [{ service = "server", condition = "healthy" }, { service = "seed", condition = "completed" }]
"""


def running():
    listed = json.loads(guest.nucleus("ps", "--output", "json"))["services"]
    return {entry["name"]: entry["pid"] for entry in listed if entry["name"].startswith("stack/")}


def check():
    assert set(running()) == {"stack/server", "stack/client"}, running()
    assert guest.run("curl", "-sf", "--max-time", "20", "http://127.0.0.1:8000/seed") == "ran\n"
    guest.nucleus("diff", "-f", str(FILE), "--detailed-exitcode")


def strangers_of(pids, count=3):
    """Processes of nobody's, one of them with the very number that a container had before the reboot where that can be had."""
    wanted = pathlib.Path("/proc/sys/kernel/ns_last_pid")
    found = []
    for pid in pids:
        if not pathlib.Path(f"/proc/{pid}").exists():
            wanted.write_text(str(pid - 1))
            found.append(subprocess.Popen(["sleep", "1000"]))
    found += [subprocess.Popen(["sleep", "1000"]) for _ in range(count)]
    return found


def test_it_is_made():
    FILE.write_text(STACK.replace("ROOTFS", guest.minimal_rootfs()))
    guest.nucleus("apply", "-f", str(FILE))
    check()
    pathlib.Path("/root/pids").write_text(json.dumps(list(running().values())))


@guest.boot(2)
def test_after_a_reboot_apply_brings_it_back_and_signals_no_stranger():
    strangers = strangers_of(json.loads(pathlib.Path("/root/pids").read_text()))
    assert running() == {}
    guest.nucleus("drift", "stack", "--detailed-exitcode", status=2)
    guest.nucleus("apply", "-f", str(FILE))
    check()
    assert all(stranger.poll() is None for stranger in strangers), "a stranger was hit"
    pathlib.Path("/root/pids").write_text(json.dumps(list(running().values())))
    for stranger in strangers:
        stranger.kill()


@guest.boot(2)
def test_a_unit_for_the_next_boot():
    template = (guest.HERE / "nucleus-topology@.service.in").read_text()
    text = template.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(guest.HERE / "bin"))
    pathlib.Path("/etc/systemd/system/nucleus-topology@.service").write_text(text)
    pathlib.Path("/etc/nucleus").mkdir(exist_ok=True)
    pathlib.Path("/etc/nucleus/stack.toml").write_text(FILE.read_text())
    assert not guest.run("systemd-analyze", "verify", "--man=no", UNIT)
    guest.run("systemctl", "enable", UNIT)
    guest.run("sync")


@guest.boot(3, "power loss")
def test_after_a_power_loss_the_unit_has_applied():
    guest.wait_for("the unit", lambda: guest.run("systemctl", "is-active", UNIT, status=None).strip() in ("active", "failed"), 200)
    assert guest.run("systemctl", "is-active", UNIT, status=None).strip() == "active", guest.run(
        "journalctl", "-u", UNIT, "--no-pager")
    check()


@guest.boot(3, "power loss")
def test_the_containers_outlive_the_apply_of_the_unit():
    before = running()
    guest.nucleus("apply", "-f", str(FILE), "--detailed-exitcode")
    assert running() == before


@guest.boot(3, "power loss")
def test_stopping_the_unit_removes_it_all():
    guest.run("systemctl", "stop", UNIT)
    assert running() == {}
    assert "nucleus" not in guest.run("nft", "list", "tables")
    assert "nucleus:" not in guest.run("ip", "-d", "link")
    assert pathlib.Path("/srv/stack/seed").read_text() == "ran\n"
