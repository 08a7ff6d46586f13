"""`nucleus run` at a terminal without -t: the command has pipes in its place, and is none the less what is typed and seen."""
import shlex

from test_terminal import Terminal
from world import NUCLEUS

SETTINGS = "import os, termios; termios.tcsetattr(%d, termios.TCSANOW, [0, 0, 0, 0, 0, 0, [b'\\0'] * 32])"


class Shell(Terminal):
    """A shell whose controlling terminal it is."""

    def __init__(self, world, script):
        super().__init__(world, "bash", "-mc", script, program="setsid --ctty")


def test_it_has_no_terminal_of_the_callers(world):
    script = "for i in 0 1 2; do test -t $i && echo $i is a terminal; done; echo out; echo err >&2; echo more; stty raw; exit 4"
    terminal = Terminal(world, "run", "--", "sh", "-c", script)
    text = terminal.end(4).replace("\r", "")
    assert "is a terminal" not in text and {"out", "err", "more"} <= set(text.split("\n")), text
    assert "not a tty" in text.lower() or "inappropriate ioctl" in text.lower(), text


def test_what_is_typed_arrives_and_has_an_end(world):
    terminal = Terminal(world, "run", "--", "sh", "-c", "echo ready; read x; echo got $x >&2; cat; exit 5")
    terminal.read("ready")
    terminal.type("typed\n")
    terminal.read("got typed")
    terminal.type("\x04")
    terminal.end(5)


def test_a_long_output_is_whole_and_an_end_while_somebody_waits_for_input_is_one(world):
    terminal = Terminal(world, "run", "--", "sh", "-c", "cat >/dev/null & seq 30000; echo end")
    assert terminal.end(0).split() == [*map(str, range(1, 30001)), "end"]


def test_control_c_is_the_commands(world):
    terminal = Shell(world, f"{NUCLEUS} run -- sh -c 'trap \"echo caught; exit 9\" INT; echo ready; while :; do sleep 0.1; done'; echo code:$?")
    terminal.read("ready")
    terminal.type("\x03")
    assert "caught" in terminal.read("code:9")
    terminal.end(0)


def test_in_the_background_it_takes_nothing_that_is_typed_and_is_not_stopped(world):
    inside = shlex.quote("echo ready; read x; echo got:$x")
    terminal = Shell(world, f"{NUCLEUS} run -- sh -c {inside} & read line; echo shell:$line; jobs; fg; echo code:$?")
    terminal.read("ready")
    terminal.type("one\n")
    text = terminal.read("Running")
    assert "shell:one" in text and "Stopped" not in text
    terminal.type("two\n")
    assert "got:two" in terminal.read("code:0")
    terminal.end(0)


def test_a_terminal_of_its_own_is_of_the_callers_kind(world):
    def said(*options, **environment):
        return Terminal(world, "run", "-t", *options, "--", "sh", "-c", "echo kind:$TERM.", **environment).end(0).strip()
    assert said(TERM="vt100") == "kind:vt100."
    assert said(TERM="") == "kind:xterm."
    assert said("--env", "TERM=dumb") == "kind:dumb."
    assert world.nucleus("run", "--", "sh", "-c", "echo kind:$TERM.").stdout in ("kind:.\n", "kind:dumb.\n")
