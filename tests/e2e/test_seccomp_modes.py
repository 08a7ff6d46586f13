"""Traces, the profiles made from them, profiles without execve, and denials that are told."""
import json
import re
import signal
import subprocess
import time

import posture
import pytest
from ordinary import Ordinary
from world import NUCLEUS, wait_for

README = ["read", "write", "close", "openat", "fstat", "mmap", "munmap", "brk", "futex", "clock_gettime"]
# What busybox, or a dynamic program of glibc, needs to begin.
START = [*README, "access", "arch_prctl", "exit_group", "getrandom", "mprotect", "newfstatat", "pread64", "prlimit64", "readlink", "rseq",
         "set_robust_list", "set_tid_address", "getuid", "getpid", "getppid", "geteuid", "getegid", "getgid", "rt_sigaction",
         "rt_sigprocmask", "rt_sigreturn", "stat", "getcwd", "faccessat2", "statx", "ioctl", "lseek", "fcntl", "dup2", "clone", "fork",
         "vfork", "wait4", "kill", "tgkill", "gettid"]
THREADS = """
import ctypes, os, threading
libc = ctypes.CDLL(None)
def rare(number):
    assert libc.syscall(number) != 999
threads = [threading.Thread(target=rare, args=(n,)) for n in (140, 24)]  # getpriority, sched_yield
[t.start() for t in threads], [t.join() for t in threads]
if os.fork() == 0:
    libc.syscall(147, 0)  # sched_get_priority_min
    os._exit(0)
os.wait()
"""
# getpid by int 0x80: i386's 20
INT80 = """
import ctypes, mmap
m = mmap.mmap(-1, 4096, prot=7)
m.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
print(f())
"""


