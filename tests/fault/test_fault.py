"""The tools find what they are there to find; and a selection of points, at each of which a change is cut off and made again."""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import injector
import snapshot
from run_scenario import RUNS, RunTrial
from scenario import BASE, CHANGES, EGRESS, Trial
from world import wait_for

RUN = pathlib.Path(__file__).resolve().parent / "run"


@pytest.fixture
def trial(tmp_path):
    with Trial(tmp_path, CHANGES["create"]) as trial:
        yield trial


LEAKS = {
    "links": ["ip", "link", "add", "leak", "type", "bridge"],
    "firewall": ["nft", "add", "table", "inet", "leak"],
    "sysctls": ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
    "mounts": ["mount", "-t", "tmpfs", "leak", "/mnt"],
    "processes": ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & true"],
    "network namespaces": ["sh", "-c", "setsid unshare --net sleep 1000 >/dev/null 2>&1 &"],
    "files": ["sh", "-c", "mkdir -p $NUCLEUS_RUNTIME_DIR/projects/leak"],
    "open files": ["sh", "-c", "setsid sleep 1000 3</etc/passwd >/dev/null 2>&1 & true"],
}


@pytest.mark.parametrize("category", LEAKS)
def test_a_leak_is_told_by_its_category(trial, category):
    before = snapshot.take(trial.world)
    assert snapshot.difference(before, snapshot.take(trial.world)) == []
    trial.world.run(*LEAKS[category])
    wait_for("it to be told", lambda: any(line.startswith(f"{category}: + ") for line in snapshot.difference(before, snapshot.take(trial.world))))


def test_a_change_without_a_fault_has_no_problems(trial):
    trial.made()
    assert trial.problems() == []


def test_an_undo_left_out_is_told(trial):
    """strace answers in the kernel's place that files were removed, and they were not."""
    trial.made()
    trial.world.run(*injector.strace("-o", "/dev/null", "-e", "trace=unlink,unlinkat", "-e", "inject=unlink,unlinkat:retval=0"),
                    trial.world.environment["PATH"].split(":")[0] + "/nucleus", "destroy", trial.world.project, status=None)
    assert any(line.startswith("files: + ") for line in snapshot.difference(trial.empty, snapshot.take(trial.world)))


def test_a_step_that_does_not_journal_is_told(trial):
    """strace answers in the kernel's place that the database was written, and it was not."""
    trial.made()
    assert trial.untold() == []
    trial.world.nucleus("destroy", trial.world.project)
    trial.world.run(*injector.strace("-o", "/dev/null", "-P", trial.world.runtime / "observed.db", "-e", "trace=pwrite64",
                                     "-e", "inject=pwrite64:retval=4096"), *trial.command)
    lines = trial.untold()
    assert any("cgroup service.db" in line for line in lines) and any("table " in line for line in lines), lines


def test_a_supervisor_is_killed_and_the_command_says_so(trial):
    done = injector.Supervisor("service.db").run(trial, injector.Point("clone3", 1))
    assert done.returncode == 1 and "service.db" in done.stderr, done
    trial.made()
    assert trial.problems() == []


def test_a_change_that_did_not_happen_is_told(trial):
    assert any(line.startswith("diff is not empty") for line in trial.problems())


def test_a_kill_kills_and_an_error_fails(trial):
    assert injector.Command().run(trial, injector.Point("mkdir", 1)).returncode in (-9, 137)
    failed = injector.Command().run(trial, injector.Point("unshare", 1, "ENOMEM"))
    assert failed.returncode == 1 and "nucleus: " in failed.stderr, failed


@pytest.mark.parametrize("change", CHANGES)
def test_killed_at_a_few_points_it_converges_without_a_leak(change):
    done = subprocess.run([sys.executable, RUN, "--change", change, "--sample", "4"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("change", ["create", "restart", "destroy"])
def test_with_the_supervisor_killed_at_a_few_points_it_converges_without_a_leak(change):
    done = subprocess.run([sys.executable, RUN, "--supervisor", "--change", change, "--sample", "4"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_with_the_repair_killed_too_it_converges_without_a_leak():
    done = subprocess.run([sys.executable, RUN, "--change", "replace", "--pairs", "6"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("change", ["create", "destroy"])
def test_failing_at_a_few_points_it_says_so_and_converges_without_a_leak(change):
    done = subprocess.run([sys.executable, RUN, "--change", change, "--errors", "--sample", "6"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("errors", [(), ("--errors",)], ids=["killed", "failing"])
@pytest.mark.parametrize("run", RUNS)
def test_a_container_started_by_hand_leaves_nothing(run, errors):
    done = subprocess.run([sys.executable, RUN, "--change", run, *errors, "--sample", "8"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_container_that_said_nothing_and_what_one_left_are_told(tmp_path):
    with RunTrial(tmp_path, RUNS["run"]) as trial:
        done = trial.world.run(trial.command[0], "run", "--", "/bin/true")
        assert trial.false_success(done) == ["exit status 0, and yet: ''"]
        trial.world.run("ip", "link", "add", "leak", "type", "bridge")
        assert any(line.startswith("left over: links: + leak") for line in trial.problems())


def test_the_scenario_holds_what_the_changes_are_about():
    for change in CHANGES.values():
        assert change.before != change.after
        assert (EGRESS if change.outside else BASE) in (change.before, change.after)
