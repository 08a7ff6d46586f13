#!/usr/bin/env python3
"""Makes the system calls of a container between clone and exec fail, one after the other. The workload is then not executed, or it is held
by exactly what holds it where nothing fails: it says so itself, through a volume."""

import argparse
import concurrent.futures
import dataclasses
import difflib
import errno
import itertools
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import posture  # noqa: E402
from world import NUCLEUS, World  # noqa: E402

HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
# What a protection is made with. rt_sigaction, close, openat and the like are tried by --all.
PROTECTIVE = """mount_setattr move_mount fsopen fsconfig fsmount open_tree pivot_root umount2 mount openat2 setns unshare prctl capset setgroups setresgid setresuid
landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp close_range keyctl sethostname personality prlimit64 fchdir chdir dup3 statx setsid
clone3 newfstatat getcwd fchown fchmod execve mlock""".split()
# Of what is then otherwise these are no protections: whoever holds a signal back holds it back from itself.
NO_PROTECTION = ("SigBlk:", "SigIgn:")
NEVER_FAIL = {"umask"}  # umask(2)
# Of nucleus itself and of the container; with the beginning of the arguments. Each has a test of its own that expects it to be wrong.
KNOWN = {
    "the number of capabilities is asked for": (-1, "prctl", "17"),
    "whether standard input is the null device": (0, "newfstatat", "0"),
}
# Where this fails nothing runs, and nothing says why: the word to a workload behind an init.
SILENT = {(1, "read")}
GIVEN = [
    "--hostname",
    "box",
    "--volume",
    "./ro:/ro:ro",
    "--secret",
    "./key:/etc/tls/key",
    "--tmpfs",
    "/scratch:1M",
    "--context",
    "ctx",
    "--memlock",
    "64K",
]
SETUPS = {
    "production": [
        "--service-mode",
        "production",
        "--memory",
        "64M",
        "--rootfs",
        "image",
        "--user",
        "1000",
        "--group",
        "1001",
        "--additional-group",
        "1002",
        *GIVEN,
    ],
    "production as root": ["--service-mode", "production", "--memory", "64M", "--rootfs", "whole", "--hostname", "box"],
    "agent": ["--hostname", "box", "--volume", "./payload:/opt/payload:ro"],
}
CONTROLLERS = {
    "cgroup.controllers": "memory",
    "cgroup.subtree_control": "memory",
    "memory.max": "max",
    "memory.high": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "memory.current": "0",
}
# What the image has of it is mounted on where it is, and no overlay is needed.
PLACES = "proc sys dev tmp var/tmp run etc out".split()


@dataclasses.dataclass(frozen=True)
class Point:
    process: int  # -1: nucleus itself
    call: int
    number: int  # of that call in that process
    name: str
    arguments: str = ""

    def __str__(self):
        return f"{self.name} ({self.arguments}), number {self.number} of {'nucleus' if self.process < 0 else f'process {self.process}'}"


def call_names():
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", pathlib.Path(HEADER).read_text())}


