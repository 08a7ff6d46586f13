#!/usr/bin/env python3
"""Gives `nucleus run` trees that somebody made who means ill: as root file system, as context, and as one that is sealed and attested.
Nothing of the host changes, nothing hangs, nothing is left; a workload that runs is held by all it should be, and one that does not is
told in one message. Each tree is made of its number, which is printed where something is wrong: --seed with it makes the same again.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import posture  # noqa: E402
from canary import SECRET, Canary  # noqa: E402
from hostile_tree import Tree  # noqa: E402
from world import NUCLEUS, World, cgroup_root  # noqa: E402

PATIENCE = 60  # seconds; the machine may be slow, what hangs does so for good
WORKDIRS = [
    "/",
    "/tmp",
    "/data",
    "/loop",
    "/chain0",
    "/proc/self/fd/3",
    "/proc/self/cwd",
    "/etc",
    "/context",
    "/proc/self/root",
    "/" + "n" * 255,
]
TARGETS = ["/data", "/data/inner", "/tmp/x", "/etc/tls", "/chain0", "/loop/a", "/run/x", "/context/x", "/usr/inner"]
SECRETS = ["/run/secrets/key", "/etc/tls/key", "/etc/passwd", "/data/key", "/chain0/key", "/tmp/x"]
# Of a context: no content of the host, and no special file but the null device that covers what is left out of a bound one.
SEARCH = f"find /context -type f -exec grep -ls {SECRET} {{}} +; find /context -type p -o -type s -o -type b; find /context -type c -exec stat -c %t:%T {{}} + | grep -v ^1:3; echo searched"


def kind_of(seed):
    return random.Random(f"kind {seed}").choice(["rootfs", "rootfs", "rootfs", "context", "attested"])


class Trial:
    """One world, for one tree after the other."""

    def __init__(self, directory):
        self.world = World(pathlib.Path(directory))
        top = self.world.directory
        self.canary = Canary(self.world, top / "canary", [NUCLEUS])
        (top / "volume").mkdir()
        (top / "key").write_text("key\n")
        (top / "clean/bin").mkdir(parents=True)
        shutil.copy("/usr/bin/busybox", top / "clean/bin/busybox")
        for name in ("grep", "find", "stat"):
            (top / "clean/bin" / name).symlink_to("busybox")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.left = self.world.close()

    def one(self, seed):
        """Kind and end of it, and what is wrong, as lines."""
        kind, chance = kind_of(seed), random.Random(f"trial {seed}")
        self.tree = Tree(seed, self.world.directory / f"tree{seed}", posture.program(), self.canary.top, calm=kind != "rootfs")
        self.wrong = []
        for options in self.tree.mounts:
            if self.world.run("mount", *map(os.fsdecode, options), status=None).returncode != 0:
                self.tree.mounts.remove(options)
        try:
            end = getattr(self, kind)(f"h{seed}", chance)
        finally:
            for options in self.tree.mounts:
                self.world.run("umount", "-l", os.fsdecode(options[-1]))
        self._nothing_else(f"h{seed}")
        self._remove()
        return kind, end, self.wrong

    # ---- what a tree is used as ----

    def rootfs(self, name, chance):
        before = self.tree.state() if not self.tree.mounts else None
        options, uid, gid = self._options(chance)
        end = self._run(name, "--rootfs", f"tree{name[1:]}", *options, "--", "/payload", uid=uid, gid=gid)
        if before is not None and self.tree.state() != before:
            self.wrong.append("the image was changed")
        return end

    def context(self, name, chance):
        before = self.tree.state()
        mode = chance.choice([["copy"], ["copy", "--verify-context-integrity"], ["bind"]])
        done = self._nucleus(
            "run",
            "--name",
            self.world.name(name),
            "--rootfs",
            "clean",
            "--context",
            f"tree{name[1:]}",
            "--context-mode",
            *mode,
            "--",
            "/bin/busybox",
            "sh",
            "-c",
            SEARCH,
        )
        if done.returncode == 0:
            if done.stdout != "searched\n":
                self.wrong.append(f"in the context: {done.stdout[:500]!r}")
        else:
            self._refusal(done)
        if self.tree.state() != before:
            self.wrong.append("the context was changed")
        return f"{mode[0]} {done.returncode}"

    def attested(self, name, chance):
        tree = f"tree{name[1:]}"
        sealed = self._nucleus("rootfs", "seal", tree, *chance.choice([[], ["--plain"]]))
        if sealed.returncode != 0:
            self._refusal(sealed, "rootfs seal", (1,))
            if self._nucleus("rootfs", "verify", tree).returncode == 0:
                self.wrong.append("what could not be sealed is verified")
            return "not sealed"
        if (verified := self._nucleus("rootfs", "verify", tree)).returncode != 0:
            self.wrong.append(f"sealed, and not verified: {verified.stderr}")
        options = ["--rootfs", tree, "--verify-rootfs-attestation"]
        end = self._run(name, *options, "--", "/payload")
        full = os.path.exists(self.tree.top + b"/.nucleus-rootfs-sha256") and b"manifest 2" in open(
            self.tree.top + b"/.nucleus-rootfs-sha256", "rb"
        ).read(64)
        way = self.tree.change()
        if way in ("new link", "new directory", "other target", "mode") and not full:
            return end  # a plain manifest is about contents of files
        if self._nucleus("rootfs", "verify", tree).returncode == 0:
            self.wrong.append(f"verified after {way}")
        changed = self._nucleus("run", "--name", self.world.name(name), *options, "--", "/payload")
        if changed.returncode != 125:
            self.wrong.append(f"attested after {way}: {changed.returncode} {changed.stderr}")
        return end

    # ---- how ----

    def _options(self, chance):
        options, uid, gid = [], 0, 0
        user = chance.random()
        if user < 0.3:
            options += ["--user", "1000", "--group", "1001"]
            uid, gid = 1000, 1001
        elif user < 0.4:
            options += ["--user", "evil"]
            uid = gid = 1000  # what the accounts say of it, where they are to be believed
        for chosen, more in [
            (0.3, ["--init"]),
            (0.4, ["--volume", "./volume:" + chance.choice(TARGETS)]),
            (0.3, ["--workdir", chance.choice(WORKDIRS)]),
            (0.3, ["--secret", "./key:" + chance.choice(SECRETS)]),
            (0.15, ["--tmpfs", chance.choice(TARGETS)]),
            (0.15, ["--context", "clean"]),
        ]:
            if chance.random() < chosen:
                options += more
        return options, uid, gid

    def _nucleus(self, *arguments):
        process = self.world.popen(NUCLEUS, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.wrong.append(f"{arguments}: it hangs")
        try:
            err.decode()
        except UnicodeDecodeError:
            if process.returncode != 0:  # otherwise it is the workload's
                self.wrong.append(f"not UTF-8: {err!r}")
        return subprocess.CompletedProcess(
            arguments, process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )

    def _run(self, name, *arguments, uid=0, gid=0):
        done = self._nucleus("run", "--name", self.world.name(name), *arguments)
        if done.returncode == 0 and self.tree.honest:
            self.wrong += posture.problems(done.stdout, uid, gid)
            if done.stderr:
                self.wrong.append(f"it says: {done.stderr}")
        elif self.tree.honest or done.returncode not in (
            128 + signal.SIGSEGV,
            128 + signal.SIGBUS,
        ):  # half a program begins, and ends so
            self._refusal(done)
        return done.returncode

    def _refusal(self, done, command="run", codes=(125, 126, 127)):
        lines = done.stderr.splitlines()
        if done.returncode not in codes:
            self.wrong.append(f"exit code {done.returncode}: {done.stderr}")
        if done.stdout:
            self.wrong.append(f"it was refused, and yet: {done.stdout[:300]!r}")
        # Problems of the command line are a line each, and counted.
        told = [
            line for line in lines if not line.startswith("  hint: ") and not (line.startswith("--") and "problem" in lines[-1])
        ]
        if len(told) != 1 or not told[0].startswith(f"nucleus: {command}: "):
            self.wrong.append(f"not one message: {done.stderr!r}")
        if any(ord(character) < 32 or 127 <= ord(character) < 160 for line in done.stderr.split("\n") for character in line):
            self.wrong.append(f"not for a terminal: {done.stderr!r}")
        if len(done.stderr) > 20000:
            self.wrong.append(f"a message of {len(done.stderr)} characters")

    # ---- afterwards ----

    def _nothing_else(self, name):
        files = [str(path) for path in pathlib.Path(f"/proc/{self.world.init}/root{self.world.runtime}").glob("projects/**/*")]
        if files:
            self.wrong.append(f"left: {files}")
        if cgroup_root() and (group := cgroup_root() / f"nucleus/_/container.{self.world.name(name)}").exists():
            self.wrong.append(f"left: {group}")
        now = self.canary.state()
        for before, after in zip(self.canary.before, now):
            if before != after:
                self.wrong.append(f"the host: {before}\nnow: {after}")
        self.canary.before = now
        if written := os.listdir(self.world.directory / "volume"):
            self.wrong.append(f"in the volume: {written}")

    def _remove(self):
        shutil.rmtree(self.tree.top)


def tried(seeds, report):
    """Tries them in worlds that are made anew from time to time: how many came to each end, and how many had something wrong."""
    ends, bad = collections.Counter(), 0
    for start in range(0, len(seeds), 50):
        with tempfile.TemporaryDirectory(prefix="nucleus-hostile-") as directory, Trial(directory) as trial:
            for seed in seeds[start : start + 50]:
                kind, end, wrong = trial.one(seed)
                ends[f"{kind} {end}"] += 1
                bad += bool(wrong)
                for line in wrong:
                    report(f"tree {seed} ({kind}): {line}")
    return ends, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="the number of the first (default: 1)")
    options = parser.parse_args()
    ends, bad = tried(range(options.seed, options.seed + options.trees), lambda line: print(line, flush=True))
    for end, count in sorted(ends.items()):
        print(f"{count:6} {end}")
    print(f"{options.trees} trees, {bad} with something wrong")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
