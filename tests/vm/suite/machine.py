"""What the other suites rest on: the guest is the machine it is meant to be."""
import os
import pathlib

import guest


def test_systemd_is_the_first_process():
    assert pathlib.Path("/proc/1/comm").read_text().strip() == "systemd"


def test_unified_cgroups_have_the_controllers():
    controllers = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    assert {"cpu", "io", "memory", "pids"} <= set(controllers), controllers


def test_the_programs_run_here():
    out = guest.nucleus("version")
    assert "nucleus" in out, out


@guest.boot(2)
def test_a_reboot_is_a_new_boot():
    assert os.path.exists("/opt/tests/guest.py")
