"""Containers with a bridge of their own come and go, many at a time, and some are killed: nothing of them stays."""

import concurrent.futures
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from internet import HERE, THERE
from world import NUCLEUS, TREE

sys.path.insert(0, str(TREE / "tests/fault"))
import snapshot  # noqa: E402

COUNT, AT_A_TIME, KILLED = int(os.environ.get("NUCLEUS_TEST_COMINGS", 100)), 32, 8  # every so manieth


def kill_some_time(process, chance):
    """nucleus itself, behind what entered the world."""
    time.sleep(chance.uniform(0, 1.5))
    for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


def test_hundreds_come_and_go_and_nothing_of_them_stays(world, internet):
    script = f"busybox nc -w 20 {THERE} 80 < /dev/null; exec sleep 0.2"
    chance = random.Random(1)

    def one(number):
        options = ["--name", world.name(f"n{number}"), *(["--egress-allow", f"{THERE}/32"] if number % 2 else []), *(["-p", f"{9000 + number}:80"] if number % 3 else [])]
        with world.popen(NUCLEUS, "run", "--network", "bridge", *options, "--", "sh", "-c", script,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            killed = number % KILLED == 0
            try:
                if killed:
                    kill_some_time(process, chance)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it was quicker
            out, err = process.communicate(timeout=120)
        return [] if killed or (process.returncode, out, err) == (0, f"{HERE}\n", "") else [f"{number}: {process.returncode} {out!r} {err!r}"]

    one(1)  # what stays for good is there: the directory, the lock
    before = snapshot.take(world)
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        wrong = [line for lines in pool.map(one, range(COUNT)) for line in lines]
    assert wrong == []
    one(1)  # and takes away what those that were killed have left
    for _ in range(100):  # a namespace is taken apart after its last process
        left = snapshot.difference(before, snapshot.take(world))
        if not left:
            break
        time.sleep(0.2)
    assert left == []
