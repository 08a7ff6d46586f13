"""Signals to `nucleus run` are the workload's, and do what they would do were it no PID 1."""
import signal
import subprocess

import pytest
from test_run import left, ps, run, running, talk, until
from world import cgroup_root

WAITER = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); print('up', flush=True); signal.sigwait([15]); raise SystemExit(7)"


STKFLT = 16  # which Python has no name for

HANDLER = """import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
def end(*_):
    print("got", flush=True)
    raise SystemExit(3)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True:
    signal.pause()
"""


class Workload:
    """In the foreground, once it has said 'up'."""

    def __init__(self, world, *command, options=(), ignored=""):
        self.world = world
        # The shell ignores some before it becomes nucleus.
        self.process = world.popen("sh", "-c", f"trap '' {ignored or 'USR2'}; exec nucleus run --name \"$@\"", "sh", world.name("box"), *options, "--", *command,
                                   stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"
        self.row = running(world)

    def signal(self, number):
        self.world.run("kill", f"-{int(number)}", str(self.row["supervisor_pid"]))

    def waits(self):
        """Once it does; while it does /proc shows nothing that it holds back."""
        until(lambda: "\nSigBlk:\t0000000000000000\n" in self.world.run("cat", f"/proc/{self.row['pid']}/status").stdout)

    def end(self, code, said=""):
        assert self.process.stdout.read() == said
        assert self.process.wait(20) == code
        assert left(self.world) == []


def shell(script):
    return "sh", "-c", f"{script}; echo up; while :; do sleep 0.05; done"


@pytest.mark.parametrize("options", [[], ["--init"]])
def test_who_waits_for_it_has_it(world, options):
    workload = Workload(world, "python3", "-c", WAITER, options=options)
    if not options:
        workload.waits()
    workload.signal(signal.SIGTERM)
    workload.end(7)


def test_who_waits_for_another_is_ended(world):
    workload = Workload(world, "python3", "-c", WAITER)
    workload.waits()
    workload.signal(signal.SIGUSR1)
    workload.end(128 + signal.SIGUSR1)


def test_a_stop_is_had_by_who_waits_for_it(world):
    workload = Workload(world, "python3", "-c", WAITER)
    workload.waits()
    world.nucleus("stop", world.name("box"))
    workload.end(7)


# What comes after it shows that it was passed over.
@pytest.mark.parametrize("options", [[], ["--init"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_what_is_ignored_on_purpose_is_ignored(world, options, number):
    workload = Workload(world, *shell(f"trap '' {number.name[3:]}; trap 'echo got; exit 3' INT"), options=options)
    workload.signal(number)
    workload.signal(signal.SIGINT)
    workload.end(3, "got\n")


def test_a_stop_of_who_ignores_it_is_its_end(world):
    workload = Workload(world, *shell("trap '' TERM"))
    world.nucleus("stop", world.name("box"))
    workload.end(128 + signal.SIGKILL)


@pytest.mark.parametrize("options", [[], ["--init"]])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_the_caller_ignores_ends_nothing(world, options, number):
    workload = Workload(world, "python3", "-c", HANDLER, options=options, ignored=number.name[3:])
    workload.signal(number)
    workload.signal(signal.SIGTERM)
    workload.end(3, "got\n")


def test_what_the_caller_ignores_is_had_by_who_handles_it(world):
    workload = Workload(world, *shell("trap 'echo got; exit 3' HUP"), ignored="HUP")
    workload.signal(signal.SIGHUP)
    workload.end(3, "got\n")


# Each by whoever handles it, whatever it does by default.
PASSED = ["ABRT", "ALRM", "CONT", "HUP", "INT", "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMIN", "RTMAX", "TERM", "URG", "USR1", "USR2",
          "VTALRM", "WINCH", "XCPU", "XFSZ"]
COUNT = """
import signal
numbers = [%s]
got = set()
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("up", flush=True)
while len(got) < len(numbers):
    got.add(signal.sigwait(numbers))
"""


@pytest.mark.parametrize("options", [[], ["--init"]])
def test_every_signal_is_passed_on(world, options):
    numbers = [int(getattr(signal, "SIG" + name)) for name in PASSED] + [STKFLT]
    workload = Workload(world, "python3", "-c", COUNT % str(numbers)[1:-1], options=options)
    for number in numbers:
        workload.signal(number)
    workload.end(0)


@pytest.mark.parametrize("handled", [True, False])
def test_signals_to_exec_are_its_commands(world, handled):
    workload = Workload(world, *shell("trap 'exit 3' TERM"))
    numbers = [signal.SIGALRM, signal.SIGWINCH, signal.SIGCONT, signal.SIGPIPE]
    script = COUNT % str(list(map(int, numbers)))[1:-1] if handled else HANDLER
    with world.popen("sh", "-c", "trap '' HUP; exec nucleus exec \"$1\" -- python3 -c \"$2\"", "sh", world.name("box"), script, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        pid = next(pid for pid in world.run("pgrep", "-x", "nucleus").stdout.split() if int(pid) != workload.row["supervisor_pid"])
        for number in [signal.SIGHUP] + (numbers if handled else [signal.SIGTERM]):
            world.run("kill", f"-{int(number)}", pid)
        assert process.wait(20) == (0 if handled else 3)
    workload.signal(signal.SIGTERM)
    workload.end(3)


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGPIPE, signal.SIGABRT, STKFLT, signal.SIGRTMAX])
def test_what_would_end_it_does(world, number):
    workload = Workload(world, "sh", "-c", "echo up; exec sleep 1000")
    workload.signal(number)
    workload.end(128 + number)


@pytest.mark.parametrize("options", [[], ["--init"]])
def test_what_would_not_end_it_does_not(world, options):
    workload = Workload(world, *shell("trap 'echo got; exit 3' TERM"), options=options)
    for number in (signal.SIGCONT, signal.SIGURG, signal.SIGWINCH):
        workload.signal(number)
    workload.signal(signal.SIGTERM)
    workload.end(3, "got\n")


def test_a_reader_that_is_gone_is_no_signal_to_the_workload(world):
    """What nucleus brings upon itself, as it passes on what is written at a terminal."""
    (world.directory / "write").write_text("trap 'exit 3' PIPE; i=0; while [ $i -lt 20 ]; do echo more; sleep 0.02; i=$((i + 1)); done; exit 4\n")
    world.run("script", "-qec", "{ nucleus run -t --volume ./write:/write -- sh /write; echo $? > code; } | head -n 1", "/dev/null")
    assert (world.directory / "code").read_text() == "4\n"


# ---- a terminal ----

@pytest.mark.parametrize("key,number", [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
@pytest.mark.parametrize("options", [[], ["--init"], ["--user", "1000"]])
def test_a_key_ends_what_has_no_handler(world, key, number, options):
    # A shell has a handler for the one of them until it has become what it executes.
    script = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('ready', flush=True); time.sleep(1000)"
    said, code = talk(world, key, f'exec python3 -c "{script}"', options)
    assert code == 128 + number and "ready" in said
    assert left(world) == []


def test_a_key_that_is_quoted_is_a_character(world):
    said, code = talk(world, b"\x16\x03\r", "echo ready; read -r line; printf %s \"$line\" | od -An -tx1")
    assert said.split()[-1] == "03" and code == 0


def test_a_key_is_a_character_where_the_terminal_is_raw(world):
    said, code = talk(world, b"\x03", "stty raw -echo; echo ready; head -c 1 | od -An -tx1")
    assert said.split()[-1] == "03" and code == 0


def test_a_key_is_for_the_job_in_the_foreground(world):
    script = "import os, signal, subprocess\nold = signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n" \
             "signal.signal(signal.SIGINT, signal.SIG_DFL)\n" \
             "job = subprocess.Popen(['sh', '-c', 'sleep 0.1; echo ready; exec sleep 1000'], preexec_fn=lambda: (os.setpgid(0, 0), os.tcsetpgrp(0, os.getpid())))\n" \
             "print('job', -job.wait())"
    said, code = talk(world, b"\x03", f"exec python3 -c \"{script}\"")
    assert "job 2" in said and code == 0


def test_a_key_that_is_ignored_on_purpose_is(world):
    said, code = talk(world, b"\x03go\r", "trap '' INT; echo ready; read -r line; echo got:$line")
    assert "got:go" in said and code == 0


def test_a_key_goes_to_who_handles_it_once(world):
    script = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [2])\nprint('ready', flush=True)\nprint(signal.sigwait([2]))"
    said, code = talk(world, b"\x03", f"exec python3 -c \"{script}\"")
    assert code == 0, said


# ---- kill ----

def test_kill_says_what_is_not_had(world):
    workload = Workload(world, "python3", "-c", WAITER)
    workload.waits()
    assert "does not handle SIGUSR1" in world.nucleus("kill", world.name("box"), "--signal", "USR1").stderr
    assert world.nucleus("kill", world.name("box"), "--signal", "TERM").stderr == ""
    workload.end(7)


# ---- SIGKILL to nucleus itself ----

# Another uid alone would do it too: prctl(2), PR_SET_PDEATHSIG.
LOST = "import ctypes, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nprint('up', flush=True)\ntime.sleep(1000)"


def named_guard(world):
    return world.run("pgrep", "-x", "nucleus-guard", status=None).stdout.split()


def test_what_has_lifted_its_death_signal_goes_with_run(world):
    workload = Workload(world, "python3", "-c", LOST)
    workload.signal(signal.SIGKILL)
    until(lambda: world.run("test", "-e", f"/proc/{workload.row['pid']}/ns/pid", status=None).returncode != 0)
    workload.process.wait(20)
    until(lambda: not named_guard(world))


def test_what_waits_to_kill_it_is_gone_with_it(world):
    workload = Workload(world, *shell("trap 'exit 3' TERM"))
    [guard] = until(lambda: named_guard(world))
    # It is no part of the caller's session, holds nothing open but the two that it looks at, and no signal moves it.
    assert world.run("ps", "-o", "sid=", "-p", guard).stdout.strip() == guard
    until(lambda: len(world.run("ls", f"/proc/{guard}/fd").stdout.split()) == 2)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        world.run("kill", f"-{int(number)}", guard)
    assert named_guard(world) == [guard]
    workload.signal(signal.SIGTERM)
    workload.end(3)
    assert named_guard(world) == []


@pytest.mark.parametrize("how", ["rm", "rm --force", "stop", "run"])
def test_what_a_killed_run_leaves_goes(world, how):
    workload = Workload(world, "sh", "-c", "echo up; exec sleep 1000")
    box = world.name("box")
    workload.signal(signal.SIGKILL)
    workload.process.wait(20)
    until(lambda: world.json("ps", "--all")["services"][0]["state"] == "failed")
    assert left(world) != []
    if how == "run":  # without a name, and with nothing else that would have it look
        assert run(world, "--", "sh", "-c", "sleep 0.5; echo whole").stdout == "whole\n"
    else:
        assert world.nucleus(*how.split(), box).stdout == f"{box}\n"
    assert left(world) == [] and world.json("ps", "--all")["services"] == []
    assert not cgroup_root() or not (cgroup_root() / f"nucleus/_/container.{box}").exists()


def test_what_runs_in_the_foreground_is_not_removed(world):
    workload = Workload(world, *shell("trap 'exit 3' TERM"))
    for force in ([], ["--force"]):
        assert "runs in the foreground" in world.nucleus("rm", *force, world.name("box"), status=1).stderr
    assert run(world, "--", "sh", "-c", "sleep 0.5; echo whole").stdout == "whole\n"
    workload.signal(signal.SIGTERM)
    workload.end(3)