class Faults:
    def __init__(self, directory, setup):
        self.world = World(pathlib.Path(directory))
        self.top, self.setup, self.count, self.lenient = self.world.directory, setup, 0, "production" not in setup
        for name in ("image", "whole", "ro", "ctx", "out", "fake"):
            (self.top / name).mkdir()
        for place in PLACES:
            (self.top / "whole" / place).mkdir(parents=True)
        for name in ("hosts", "resolv.conf", "hostname"):
            (self.top / "whole/etc" / name).touch()
        for target in ("image", "whole", "."):
            shutil.copy(posture.program(), self.top / target / "payload")
        (self.top / "key").write_text("key\n")
        (self.top / "ctx/file").write_text("context\n")
        for name, text in CONTROLLERS.items():
            (self.top / "fake" / name).write_text(text + "\n")
        self.world.environment.update(NUCLEUS_TEST_CONTROLLERS=str(self.top / "fake"))
        self.injector = str(posture.program("fault_child.c"))
        self.namespaces = {
            os.readlink(f"/proc/{self.world.init}/ns/{name}") for name in ("mnt", "pid", "ipc", "uts", "cgroup", "net", "user")
        }
        code, said, told = self._run("list", str(self.top / "list"))
        assert code == 0 and said is not None, (code, told)
        self.said, self.reference = said, self._lines(said)
        self.points = self._points()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.close()

    def _run(self, *injection, more=()):
        """Exit code, what the workload said of itself or None, and what nucleus said."""
        self.count += 1
        out = self.top / "out" / str(self.count)
        out.mkdir()
        out.chmod(0o777)
        program = "/opt/payload" if "image" not in self.setup and "whole" not in self.setup else "/payload"
        done = self.world.run(
            self.injector,
            *injection,
            NUCLEUS,
            "run",
            *self.setup,
            "--volume",
            f"{out}:/out",
            "--",
            program,
            "/out/verdict",
            *more,
            status=None,
            timeout=150,
        )
        verdict = out / "verdict"
        return done.returncode, verdict.read_text() if verdict.exists() else None, done.stderr

    def _lines(self, text):
        # An overlay instead of a bind is the same to whoever is in it, and where nothing is swapped, nothing needs to be kept from it.
        text = re.sub(r"^(mount /: \S+) .*", r"\1", text, flags=re.M)
        if len(pathlib.Path("/proc/swaps").read_text().splitlines()) == 1:
            text = text.replace(",noswap", "")
        return [line for line in posture.comparable(text, self.namespaces) if not line.startswith(NO_PROTECTION)]

    def _points(self):
        names, made = call_names(), {-1: [], 0: [], 1: []}
        for line in (self.top / "list").read_text(errors="replace").splitlines():
            process, call, number, *arguments = line.split(" ")
            made.setdefault(int(process), []).append(
                Point(int(process), int(call), int(number), names.get(int(call), call), " ".join(arguments))
            )

        def place(points, name, first=""):
            return next(index for index, point in enumerate(points) if point.name == name and point.arguments.startswith(first))

        # Of nucleus itself, from where it runs as a clone of its program up to the birth of the container. In agent mode what it does not
        # find on the host is not given, and Landlock that the kernel does not have is not used.
        own = [] if self.lenient else made[-1][place(made[-1], "prctl", "4") : place(made[-1][::-1], "clone3") * -1]
        if not self.lenient:
            own += [point for process in sorted(made) if process < -1 for point in made[process]]
        # Where the first has made another it is the init: it closes its files, loads its filter, and then only waits. Without an init the
        # second is what waits beside the run (guard.hpp), which protects nothing that has not lifted its own death signal.
        has_init = any(point.name == "clone3" for point in made[0])
        container = made[0][: place(made[0], "clone3") + 3] + made[1] if has_init else made[0]
        return [point for point in own if point.name in PROTECTIVE] + [point for point in container if point.name not in NEVER_FAIL]

    def known(self, name):
        process, call, first = KNOWN[name]
        return [
            point for point in self.points if (point.process, point.name, point.arguments.split(" ")[0]) == (process, call, first)
        ]

    def unknown(self):
        known = {point for name in KNOWN for point in self.known(name)}
        return [point for point in self.points if point not in known]

    def sample(self, most):
        """Of each protective call of each process the first, the last and some between."""
        chosen = []
        for process, call in itertools.product(sorted({point.process for point in self.points}), PROTECTIVE):
            made = [point for point in self.unknown() if point.name == call and point.process == process]
            step = max(1, (len(made) - 1) / max(1, most - 1))
            chosen += [made[round(index * step)] for index in range(min(most, len(made)))]
        return chosen

    def missing(self):
        return [call for call in PROTECTIVE if all(point.name != call for point in self.points)]

    def lie(self, point):
        """As _run, where that call is answered as if it were done, and the workload stays for whoever looks at it."""
        return self._run("fail", *map(str, (point.process, point.call, point.number, 0)), more=["stay"])

    def mistake(self, point):
        """What is said where that call is answered as if it were done: by nucleus, or else by the workload, which is held otherwise."""
        _, said, told = self._run("fail", *map(str, (point.process, point.call, point.number, 0)))
        return told if said is None else "; ".join(self._difference(said))

    def _difference(self, said):
        lines = difflib.unified_diff(self.reference, self._lines(said), lineterm="", n=0)
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]

    def problem(self, point, error=errno.EPERM):
        """What is wrong with it where that call fails: None, or a line. And whether the workload was executed."""
        code, said, told = self._run("fail", *map(str, (point.process, point.call, point.number, error)))
        where = f"{point} fails with {errno.errorcode.get(error, error)}: "
        if code == 98:  # threads of nucleus share work, and which of them does what is chance
            return (None if point.process < 0 else where + "it is not come to"), said is not None
        if said is None:
            clear = code in (125, 126, 127) and "nucleus: run: " in told or code != 0 and (point.process, point.name) in SILENT
            return (None if clear else where + f"nothing runs, exit code {code}, {told!r}"), False
        difference = self._difference(said)
        if difference:
            return where + "the workload runs and is held otherwise: " + "; ".join(difference), True
        return None, True


def tried(faults, points, error, report):
    """How many of them were refused, how many did not matter, and how many were wrong."""
    refused = harmless = wrong = 0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for problem, ran in pool.map(lambda point: faults.problem(point, error), points):
            if problem:
                wrong += 1
                report(problem)
            elif ran:
                harmless += 1
            else:
                refused += 1
    return refused, harmless, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup", choices=SETUPS, default="production")
    parser.add_argument("--all", action="store_true", help="every call there is, instead of a sample of those that protect")
    parser.add_argument("--sample", type=int, default=3, metavar="N", help="of each protective call so many (default: 3)")
    parser.add_argument("--error", default="EPERM", help="what the kernel answers (default: EPERM)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nucleus-closed-") as directory, Faults(directory, SETUPS[options.setup]) as faults:
        points = faults.unknown() if options.all else faults.sample(options.sample)
        refused, harmless, wrong = tried(faults, points, getattr(errno, options.error), lambda line: print(line, flush=True))
        print(
            f"{options.setup}, {options.error}: {len(points)} points, {refused} refused, {harmless} without effect, {wrong} wrong"
        )
    return wrong != 0 or not points


if __name__ == "__main__":
    sys.exit(main())
