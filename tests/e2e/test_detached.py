"""`run -d`: a container in the background is up when its id is printed, or nothing of it is left; `rm` takes it away."""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
from test_run import left, until
from world import NUCLEUS, World


def detached(world, *arguments, **options):
    return world.nucleus("run", "-d", *arguments, **options)


name = World.name


def interrupt(starting, signal):
    """The command itself, and not what it has forked by then, which has its command line until it executes something.
    Whether it was there still to be interrupted."""
    nsenter = pathlib.Path(f"/proc/{starting.pid}")
    while starting.poll() is None:
        children = (nsenter / f"task/{starting.pid}/children").read_text().split()
        try:
            if children and "nucleus" in pathlib.Path(f"/proc/{children[0]}/comm").read_text():
                os.kill(int(children[0]), signal)
                return True
        except OSError:
            pass  # it has ended
    return False


def rows(world):
    return {row["name"]: row for row in world.json("ps", "--all")["services"]}


def test_the_id_is_printed_when_it_is_up_and_names_it(world):
    done = detached(world, "--name", name(world, "one"), "--", "sh", "-c", "echo up; exec sleep 1000")
    identity = done.stdout.strip()
    assert len(identity) == 32 and done.stderr == ""
    row = rows(world)[name(world, "one")]
    assert (row["id"], row["state"], row["health"]) == (identity, "running", None)
    assert until(lambda: "up" in world.nucleus("logs", name(world, "one")).stdout)
    assert world.json("inspect", identity[:8])["name"] == name(world, "one")
    assert world.nucleus("rm", "--force", identity[:12]).stdout == name(world, "one") + "\n"
    assert rows(world) == {} and left(world) == []


def test_one_without_a_name_is_called_as_its_id_begins(world):
    identity = world.nucleus("create", "-d", "--", "sleep", "1000").stdout.strip()
    assert list(rows(world)) == [identity[:12]]
    world.nucleus("rm", "-f", identity[:6])
    assert left(world) == []


@pytest.mark.parametrize("code", [0, 3])
def test_what_has_ended_stays_listed_with_its_log_until_rm(world, code):
    detached(world, "--name", name(world, "short"), "--", "sh", "-c", f"echo that was it; exit {code}")
    until(lambda: rows(world)[name(world, "short")]["state"] == "exited")
    assert rows(world)[name(world, "short")]["exit_code"] == code
    assert world.json("ps")["services"] == []
    assert "that was it" in world.nucleus("logs", name(world, "short")).stdout
    world.nucleus("rm", name(world, "short"))
    assert rows(world) == {}


@pytest.mark.parametrize("command, code, words", [
    (("/nowhere",), 127, "not found inside the container"),
    (("/etc/passwd",), 126, "Permission denied"),
])
def test_what_cannot_be_executed_leaves_nothing_and_says_why(world, command, code, words):
    done = detached(world, "--name", name(world, "never"), "--network", "bridge", "--", *command, status=code)
    assert done.stdout == "" and words in done.stderr
    assert rows(world) == {} and left(world) == []
    assert not [alias for alias in world.links() if "never" in alias]


def test_a_name_is_given_once(world):
    detached(world, "--name", name(world, "one"), "--", "sleep", "1000")
    done = detached(world, "--name", name(world, "one"), "--", "sleep", "1000", status=125)
    assert "there is a container of that name" in done.stderr and done.stdout == ""
    done = world.nucleus("run", "--name", name(world, "one"), "--", "true", status=125)
    assert "there is a container of that name" in done.stderr
    world.apply(world.write('name = "PROJECT"\n[services.web]\ncommand = ["/bin/sleep", "1000"]\n'))
    done = detached(world, "--name", world.project, "--", "true", status=125)
    assert "a topology is called that" in done.stderr
    assert rows(world)[name(world, "one")]["state"] == "running" and rows(world)[f"{world.project}/web"]["state"] == "running"