def profile(world, names, action="SCMP_ACT_KILL_PROCESS", name="p.json", **more):
    (world.directory / name).write_text(json.dumps({"defaultAction": action, "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}], **more}))
    return name


def trace(world, *command, options=(), status=0, log="t.ndjson", **more):
    done = world.nucleus("run", *options, "--seccomp-mode", "trace", "--seccomp-log", log, "--", *command, status=status, **more)
    return done, {line["name"]: line for line in map(json.loads, (world.directory / log).read_text().splitlines())}


def denials(text):
    return re.findall(r"^nucleus: seccomp denied '(\w+)' to (\S+): (\w+), (.*)$", text, re.M)


# ---- traces ----

def test_a_trace_is_transparent_and_complete(world):
    for options in ((), ("--init",)):
        done, seen = trace(world, "sh", "-c", "cat; echo err >&2; kill -0 $$; exit 3", options=options, status=3, stdin=subprocess.DEVNULL)
        assert done.stderr == "err\n"
        # the program's own execve, and that of cat; the mini-init's calls are not the workload's
        assert seen["execve"]["count"] == 2 and seen["execve"]["syscall"] == 59 and seen["exit_group"]["count"] == 2
        assert "rt_sigtimedwait" not in seen and "pivot_root" not in seen and "seccomp" not in seen and "sendmsg" not in seen


def test_a_trace_has_threads_and_children(world):
    _, seen = trace(world, "python3", "-c", THREADS)
    assert {"getpriority", "sched_yield", "sched_get_priority_min", "wait4"} <= set(seen)
    assert seen["sched_get_priority_min"]["count"] == 1


def test_counts_are_exact(world):
    count = "import ctypes; l = ctypes.CDLL(None)\nfor i in range(1234): l.syscall(147, i % 3)"
    _, seen = trace(world, "python3", "-c", count)
    assert seen["sched_get_priority_min"]["count"] == 1234


def test_a_trace_has_the_other_architecture(world):
    done, seen = trace(world, "python3", "-c", INT80, status=None)
    if done.returncode != 0:
        pytest.skip("this kernel runs no i386 programs")
    assert seen["getpid"]["abis"] == ["x86"]
    world.nucleus("seccomp", "generate", "t.ndjson", "-o", "made.json")
    assert json.loads((world.directory / "made.json").read_text())["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    world.nucleus("run", "--seccomp-profile", "made.json", "--", "python3", "-c", INT80)


def test_arguments_are_traced_for_conditions(world):
    code = "import socket; socket.socket(socket.AF_UNIX); socket.socket(socket.AF_INET)"
    _, seen = trace(world, "python3", "-c", code)
    assert seen["socket"]["args"] == {"0": [1, 2]}
    world.nucleus("seccomp", "generate", "--args", "t.ndjson", "-o", "made.json")
    world.nucleus("run", "--seccomp-profile", "made.json", "--", "python3", "-c", code)
    done = world.nucleus("run", "--seccomp-profile", "made.json", "--", "python3", "-c", "import socket; socket.socket(socket.AF_INET6)", status=159)
    assert denials(done.stderr) == [("socket", "python3", "killed", "once")]


CLONES = """
import ctypes, os, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
thread = threading.Thread(target=print, args=("thread",), kwargs={"flush": True})
thread.start(); thread.join()
if os.fork() == 0:
    os._exit(0)
os.wait()
if len(sys.argv) > 1:
    wanted = ctypes.create_string_buffer(struct.pack("11Q", 0x10000000, 0, 0, 0, 17, *[0] * 6), 88)  # CLONE_NEWUSER
    made = libc.syscall(435, wanted, 88)
    if made == 0:
        os._exit(0)
    print("clone3", made > 0, ctypes.get_errno(), flush=True)
    made = libc.syscall(56, 0x10000011, 0, 0, 0, 0)
    if made == 0:
        os._exit(0)
    print("clone", made > 0, flush=True)
"""


def test_clone3_is_no_way_round_the_conditions_on_clone(world):
    """Its flags are in memory: in a trace and under conditions it is not there, and the C library goes on with clone."""
    who = ["--user", "nobody"]
    done, seen = trace(world, "python3", "-c", CLONES, options=who)
    assert done.stdout == "thread\n" and seen["clone3"]["count"] >= 1 and len(seen["clone"]["args"]["0"]) >= 2  # of the thread, of fork
    assert seen["clone3"]["missing"] is True
    through = (world.directory / "t.ndjson").read_text().replace(',"missing":true', "")  # as one that let it through writes it
    (world.directory / "through.ndjson").write_text(through)
    assert "clone3 is not there (ENOSYS)" in world.nucleus("seccomp", "generate", "--args", "through.ndjson", "-o", "made.json").stderr
    assert "warning" not in world.nucleus("seccomp", "generate", "--args", "t.ndjson", "-o", "made.json").stderr
    assert re.search(r"fail with ENOSYS \(1\):\n +clone3\n", world.nucleus("seccomp", "explain", "made.json").stdout)
    told = world.nucleus("run", *who, "--seccomp-profile", "made.json", "--", "python3", "-c", CLONES)
    assert (told.stdout, told.stderr) == ("thread\n", "")
    told = world.nucleus("run", *who, "--seccomp-profile", "made.json", "--", "python3", "-c", CLONES, "try", status=159)
    assert told.stdout == "thread\nclone3 False 38\n" and denials(told.stderr) == [("clone", "python3", "killed", "once")]


def test_what_a_trace_cannot_name_is_told(world):
    """The names that the table has are in the profile; of the others it is said what becomes of the program."""
    code = "import ctypes\nl = ctypes.CDLL(None)\nfor n in (469, 999): l.syscall(n, -1, 0, 0, 0, 0)\nprint('end', flush=True)"
    _, seen = trace(world, "python3", "-c", code)
    assert seen["file_setattr"]["syscall"] == 469 and seen["syscall_999"]["count"] == 1
    said = world.nucleus("seccomp", "generate", "t.ndjson", "-o", "made.json").stderr
    line = 1 + list(seen).index("syscall_999")
    assert re.search(rf"^t.ndjson:{line}:\d+: warning: /name: no call 'syscall_999' is known, .* the program is killed", said, re.M), said
    told = world.nucleus("run", "--seccomp-profile", "made.json", "--", "python3", "-c", code, status=159)
    assert denials(told.stderr) == [("syscall_999", "python3", "killed", "once")] and "unknown" not in told.stderr
    done = world.nucleus("run", "--seccomp-profile", "made.json", "--", "python3", "-c", code.replace(", 999", ",")).stdout
    assert done == "end\n"


def test_an_interrupted_trace_is_written(world):
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with world.popen("nucleus", "run", "--seccomp-mode", "trace", "--seccomp-log", "t.ndjson", "--", "sleep", "100") as process:
            wait_for("the workload", lambda: any("sleep 100" in line and "nucleus" not in line for line in world.processes()))
            time.sleep(0.3)
            inner = [line.split()[0] for line in world.processes() if "seccomp-mode" in line]
            world.run("kill", f"-{int(number)}", *inner)
            assert process.wait(20) == status
        assert '"execve"' in (world.directory / "t.ndjson").read_text()
        (world.directory / "t.ndjson").unlink()
    assert [path.name for path in world.directory.glob("t.ndjson*")] == []


def test_a_place_that_cannot_be_written_is_an_error_before_anything_is_made(world):
    for place in ("no/such/t.ndjson", "/proc/t.ndjson"):
        done = world.nucleus("run", "--seccomp-mode", "trace", "--seccomp-log", place, "--", "echo", "started", status=125)
        assert done.stdout == "" and "t.ndjson" in done.stderr
    assert not list((world.runtime / "projects").rglob("*"))


def test_a_dry_run_says_so(world):
    done = world.nucleus("run", "--dry-run", "--seccomp-mode", "trace", "--seccomp-log", "t.ndjson", "--", "true")
    assert "every call is let through, and recorded in" in done.stdout and not (world.directory / "t.ndjson").exists()
    told = json.loads(world.nucleus("run", "--dry-run", "--seccomp-log-denied", "--output", "json", "--", "true").stdout)
    assert told["seccomp"]["mode"] == "enforce" and told["seccomp"]["log_denied"] is True
    assert told["seccomp"]["profile"] == "default" and told["seccomp"]["allow"] == []
    loosened = ["run", "--dry-run", "--seccomp-allow", "ptrace", "--seccomp-allow", "keyctl"]
    assert "default, and ptrace keyctl; " in world.nucleus(*loosened, "--", "true").stdout
    told = json.loads(world.nucleus(*loosened, "--output", "json", "--", "true").stdout)
    assert told["seccomp"]["profile"] == "default" and told["seccomp"]["allow"] == ["ptrace", "keyctl"]


def test_landlock_holds_in_a_trace(world):
    done, _ = trace(world, "sh", "-c", "echo x > /etc/hostname", status=2)
    assert "Read-only" in done.stderr or "Permission" in done.stderr


# ---- run, generate, run ----

@pytest.mark.parametrize("command", [
    ["sh", "-c", "for i in 1 2 3; do ls / | grep -c etc; done; trap 'echo bye' EXIT; sleep 0.1 & wait; mkdir /tmp/a; rm -r /tmp/a"],
    ["python3", "-c", "import json, subprocess, threading, tempfile, sqlite3 as s; t = threading.Thread(target=print, args=('thread',)); t.start(); t.join();"
                      "print(subprocess.check_output(['echo', 'child'])); tempfile.TemporaryFile().write(b'x')"]])
def test_round_trip(world, command):
    before, _ = trace(world, *command)
    for conditions in ([], ["--args"]):
        world.nucleus("seccomp", "generate", *conditions, "t.ndjson", "-o", "made.json")
        after = world.nucleus("run", "--seccomp-profile", "made.json", "--", *command)
        assert (after.stdout, after.stderr) == (before.stdout, before.stderr)
    told = world.nucleus("run", "--seccomp-profile", "made.json", "--", "python3", "-c", "import os; os.sched_rr_get_interval(0)", status=159)
    assert denials(told.stderr)


POSTGRES = ("export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; initdb -D /tmp/db -A trust --no-sync >/dev/null &&"
            " pg_ctl -w -D /tmp/db -o '-k /tmp -h 127.0.0.1' -l /tmp/log start >/dev/null && psql -h 127.0.0.1 -c 'select 6 * 7' postgres | grep 42"
            " && pg_ctl -w -D /tmp/db -m fast stop >/dev/null")
NGINX = ("mkdir -p /tmp/n/www && echo served > /tmp/n/www/index.html && printf 'worker_processes 2; pid /tmp/n/pid; error_log /tmp/n/e;"
         " events {} http { access_log off; client_body_temp_path /tmp/n/b; proxy_temp_path /tmp/n/p; fastcgi_temp_path /tmp/n/f;"
         " uwsgi_temp_path /tmp/n/u; scgi_temp_path /tmp/n/s; server { listen 127.0.0.1:8080; root /tmp/n/www; } }' > /tmp/n/conf &&"
         " nginx -c /tmp/n/conf && curl -s http://127.0.0.1:8080/ && nginx -c /tmp/n/conf -s quit && sleep 0.1 && while test -e /tmp/n/pid; do sleep 0.1; done")  # one sleep in any case: it is recorded


@pytest.mark.parametrize("options, command, expected", [
    (["--user", "postgres", "--group", "postgres"], POSTGRES, "42"), (["--user", "33", "--group", "33"], NGINX, "served")])
def test_round_trip_of_servers(world, rootfs, options, command, expected):
    options = ["--rootfs", rootfs, *options]
    done, seen = trace(world, "sh", "-c", command, options=options, timeout=240)
    assert expected in done.stdout and len(seen) > 40
    for conditions in ([], ["--args"]):
        world.nucleus("seccomp", "generate", *conditions, "t.ndjson", "-o", "made.json")
        done = world.nucleus("run", *options, "--seccomp-profile", "made.json", "--", "sh", "-c", command, timeout=240)
        assert expected in done.stdout and "denied" not in done.stderr


# ---- profiles that do not have what nucleus does ----

@pytest.mark.parametrize("init", [(), ("--init",)])
def test_a_profile_need_not_allow_the_execution_of_the_program(world, init):
    done = world.nucleus("run", *init, "--seccomp-profile", profile(world, README), "--", "true", status=159)
    [(call, program, outcome, count)] = denials(done.stderr)
    assert call not in ("execve", "seccomp", "sendmsg", "exit") and (program, outcome, count) == ("true", "killed", "once")
    started = profile(world, START, "SCMP_ACT_ERRNO")
    assert world.nucleus("run", *init, "--seccomp-profile", started, "--", "sh", "-c", "echo here").stdout == "here\n"


@pytest.mark.parametrize("init", [(), ("--init",)])
@pytest.mark.parametrize("action, status", [("SCMP_ACT_KILL_PROCESS", 159), ("SCMP_ACT_ERRNO", 126)])
def test_the_second_execution_is_denied(world, init, action, status):
    done = world.nucleus("run", *init, "--seccomp-profile", profile(world, START, action), "--", "sh", "-c", "echo first; exec cat /dev/null",
                         status=status)
    assert done.stdout == "first\n"
    assert [(call, program) for call, program, _, _ in denials(done.stderr)] == [("execve", "sh")]


@pytest.mark.parametrize("init", [(), ("--init",)])
def test_what_is_killed_by_its_first_call_was_started(world, init):
    program = posture.program("killed_at_once.c", "-nostdlib")
    for _ in range(10):  # it may die before or after it is looked at whether its filter is in force
        done = world.nucleus("run", *init, "--volume", f"{program.parent}:/opt:ro", "--", f"/opt/{program.name}", status=159)
        assert "confine" not in done.stderr


def test_a_child_dies_as_by_the_kernel_and_its_parent_sees_it(world):
    name = profile(world, [*START, "execve", "exit", "poll", "pipe2", "pselect6", "dup3"])
    done = world.nucleus("run", "--seccomp-profile", name, "--", "sh", "-c", "mkdir /tmp/x; echo $?")
    assert done.stdout == "159\n" and denials(done.stderr)[0][1:] == ("mkdir", "killed", "once")


def test_a_handler_does_not_save_who_is_killed(world):
    code = "import os, signal; signal.signal(signal.SIGSYS, lambda *a: None); os.write(1, b'before\\n'); os.sched_rr_get_interval(0); os.write(1, b'after\\n')"
    _, seen = trace(world, "python3", "-c", code.replace("os.sched_rr_get_interval(0);", ""))
    name = profile(world, list(seen))
    for init in ((), ("--init",)):
        done = world.nucleus("run", *init, "--seccomp-profile", name, "--", "python3", "-c", code, status=159)
        assert done.stdout == "before\n" and denials(done.stderr) == [("sched_rr_get_interval", "python3", "killed", "once")]


def test_a_program_that_is_not_there_is_told_under_any_profile(world):
    name = profile(world, ["read"])
    world.nucleus("run", "--seccomp-profile", name, "--", "no-such-program", status=127)
    (world.directory / "bin").mkdir()
    script = world.directory / "bin/script"
    script.write_text("#!/no/such\n")
    script.chmod(0o755)
    done = world.nucleus("run", "--seccomp-profile", name, "--volume", f"{world.directory}/bin:/app:ro", "--", "/app/script", status=127)
    assert "interpreter" in done.stderr


# ---- denials ----

def test_denials_are_told_and_lose_nothing(world):
    code = "import ctypes\nl = ctypes.CDLL(None)\nfor i in range(500): l.syscall(272, 0x10000000)"  # unshare(CLONE_NEWUSER)
    done = world.nucleus("run", "--seccomp-log-denied", "--", "sh", "-c", f"python3 -c '{code}'; unshare -r true; echo end")
    assert done.stdout == "end\n"
    told = denials(done.stderr)
    assert ("unshare", "python3", "EPERM", "500 times") in told and ("unshare", "unshare", "EPERM", "once") in told
    assert told == sorted(told, key=lambda entry: (entry[1], entry[0]))


def test_what_is_denied_stays_denied(world):
    """The same calls by the policy's own program, and by one that asks: the same results."""
    code = ("import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nout = []\n"
            "for n, *a in [(272, 0x10000000), (435, 0, 0), (41, 17, 3, 0), (135, 0x40000), (16, 0, 0x5412, 0), (457, 0, 0, 0, 0), (999,), (250, 0, 0, 0)]:\n"
            "    ctypes.set_errno(0); r = l.syscall(n, *a); out.append((n, r, ctypes.get_errno()))\nprint(out)")
    plain = world.nucleus("run", "--", "python3", "-c", code, status=None)
    asked = world.nucleus("run", "--seccomp-log-denied", "--", "python3", "-c", code, status=None)
    assert (plain.stdout, plain.returncode) == (asked.stdout, asked.returncode)
    assert len(denials(asked.stderr)) >= 5


def test_what_kills_kills_with_log_denied_too(world):
    code = "import ctypes; print('before', flush=True); ctypes.CDLL(None).syscall(246, 0, 0, 0, 0); print('after')"  # kexec_load
    for option in ((), ("--seccomp-log-denied",), ("--seccomp-log-denied", "--init")):
        done = world.nucleus("run", *option, "--", "python3", "-c", code, status=159)
        assert done.stdout == "before\n"
    assert denials(done.stderr) == [("kexec_load", "python3", "killed", "once")]


def test_nobody_is_let_through_when_the_supervisor_is_gone(world):
    code = "import ctypes, time\nl = ctypes.CDLL(None)\nwhile True: l.syscall(272, 0x10000000); time.sleep(0.01)"
    with world.popen("nucleus", "run", "--seccomp-log-denied", "--", "python3", "-c", code) as process:
        wait_for("the workload", lambda: [line for line in world.processes() if "import ctypes" in line and "nucleus" not in line])
        world.kill(*[line.split()[0] for line in world.processes() if "seccomp-log-denied" in line])
        process.wait(20)
    wait_for("its end", lambda: not [line for line in world.processes() if "import ctypes" in line])


# ---- services ----

def test_services_trace_and_tell(world):
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sh", "-c", "echo up; unshare -r true; exec sleep 100000"]\nseccomp_log_denied = true\n'
                       '[services.t]\ncommand = ["sh", "-c", "echo up; exec sleep 100000"]\nseccomp_mode = "trace"\nseccomp_log = "t.ndjson"\n'
                       'health_check = ["true"]\n')
    world.apply(file)
    wait_for("the denial", lambda: "seccomp denied 'unshare' to unshare: EPERM" in world.nucleus("logs", f"{world.project}/s").stdout
             + world.nucleus("logs", f"{world.project}/s").stderr)
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    world.nucleus("destroy", "-f", file, "--yes")
    seen = {json.loads(line)["name"] for line in (world.directory / "t.ndjson").read_text().splitlines()}
    assert {"execve", "write"} <= seen and {"nanosleep", "clock_nanosleep"} & seen
    world.nothing_left()


@pytest.mark.parametrize("action", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"])
def test_a_probe_under_a_profile_without_execve(world, action):
    """Its shell is executed, as the program is; what that would execute is not, and it takes nobody along."""
    name = profile(world, [*START, "nanosleep", "clock_nanosleep"], action)
    file = world.write('name = "PROJECT"\n[defaults]\nservice_mode = "agent"\nseccomp_profile = "./' + name + '"\non_unhealthy = "none"\nhealth_interval = "200ms"\nhealth_retries = 1\n'
                       '[services.s]\ncommand = ["sleep", "100000"]\nhealth_check = "true"\n'
                       '[services.t]\ncommand = ["sleep", "100000"]\nhealth_check = "/bin/true"\n'
                       '[services.u]\ncommand = ["sleep", "100000"]\nhealth_check = ["/bin/true"]\n')
    world.nucleus("apply", "-f", file, status=None)
    wait_for("their verdicts", lambda: {key[-1]: row["health"] for key, row in world.containers().items()} == {"s": "healthy", "t": "unhealthy", "u": "healthy"})
    assert {row["state"] for row in world.containers().values()} == {"running"}


def test_warnings_of_a_profile_come_each_time(world):
    """Also where the program it makes is compiled already."""
    name = profile(world, [*START, "nosuchcall"], "SCMP_ACT_ERRNO")
    for _ in range(2):
        assert "warning: /syscalls/0/names" in world.nucleus("run", "--seccomp-profile", name, "--", "true").stderr


# ---- probes ----

PROBE = ["--health-cmd", "ls / > /dev/null", "--health-interval", "100ms"]


@pytest.mark.parametrize("init", [[], ["--init"]])
def test_what_probes_do_is_in_the_trace_and_in_its_profile(world, init):
    """A profile that is made of it lets them do it: the service is healthy."""
    waits = "until test -e done; do sleep 0.05; done"
    volume = ["--volume", "./v:/v", "--workdir", "/v", *init]
    (world.directory / "v").mkdir()
    marked = ["--health-cmd", "ls / > /dev/null && echo > /v/done", "--health-interval", "50ms"]
    _, seen = trace(world, "sh", "-c", waits, options=[*volume, *marked])
    assert seen["getdents64"]["count"] >= 2 and seen["execve"]["count"] >= 2
    (world.directory / "v/done").unlink()
    world.nucleus("seccomp", "generate", "t.ndjson", "-o", "made.json")
    done = world.nucleus("run", *volume, *marked, "--on-unhealthy", "stop", "--seccomp-profile", "made.json", "--", "sh", "-c", waits)
    assert done.stderr == ""


def test_what_an_ordinary_users_probes_do_is_in_the_trace(world):
    ordinary = Ordinary(world)
    ordinary.nucleus("run", "--seccomp-mode", "trace", "--seccomp-log", "/mnt/run/t.ndjson", "--health-cmd", "ls / > /dev/null && echo > /tmp/done",
                     "--health-interval", "50ms", "--tmpfs", "/tmp:1M", "--", "sh", "-c", "until test -e /tmp/done; do sleep 0.05; done")
    assert "getdents64" in world.run("cat", "/mnt/run/t.ndjson").stdout


def test_what_a_probe_is_denied_is_named(world):
    path = profile(world, ["getdents64"], action="SCMP_ACT_ALLOW")
    text = json.loads((world.directory / path).read_text())
    for action, outcome in (("SCMP_ACT_ERRNO", "EPERM"), ("SCMP_ACT_KILL_PROCESS", "killed")):
        text["syscalls"][0]["action"] = action
        (world.directory / path).write_text(json.dumps(text))
        done = world.nucleus("run", "--seccomp-profile", path, "--seccomp-log-denied", *PROBE, "--health-retries", "2", "--on-unhealthy", "stop",
                             "--", "sleep", "1000", status=137)
        assert [one[:3] for one in denials(done.stderr)] == [("getdents64", "ls", outcome)], done.stderr


def test_who_stops_an_unhealthy_workload_says_so(world):
    path = profile(world, ["getdents64"], action="SCMP_ACT_ALLOW")
    text = json.loads((world.directory / path).read_text())
    text["syscalls"][0]["action"] = "SCMP_ACT_KILL_PROCESS"
    (world.directory / path).write_text(json.dumps(text))
    unhealthy = [*PROBE[2:], "--health-retries", "2", "--on-unhealthy"]
    done = world.nucleus("run", "--seccomp-profile", path, "--health-cmd", "exec ls /", *unhealthy, "stop", "--", "sleep", "1000", status=137)
    assert done.stderr == ("nucleus: the health check, 'exec ls /', failed 2 times in a row: signal 31: it made a system call that the seccomp policy "
                           "denies (seccomp_log_denied names it); it is stopped\n")
    done = world.nucleus("run", "--health-cmd", "echo not well; exit 3", *unhealthy, "none", "--", "sleep", "1")
    assert done.stderr == "nucleus: the health check, 'echo not well; exit 3', failed 2 times in a row: not well; it goes on\n"


# ---- nucleus' own policy ----

KEYS = "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.syscall(250, 0, -3, 0), ctypes.get_errno())"  # keyctl: EPERM by default


def test_the_default_policy_is_a_profile(world):
    text = world.nucleus("seccomp", "generate", "--default").stdout
    world.nucleus("seccomp", "generate", "--default", "-o", "own.json")
    assert (world.directory / "own.json").read_text() == text and json.loads(text)["defaultErrnoRet"] == 38
    assert world.nucleus("seccomp", "diff", "default", "own.json").stdout == ""
    assert world.nucleus("seccomp", "explain", "default").stdout == world.nucleus("seccomp", "explain", "own.json").stdout
    changed = json.loads(text)
    changed["syscalls"] = [{**rule, "names": [name for name in rule["names"] if name != "keyctl"]} for rule in changed["syscalls"]]
    changed["syscalls"].append({"names": ["keyctl"], "action": "SCMP_ACT_ALLOW"})
    (world.directory / "more.json").write_text(json.dumps(changed))
    assert "keyctl" in world.nucleus("seccomp", "diff", "default", "more.json").stdout
    for options, said in (([], "-1 1"), (["--seccomp-profile", "own.json"], "-1 1"), (["--seccomp-profile", "more.json"], "-1 126"),
                          (["--seccomp-allow", "keyctl"], "-1 126")):
        done = world.nucleus("run", *options, "--", "python3", "-c", KEYS)
        assert (done.stdout.strip() != "-1 1") == (said != "-1 1"), (options, done.stdout)


def test_a_call_is_added_to_the_default_policy(world, rootfs):
    world.apply(world.write("""
name = "PROJECT"
[services.a]
service_mode = "agent"
type = "job"
command = ["python3", "-c", "%s"]
seccomp_allow = ["keyctl"]
""" % KEYS))
    assert world.nucleus("logs", "a").stdout.strip() != "-1 1"
    done = world.nucleus("run", "--seccomp-allow", "keyctll", "--", "true", status=125)
    assert "unknown system call 'keyctll', did you mean 'keyctl'?" in done.stderr
    # What it refuses for a reason is told.
    done = world.nucleus("run", "--seccomp-allow", "keyctl", "--seccomp-allow", "file_getattr", "--", "true")
    assert "warning: --seccomp-allow: lets through what the default policy refuses, keyctl: keyrings are not" in done.stderr, done.stderr
    assert "file_getattr" not in done.stderr, done.stderr
    # In production nothing of the kind is let through.
    production = world.write("""
name = "PROJECT"
[services.a]
service_mode = "production"
rootfs = "ROOTFS"
memory = "64M"
command = ["true"]
seccomp_allow = ["file_getattr", "keyctl", "clone"]
""".replace("ROOTFS", str(rootfs)))
    said = world.nucleus("validate", "-f", production, status=None).stderr
    assert "production refuses what the default policy refuses, keyctl: keyrings are not" in said and "nucleus seccomp generate --default" in said, said
    assert "refuses, clone: some of its arguments are refused" in said and "file_getattr" not in said, said


def test_a_dash_is_standard_input(world):
    _, seen = trace(world, "true")
    made = world.run("sh", "-c", f"{NUCLEUS} seccomp generate - < t.ndjson")
    assert set(json.loads(made.stdout)["syscalls"][0]["names"]) >= set(seen) - {"clone3"}
    (world.directory / "made.json").write_text(made.stdout)
    assert world.nucleus("seccomp", "generate", "t.ndjson", "-o", "-").stdout == made.stdout
    default = world.nucleus("seccomp", "generate", "--default").stdout
    assert world.nucleus("seccomp", "generate", "--default", "-o", "-").stdout == default
    assert "execve" in world.run("sh", "-c", f"{NUCLEUS} seccomp explain - < made.json").stdout
    assert world.run("sh", "-c", f"{NUCLEUS} seccomp diff made.json - < made.json").stdout == ""
    assert "named twice" in world.run("sh", "-c", f"{NUCLEUS} seccomp diff - - < made.json", status=1).stderr
    done = world.nucleus("run", "--seccomp-mode", "trace", "--seccomp-log", "-", "--", "true", status=125)
    assert "--seccomp-log: '-': neither standard input nor output is taken here; './-' is the file of that name" in done.stderr, done.stderr
    assert not (world.directory / "-").exists()
