"""`nucleus exec` and `attach`: another command in a container that runs, held by what holds its workload."""
import json
import os
import re
import subprocess

import posture
import pytest
from ordinary import USER, Ordinary
from sandbox import canary, flipping, image  # noqa: F401 (fixtures)
from test_terminal import Terminal
from world import NUCLEUS, wait_for

SLEEPER = """
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
environment = { COLOUR = "green" }
"""
# Of an image, so that everything in it is the container's own.
IMAGE = """
name = "PROJECT"
[defaults]
service_mode = "agent"
[volumes.data]
volume_type = "ephemeral"
mode = "1777"
[services.a]
rootfs = "IMAGE"
command = ["/payload", "/data/posture", "stay"]
volumes = ["data:/data"]
EXTRA
"""


def sleeper(world, text=SLEEPER):
    world.apply(world.write(text))


def executed(world, words):
    """There is a process of just these words: whoever starts it has them on its command line too."""
    return any(re.fullmatch(rf"\s*\d+\s+\d+ {words}", line) for line in world.processes())


def image_service(world, image, extra=""):
    world.apply(world.write(IMAGE.replace("IMAGE", str(image)).replace("EXTRA", extra)))


def test_it_is_the_containers_and_its_exit_code_is_passed(world):
    sleeper(world)
    out = world.nucleus("exec", "a", "--", "sh", "-c", "echo $COLOUR; hostname; cat /proc/1/comm; tail -n 1 /proc/self/cgroup; echo oops >&2; exit 7", status=7)
    colour, host, first, cgroup = out.stdout.splitlines()
    assert (colour, host, cgroup) == ("green", "a", "0::/") and first == "sleep" and out.stderr == "oops\n"
    assert world.nucleus("exec", f"{world.project}/a", "sh", "-c", "kill -9 $$", status=137).stdout == ""
    assert world.nucleus("exec", world.container("a")["id"][:8], "--", "echo", "-n", "--", "x").stdout == "-- x"
    assert "in no directory of PATH" in world.nucleus("exec", "a", "--", "nothing-of-that-name", status=127).stderr
    assert world.nucleus("exec", "a", "--", "/etc", status=126).stdout == ""
    assert world.pid("a") == world.pid("a")