def test_a_name_is_not_blocked_by_one_that_was_killed_while_it_was_made(world):
    for _ in range(4):
        starting = world.popen(NUCLEUS, "run", "-d", "--name", name(world, "cut"), "--network", "bridge", "--", "sleep", "1000",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.05)
        starting.kill()
        starting.wait()
    world.run("pkill", "-KILL", "-f", f"nucleus run -d --name {name(world, 'cut')}", status=None)
    until(lambda: world.run("pgrep", "-f", f"nucleus run -d --name {name(world, 'cut')}", status=None).returncode != 0)
    if rows(world).get(name(world, "cut"), {}).get("state") == "running":
        world.nucleus("rm", "-f", name(world, "cut"))
    detached(world, "--name", name(world, "cut"), "--network", "bridge", "--", "sleep", "1000")
    world.nucleus("rm", "-f", name(world, "cut"))
    assert left(world) == []


def test_rm_refuses_what_runs_and_what_belongs_to_a_topology(world):
    detached(world, "--name", name(world, "one"), "--", "sleep", "1000")
    world.apply(world.write('name = "PROJECT"\n[services.web]\ncommand = ["/bin/sleep", "1000"]\n'))
    assert "is running" in world.nucleus("rm", name(world, "one"), status=1).stderr
    assert "belongs to the topology" in world.nucleus("rm", "-f", f"{world.project}/web", status=1).stderr
    assert "no such" in world.nucleus("rm", "nobody", status=1).stderr
    assert rows(world)[name(world, "one")]["state"] == "running"


def test_it_has_what_was_asked_for(world, tmp_path):
    (tmp_path / "data").mkdir()
    done = detached(world, "--name", name(world, "asked"), "--network", "bridge", "-p", "8081:80", "--dns", "10.0.0.1", "-e", "A=b",
                    "--volume", f"{tmp_path}/data:/data", "--egress-allow", "", "--", "sh", "-c",
                    "echo $A > /data/out; cat /etc/resolv.conf >> /data/out; exec sleep 1000")
    assert done.stderr == "" or "not held" in done.stderr
    out = tmp_path / "data" / "out"
    assert until(lambda: out.exists() and "nameserver 10.0.0.1" in out.read_text())
    assert out.read_text().startswith("b\n")
    assert rows(world)[name(world, "asked")]["ports"] == ["8081:80/tcp"]
    assert world.nucleus("verify", name(world, "asked")).stdout
    assert world.nucleus("drift", name(world, "asked"), "--detailed-exitcode").returncode == 0
    world.nucleus("rm", "-f", name(world, "asked"))


def test_only_the_foreground_has_a_preview(world):
    assert "not with --detach" in detached(world, "--dry-run", "--", "true", status=64).stderr


def test_many_at_a_time_take_each_their_own(world):
    failures = []

    def one(number):
        done = detached(world, "--name", f"{world.project}n{number % 8}", "--", "sleep", "1000", status=None)
        if done.returncode not in (0, 125) or (done.returncode == 125 and "of that name" not in done.stderr):
            failures.append(done.stderr)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(rows(world)) == [f"{world.project}n{number}" for number in range(8)]
    assert all(row["state"] == "running" for row in rows(world).values())
    world.nucleus("rm", "-f", *rows(world))
    assert rows(world) == {} and left(world) == []


def test_its_supervisor_passes_the_end_on(world):
    detached(world, "--name", name(world, "one"), "--", "sleep", "1000")
    world.run("kill", f"-{signal.SIGKILL.value}", str(rows(world)[name(world, "one")]["pid"]))
    until(lambda: rows(world)[name(world, "one")]["state"] == "exited")
    assert rows(world)[name(world, "one")]["exit_code"] == 137
    world.nucleus("rm", name(world, "one"))
    assert json.loads(world.nucleus("ps", "--all", "-o", "json").stdout)["services"] == []


def test_with_rm_it_goes_when_it_ends(world):
    identity = detached(world, "--rm", "--name", name(world, "gone"), "--network", "bridge", "--", "sleep", "0.3").stdout.strip()
    assert len(identity) == 32
    until(lambda: rows(world) == {} and left(world) == [])
    # Also at once, and also when it is stopped; whoever has its name since is another one.
    assert len(detached(world, "--rm", "--name", name(world, "gone"), "--", "true").stdout.strip()) == 32
    until(lambda: rows(world) == {} and left(world) == [])
    detached(world, "--rm", "--name", name(world, "gone"), "--", "sleep", "1000")
    world.nucleus("stop", name(world, "gone"), "--timeout", "0s")
    until(lambda: rows(world) == {} and left(world) == [])
    detached(world, "--rm", "--name", name(world, "gone"), "--", "sleep", "1000")
    world.nucleus("rm", "-f", name(world, "gone"))
    second = detached(world, "--name", name(world, "gone"), "--", "sleep", "1000").stdout.strip()
    time.sleep(1)
    assert rows(world)[name(world, "gone")]["id"] == second
    world.nucleus("rm", "-f", name(world, "gone"))


