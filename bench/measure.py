"""What the benchmarks share: a world of their own, clocks, and where the programs are."""
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("NUCLEUS_BIN_DIR", ROOT / "build/release/bin"))
NUCLEUS = BIN / "nucleus"
ISOLATED = "NUCLEUS_BENCH_ISOLATED"


def isolate(program=NUCLEUS):
    """Runs this script again in its own mount, pid, network, ipc and uts namespaces. Control groups stay the machine's."""
    if not program.exists():
        sys.exit(f"bench: {program} is missing: ./dev build")
    if os.environ.get(ISOLATED):
        return
    os.environ[ISOLATED] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                          "--mount-proc", "--propagation", "private", sys.executable, *sys.argv])


def directories(ground):
    """Has nucleus write below a directory of ours, and not in the machine's /run and /var; its runtime directory."""
    runtime = ground / "runtime"
    runtime.mkdir(parents=True, exist_ok=True)
    os.environ |= {"NUCLEUS_RUNTIME_DIR": str(runtime), "NUCLEUS_STATE_DIR": str(ground / "state")}
    return runtime


def seconds(command, **kwargs):
    begin = time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **kwargs)
    took = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return took


def median(rounds, command, **kwargs):
    return statistics.median(seconds(command, **kwargs) for _ in range(rounds))


def timed(command):
    """Seconds of one command that is to succeed, and of the processors."""
    begin = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    took = time.perf_counter() - begin
    if status != 0:
        sys.exit(f"bench: {' '.join(command)}: status {status}")
    return took, usage.ru_utime + usage.ru_stime


def in_turns(rounds, commands, pause=0):
    """Medians of commands that take turns: what the machine does meanwhile reaches all of them. Each round has an order of its own: what one leaves
    to the kernel to be done later is met by another one each time; or by none, after a pause of some seconds."""
    taken = {name: [] for name in commands}
    for command in commands.values():
        timed(command)
    order, chance = list(commands), random.Random(0)
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            time.sleep(pause)
            taken[name].append(timed(commands[name]))
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in taken.items()}


def cgroup2():
    """Where cgroup2 is mounted; None: nowhere."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    found = [pathlib.Path(line.split()[4]) for line in lines if " - cgroup2 " in line]
    return next((path for path in found if (path / "cgroup.procs").exists()), None)  # not one that another mount hides


class UsualCgroup:
    """crun and runc insist on the usual place of cgroup2."""
    USUAL = pathlib.Path("/sys/fs/cgroup")

    def __enter__(self):
        self.bound = cgroup2() not in (None, self.USUAL)
        if self.bound:
            subprocess.run(["mount", "--bind", cgroup2(), self.USUAL], check=True)

    def __exit__(self, *_):
        if self.bound:
            subprocess.run(["umount", self.USUAL], check=True)


class Figures:
    """Printed as they come, with what they are to be compared with."""
    SCALES = {"ms": 1e3, "us": 1e6, "MB": 1e-6, "KB": 1 / 1024, "MB/s": 1e-6}

    def __init__(self):
        self.values = {}
        self.missed = []

    def add(self, name, value, unit, against=None):
        ratio = f"   {value / self.values[against]:6.2f} × {against}" if against else ""
        self.values[name] = value
        print(f"{name:44}{value * self.SCALES[unit]:10.2f} {unit}{ratio}", flush=True)

    def at_most(self, name, ratio, against):
        """Holds nucleus to what it promises beside another, where that was measured."""
        if against in self.values and self.values[name] > ratio * self.values[against]:
            self.missed.append(f"{name} is over {ratio} × {against}")

    def verdict(self):
        """Ends the program with 1 where something is not as promised."""
        for what in self.missed:
            print(f"MISSED: {what}")
        if self.missed:
            sys.exit(1)
