"""What a container is handed as its standard files, where somebody starts it without some of them, or with what it must not have."""

import itertools
import os
import shlex

import pytest
from sandbox import image, run  # noqa: F401 (fixture)
from test_single import SLEEPER
from world import NUCLEUS

@pytest.mark.parametrize("closed", [set(some) for count in (1, 2, 3) for some in itertools.combinations((0, 1, 2), count)], ids=str)
def test_what_is_closed_is_the_null_device_inside(world, image, closed):
    """Not what nucleus opens next: a cgroup's directory leads out of the root (CVE-2024-21626)."""
    out = world.directory / "seen"
    out.mkdir()
    out.chmod(0o777)
    words = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[fd] for fd in closed)
    script = 'said=$(for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done); echo "$said" > /seen/said'
    for _ in range(4):  # what comes next is up to which thread is first
        world.run("sh", "-c", f"exec {NUCLEUS} run --volume {out}:/seen -- sh -c {shlex.quote(script)} {words}", status=None)
        said = (out / "said").read_text().split("\n")
        for fd in closed:
            assert said[fd] == "/dev/null", (fd, said)
        (out / "said").unlink()


def test_a_directory_is_not_handed_on(world, image):
    done = world.run("sh", "-c", f"exec {NUCLEUS} run -- true < /", status=None)
    assert done.returncode == 125 and "standard input: it is a directory" in done.stderr, done


# What opens them anew: programs that are told to read or write a file, shells' redirections.
ANEW = "words=$(cat /dev/stdin) && echo $words > /dev/stdout && echo err > /dev/stderr"


@pytest.mark.parametrize("words", ["run --", "run --user 1000 --", "run --rootfs image --", "exec -i a --"])
def test_files_are_opened_anew(world, image, words):
    if "exec" in words:
        world.apply(world.write(SLEEPER))
    given, out, err = (world.directory / name for name in ("given", "out", "err"))
    given.write_text("given\n")
    for file in (given, out, err):
        file.touch()
        file.chmod(0o666)
    world.run("sh", "-c", f"exec {NUCLEUS} {words} sh -c {shlex.quote(ANEW)} <given >out 2>err")
    assert (out.read_text(), err.read_text()) == ("given\n", "err\n")


def test_only_as_far_as_the_descriptor_goes(world, image):
    """And what lies beside them in the file system is as far away as before."""
    given, out = world.directory / "given", world.directory / "out"
    given.write_text("given\n")
    given.chmod(0o666)
    said = world.run("sh", "-c", f"exec {NUCLEUS} run -- sh -c {shlex.quote('echo x >> /proc/$$/fd/0; : < /proc/$$/fd/1')} <given >out",
                     status=None)
    assert (given.read_text(), out.read_text(), said.stderr.count("ermission denied")) == ("given\n", "", 2), said


def ended(world, *arguments, **files):
    with world.popen(NUCLEUS, *arguments, **files) as process:
        assert process.wait(60) == 0


@pytest.mark.parametrize("options", [[], ["--user", "1000"], ["--rootless"], ["--rootless", "--user", "1000"]], ids=str)
def test_pipes_are_opened_anew_by_whoever_it_is(world, image, options):
    done = world.run("sh", "-c", "echo given | " + shlex.join([NUCLEUS, "run", *options, "--", "sh", "-c", ANEW]))
    assert (done.stdout, done.stderr) == ("given\n", "err\n")


@pytest.mark.parametrize("user", ["1000", "1000:0"])
@pytest.mark.parametrize("words", ["run --user {} --", "exec --user {} -i a --"])
def test_the_other_direction_of_a_pipe_is_shut(world, image, words, user):
    """What others write into it would be read by the workload, and what it writes taken for theirs."""
    if "exec" in words:
        world.apply(world.write(SLEEPER))
    ends = [os.pipe(), os.pipe()]
    (given, others), (read, out) = ends
    script = "exec 2>/dev/null; for open in '</proc/self/fd/1' '>/proc/self/fd/0' '</proc/self/fd/0' '>/proc/self/fd/1'; do (eval \": $open\"); echo $?; done"
    ended(world, *words.format(user).split(), "sh", "-c", script, stdin=given, stdout=out)
    assert [answer != b"0" for answer in os.read(read, 100).split()] == [True, True, False, False]
    assert [os.fstat(fd).st_mode & 0o777 for fd in (others, read)] == [0o644, 0o622]
    for fd in ends[0] + ends[1]:
        os.close(fd)


def test_of_a_pipe_both_of_whose_ends_are_handed_on(world, image):
    """Neither takes away what the other gives, whoever is first."""
    one = shlex.join([NUCLEUS, "run", "--user", "1000", "--", "sh", "-c", "echo anew >/dev/stdout"])
    other = shlex.join([NUCLEUS, "run", "--user", "1000", "--", "cat", "/dev/stdin"])
    for _ in range(4):
        assert world.run("sh", "-c", f"{one} | {other}").stdout == "anew\n"


def test_a_pipe_of_an_ordinary_user_is_opened_anew_by_root(world, image):
    """As under sudo(8): root without capabilities is the other user there."""
    read, write = os.pipe()
    os.fchown(write, 1000, 1000)
    ended(world, "run", "--", "sh", "-c", "echo anew > /dev/stdout", stdout=write)
    assert os.read(read, 100) == b"anew\n" and os.fstat(write).st_uid == 1000
    os.close(read), os.close(write)


def test_a_fifo_with_a_name_keeps_its_mode(world, image):
    fifo = world.directory / "fifo"
    os.mkfifo(fifo, 0o600)
    both = os.open(fifo, os.O_RDWR)
    ended(world, "run", "--user", "1000", "--", "sh", "-c", "stat -Lc %a /proc/self/fd/1", stdout=both)
    assert os.read(both, 100) == b"600\n"
    os.close(both)


@pytest.mark.parametrize("words", ["run --", "run --user 1000 --", "exec -i a --"])
def test_how_they_are_opened_is_as_before(world, image, words):
    """Others have the same open file, and would get EAGAIN."""
    if "exec" in words:
        world.apply(world.write(SLEEPER))
    read, write = os.pipe()
    script = "import fcntl, os\nfor fd in 0, 1: fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)\nos.write(1, b'done')"
    ended(world, *words.split(), "python3", "-c", script, stdin=read, stdout=write)
    assert os.read(read, 100) == b"done" and os.get_blocking(write) and os.get_blocking(read)
    os.close(read), os.close(write)
