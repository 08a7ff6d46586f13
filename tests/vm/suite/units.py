"""A container in the background is a unit of systemd: started, ready, stopped, killed, logged, and those of an ordinary user."""
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import time

import guest

USER = 1600
HOME = pathlib.Path("/home/unituser")
SAY = """import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
for words in sys.argv[1:]: s.send(words.encode())
"""


def detached(*arguments, **options):
    return guest.nucleus("run", "-d", *arguments, **options).strip()


def unit_of(identity):
    return f"nucleus-{identity[:12]}.service"


def show(unit, *names, manager="--system", **options):
    out = guest.run("systemctl", manager, "show", unit, "-p", ",".join(names), **options)
    return dict(line.split("=", 1) for line in out.splitlines())


def row(name):
    listed = json.loads(guest.nucleus("ps", "--all", "--output", "json"))["services"]
    return next((entry for entry in listed if entry["name"] == name), None)


def loaded(unit):
    return show(unit, "LoadState")["LoadState"] != "not-found"


def gone(unit):
    return guest.wait_for(f"{unit} is collected", lambda: not loaded(unit))


def journal(unit):
    return guest.run("journalctl", "--no-pager", "-o", "json", "-u", unit)


def comes_back(what, unit, check):
    try:
        return guest.wait_for(what, check, 120)
    except AssertionError as late:
        raise AssertionError(f"{late}\n" + guest.run("journalctl", "--no-pager", "-o", "cat", "-n", "40", "UNIT=" + unit, "+", "_SYSTEMD_UNIT=" + unit,
                                                     "+", "_SYSTEMD_USER_UNIT=" + unit, "+", "USER_UNIT=" + unit)) from None


def what_is_left(name, identity):
    """systemd takes a control group away in its own time, the rest is nucleus's, and gone."""
    unit = unit_of(identity)
    gone(unit)
    rest = [*pathlib.Path("/run/nucleus/projects").glob(name), *pathlib.Path("/sys/fs/cgroup").glob(f"nucleus/{name}")]
    deadline = time.monotonic() + 20
    while (group := pathlib.Path(f"/sys/fs/cgroup/system.slice/{unit}")).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return [str(place) for place in [*rest, group] if place.exists()] + ([row(name)] if row(name) else [])


def nothing_left(name, identity):
    left = what_is_left(name, identity)
    assert not left, left


def test_it_is_a_unit_with_the_container_in_its_group():
    identity = detached("--name", "one", "--memory", "64M", "-e", "TOKEN=hush", "--", "sleep", "1000")
    unit = unit_of(identity)
    seen = show(unit, "ActiveState", "SubState", "Type", "KillMode", "TimeoutStopUSec", "CollectMode", "Delegate", "Transient", "MainPID",
                "Restart", "ControlGroup")
    assert seen["ActiveState"] == "active" and seen["SubState"] == "running", seen
    assert (seen["Type"], seen["KillMode"], seen["TimeoutStopUSec"]) == ("notify", "mixed", "30s"), seen
    assert (seen["CollectMode"], seen["Delegate"], seen["Transient"], seen["Restart"]) == ("inactive-or-failed", "yes", "yes", "no"), seen
    there = row("one")
    assert there["supervisor_pid"] == int(seen["MainPID"]) and there["state"] == "running", (there, seen)
    group = pathlib.Path("/sys/fs/cgroup" + seen["ControlGroup"])
    inside = group / "nucleus/one/service.one"
    assert str(there["pid"]) in (inside / "cgroup.procs").read_text().split()
    assert (inside / "memory.max").read_text() == f"{64 << 20}\n"
    assert not (group / "cgroup.procs").read_text()
    assert "hush" not in guest.run("systemctl", "show", unit) + guest.run("systemctl", "cat", unit)
    status = guest.run("systemctl", "status", unit)
    assert "Container one of nucleus" in status and "sleep 1000" in status, status
    # What looks and what acts know nothing of the unit.
    assert guest.nucleus("drift", "one", status=None).count("cgroup") == 0
    assert guest.nucleus("exec", "one", "--", "cat", "/proc/self/cgroup").strip() == "0::/"
    guest.nucleus("pause", "one")
    assert row("one")["state"] == "paused"
    guest.nucleus("unpause", "one")
    assert "one" in guest.nucleus("stats")
    assert json.loads(guest.nucleus("state", "one"))["id"] == identity
    guest.nucleus("rm", "--force", "one")
    nothing_left("one", identity)


