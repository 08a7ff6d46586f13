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


def mistakes(said):
    """What a sandbox with one thing amiss would say of itself, and what of that."""
    other = {"Cap": "0000000000200000", "NoNewPrivs": "0", "Seccomp:": "0", "Uid": "0\t1000\t1000\t1000", "Gid": "0\t0\t0\t0", "Groups": "0 1002",
             "files": " 0 1 2 7", "standard input": "0", "personality": "00040000", "above the root": "0", "kcore": "ELF", "keys": "03d | keyring",
             "cgroup": "0::/..", "unix sockets": "Num|0: 2 0 10000 1 1 5 @nucleus"}
    for line in said.splitlines():
        name, _, value = line.partition(":")
        if new := next((new for start, new in other.items() if (name + ":").startswith(start)), None):
            yield line, f"{name}:{new}" if name == "files" else f"{name}:{chr(9) if ':' + chr(9) in line else ' '}{new}", name
        if name.startswith("try "):
            yield line, f"{name}: done", name.removeprefix("try ")
        point = name.removeprefix("mount ")
        if name.startswith("mount ") and point in posture.MASKED:
            yield line, "", point
        for flag in posture.MUST_BE.get(point, ()) if name.startswith("mount ") else ():
            yield line, line.replace(f",{flag}", "", 1).replace(f" {flag},", " ", 1), point


def test_each_line_of_the_posture_counts(production):
    """One that is worse is told, whichever it is; tests/vm/suite/attacks.py has a sandbox in which all are."""
    expected = dict(uid=1000, gid=1001, groups=[1002], init=True)
    assert posture.problems(production.said, **expected) == []
    seen = set()
    for line, worse, name in mistakes(production.said):
        found = posture.problems(production.said.replace(line + "\n", worse + "\n", 1), **expected)
        about = {"unix sockets": "sockets of others", "Groups": "groups"}.get(name, name)
        assert worse != line and any(about in problem for problem in found), (line, worse, found)
        seen.add(name)
    assert {*posture.MASKED, *posture.MUST_BE, "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups", "files",
            "personality", "cgroup", "unix sockets", "keys"} <= seen, seen


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
    assert ran and f"+try {posture.LANDLOCK}: done" in problem


@pytest.mark.parametrize(
    "call", "seccomp capset setgroups setresgid setresuid mount_setattr move_mount pivot_root umount2".split()
)
def test_what_is_said_to_be_done_and_is_not_is_found_by_looking(production, call):
    """The mount audit and the comparison with /proc do not rest on the answers of the calls themselves."""
    point = [point for point in production.points if point.process >= 0 and point.name == call][-1]
    code, _, told = production.lie(point)
    assert code == 125 and told.startswith("nucleus: run: "), (code, told)


# What holds a container: the process and the call that make it, the call's first argument, which of those, and what then tells of the mistake.
MISTAKES = {
    "a control group of its own": (0, "unshare", "2000000", 0, "its cgroup namespace is the caller's"),
    "a network of its own": (0, "setns", "", 0, "its net namespace is the caller's"),
    "the old root is gone": (0, "umount2", "", -1, "pivot_root new root: "),
    "a root of its own": (0, "pivot_root", "", 0, "pivot_root new root: "),
    "flags of mounts": (0, "mount_setattr", "", -1, "audit mount "),
    "what is masked": (0, "move_mount", "", -1, "audit "),
    "what is mounted": (0, "move_mount", "", 2, "audit "),
    "the bounding set": (0, "prctl", "18", 0, "its bounding capabilities: "),
    "the other capabilities": (0, "capset", "", 0, "its permitted capabilities: "),
    "groups": (0, "setgroups", "", 0, "its supplementary groups: none, not 1002"),
    "the group": (0, "setresgid", "", 0, "its group: 0, not 1001"),
    "the user": (0, "setresuid", "", 0, "its user: 0, not 1000"),
    "no_new_privs": (0, "prctl", "26", 0, "enforce Landlock rules: "),
    "seccomp of the init": (0, "seccomp", "", 0, "its seccomp: none"),
    "seccomp of the workload": (1, "seccomp", "", 0, "its seccomp: none"),
    "Landlock": (0, "landlock_restrict_self", "", 0, f"+try {posture.LANDLOCK}: done"),
    "the host name": (0, "sethostname", "", 0, "-host name: box; +host name: "),
    "the limit of locked memory": (0, "prlimit64", "", 0, "-memlock: 65536; "),
    "the working directory": (0, "fchdir", "", -1, "-directory: /context; "),
    "standard files": (0, "dup3", "", 1, "pass on standard files: "),
}


@pytest.mark.parametrize("row", MISTAKES)
def test_a_mistake_in_what_holds_a_container_is_told(production, row):
    """Each is left out, and the kernel's answer is as if it were done."""
    process, call, first, which, words = MISTAKES[row]
    points = [point for point in production.points if (point.process, point.name) == (process, call) and first in ("", point.arguments.split(" ")[0])]
    assert words in production.mistake(points[which])


def test_what_is_refused_without_a_word_is_refused_all_the_same(production):
    points = [point for point in production.points if (point.process, point.name) in fail_closed.SILENT]
    assert {(point.process, point.name) for point in points} == fail_closed.SILENT
    for point in points:
        problem, ran = production.problem(point)
        assert not problem and (not ran or "clone3" in str(point)), problem


def test_a_point_that_is_not_there_is_told(production):
    problem, _ = production.problem(Point(0, 0, 100000, "read"))
    assert "not come to" in problem
