"""`tty = true` and `run -d --tty`: a terminal where nobody types, and of which the log has what is written there."""
import subprocess

import pytest
from sandbox import production
from test_terminal import Terminal
from world import NUCLEUS, wait_for

# What it is told of it.
WORDS = "tty; stty size; echo $TERM; echo error >&2; echo control >/dev/tty"
SAID = ["/dev/pts/0", "24 80", "xterm", "error", "control"]
WAITS = f"{WORDS}; read line; echo typed"
SERVICE = 'name = "PROJECT"\n[services.a]\nCOMMAND\ntty = true\nstop_timeout = "30s"\n'


def file(world, command, keys=""):
    return world.write(SERVICE.replace("COMMAND", f"command = ['/bin/sh', '-c', '''{command}''']\n{keys}"))


def log(world, name="a"):
    """Text of Python's own takes a return for the end of a line."""
    with world.popen(NUCLEUS, "logs", name, stdout=subprocess.PIPE) as process:
        return process.communicate(timeout=30)[0].decode()


def lines(*words):
    return "".join(word + "\r\n" for word in words)


def until_said(world, *words, name="a"):
    wait_for("its words", lambda: log(world, name) == lines(*words))


@pytest.mark.parametrize("keys", ["", "init = true", 'user = "1000"', 'userns = "auto"', 'environment = { TERM = "dumb" }'])
def test_a_service_has_a_terminal_of_its_own(world, keys):
    path = file(world, WAITS, keys)
    world.apply(path)
    said = [word.replace("xterm", "dumb" if "dumb" in keys else "xterm") for word in SAID]
    until_said(world, *said)
    world.nucleus("verify")
    world.apply(path, "--detailed-exitcode")
    world.kill(world.pid("a"))  # then it is started again
    until_said(world, *said, *said)
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_production(world, rootfs):
    traced = production(world)
    name = world.name("box")
    world.run(*traced, NUCLEUS, "run", "-d", "--tty", "--name", name, "--service-mode", "production", "--memory", "64M", "--rootfs", rootfs,
              "--user", "1000", "--", "sh", "-c", f"{WORDS}; exit 3")
    wait_for("its end", lambda: world.containers("--all")[name]["state"] == "exited")
    assert log(world, name) == lines(*SAID) and world.containers("--all")[name]["exit_code"] == 3
    world.nucleus("rm", name)


def test_a_change_of_it_is_a_restart(world):
    path = file(world, "tty; exec sleep 100000")
    world.apply(path)
    until_said(world, *SAID[:1])
    path.write_text(path.read_text().replace("tty = true", "tty = false"))
    plan = world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2).stdout
    assert "restart" in plan and "tty" in plan, plan
    world.apply(path)
    wait_for("its words", lambda: "not a tty\n" in log(world))


def test_who_closes_it_may_open_it_again(world):
    """For as long as nobody in the container has it open the log's end sees none."""
    world.apply(file(world, "echo one; exec <&- >&- 2>&-; sleep 0.5; exec >/dev/pts/0; echo two; exec sleep 100000"))
    until_said(world, "one", "two")


def test_a_stop_is_heard_and_the_last_words_are_there(world):
    world.apply(file(world, "trap 'seq 20000; printf end; exit 0' TERM; echo up; while :; do sleep 0.05; done"))
    until_said(world, "up")
    world.nucleus("stop", "a")
    row = world.container("a")
    assert (row["state"], row["exit_code"]) == ("stopped", 0), row
    assert log(world) == lines("up", *map(str, range(1, 20001))) + "end\n"


def test_it_is_started_again_after_an_end(world):
    name = world.name("again")
    (world.directory / "data").mkdir()
    world.nucleus("run", "-d", "-t", "--name", name, "--restart", "on-failure", "--volume", f"{world.directory}/data:/here", "--", "sh", "-c",
                  "tty; test -e /here/once && exit 0; touch /here/once; exit 1")
    wait_for("its end", lambda: world.containers("--all")[name]["state"] == "exited")
    assert log(world, name) == lines("/dev/pts/0", "/dev/pts/0")
    world.nucleus("rm", name)
    world.nothing_left()


def test_a_command_beside_it_has_another_one(world):
    world.apply(file(world, WAITS))
    until_said(world, *SAID)
    terminal = Terminal(world, "exec", "-t", "a", "--", "sh")
    terminal.type("tty; exit 5\n")
    assert "/dev/pts/1" in terminal.end(5)
    assert log(world) == lines(*SAID)


def test_what_is_shown_has_no_return_at_the_end_of_a_line(world):
    said = world.apply(file(world, "echo why; exit 1", 'type = "job"'), status=None).stderr
    assert "why" in said and r"\x0d" not in said, said
    assert r"\x0d" not in Terminal(world, "logs", "a").end(0)


def test_it_is_not_written_down(world, rootfs):
    name = world.name("box")
    world.nucleus("run", "-d", "-t", "--name", name, "--rootfs", rootfs, "--allow-checkpoint", "--", "sleep", "100000")
    refused = world.nucleus("checkpoint", name, "--output", world.directory / "images", status=1).stderr
    assert "it has a terminal" in refused, refused


@pytest.mark.parametrize("options, kind", [([], "screen"), (["--env", "TERM=dumb"], "dumb")])
def test_in_the_foreground_it_is_of_the_callers_kind(world, options, kind):
    terminal = Terminal(world, "run", "-t", *options, "--", "sh", "-c", "echo kind $TERM", TERM="screen")
    assert f"kind {kind}\r\n" in terminal.end(0)
