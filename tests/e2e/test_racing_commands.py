"""Commands of all kinds on one container in the background, many at once, again and again: each ends and says what came of it, nothing is left,
and no signal reaches a process that has come to have a number of the container's."""
import itertools
import re
import subprocess
import threading

import pytest
from test_run import left

# Takes numbers that have been somebody's: small ones, one after the other, over and over. Says how often it began anew, and which of its own were
# ended by a signal.
STRANGERS = """
import os, signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print('up', flush=True)
alive, laps, hit = set(), 0, []
while not asked or alive:
    if not asked and len(alive) < 40:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(0.1)
            os._exit(0)
        alive.add(pid)
        if pid > 400:
            laps += 1
            with open('/proc/sys/kernel/ns_last_pid', 'w') as last:
                last.write('20')
    pid, status = os.waitpid(-1, os.WNOHANG) if alive else (0, 0)
    while pid:
        alive.discard(pid)
        if os.WIFSIGNALED(status):
            hit.append((pid, os.WTERMSIG(status)))
        pid, status = os.waitpid(-1, os.WNOHANG) if alive else (0, 0)
    time.sleep(0.001)
print(laps, hit, flush=True)
"""


def commands(world, name):
    copied = itertools.count()
    start = ["run", "-d", "--name", name, "--", "sleep", "1000"]
    forgetful = ["run", "-d", "--rm", "--name", name, "--", "sleep", "0.2"]
    return [["exec", name, "--", "true"], ["exec", name, "--", "sh", "-c", "exit 3"], ["stop", name, "-t", "1s"], ["kill", name], ["kill", name, "-s", "TERM"],
            ["pause", name], ["unpause", name], ["rm", name], ["rm", "-f", name], start, forgetful, ["wait", name],
            *(["cp", f"{name}:/etc/hostname", str(world.directory / f"copy{next(copied)}")] for _ in range(2)), ["logs", name], ["stats", name],
            ["state", name], ["inspect", name], ["ps", "--all"], ["events", name], ["verify", name], ["drift", name], ["history", name],
            ["destroy", name, "--yes"], start, ["exec", name, "--", "sleep", "0.1"], ["kill", name, "-s", "USR1"], ["rm", "-f", name], start, ["state"],
            ["stats"], ["unpause", name]]


# Of stop, wait and the like: done, or a clear no. Of exec: also what its command or a signal made of it. Of run: refused.
CODES = {"exec": {0, 1, 3, 125, 137, 143}, "run": {0, 125}, "drift": {0, 1, 2}, "destroy": {0, 1, 5, 6}, "rm": {0, 1, 5}}


@pytest.mark.parametrize("network", ["none", "bridge"])
def test_32_commands_race_on_a_container_that_comes_and_goes(world, network):
    name = world.project
    assert len(commands(world, name)) == 32
    strangers = world.popen("/usr/bin/python3", "-c", STRANGERS, stdout=subprocess.PIPE, text=True)
    assert strangers.stdout.readline() == "up\n"
    wrong = []

    def run(words):
        if words[0] == "run":
            words = [*words[:2], "--network", network, *words[2:]]
        done = world.nucleus(*words, status=None, timeout=120)
        told = done.returncode == 0 or words[0] in ("exec", "drift") or re.search("^nucleus: ", done.stderr, re.M)
        if done.returncode not in CODES.get(words[0], {0, 1}) or not told or re.search("internal|corrupt|not closed", done.stderr):
            wrong.append(f"{' '.join(words)}: {done.returncode} {done.stdout} {done.stderr}")

    for _ in range(16):
        threads = [threading.Thread(target=run, args=[words]) for words in commands(world, name)]
        for thread in threads:
            thread.start()
        for thread in threads[:11] + threads[12:]:  # all but the one that waits, until there is nothing to wait for
            thread.join()
        world.nucleus("unpause", name, status=None)
        world.nucleus("rm", "-f", name, status=None)
        threads[11].join()
    world.run("pkill", "-TERM", "-o", "-f", "ns_last_pid")
    laps, _, hit = strangers.stdout.read().partition(" ")
    strangers.wait()
    assert int(laps) > 1, "no number was taken twice"
    assert hit.strip() == "[]", f"signals to strangers: {hit}"
    assert wrong == []
    assert world.json("ps", "--all")["services"] == []
    assert world.run("sqlite3", world.state / "applied.db", "pragma integrity_check").stdout == "ok\n"
    assert left(world) == []
    assert not [alias for alias in world.links() if name in alias]
