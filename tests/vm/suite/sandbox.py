"""`nucleus run` on a machine that has everything: production mode whole, an ordinary user, lockdown."""
import json
import os
import pathlib
import re
import signal
import subprocess

import guest

USER = 1500
HOME = pathlib.Path("/home/ordinary")
PRODUCTION = ["--service-mode", "production", "--memory", "64M"]


def production(*arguments, **options):
    return guest.nucleus("run", *PRODUCTION, "--rootfs", guest.minimal_rootfs(), *arguments, **options)


def ordinary(*arguments, env=None, **options):
    """nucleus as an ordinary user, who has logged in nowhere."""
    if not HOME.exists():
        guest.run("useradd", "--uid", str(USER), "--create-home", "ordinary")
        (HOME / "run").mkdir(mode=0o700)
        os.chown(HOME / "run", USER, USER)
    environment = {"PATH": os.environ["PATH"], "HOME": str(HOME), "XDG_RUNTIME_DIR": str(HOME / "run"), **(env or {})}
    return guest.run("setpriv", "--reuid", str(USER), "--regid", str(USER), "--init-groups", guest.NUCLEUS, *arguments,
                     env=environment, cwd="/", **options)


def runs(name):
    guest.wait_for("it to run", lambda: [row for row in json.loads(guest.nucleus("ps", "--output", "json"))["services"]
                                         if row["name"] == name and row["state"] == "running"])


def left():
    groups = [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob("**/nucleus/_/*") if path.is_dir()]
    files = [str(path) for path in pathlib.Path("/run/nucleus/projects/_").glob("*")]
    return groups + files


# ---- production ----

def test_production_runs_behind_an_init_and_gives_the_code_on():
    out = production("--", "sh", "-c", "cat /proc/self/cgroup; echo pid $$; grep -c . /proc/self/mountinfo; exit 42", status=42)
    assert "0::/\n" in out and re.search(r"pid [2-9]", out), out
    assert left() == []


def test_production_wants_what_it_says():
    rootfs = guest.minimal_rootfs()
    for words, arguments in (("--memory", ["--rootfs", rootfs]), ("--rootfs", ["--memory", "64M"])):
        refused = guest.nucleus("run", "--service-mode", "production", *arguments, "--", "true", status=125)
        assert words in refused, refused
    for flag in ("--allow-degraded-security", "--allow-chroot-fallback", "--allow-host-network"):
        assert flag in production(flag, "--", "true", status=125)
    assert not pathlib.Path("/run/nucleus/projects/_").exists() or left() == []


def test_production_hides_other_processes_and_holds_the_limit():
    out = production("--user", "65534", "--", "sh", "-c", "ls -d /proc/1 2>&1; grep hidepid /proc/self/mounts | head -n 1")
    assert "No such file" in out and "hidepid" in out, out
    # tail keeps what it reads while it waits for a line to end.
    production("--swap", "0", "--", "tail", "/dev/zero", status=137)
    assert left() == []


def test_production_has_secrets_on_tmpfs_and_an_attested_root():
    rootfs = guest.minimal_rootfs()
    secret = pathlib.Path("/opt/secret")
    secret.write_text("hush\n")
    secret.chmod(0o600)
    guest.nucleus("rootfs", "seal", rootfs)
    script = "cat /etc/key; stat -c %a:%u /etc/key; grep ' /etc/key ' /proc/self/mounts"
    options = ["--verify-rootfs-attestation", "--secret", f"{secret}:/etc/key", "--user", "65534"]
    out = production(*options, "--", "sh", "-c", script)
    assert out.startswith("hush\n400:65534\n") and " tmpfs ro," in out, out
    extra = pathlib.Path(rootfs) / "data/extra"
    extra.write_text("x")
    assert "data/extra" in production(*options, "--", "true", status=125)
    extra.unlink()
    (pathlib.Path(rootfs) / ".nucleus-rootfs-sha256").unlink()


def test_production_passes_signals_on_and_nothing_outlives_it():
    command = [guest.NUCLEUS, "run", *PRODUCTION, "--rootfs", guest.minimal_rootfs(), "--name", "told", "--",
               "sh", "-c", "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.1; done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        runs("told")
        verified = json.loads(guest.nucleus("verify", "--output", "json", status=None))
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "got\n"
        assert process.wait() == 9
    assert "container." in json.dumps(verified)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        assert process.stdout.read() == ""  # its last writer is gone


def test_verify_finds_production_as_it_was_asked():
    command = [guest.NUCLEUS, "run", *PRODUCTION, "--rootfs", guest.minimal_rootfs(), "--name", "proven", "--",
               "sh", "-c", "echo up; read end"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        runs("proven")
        out = guest.nucleus("verify", "--all", "proven")
        process.stdin.close()
        process.wait()
    assert "differs" not in out and "seccomp" in out, out


# ---- an ordinary user ----

def test_an_ordinary_user_has_a_sandbox():
    out = ordinary("run", "--", "sh", "-c", "id -u; id -G; cat /proc/self/uid_map")
    uid, groups, *maps = out.splitlines()
    assert (uid, groups) == ("0", "0"), out
    # useradd has lent subordinate ids, and newuidmap maps them.
    assert maps[0].split() == ["0", str(USER), "1"] and maps[1].split()[0] == "1", out


def test_an_ordinary_user_in_production_needs_control_groups():
    rootfs = guest.minimal_rootfs()
    refused = ordinary("run", *PRODUCTION, "--rootfs", rootfs, "--", "true", status=125)
    assert "--memory" in refused, refused


def test_ways_to_map_ids():
    assert ordinary("run", "--userns", "keep-id", "--", "id", "-u") == f"{USER}\n"
    assert ordinary("run", "--userns", "nomap", "--", "id", "-u") == "0\n"
    assert ordinary("run", "--userns", "auto", "--user", "7", "--", "id", "-u") == "7\n"
    assert guest.nucleus("run", "--rootless", "--", "cat", "/proc/self/uid_map").split()[1] == "524288"


def test_where_the_machine_forbids_user_namespaces_it_says_how():
    knob = pathlib.Path("/proc/sys/user/max_user_namespaces")
    before = knob.read_text()
    knob.write_text("0")
    try:
        assert "user.max_user_namespaces" in ordinary("run", "--", "true", status=125)
    finally:
        knob.write_text(before)


# ---- lockdown: the last, for there is no way back before the next boot ----

def test_lockdown_is_what_the_kernel_says():
    state = pathlib.Path("/sys/kernel/security/lockdown")
    if not state.exists():
        raise guest.Skip("this kernel has no lockdown")
    assert "lockdown" in guest.nucleus("run", "--require-kernel-lockdown", "integrity", "--", "true", status=125)
    state.write_text("integrity")
    guest.nucleus("run", "--require-kernel-lockdown", "integrity", "--", "true")
    refused = guest.nucleus("run", "--require-kernel-lockdown", "confidentiality", "--", "true", status=125)
    assert "lockdown is integrity" in refused, refused