def test_the_command_line_says_what_is_different(world):
    sleeper(world)
    said = world.nucleus("exec", "-e", "COLOUR=red", "-e", "MORE=a=b", "-w", "/etc", "a", "--", "sh", "-c", "echo $COLOUR $MORE; pwd").stdout
    assert said == "red a=b\n/etc\n"
    assert world.nucleus("exec", "a", "--", "cat").stdout == "", "no standard input without -i"
    with world.popen(NUCLEUS, "exec", "-i", "a", "--", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.communicate(b"through\n", timeout=30)[0] == b"through\n"
    for user, expected in {"1234": "1234 1234", "1234:77": "1234 77", "nobody": "65534 65534", "nobody:0": "65534 0"}.items():
        assert world.nucleus("exec", "-u", user, "a", "--", "sh", "-c", "echo $(id -u) $(id -g)").stdout.split() == expected.split()
    for user in ("-1", "4294967295", "nobody:", ":5", "no-such-user"):
        assert world.nucleus("exec", f"--user={user}", "a", "--", "true", status=125).stdout == ""
    assert "not NAME=VALUE" in world.nucleus("exec", "-e", "=COLOUR", "a", "--", "true", status=125).stderr
    assert world.nucleus("exec", "-w", "/no/where", "a", "--", "true", status=125).stdout == ""
    assert "unknown option" in world.nucleus("exec", "a", "-t", "--", "true", status=64).stderr
    assert "needs CMD" in world.nucleus("exec", "a", status=64).stderr


@pytest.mark.parametrize("extra", ["", 'user = "1000"\ngroup = "1001"\nadditional_groups = ["5", "6"]', "init = true", 'userns = "auto"',
                                   'network = "none"\nmemlock = "1M"', "seccomp_log_denied = true"])
def test_it_is_held_by_what_holds_the_workload(world, image, extra):  # noqa: F811
    image_service(world, image, extra)
    data = wait_for("the workload's report", lambda: world.run("nsenter", "-t", world.pid("a"), "-m", "-r", "/bin/cat", "/data/posture", status=None).stdout)
    # It dies with `exec`; and PID 1 is another process than itself.
    wanted, found = ([line for line in posture.comparable(text, ()) if not line.startswith(("try read init's memory", "dies with its parent"))]
                     for text in (data, world.nucleus("exec", "a", "--", "/payload").stdout))
    assert found == wanted and len(found) > 60


def test_a_terminal_is_the_containers_own(world):
    sleeper(world)
    terminal = Terminal(world, "exec", "-t", "a", "--", "sh")
    terminal.type("tty; test -t 0 && test -t 2 && echo 'a '${TERM}; stty size\n")
    terminal.read("a xterm")
    assert "/dev/pts/" in terminal.text
    terminal.type("sleep 4320\n")
    wait_for("it runs", lambda: executed(world, "sleep 4320"))
    terminal.type("\x03")
    terminal.type("echo $?; exit 5\n")
    assert "130" in terminal.end(5)
    assert "no terminal" in world.nucleus("exec", "-t", "a", "--", "sh", status=125).stderr


def test_without_t_it_does_not_get_the_callers_terminal(world):
    """Also not by what it leaves behind, which would read what is typed next."""
    sleeper(world)
    script = ("for i in 0 1 2; do test -t $i && echo $i is a terminal; done; echo out; echo err >&2; echo more;"
              "(trap '' HUP PIPE; exec sleep 1000) & readlink /proc/self/fd/*; exit 4")
    terminal = Terminal(world, "exec", "a", "--", "sh", "-c", script)
    text = terminal.end(4).replace("\r", "")
    assert "terminal" not in text and "out\nerr\nmore\n" in text and "/dev/pts" not in text and text.count("pipe:") >= 2, text
    terminal = Terminal(world, "exec", "-i", "a", "--", "sh", "-c", "test -t 0 || echo none; read x; echo got $x >&2; cat; exit 5")
    terminal.read("none")
    terminal.type("typed\n")
    terminal.read("got typed")
    terminal.type("\x04")
    terminal.end(5)
    # As much as it writes, and all of it.
    terminal = Terminal(world, "exec", "a", "--", "sh", "-c", "seq 30000; echo end")
    assert terminal.end(0).split() == [*map(str, range(1, 30001)), "end"]
    leftovers = world.nucleus("exec", "a", "--", "sh", "-c", "readlink /proc/[0-9]*/fd/* 2>/dev/null; true").stdout
    assert "/dev/pts" not in leftovers and "/dev/tty" not in leftovers, leftovers


def test_attach_is_a_shell(world):
    sleeper(world)
    terminal = Terminal(world, "attach", "a")
    terminal.type("echo $COLOUR $((40+2)); exit 3\n")
    assert "green 42" in terminal.end(3)
    with world.popen(NUCLEUS, "attach", "a", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.communicate(b"hostname\n", timeout=30)[0] == b"a\n"
    assert world.nucleus("attach", "a", "--", "echo", "x").stdout == "x\n"


def test_signals_are_passed_on_and_it_does_not_outlive_its_caller(world):
    sleeper(world)
    script = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    with world.popen(NUCLEUS, "exec", "a", "--", "sh", "-c", script, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        world.run("kill", "-TERM", world.numbered(process))
        assert process.stdout.read() == "got\n" and process.wait(30) == 9
    with world.popen(NUCLEUS, "exec", "a", "--", "sleep", "4321", stdout=subprocess.PIPE, text=True) as process:
        wait_for("it runs", lambda: executed(world, "sleep 4321"))
        world.kill(world.numbered(process))
        wait_for("it is gone", lambda: "sleep 4321" not in "\n".join(world.processes()))
        process.kill()


def test_it_ends_with_the_container(world):
    path = world.write(SLEEPER)
    world.apply(path)
    with world.popen(NUCLEUS, "exec", "a", "--", "sleep", "4322") as process:
        wait_for("it runs", lambda: executed(world, "sleep 4322"))
        world.nucleus("destroy", "-f", path, "--yes")
        assert process.wait(30) == 137
    world.nothing_left()


def test_errors_are_clear(world):
    path = world.write(SLEEPER.replace("services.a", "services.alpha"))
    world.apply(path)
    said = world.nucleus("exec", "alpah", "--", "true", status=125).stderr
    assert "no such" in said and "did you mean 'alpha'?" in said
    world.nucleus("pause", "alpha")
    assert "is paused" in world.nucleus("exec", "alpha", "--", "true", status=125).stderr
    world.nucleus("unpause", "alpha")
    world.nucleus("stop", "alpha", "--timeout", "0s")
    assert "is not running" in world.nucleus("exec", "alpha", "--", "true", status=125).stderr


def test_only_root_may(world):
    sleeper(world)
    said = world.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", NUCLEUS, "exec", "a", "--", "true", status=125).stderr
    assert "denied" in said, said


def test_what_is_in_the_foreground_is_entered_too(world):
    front = world.name("front")
    with world.popen(NUCLEUS, "run", "--name", front, "--", "/bin/sh", "-c", "echo up; exec sleep 1000", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        assert world.nucleus("exec", front, "--", "hostname").stdout == front + "\n"
        world.nucleus("stop", front, "--timeout", "1s")
        assert process.wait(30) in (137, 143)
    world.nothing_left()


# ---- against what is inside ----

def test_no_file_of_ours_is_open_in_it(world, image):  # noqa: F811
    """CVE-2024-21626: exactly 0, 1 and 2, whatever the caller has open, and a working directory inside."""
    image_service(world, image)
    leak = os.open("/etc", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        assert world.nucleus("exec", "a", "--", "/bin/ls", "/proc/self/fd", pass_fds=[leak]).stdout.split() == ["0", "1", "2", "3"]
        for number in range(3, 12):
            world.nucleus("exec", "-w", f"/proc/self/fd/{number}", "a", "--", "/bin/pwd", pass_fds=[leak], status=125)
    finally:
        os.close(leak)


def test_the_file_of_ours_cannot_be_written(world, image, canary):  # noqa: F811
    """CVE-2019-5736: a program that is our own file, by way of a script, and who opens every /proc/PID/exe meanwhile."""
    (image / "bin/evil").write_text("#!/proc/self/exe\n")
    (image / "bin/evil").chmod(0o755)
    image_service(world, image)
    said = world.nucleus("exec", "a", "--", "/bin/evil", status=None)
    assert said.returncode != 0
    loop = "while :; do for exe in /proc/[0-9]*/exe; do (: >> $exe) 2>/dev/null && echo broken $exe; done; done"
    with world.popen(NUCLEUS, "exec", "a", "--", "/bin/sh", "-c", loop, stdout=subprocess.PIPE, text=True) as watcher:
        for _ in range(100):
            world.nucleus("exec", "a", "--", "/bin/busybox", "true")
        world.kill(world.numbered(watcher))
        # Nor may its own shell be opened for writing: it is being executed.
        assert watcher.stdout.read() == ""
        watcher.kill()
    world.nucleus("destroy", world.project, "--yes")


def test_a_shell_that_changes_places_stays_inside(world, image, canary):  # noqa: F811
    """What is executed is what the name leads to in the container, however often it changes, and never the host's."""
    (image / "bin/one").write_text("#!/bin/busybox sh\necho one\n")
    (image / "bin/one").chmod(0o755)
    (image / "bin/two").symlink_to("../../../../../../../../../usr/bin/id")
    image_service(world, image)
    with flipping(image / "bin/one", image / "bin/two"):
        for _ in range(60):
            said = world.nucleus("exec", "a", "--", "/bin/one", status=None)
            assert (said.returncode, said.stdout) in ((0, "one\n"), (127, "")), said
    world.nucleus("destroy", world.project, "--yes")


def test_who_enters_cannot_be_traced_or_read(world, rootfs):
    """CVE-2016-9962: whoever is inside, with all but the last of powers, watches for processes that come in."""
    watcher = ("import os, ctypes, time\nlibc = ctypes.CDLL(None, use_errno=True)\nknown = set()\nend = time.time() + 6\nprint('up', flush=True)\n"
               "while time.time() < end:\n"
               "    for name in os.listdir('/proc'):\n"
               "        if not name.isdigit() or name in known or int(name) == os.getpid(): continue\n"
               "        try:\n"
               "            words = open(f'/proc/{name}/cmdline').read()\n"
               "            if 'SECRET' in words:\n"
               "                print('nucleus', words, flush=True)\n"
               "                raise SystemExit\n"
               "            exe = os.readlink(f'/proc/{name}/exe')\n"
               "            if exe == '/' or 'nucleus' in exe: print('nucleus', exe, flush=True)\n"
               "            for fd in os.listdir(f'/proc/{name}/fd'):\n"
               "                target = os.readlink(f'/proc/{name}/fd/{fd}')\n"
               "                if int(fd) > 2 and os.readlink(f'/proc/{name}/exe') == '/': print('nucleus', target, flush=True)\n"
               "        except OSError: pass\n")
    world.apply(world.write(f"""
name = "PROJECT"
[defaults]
service_mode = "agent"
[services.a]
rootfs = "{rootfs}"
command = ["/bin/sleep", "infinity"]
"""))
    with world.popen(NUCLEUS, "exec", "a", "--", "python3", "-c", watcher, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        while process.poll() is None:
            world.nucleus("exec", "--env", "SECRET=1", "a", "--", "/bin/true")
        assert process.stdout.read() == ""


def test_a_profile_that_denies_execve_lets_the_command_start_and_no_other(world, image):  # noqa: F811
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["execve", "execveat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    (world.directory / "profile.json").write_text(json.dumps(profile))
    image_service(world, image, f'seccomp_profile = "{world.directory}/profile.json"')
    said = world.nucleus("exec", "a", "--", "/bin/sh", "-c", "echo in; /bin/ls", status=126)
    assert said.stdout == "in\n" and "/bin/ls" in said.stderr


def test_help_completion_and_manual_know_it(world):
    for command in ("exec", "attach", "stop", "kill", "wait", "pause", "unpause", "cp", "state", "stats", "events"):
        assert f"nucleus {command}" in world.nucleus("help", command).stdout
        assert command in world.nucleus("completion", "bash").stdout and command in world.nucleus("manual", "man").stdout


@pytest.mark.parametrize("options", [(), ("--userns", "auto"), ("--user", "12")])
def test_an_ordinary_user_enters_what_is_its_own(world, options):
    ordinary = Ordinary(world)
    ordinary.lend()
    mine = world.name("mine")
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "run", "--name", mine, *options, "--", "sh", "-c", "echo up; exec sleep 1000"]
    process = world.popen(*command, env=ordinary.environment, cwd="/", stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        said = ordinary.nucleus("exec", mine, "--", "sh", "-c", "id -u; cat /proc/1/comm").stdout
        wanted = "12" if "12" in options else "0"
        assert said == f"{wanted}\nsleep\n"
        assert ordinary.nucleus("exec", "-u", "7", mine, "--", "id", "-u").stdout == "7\n"
        assert ordinary.nucleus("exec", mine, "--", "sh", "-c", "exit 6", status=6).stdout == ""
        world.run("install", "-o", USER, "-g", USER, "-m", "0600", "/etc/hostname", "/mnt/run/file")
        ordinary.nucleus("cp", "/mnt/run/file", f"{mine}:/tmp/in")
        assert ordinary.nucleus("exec", mine, "--", "sh", "-c", "test -r /tmp/in && stat -c %u /tmp/in").stdout == wanted + "\n"
        ordinary.nucleus("cp", f"{mine}:/tmp/in", "/mnt/run/out")
        assert world.run("stat", "-c", "%u %a", "/mnt/run/out").stdout == f"{USER} 600\n"
        ordinary.nucleus("kill", mine, "--signal", "WINCH")
        ordinary.nucleus("stop", mine, "--timeout", "1s")
        assert process.wait(30) in (137, 143)
    finally:
        process.kill()
        process.stdout.close()


def test_an_ordinary_user_signals_several_that_are_its_own(world):
    """Each is in a user namespace of its own, and there is no way back out of one."""
    ordinary = Ordinary(world)
    ordinary.lend()
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "run", "--service-mode", "agent"]
    script = "trap 'exit 5' USR1; echo up; while :; do sleep 0.1; done"
    names = [world.name("k1"), world.name("k2")]
    processes = [world.popen(*command, "--name", name, "--user", "1000", "--", "sh", "-c", script, env=ordinary.environment, cwd="/", stdout=subprocess.PIPE, text=True)
                 for name in names]
    try:
        for process in processes:
            assert process.stdout.readline() == "up\n"
        assert ordinary.nucleus("kill", *names, "--signal", "USR1").stdout.split() == names
        assert [process.wait(30) for process in processes] == [5, 5]
    finally:
        for process in processes:
            process.kill()
            process.stdout.close()


def test_health_of_an_ordinary_users_is_probed(world):
    ordinary = Ordinary(world)
    ordinary.lend()
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "run", "--service-mode", "agent", "--restart", "always",
               "--health-cmd", "echo x >> /tmp/n; test ! -e /tmp/bad", "--health-interval", "200ms", "--health-retries", "1", "--on-unhealthy", "restart"]
    mine = world.name("mine")
    process = world.popen(*command, "--name", mine, "--", "sh", "-c", "rm -f /tmp/bad; echo up; exec sleep 1000", env=ordinary.environment, cwd="/", stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        wait_for("it is probed", lambda: len(ordinary.nucleus("exec", mine, "--", "cat", "/tmp/n", status=None).stdout.split()) > 2)
        ordinary.nucleus("exec", mine, "--", "touch", "/tmp/bad")
        assert process.stdout.readline() == "up\n", "and started again"
        ordinary.nucleus("stop", mine, "--timeout", "0s")
        assert process.wait(30) == 137
    finally:
        process.kill()
        process.stdout.close()
