"""What a person at a terminal sees: a question before anything is taken away, progress that moves, colour; and ^C."""
import os
import pathlib
import pty
import re
import select
import signal
import time

from test_single import SLEEPER

SLOW = SLEEPER + '[services.slow]\ntype = "job"\ncommand = ["/bin/sleep", "2"]\n'


class Terminal:
    """A command of the world on a terminal of its own."""

    def __init__(self, world, *command, program="nucleus", **environment):
        self.master, slave = pty.openpty()
        environment = {**world.environment, "TERM": "xterm", **environment}
        self.process = world.popen(*program.split(), *command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
        os.close(slave)
        self.text = ""

    def read(self, until=None, seconds=30):
        """Reads to the end, or until a text has come."""
        deadline = time.monotonic() + seconds
        while until is None or until not in self.text:
            assert time.monotonic() < deadline, f"not within {seconds} s: {until!r}\n{self.text}"
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the other end is closed
                data = b""
            if not data:
                assert until is None, f"ended without {until!r}\n{self.text}"
                break
            self.text += data.decode()
        return self.text

    def type(self, text):
        os.write(self.master, text.encode())

    def interrupt(self):
        """^C, but for nsenter, which has nothing to say about it."""
        nsenter = self.process.pid
        os.kill(int(pathlib.Path(f"/proc/{nsenter}/task/{nsenter}/children").read_text()), signal.SIGINT)

    def end(self, status):
        self.read()
        os.close(self.master)
        assert self.process.wait(30) == status, self.text
        return self.text


def test_it_asks_before_it_destroys_and_takes_no_for_an_answer(world):
    path = world.write(SLEEPER)
    world.apply(path)
    pid = world.pid("a")
    for answer in ("n\n", "\n"):
        terminal = Terminal(world, "destroy", "-f", path)
        terminal.read("[y/N]")
        terminal.type(answer)
        assert "nothing was changed" in terminal.end(1)
        assert world.pid("a") == pid
    terminal = Terminal(world, "destroy", "-f", path)
    terminal.read("[y/N]")
    terminal.type("y\n")
    terminal.end(0)
    world.nothing_left()


def test_data_that_somebody_comes_to_have_while_it_asks_are_not_deleted(world):
    def volume(project):
        return world.write(f'name = "{project}"\n[volumes.v]\npath = "{world.directory}/shared"\n', f"{project}.toml")
    world.apply(volume(world.project))
    terminal = Terminal(world, "destroy", world.project, "--delete-data")
    terminal.read("[y/N]")
    world.apply(volume(world.project + "two"))
    terminal.type("y\n")
    assert "have changed since the plan was made" in terminal.end(4)
    assert (world.directory / "shared").is_dir()
    world.nucleus("destroy", world.project + "two", "--yes")
    world.nucleus("destroy", world.project, "--delete-data", "--yes")
    assert not (world.directory / "shared").exists()


def test_it_does_not_ask_where_nothing_is_taken_away_or_with_yes(world):
    path = world.write(SLEEPER)
    assert "[y/N]" not in Terminal(world, "apply", "-f", path).end(0)
    world.write(SLEEPER.replace("64M", "65M"))
    assert "[y/N]" not in Terminal(world, "apply", "-f", path).end(0)
    assert "[y/N]" not in Terminal(world, "destroy", "-f", path, "--yes").end(0)


def test_progress_moves_and_what_is_left_standing_is_what_was_done(world):
    path = world.write(SLOW)
    text = Terminal(world, "apply", "-f", path).end(0)
    clocks = re.findall(r"(\d\.\d)s wait for service\.slow", text)
    assert len(set(clocks)) > 3, text
    assert "\x1b[J" in text
    assert re.search(r"\[(\d+)/\1\] ", text), "the last step does not say that it was the last"


def test_colour_is_for_terminals_that_want_it(world):
    path = world.write(SLEEPER)
    colour = re.compile(r"\x1b\[3\dm")
    assert colour.search(Terminal(world, "diff", "-f", path).end(0))
    assert not colour.search(Terminal(world, "diff", "-f", path, NO_COLOR="1").end(0))
    assert not colour.search(Terminal(world, "diff", "-f", path, TERM="dumb").end(0))
    assert "\x1b" not in world.nucleus("diff", "-f", path).stdout


def test_an_interrupt_finishes_what_runs_and_the_next_apply_goes_on(world):
    path = world.write(SLOW.replace('"2"', '"60"'))
    terminal = Terminal(world, "apply", "-f", path)
    terminal.read("wait for service.slow")
    terminal.interrupt()
    terminal.end(130)
    world.write(SLOW.replace('"2"', '"0"'))
    world.apply(path)
    world.apply(path, "--detailed-exitcode")


def test_an_interrupt_at_the_question_changes_nothing(world):
    path = world.write(SLEEPER)
    world.apply(path)
    pid = world.pid("a")
    terminal = Terminal(world, "destroy", "-f", path)
    terminal.read("[y/N]")
    terminal.interrupt()
    terminal.end(130)
    assert world.pid("a") == pid