@pytest.mark.parametrize("change", ["", 'memory = "64M"\n'])
def test_what_files_have_come_to_ask_for_stays_when_it_ends(world, change):
    one = name(world, "taken")
    detached(world, "--rm", "--name", one, "--", "sleep", "1000")
    path = world.write(f'[container]\nname = "{one}"\nservice_mode = "agent"\ncommand = ["sleep", "1000"]\nrestart = "no"\n')
    if not change:
        assert "nothing to do" in world.nucleus("diff", "-f", path).stdout.lower()
    path.write_text(path.read_text() + change)
    world.nucleus("apply", "-f", path)
    pid = rows(world)[one]["pid"]
    world.kill(pid)
    until(lambda: rows(world)[one]["state"] == "exited")
    until(lambda: not world.run("pgrep", "-f", "__ended", status=None).stdout)
    detached(world, "--rm", "--name", name(world, "next"), "--", "true")  # and sees to what was forgotten
    until(lambda: list(rows(world)) == [one])
    assert "state exited" in world.nucleus("drift", one, "--detailed-exitcode", status=2).stdout
    world.nucleus("destroy", one)


def test_with_rm_no_control_group_is_left(world):
    detached(world, "--rm", "--name", name(world, "group"), "--", "true")
    until(lambda: rows(world) == {} and not [path for path in world.cgroups() if "group" in str(path)])


