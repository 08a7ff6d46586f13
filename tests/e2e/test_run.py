"""`nucleus run`: transparent in what goes in and comes out, unique in its name, and gone without a trace."""
import errno
import json
import os
import platform
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time

import pytest
from world import cgroup_root


def run(world, *arguments, **options):
    return world.nucleus("run", *arguments, **options)


def ps(world):
    return world.json("ps")["services"]


def left(world):
    """What runs of this world have left: files, and control groups of containers that only they could be."""
    # By a process of the world: nobody else sees the tmpfs that the runtime directory is on.
    return world.run("find", world.runtime / "projects", "-mindepth", 1, status=None).stdout.split()


def until(check, seconds=20):
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.02)
    return value


def running(world):
    return until(lambda: next((row for row in ps(world) if row["state"] == "running"), None))


# ---- transparent ----

def test_output_and_exit_code_are_the_commands(world):
    done = run(world, "--", "sh", "-c", "echo out; echo err >&2; exit 42", status=42)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert left(world) == []


def test_bytes_go_through_as_they_are(world):
    data = bytes(range(256)) * 5000
    with world.popen("nucleus", "run", "--", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(data, timeout=60)
    assert out == data and process.returncode == 0


def test_a_closed_reader_ends_the_writer(world):
    with world.popen("nucleus", "run", "--", "yes", stdout=subprocess.PIPE) as process:
        assert process.stdout.read(2) == b"y\n"
        process.stdout.close()
        assert process.wait(20) == 1  # PID 1 is told by the error; the signal would only kill another


@pytest.mark.parametrize("command, code, words", [
    (["no-such-program"], 127, "it is in no directory of PATH inside the container"),
    (["/no/such/program"], 127, "not found inside the container"),
    (["/etc"], 126, "EACCES"),
    (["sh", "-c", "sh -c 'kill -SEGV $$'"], 128 + signal.SIGSEGV, ""),
])
def test_codes_of_what_cannot_run(world, command, code, words):
    done = run(world, "--", *command, status=code)
    assert words in done.stderr and done.stdout == ""
    assert left(world) == []


def test_the_command_begins_at_the_first_word(world):
    assert run(world, "-e", "A=1", "sh", "-c", "echo $A $0 $@", "--name", "-x").stdout == "1 --name -x\n"


def test_wrong_options_are_named(world):
    done = run(world, "--memory", "12Q", "--health-interval", "soon", "--", "true", status=125)
    assert "--memory: '12Q'" in done.stderr and "--health-interval: 'soon'" in done.stderr and "3 problems" in done.stderr
    assert "did you mean '--memory'?" in run(world, "--memroy", "1G", "--", "true", status=64).stderr
    assert "needs CMD" in run(world, status=64).stderr


def test_create_is_another_name_of_it(world):
    assert world.nucleus("create", "--", "echo", "here").stdout == "here\n"


# ---- what it is in ----

def test_it_is_alone_and_has_nothing(world):
    status = run(world, "--", "cat", "/proc/self/status").stdout
    assert re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^CapBnd:\t0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^Seccomp:\t2$", status, re.M)
    assert run(world, "--", "sh", "-c", "echo $$; ls /proc/self/fd | wc -l; cat /proc/net/dev | wc -l").stdout.split() == ["1", "4", "3"]
    box = world.name("box")
    assert run(world, "--name", box, "--", "hostname").stdout == box + "\n"


def test_options_of_the_sandbox(world):
    (world.directory / "data").mkdir()
    (world.directory / "data/file").write_text("there\n")
    (world.directory / "env").write_text("FROM_FILE=file\nBOTH=file\n")
    done = run(world, "--env-file", "env", "-e", "BOTH=option", "--volume", "./data:/data:ro", "--tmpfs", "/scratch:1M",
               "--workdir", "/scratch", "--user", "1000", "--group", "1001", "--additional-group", "1002", "--hostname", "here", "--",
               "sh", "-c", "id -u; id -G; hostname; pwd; echo $FROM_FILE $BOTH; cat /data/file; touch /scratch/a && touch /data/b", status=1)
    assert done.stdout.split("\n")[:6] == ["1000", "1001 1002", "here", "/scratch", "file option", "there"]
    assert "/data/b" in done.stderr


def test_production_says_what_it_wants_before_anything_is_made(world):
    done = run(world, "--service-mode", "production", "--", "true", status=125)
    assert "--rootfs is required in production" in done.stderr and "--memory is required in production" in done.stderr
    assert left(world) == []


def test_dry_run_makes_nothing_and_says_what_would_be(world):
    text = run(world, "--dry-run", "--name", "box", "-u", "1000", "--", "true").stdout
    assert "container.box, agent mode" in text and re.search(r"^/proc +file system +nosuid nodev noexec", text, re.M)
    document = json.loads(run(world, "--dry-run", "-o", "json", "--", "sh", "-c", "\x1b[2J").stdout)
    assert document["capabilities"]["bounding"] == [] and document["command"][2] == "\\x1b[2J"
    assert {"target": "/", "type": "sealed root", "flags": []} in document["mounts"]
    assert document["landlock"]["scopes"] == ["abstract sockets", "signals"] and "tcp_bind" not in document["landlock"]
    (world.directory / "ports.toml").write_text('scope = ["signals"]\ntcp_bind = [80]\ntcp_connect = []\n[[rules]]\npath = "/usr"\naccess = ["read", "execute"]\n')
    options = ["--dry-run", "--memlock", "64K", "--workdir", "/usr", "--landlock-policy", "ports.toml"]
    landlock = json.loads(run(world, *options, "-o", "json", "--", "true").stdout)["landlock"]
    assert (landlock["scopes"], landlock["tcp_bind"], landlock["tcp_connect"]) == (["signals"], [80], [])
    text = run(world, *options, "--", "true").stdout
    for line in ("directory +/usr", "limit, memlock +65536", "landlock, TCP bind +80", "landlock, TCP connect +none", "landlock, kept apart +signals",
                 "/usr +read.* execute"):
        assert re.search(f"^{line}$", text, re.M), (line, text)
    assert left(world) == []


# ---- signals, and the end ----

@pytest.mark.parametrize("options", [[], ["--init"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_what_does_not_handle_it(world, options, number):
    with world.popen("nucleus", "run", "--name", world.name("box"), *options, "--", "sleep", "1000") as process:
        pid = running(world)["supervisor_pid"]
        begin = time.monotonic()
        world.run("kill", f"-{number.name[3:]}", str(pid))
        assert process.wait(20) == 128 + number
        assert time.monotonic() - begin < 5
    assert left(world) == []


def test_a_signal_is_the_commands_where_it_handles_it(world):
    with world.popen("nucleus", "run", "--name", world.name("box"), "--", "sh", "-c", "trap 'echo got; exit 3' TERM; echo up; while :; do sleep 0.1; done",
                     stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        world.run("kill", "-TERM", str(ps(world)[0]["supervisor_pid"]))
        assert process.stdout.read() == b"got\n" and process.wait(20) == 3


def test_a_signal_ends_also_what_is_started_again_otherwise(world):
    with world.popen("nucleus", "run", "--name", world.name("box"), "--restart", "always", "--", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done",
                     stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        pid = running(world)["supervisor_pid"]
        world.run("kill", "-TERM", str(pid))
        assert process.wait(20) == 3
    assert left(world) == []


# Its group has been killed once by then, and the kernel lets no child be born there.
@pytest.mark.parametrize("options", [[], ["--init"], ["--rootless"], ["--time-namespace"]], ids=["plain", "with an init", "rootless", "in its own time"])
def test_every_start_after_the_first_comes_about(world, options):
    starts = world.directory / "starts"
    starts.mkdir()
    starts.chmod(0o777)
    again = "echo once >> /starts/all; test $(wc -l < /starts/all) -lt 4 || exec sleep 1000; exit 3"
    with world.popen("nucleus", "run", "--name", world.name("box"), *options, "--restart", "on-failure", "--volume", f"{starts}:/starts:rw", "--",
                     "sh", "-c", again) as process:
        until(lambda: (starts / "all").exists() and (starts / "all").read_text().count("once") == 4)
        row = running(world)
        assert row["restarts"] == 3
        world.run("kill", "-TERM", str(row["supervisor_pid"]))
        process.wait(20)


def test_the_hosts_null_device_is_not_handed_over(world):
    with open("/dev/null", "r+b") as null:
        done = run(world, "--", "python3", "-c", "import os\ntry: os.fchmod(0, 0o666)\nexcept OSError as e: print(e.errno)", stdin=null)
    assert done.stdout == f"{errno.EROFS}\n"


def test_the_program_is_a_read_only_clone_of_itself(world):
    with world.popen("nucleus", "run", "--name", world.name("box"), "--", "sleep", "1000") as process:
        pid = running(world)["supervisor_pid"]
        looked = world.run("python3", "-c", f"import os; print(os.statvfs('/proc/{pid}/exe').f_flag & os.ST_RDONLY)").stdout
        world.run("kill", "-TERM", str(pid))
        process.wait(20)
    assert looked == "1\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="it is executed again on other processors")
@pytest.mark.parametrize("closed,again", [("", False), ("<&-", True)])
def test_it_maps_itself_from_the_clone_and_is_executed_again_where_that_may_not_be(world, closed, again):
    look = """import os, sys
process = f"/proc/{sys.argv[1]}"
own = os.stat(process + "/exe")
maps = [os.statvfs(f"{process}/map_files/{name}").f_flag & os.ST_RDONLY for name in os.listdir(process + "/map_files")
        if os.path.samestat(os.stat(f"{process}/map_files/{name}"), own)]
print(len(maps) > 2 and all(maps), b"NUCLEUS_PLACE=" in open(process + "/environ", "rb").read())"""
    with world.popen("sh", "-c", f"exec nucleus run --name {world.name('box')} -- sleep 1000 {closed}") as process:
        pid = str(running(world)["supervisor_pid"])
        looked = world.run("python3", "-c", look, pid).stdout
        world.run("kill", "-TERM", pid)
        process.wait(20)
    assert looked == f"True {again}\n"


@pytest.mark.parametrize("before,options", [("", []), ("", ["--memory", "64m"]), ("", ["--init"]), ("ulimit -s 64; ", []), ("taskset -c 0 ", []),
                                            ("echo 300 > /proc/self/oom_score_adj; ", [])],
                         ids=["plain", "with a limit of memory", "with an init", "with small stacks", "on one processor", "with a score of the OOM killer"])
def test_it_starts_and_fails_alike_whatever_its_child_shares_with_it(world, before, options):
    if "--memory" in options and not cgroup_root():
        pytest.skip("no cgroup2 for the limit")
    how = "" if before.startswith("taskset") else "exec "
    look = f"{before}{how}nucleus run \"$@\""
    inside = "cat /proc/self/oom_score_adj; nowhere 2>/dev/null; echo $?; exit 7"
    done = world.run("sh", "-c", look, "sh", *options, "--", "sh", "-c", inside, status=7)
    assert done.stdout == "0\n127\n" and (not done.stderr or "--memory: not held" in done.stderr)
    missing = world.run("sh", "-c", look, "sh", *options, "--", "nowhere", status=127)
    assert "nowhere" in missing.stderr and left(world) == []


@pytest.mark.skipif(platform.machine() != "x86_64" or shutil.which("strace") is None, reason="it is copied on other processors; strace tells")
@pytest.mark.parametrize("options,shares", [([], True), (["--init"], False), (["--memory", "64m"], False), (["--time-namespace"], False), (["--userns", "auto"], False)])
def test_its_child_shares_its_memory_where_nobody_is_worse_for_it(world, options, shares):
    told = world.run("strace", "-f", "-qq", "-e", "trace=clone3", "-e", "signal=none", "nucleus", "run", *options, "--", "true").stderr
    births = [line for line in told.splitlines() if "CLONE_NEWPID" in line]
    assert len(births) == 1 and ("CLONE_VM|" in births[0]) == shares, told


def test_the_score_of_the_oom_killer_that_a_run_has_is_kept(world):
    with world.popen("sh", "-c", "echo 300 > /proc/self/oom_score_adj; exec nucleus run --name \"$1\" -- sleep 1000", "sh", world.name("box")) as process:
        pid = str(running(world)["supervisor_pid"])
        kept = world.run("cat", f"/proc/{pid}/oom_score_adj").stdout
        world.run("kill", "-TERM", pid)
        process.wait(20)
    assert kept == "300\n"


def test_a_terminal_has_to_be_there(world):
    assert "--tty: standard input is no terminal" in run(world, "-t", "--", "true", status=125).stderr


def test_nothing_outlives_a_run_that_is_killed_and_the_name_is_free(world):
    with world.popen("nucleus", "run", "--name", world.name("box"), "--", "sleep", "4711", stdin=subprocess.DEVNULL):
        row = running(world)
        world.kill(str(row["supervisor_pid"]))
        until(lambda: world.run("pgrep", "-f", "sleep 4711", status=None).returncode != 0)
    assert ps(world) == []
    assert run(world, "--name", world.name("box"), "--", "echo", "again").stdout == "again\n"
    assert left(world) == []


def test_of_many_with_one_name_one_starts(world):
    processes = [world.popen("nucleus", "run", "--name", world.name("one"), "--", "sh", "-c", "echo started; sleep 10", stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for _ in range(12)]
    ends = [process.communicate(timeout=60) for process in processes]
    codes = [process.returncode for process in processes]
    assert sum(out == "started\n" for out, _ in ends) == 1 and codes.count(0) == 1 and codes.count(125) == 11, (codes, ends)
    assert all("a container of that name is running" in err for _, err in ends if err)
    assert left(world) == []


def test_many_at_once_leave_nothing(world):
    processes = [world.popen("nucleus", "run", "--", "sh", "-c", "echo $$; cat /proc/sys/kernel/hostname", stdout=subprocess.PIPE, text=True)
                 for _ in range(40)]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [pid for pid, _ in said] == ["1"] * 40
    assert left(world) == []
    # The machine's control groups are everybody's: those of our names are ours.
    if cgroup_root():
        assert [name for _, name in said if (cgroup_root() / f"nucleus/_/container.{name}").exists()] == []


def test_ps_shows_it_by_its_name(world):
    with world.popen("nucleus", "run", "--name", world.name("box"), "--", "sleep", "1000") as process:
        row = running(world)
        assert row["name"] == world.name("box") and row["address"] == f"container.{row['name']}" and len(row["id"]) == 32
        world.run("kill", "-TERM", str(row["supervisor_pid"]))
        process.wait(20)


def test_without_a_name_it_is_called_as_its_id_begins(world):
    """By which each is found, and no other."""
    with world.popen("nucleus", "run", "--", "sleep", "1000"), world.popen("nucleus", "run", "--", "sleep", "1000"):
        rows = until(lambda: [row for row in ps(world) if row["state"] == "running"][1:] and ps(world))
        assert len({row["name"] for row in rows}) == 2
        for row in rows:
            assert row["id"].startswith(row["name"]) and len(row["name"]) == 12, rows
            assert world.json("inspect", row["name"])["id"] == row["id"]
            world.run("kill", "-TERM", str(row["supervisor_pid"]))


# ---- a terminal ----

def talk(world, words, command, options=(), size=(24, 80)):
    """Runs it on a terminal of ours, types the words once it has said 'ready', and gives what it wrote and its exit code."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, size)
    before = termios.tcgetattr(slave)
    process = world.popen("nucleus", "run", "-t", *options, "--", "sh", "-c", command, stdin=slave, stdout=slave, stderr=slave,
                          start_new_session=True)
    said, typed = b"", False
    while True:
        if select.select([master], [], [], 0.1)[0]:
            said += os.read(master, 4096)
        elif process.poll() is not None:
            break
        if not typed and b"ready" in said:
            os.write(master, words)
            typed = True
    after = termios.tcgetattr(slave)
    os.close(master)
    os.close(slave)
    assert before == after, "the caller's terminal is not as it was"
    return said.decode(), process.returncode


def test_a_terminal_of_its_own(world):
    said, code = talk(world, b"", "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo yes; exit 5", size=(33, 77))
    assert said.split() == ["/dev/pts/0", "33", "77", "yes"] and code == 5


@pytest.mark.parametrize("options", [[], ["--init"], ["--user", "1000"]])
def test_control_c_is_the_commands(world, options):
    said, code = talk(world, b"\x03", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done", options)
    assert "caught" in said and code == 9


def test_what_is_typed_arrives(world):
    said, code = talk(world, b"hello\r", "echo ready; read line; echo got:$line")
    assert "got:hello" in said and code == 0


def test_a_long_output_is_whole(world):
    said, code = talk(world, b"", "seq 20000")
    assert said.split() == [str(number) for number in range(1, 20001)] and code == 0
