"""Where a system call that protects fails, no workload runs with less. `fail_closed.py --all` tries each call there is."""

import errno
import platform

import fail_closed
import posture
import pytest
from fail_closed import SETUPS, Faults, Point

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the injector knows the registers of x86_64 only")


@pytest.fixture(scope="module", params=SETUPS)
def faults(request, tmp_path_factory):
    with Faults(tmp_path_factory.mktemp("closed"), SETUPS[request.param]) as faults:
        yield faults


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    with Faults(tmp_path_factory.mktemp("closed"), SETUPS["production"]) as faults:
        yield faults


def test_without_a_fault_it_is_held_by_all(faults):
    uid, gid, groups = (1000, 1001, [1002]) if "--user" in faults.setup else (0, 0, [])
    assert posture.problems(faults.said, uid, gid, groups, init="production" in faults.setup) == []


@pytest.mark.parametrize("error", [errno.EPERM, errno.EINVAL])
def test_nothing_runs_with_less(faults, error):
    wrong = []
    refused, _, _ = fail_closed.tried(faults, faults.sample(2), error, wrong.append)
    assert not wrong, "\n".join(wrong)
    assert refused > 30


def test_every_protective_call_is_among_them(production):
    """Or the list has become one of what is not done any more, and says nothing."""
    assert production.missing() == []


@pytest.mark.parametrize(
    "call",
    "mount_setattr move_mount pivot_root umount2 capset setgroups setresgid setresuid landlock_restrict_self landlock_add_rule "
    "seccomp close_range keyctl personality prctl execve".split(),
)
def test_a_call_that_protects_is_not_done_without(production, call):
    """Each of them that the container makes is needed: none may fail without being refused."""
    points = [point for point in production.points if point.process >= 0 and point.name == call]
    # The first prctl makes nobody trace it who could; in a new namespace there is nobody, and it is done again.
    points = points[1:] if call == "prctl" else points
    step = max(1, len(points) // 6)
    wrong = []
    refused, harmless, _ = fail_closed.tried(production, points[::step], errno.EPERM, wrong.append)
    assert not wrong and harmless == 0 and refused == len(points[::step]), (wrong, harmless)


@pytest.mark.parametrize("name", ["whether standard input is the null device", "the number of capabilities is asked for"])
def test_a_question_that_is_not_answered_is_no_answer(production, name):
    wrong = []
    fail_closed.tried(production, production.known(name)[-3:], errno.EPERM, wrong.append)
    assert not wrong, "\n".join(wrong)


def test_a_protection_left_out_is_told(production):
    """The kernel says that it was done, and it was not: of Landlock nobody but the workload sees it."""
    [point] = [point for point in production.points if point.name == "landlock_restrict_self"]
    problem, ran = production.problem(point, 0)
    assert ran and "+try make what only Landlock minds: done" in problem


@pytest.mark.parametrize(
    "call", "seccomp capset setgroups setresgid setresuid mount_setattr move_mount pivot_root umount2".split()
)
def test_what_is_said_to_be_done_and_is_not_is_found_by_looking(production, call):
    """The mount audit and the comparison with /proc do not rest on the answers of the calls themselves."""
    point = [point for point in production.points if point.process >= 0 and point.name == call][-1]
    code, _, told = production.lie(point)
    assert code == 125 and told.startswith("nucleus: run: "), (code, told)


def test_a_point_that_is_not_there_is_told(production):
    problem, _ = production.problem(Point(0, 0, 100000, "read"))
    assert "not come to" in problem