def test_systemctl_stop_stops_as_nucleus_stop_does():
    identity = detached("--name", "polite", "--", "sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.1; done")
    guest.wait_for("it is up", lambda: "up" in guest.nucleus("logs", "polite"))
    guest.run("systemctl", "stop", unit_of(identity))
    ended = row("polite")
    assert (ended["state"], ended["exit_code"], ended["reason"]) == ("stopped", 7, "stopped"), ended
    assert guest.nucleus("logs", "polite").splitlines()[-1].endswith("bye")
    gone(unit_of(identity))
    lines = [json.loads(line) for line in journal(unit_of(identity)).splitlines()]
    said = [line["MESSAGE"] for line in lines if line.get("SYSLOG_IDENTIFIER") == "polite"]
    assert said == ["up", "bye"], lines
    guest.nucleus("rm", "polite")
    nothing_left("polite", identity)


def test_a_stop_takes_as_long_as_the_container_may():
    identity = detached("--name", "patient", "--stop-timeout", "60s", "--", "sh", "-c", "trap 'sleep 35; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    guest.wait_for("it is up", lambda: "up" in guest.nucleus("logs", "patient"))
    guest.run("systemctl", "stop", unit_of(identity))
    assert (row("patient")["state"], row("patient")["exit_code"]) == ("stopped", 0), row("patient")
    guest.nucleus("rm", "patient")
    nothing_left("patient", identity)


def test_nucleus_stop_kill_wait_and_rm_end_the_unit():
    identity = detached("--name", "two", "--", "sh", "-c", "exec sleep 1000")
    guest.nucleus("stop", "--timeout", "1", "two")
    assert row("two")["state"] == "stopped"
    gone(unit_of(identity))
    guest.nucleus("rm", "two")
    identity = detached("--name", "two", "--", "sh", "-c", "trap 'exit 5' USR1; while :; do sleep 0.1; done")
    waiting = subprocess.Popen([guest.NUCLEUS, "wait", "two"], stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    guest.nucleus("kill", "--signal", "USR1", "two")
    assert waiting.communicate(timeout=60)[0].split()[-1] == "5"
    gone(unit_of(identity))
    guest.nucleus("rm", "two")
    nothing_left("two", identity)


def test_a_name_is_free_at_once_for_the_next():
    for _ in range(3):
        identity = detached("--name", "again", "--", "sleep", "1000")
        guest.nucleus("rm", "-f", "again")
    nothing_left("again", identity)


def test_rm_takes_it_away_once_it_has_ended():
    identity = detached("--name", "brief", "--rm", "--", "sh", "-c", "sleep 1; exit 3")
    guest.wait_for("it is removed", lambda: row("brief") is None)
    nothing_left("brief", identity)


def test_what_cannot_start_says_why_and_leaves_no_unit():
    said = guest.nucleus("run", "-d", "--name", "never", "--", "/nowhere", status=127)
    assert "not found inside the container" in said, said
    assert row("never") is None
    assert not [line for line in guest.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "nucleus-*").splitlines() if "topology" not in line]


def test_where_no_unit_can_be_had_it_starts_without():
    program = guest.HERE / "bin/nucleus-unit"
    program.rename(guest.HERE / "elsewhere")
    try:
        said = guest.nucleus("run", "-d", "--name", "alone", "--", "sleep", "1000")
    finally:
        (guest.HERE / "elsewhere").rename(program)
    assert "no unit of systemd watches it" in said and row("alone")["state"] == "running", said
    assert pathlib.Path("/sys/fs/cgroup/nucleus/alone/service.alone").exists()
    guest.nucleus("rm", "-f", "alone")
    # Where the mounts are others, the manager would not find what it is to execute.
    said = guest.run("env", "INVOCATION_ID=0", "unshare", "--mount", guest.NUCLEUS, "run", "-d", "--name", "apart", "--", "sleep", "1000")
    assert "no unit of systemd watches it" in said and "mounts of its own" in said, said
    identity = said.splitlines()[-1]
    assert not loaded(unit_of(identity)) and row("apart")["state"] == "running"
    guest.nucleus("rm", "-f", "apart")


def test_a_start_that_is_cut_off_leaves_no_unit():
    context = pathlib.Path("/opt/large")
    context.mkdir(exist_ok=True)
    for i in range(400):
        (context / f"f{i}").write_bytes(os.urandom(100_000))
    with subprocess.Popen([guest.NUCLEUS, "run", "-d", "--name", "cut", "--context", context, "--", "sleep", "1000"]) as process:
        guest.wait_for("the unit", lambda: "activating" in guest.run("systemctl", "list-units", "--all", "nucleus-*"))
        process.kill()
    guest.wait_for("no unit", lambda: "activating" not in guest.run("systemctl", "list-units", "--all", "nucleus-*"))
    guest.nucleus("rm", "--force", "cut", status=None)


def pids_of(victim, name, starting):
    """Those to be killed of a start: of its command, of what speaks to systemd for it, of its supervisor."""
    if victim == "command":
        return [starting.pid]
    words = {"unit": ("-x", "nucleus-unit"), "supervisor": ("-f", f"/run/nucleus/projects/{name}/service")}[victim]
    found = subprocess.run(["pgrep", *words], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split() if int(pid) != starting.pid]


def start(name, seconds):
    return subprocess.Popen([guest.NUCLEUS, "run", "-d", "--name", name, "--network", "bridge", "--", "sleep", seconds],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def links():
    return {line.split(": ")[1] for line in guest.run("ip", "-o", "link", "show", "type", "veth").splitlines()}


def test_whatever_is_killed_of_a_start_and_whenever_the_next_command_puts_it_right():
    there_before = links()
    began = time.monotonic()
    whole = start("whole", "5000")
    identity = whole.communicate(timeout=300)[0].strip()
    assert whole.returncode == 0, identity
    lasts = time.monotonic() - began
    guest.nucleus("rm", "-f", "whole")
    met = {}
    rounds = int(os.environ.get("NUCLEUS_KILLED_STARTS", "30"))
    for number in range(rounds):
        victim = ("command", "unit", "supervisor")[number % 3]
        name, seconds = f"k{number}", str(5001 + number)
        with start(name, seconds) as starting:
            time.sleep(lasts * (number // 3 + 0.5) / (rounds / 3))
            victims = [] if starting.poll() is not None else pids_of(victim, name, starting)
            for pid in victims:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            out = starting.communicate(timeout=300)[0]
        met[victim] = met.get(victim, 0) + bool(victims)
        what = f"round {number}, {victim} killed, exit {starting.returncode}: {out}"
        # Where an id was printed it was up. Where not, its name is free: whatever the start was at.
        if starting.returncode != 0:
            with start(name, seconds) as once_more:
                again = once_more.communicate(timeout=300)[0]
            assert (row(name) or {}).get("state") == "running", f"{what}\nnot up once more, exit {once_more.returncode}: {again} {row(name)}"
        there = row(name)
        assert there is not None, what
        guest.nucleus("rm", "-f", name)
        left = what_is_left(name, there["id"])
        assert not left, f"{what}\nleft: {left}"
        assert subprocess.run(["pgrep", "-f", f"sleep {seconds}$"]).returncode != 0, what
    assert len(met) == 3 and all(met.values()), met
    assert not links() - there_before, links() - there_before
    print(f"{rounds} starts of {lasts:.1f} s, something killed in {met}")


def test_it_is_active_only_once_it_is_ready():
    script = "until test -e /run/go; do sleep 0.1; done; python3 -c '%s' STATUS=serving READY=1 MAINPID=1; exec sleep 1000" % SAY
    with subprocess.Popen([guest.NUCLEUS, "run", "-d", "--name", "slow", "--sd-notify", "--network", "bridge", "--", "sh", "-c", script],
                          stdout=subprocess.PIPE, text=True) as process:
        guest.wait_for("it runs", lambda: (row("slow") or {}).get("pid"))
        unit = unit_of(row("slow")["id"])
        assert show(unit, "ActiveState")["ActiveState"] == "activating"
        assert row("slow")["state"] == "starting" and process.poll() is None
        guest.nucleus("exec", "slow", "--", "touch", "/run/go")
        identity = process.stdout.read().strip()
    seen = show(unit, "ActiveState", "StatusText", "MainPID")
    assert seen["ActiveState"] == "active" and seen["StatusText"] == "serving", seen
    assert int(seen["MainPID"]) == row("slow")["supervisor_pid"]
    guest.nucleus("rm", "-f", "slow")
    nothing_left("slow", identity)


def test_a_foreground_run_makes_its_own_unit_ready():
    unit = pathlib.Path("/run/systemd/system/fore.service")
    unit.write_text(f"""[Service]
Type=notify
NotifyAccess=main
WatchdogSec=20
ExecStart={guest.NUCLEUS} run --name fore --sd-notify -- sh -c 'test "$WATCHDOG_USEC" = 20000000 || exit 9; python3 /opt/say.py STATUS=here READY=1; while sleep 1; do python3 /opt/say.py WATCHDOG=1; done'
""".replace("/opt/say.py", "/usr/local/share/say.py"))
    pathlib.Path("/usr/local/share/say.py").write_text(SAY)
    guest.run("systemctl", "daemon-reload")
    guest.run("systemctl", "start", "fore.service")
    seen = show("fore.service", "ActiveState", "StatusText", "MainPID")
    assert seen["ActiveState"] == "active" and seen["StatusText"] == "here", seen
    time.sleep(30)
    assert show("fore.service", "ActiveState", "NRestarts")["ActiveState"] == "active"
    guest.run("systemctl", "stop", "fore.service")
    assert row("fore") is None


def test_a_supervisor_that_is_killed_is_started_again_with_the_container():
    identity = detached("--name", "tough", "--restart", "always", "--memory", "64M", "--network", "bridge", "--", "sleep", "1000")
    unit = unit_of(identity)
    assert show(unit, "Restart")["Restart"] == "on-abnormal"
    before = row("tough")
    os.kill(before["supervisor_pid"], 9)
    after = comes_back("it is back", unit, lambda: (now := row("tough")) and now["state"] == "running" and now["pid"] != before["pid"] and now)
    seen = show(unit, "ActiveState", "MainPID", "NRestarts")
    assert int(seen["MainPID"]) == after["supervisor_pid"] and seen["NRestarts"] == "1", seen
    group = pathlib.Path(f"/sys/fs/cgroup/system.slice/{unit}/nucleus/tough/service.tough")
    assert (group / "memory.max").read_text() == f"{64 << 20}\n"
    # The workload by itself is the supervisor's to restart.
    os.kill(after["pid"], 9)
    guest.wait_for("it runs again", lambda: (now := row("tough")) and now["restarts"] == 1 and now["pid"] not in (None, after["pid"]))
    assert show(unit, "NRestarts")["NRestarts"] == "1"
    guest.nucleus("stop", "tough")
    gone(unit)
    guest.nucleus("rm", "tough")
    nothing_left("tough", identity)


def test_a_stop_that_has_to_kill_the_supervisor_is_an_end():
    identity = detached("--name", "stuck", "--restart", "always", "--", "sleep", "1000")
    os.kill(row("stuck")["supervisor_pid"], signal.SIGSTOP)
    guest.nucleus("stop", "--timeout", "0s", "stuck")
    gone(unit_of(identity))
    assert row("stuck")["state"] != "running", row("stuck")
    guest.nucleus("rm", "stuck")
    nothing_left("stuck", identity)


def reviving(name):
    return guest.run("pgrep", "-f", f"nucleus __revive.*{name}", status=None).split()


def test_what_stands_in_the_way_of_coming_back_is_waited_for():
    identity = detached("--name", "late", "--restart", "always", "--", "sleep", "1000")
    unit, before = unit_of(identity), row("late")
    with open("/run/nucleus/locks/late.lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.kill(before["supervisor_pid"], signal.SIGKILL)
        helper = guest.wait_for("it is made again", lambda: reviving("late"), 120)
        os.kill(int(helper[0]), signal.SIGKILL)
        guest.wait_for("it is tried again", lambda: reviving("late") not in ([], helper), 120)
        assert int(show(unit, "NRestarts")["NRestarts"]) >= 2
    comes_back("it is back", unit, lambda: (now := row("late")) and now["state"] == "running" and now["pid"] != before["pid"])
    guest.nucleus("rm", "-f", "late")
    nothing_left("late", identity)


def test_want_of_memory_is_told_by_the_record():
    identity = detached("--name", "greedy", "--memory", "32M", "--swap", "0", "--", "tail", "/dev/zero")
    guest.wait_for("it has ended", lambda: row("greedy")["state"] == "exited")
    assert row("greedy")["reason"] == "oom", row("greedy")
    guest.nucleus("rm", "greedy")
    nothing_left("greedy", identity)


# ---- an ordinary user ----

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": str(HOME), "XDG_RUNTIME_DIR": f"/run/user/{USER}"}


def as_user(*command, **options):
    return guest.run("setpriv", "--reuid", str(USER), "--regid", str(USER), "--init-groups", *command, env=ENVIRONMENT, cwd="/", **options)


def users(*arguments, **options):
    return as_user(guest.NUCLEUS, *arguments, **options)


def users_show(unit, *names):
    out = as_user("systemctl", "--user", "show", unit, "-p", ",".join(names))
    return dict(line.split("=", 1) for line in out.splitlines())


def users_row(name):
    listed = json.loads(users("ps", "--all", "--output", "json"))["services"]
    return next((entry for entry in listed if entry["name"] == name), None)


def log_in():
    if not HOME.exists():
        guest.run("useradd", "--uid", str(USER), "--create-home", "--home-dir", HOME, "unituser")
        guest.run("loginctl", "enable-linger", "unituser")
    guest.wait_for("the user's manager", lambda: pathlib.Path(f"/run/user/{USER}/systemd/private").exists())


def test_an_ordinary_users_is_a_unit_of_the_users_manager_with_its_limits():
    log_in()
    identity = users("run", "-d", "--name", "mine", "--memory", "64M", "--", "sh", "-c", "echo up; exec sleep 1000").strip()
    unit = unit_of(identity)
    seen = users_show(unit, "ActiveState", "MainPID", "ControlGroup", "Type", "Delegate")
    assert (seen["ActiveState"], seen["Type"], seen["Delegate"]) == ("active", "notify", "yes"), seen
    there = users_row("mine")
    assert there["supervisor_pid"] == int(seen["MainPID"]), (there, seen)
    group = pathlib.Path("/sys/fs/cgroup" + seen["ControlGroup"]) / "nucleus/mine/service.mine"
    assert str(there["pid"]) in (group / "cgroup.procs").read_text().split()
    assert (group / "memory.max").read_text() == f"{64 << 20}\n"
    assert "up" in users("logs", "mine") and users("exec", "mine", "--", "id", "-u") == "0\n"
    as_user("systemctl", "--user", "stop", unit)
    assert users_row("mine")["state"] == "stopped", users_row("mine")
    users("rm", "mine")
    assert users_row("mine") is None
    guest.wait_for("collected", lambda: users_show(unit, "LoadState")["LoadState"] == "not-found")
    assert not list(pathlib.Path("/sys/fs/cgroup").glob("**/nucleus/mine"))


def test_an_ordinary_users_comes_back_after_its_supervisor_was_killed_and_goes_with_rm():
    log_in()
    identity = users("run", "-d", "--name", "tough", "--restart", "on-failure", "--", "sleep", "1000").strip()
    before = users_row("tough")
    os.kill(before["supervisor_pid"], 9)
    comes_back("it is back", unit_of(identity), lambda: (now := users_row("tough")) and now["state"] == "running" and now["pid"] != before["pid"])
    users("rm", "-f", "tough")
    users("run", "-d", "--rm", "--name", "brief", "--", "sh", "-c", "sleep 1")
    guest.wait_for("it is removed", lambda: users_row("brief") is None)


def test_an_ordinary_users_come_back_with_the_users_manager_and_stay():
    log_in()
    units = HOME / ".config/systemd/user"
    as_user("mkdir", "-p", units)
    template = (guest.HERE / "nucleus-containers.service.in").read_text()
    (units / "nucleus-containers.service").write_text(template.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(guest.HERE / "bin")))
    as_user("systemctl", "--user", "daemon-reload")
    users("run", "-d", "--name", "mine", "--restart", "always", "--", "sleep", "1000")
    guest.run("systemctl", "restart", f"user@{USER}.service")
    guest.wait_for("the user's manager", lambda: pathlib.Path(f"/run/user/{USER}/systemd/private").exists())
    as_user("systemctl", "--user", "start", "nucleus-containers.service")
    assert users_row("mine")["state"] == "running", users_row("mine")
    assert users("exec", "mine", "--", "id", "-u") == "0\n"
    users("rm", "-f", "mine")


# ---- the next boot ----

def test_what_is_there_before_the_machine_goes_down():
    template = (guest.HERE / "nucleus-containers.service.in").read_text()
    pathlib.Path("/etc/systemd/system/nucleus-containers.service").write_text(
        template.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(guest.HERE / "bin")))
    assert not guest.run("systemd-analyze", "verify", "--man=no", "nucleus-containers.service")
    guest.run("systemctl", "enable", "nucleus-containers.service")
    script = "trap 'echo stopped >> /mark/said; exit 0' TERM; echo up >> /mark/said; while :; do sleep 0.1; done"
    pathlib.Path("/opt/mark").mkdir(exist_ok=True)
    detached("--name", "always", "--restart", "always", "--volume", "/opt/mark:/mark:rw", "--", "sh", "-c", script)
    detached("--name", "once", "--", "sleep", "1000")
    guest.run("sync")


@guest.boot(2)
def test_what_runs_always_comes_back_and_the_rest_is_listed():
    there = guest.wait_for("it is back", lambda: (now := row("always")) and now["state"] == "running" and now, 120)
    unit = unit_of(there["id"])
    seen = show(unit, "ActiveState", "MainPID")
    assert seen["ActiveState"] == "active" and int(seen["MainPID"]) == there["supervisor_pid"], seen
    assert guest.wait_for("it says so", lambda: pathlib.Path("/opt/mark/said").read_text().count("up") == 2)
    # It went down with the machine in its own way.
    assert pathlib.Path("/opt/mark/said").read_text().splitlines()[:2] == ["up", "stopped"]
    assert row("once") is not None and row("once")["state"] != "running", row("once")
    guest.nucleus("rm", "once")
    guest.nucleus("rm", "-f", "always")
    nothing_left("always", there["id"])