def test_one_that_is_interrupted_is_taken_back_or_up(world):
    interrupted = 0
    for delay in (0, 0.02, 0.05, 0.08, 0.12):
        starting = world.popen(NUCLEUS, "run", "-d", "--name", name(world, "cut"), "--network", "bridge", "--", "sleep", "1000",
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        interrupted += interrupt(starting, signal.SIGTERM)
        out, err = starting.communicate(timeout=60)
        if starting.returncode == 0:
            assert rows(world)[name(world, "cut")]["id"] == out.strip()
            world.nucleus("rm", "-f", name(world, "cut"))
        else:
            assert starting.returncode in (143, -15), (starting.returncode, err)
        assert rows(world) == {} and left(world) == []
        assert not [alias for alias in world.links() if "cut" in alias]
    assert interrupted > 0


def test_what_is_to_be_done_at_the_end_is_of_one_start(world):
    interrupted = 0
    for delay in (0, 0.01, 0.03, 0.03, 0.03):
        starting = world.popen(NUCLEUS, "run", "-d", "--rm", "--name", name(world, "stale"), "--", "sleep", "1000",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        interrupted += interrupt(starting, signal.SIGKILL)
        starting.wait()
    assert interrupted > 0
    world.nucleus("rm", "-f", name(world, "stale"), status=None)
    detached(world, "--name", name(world, "stale"), "--", "sh", "-c", "exit 7")
    until(lambda: rows(world)[name(world, "stale")]["state"] == "exited")
    assert rows(world)[name(world, "stale")]["exit_code"] == 7


def test_rm_that_waited_does_not_take_another_one(world):
    one = name(world, "one")
    for _ in range(5):
        detached(world, "--name", one, "--", "true")
        until(lambda: rows(world)[one]["state"] == "exited")
        racers = [world.popen(NUCLEUS, "rm", one, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(3)]
        made = detached(world, "--name", one, "--", "sleep", "1000", status=None)
        for racer in racers:
            racer.wait()
        if made.returncode == 0:
            assert rows(world)[one]["state"] == "running"
        world.nucleus("rm", "-f", one, status=None)


def test_a_removal_that_was_cut_off_is_done_again(world):
    one = name(world, "one")
    for delay in (0.02, 0.05, 0.08):
        detached(world, "--name", one, "--network", "bridge", "--", "sleep", "1000")
        removing = world.popen(NUCLEUS, "rm", "-f", one, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        world.run("pkill", "-KILL", "-f", f"nucleus rm -f {one}", status=None)
        removing.wait()
        if rows(world):
            assert list(rows(world)) == [one]
            world.nucleus("rm", "-f", one)
        assert rows(world) == {} and left(world) == [] and world.links() == {}


def test_the_name_that_is_shown_is_the_one_it_is_called_by(world):
    detached(world, "--name", name(world, "web"), "--", "sleep", "1000")
    world.apply(world.write(f'name = "PROJECT"\n[services."{name(world, "web")}"]\ncommand = ["/bin/sleep", "1000"]\n'))
    assert world.nucleus("rm", "-f", name(world, "web")).stdout == name(world, "web") + "\n"
    assert list(rows(world)) == [f"{world.project}/{name(world, 'web')}"]


def test_an_id_that_cannot_be_written_is_an_error_that_says_its_name(world):
    done = world.run("sh", "-c", f"exec {NUCLEUS} run -d --name {name(world, 'full')} -- sleep 1000 > /dev/full", status=125)
    assert name(world, "full") in done.stderr and "ENOSPC" in done.stderr
    world.nucleus("rm", "-f", name(world, "full"))


def test_nothing_is_left_for_each_name(world):
    detached(world, "--rm", "--", "true")
    detached(world, "--name", name(world, "one"), "--", "true")
    until(lambda: {called: row["state"] for called, row in rows(world).items()} == {name(world, "one"): "exited"})
    world.nucleus("rm", name(world, "one"))
    until(lambda: world.run("ls", world.runtime / "locks").stdout == "")  # the last is the lock of who removes it


@pytest.mark.parametrize("policy, code", [("no", 0), ("no", 3), ("on-failure", 0)])
def test_one_that_has_ended_and_is_not_to_be_started_again_is_no_drift(world, policy, code):
    detached(world, "--name", name(world, "short"), "--restart", policy, "--network", "bridge", "--", "sh", "-c", f"exit {code}")
    until(lambda: rows(world)[name(world, "short")]["state"] == "exited")
    world.nucleus("drift", "--detailed-exitcode")
    world.nucleus("drift", name(world, "short"), "--detailed-exitcode")
    world.run("ip", "link", "delete", world.links()[f"nucleus:{name(world, 'short')}/network." + name(world, "short")])
    assert "network" in world.nucleus("drift", name(world, "short"), "--detailed-exitcode", status=2).stdout
    world.nucleus("rm", name(world, "short"))


def test_one_that_was_stopped_although_it_is_to_run_is_drift(world):
    detached(world, "--name", name(world, "kept"), "--restart", "always", "--", "sleep", "1000")
    world.nucleus("stop", name(world, "kept"))
    assert "state exited" in world.nucleus("drift", name(world, "kept"), "--detailed-exitcode", status=2).stdout
    world.nucleus("rm", name(world, "kept"))


def test_one_that_was_to_go_by_itself_and_whose_supervisor_was_killed_goes_with_the_next_command(world):
    for one in ("killed", "runs"):
        detached(world, "--rm", "--name", name(world, one), "--network", "bridge", "--", "sleep", "1000")
    row = rows(world)[name(world, "killed")]
    world.kill(world.run("ps", "-o", "ppid=", "-p", str(row["pid"])).stdout.strip())
    until(lambda: rows(world)[name(world, "killed")]["state"] == "failed")
    detached(world, "--name", name(world, "next"), "--", "sleep", "1000")
    assert sorted(rows(world)) == [name(world, "next"), name(world, "runs")]
    world.nucleus("rm", "-f", name(world, "next"), name(world, "runs"))
    assert rows(world) == {} and left(world) == []


@pytest.mark.parametrize("command", [("run", "-d", "--name", "next", "--", "sleep", "1000"), ("rm", "next"), ("__revive",)])
def test_one_that_was_to_go_by_itself_goes_after_a_reboot(world, command):
    """Of which what is seen is that nothing of the runtime directory is there."""
    detached(world, "--name", name(world, "next"), "--", "true")
    if command[0] == "run":
        world.nucleus("rm", "-f", name(world, "next"))
    detached(world, "--rm", "--restart", "always", "--name", name(world, "gone"), "--", "sleep", "1000")
    world.kill(rows(world)[name(world, "gone")]["supervisor_pid"])
    until(lambda: rows(world)[name(world, "gone")]["state"] == "failed")
    world.run("sh", "-c", f"umount {world.runtime}/netns/*/*; rm -r {world.runtime}/projects {world.runtime}/observed.db")
    assert name(world, "gone") in rows(world)
    world.nucleus(*(name(world, "next") if word == "next" else word for word in command))
    assert name(world, "gone") not in rows(world)
    world.nucleus("rm", "-f", name(world, "next"), status=None)
    assert rows(world) == {} and left(world) == []


def test_its_address_is_never_the_beginning_of_another_ones_id(world):
    identity = detached(world, "--name", name(world, "one"), "--", "sleep", "1000").stdout.strip()
    world.nucleus("rm", "--force", f"container.{identity[:12]}", status=1)
    assert list(rows(world)) == [name(world, "one")]
    world.nucleus("rm", "--force", f"container.{name(world, 'one')}")
    assert rows(world) == {} and left(world) == []


def test_what_runs_always_comes_back_beside_one_that_cannot_be_read(world):
    for word in ("one", "two", "zed"):
        detached(world, "--name", name(world, word), "--restart", "always", "--", "sleep", "1000")
        world.kill(rows(world)[name(world, word)]["supervisor_pid"])
    until(lambda: world.run("pgrep", "-x", "sleep", status=None).returncode == 1)
    with sqlite3.connect(world.state / "applied.db") as store:
        assert store.execute("UPDATE resource SET spec_json = '[' WHERE project = ?", (name(world, "two"),)).rowcount > 0
    store.close()
    assert name(world, "two") in world.nucleus("__revive", status=1).stderr
    until(lambda: world.run("pgrep", "-c", "-x", "sleep", status=None).stdout == "2\n")


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("call", ["rmdir", "unlinkat"])
def test_one_that_cannot_be_taken_back_says_so_and_how_it_goes(world, call):
    called = name(world, "x")
    failed = world.run("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EBUSY", NUCLEUS, "run",
                       "-d", "--name", called, "--", "/nonexistent", status=127)
    assert "not found inside the container; and '" + called + "' could not be taken back: " in failed.stderr, failed.stderr
    assert "EBUSY" in failed.stderr and f"`nucleus destroy {called}` takes away what is left" in failed.stderr, failed.stderr
    assert failed.stdout == ""
    world.nucleus("destroy", called)
    assert not list(pathlib.Path(world.directory).glob(f"runtime/projects/{called}/*"))


# Without its parent death signal; prctl(2), PR_SET_PDEATHSIG.
LOST = "import ctypes, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nprint('up', flush=True)\ntime.sleep(1000)"


def test_what_outlives_its_supervisor_is_not_said_to_have_ended(world):
    one = name(world, "one")
    detached(world, "--name", one, "--", "python3", "-c", LOST)
    assert until(lambda: "up" in world.nucleus("logs", one).stdout)
    row = rows(world)[one]
    world.kill(row["supervisor_pid"])
    assert world.json("ps")["services"][0]["state"] == "orphaned"
    assert "supervisor" in world.nucleus("verify", one, status=1).stdout
    assert "is orphaned" in world.nucleus("rm", one, status=1).stderr
    world.nucleus("exec", one, "--", "true")
    world.nucleus("kill", one)
    until(lambda: rows(world)[one]["state"] == "failed")
    world.nucleus("rm", one)
    assert rows(world) == {} and left(world) == []


def test_what_outlives_its_supervisor_is_stopped_without_control_groups(world):
    without = ("unshare", "--mount", "--propagation", "private", "sh", "-c", 'umount -R /sys/fs/cgroup; exec "$@"', "sh", NUCLEUS)
    one = name(world, "one")
    world.run(*without, "run", "-d", "--name", one, "--", "python3", "-c", LOST)
    assert until(lambda: "up" in world.nucleus("logs", one).stdout)
    world.kill(rows(world)[one]["supervisor_pid"])
    assert rows(world)[one]["state"] == "orphaned"
    world.run(*without, "stop", one)
    assert rows(world)[one]["state"] == "failed"
    world.run(*without, "rm", one)
    assert rows(world) == {} and left(world) == []
