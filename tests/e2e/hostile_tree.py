"""Directory trees that somebody made who means ill, each by its number: the same number is the same tree."""

import os
import random
import shutil
import stat

NAMES = [
    b"new\nline",
    b"n" * 255,
    b"\xff\xfe not utf-8 \x80",
    b"-rf",
    b"--",
    b"%s%n%99999d",
    b"back\\slash\\",
    b" ",
    b"quo'te\"`id`",
    b"\x1b[2J\x1b]0;owned\x07",
    b"...",
    b"*",
    b"$(reboot)",
    "\u202egnp.sh".encode(),
    b"a=b,c:d",
    b"#",
    b"\x01\x7f",
    b"con\ttab",
    b".nucleus-rootfs-sha256",
    b".git",
    b".env",
    b"id_rsa",
]
# Where the runtime looks, mounts or writes.
PLACES = """proc sys dev etc run tmp var var/tmp context data data/inner usr lib lib64 bin root home dev/null dev/zero dev/pts dev/pts/ptmx dev/shm dev/mqueue dev/console
dev/fd dev/stdin dev/ptmx dev/tty etc/hosts etc/resolv.conf etc/hostname etc/passwd etc/group etc/nsswitch.conf etc/ld.so.preload etc/ld.so.cache etc/tls etc/tls/key
run/secrets run/secrets/key proc/self proc/sys proc/kcore proc/keys proc/bus proc/self/attr sys/fs sys/fs/cgroup sys/firmware tmp/x .nucleus-rootfs-sha256 .dockerenv""".split()
LINKS = [
    "CANARY",
    "CANARY/secret",
    "CANARY/inner",
    "CANARY/fifo",
    "/",
    "..",
    "../../../../../../../..",
    ".",
    "/proc/self/root",
    "/proc/self/fd/3",
    "/proc/self/fd/7",
    "/proc/self/exe",
    "/proc/1/root",
    "/proc/1/cwd",
    "/proc/self/cwd",
    "/proc/self/ns/mnt",
    "/dev/zero",
    "/dev/tty",
    "/dev/null",
    "/no/such",
    "tmp",
    "/tmp",
    "/etc",
    "/run",
    "/sys",
    "/proc",
    "/dev",
    "loop",
    "/loop",
    "chain0",
    "x" * 4000,
    "/" * 500,
    "a/" * 400,
    "new\nline",
    "/proc/self/attr/current",
    "/proc/sys/kernel/core_pattern",
]
PASSWDS = [
    b"",
    b"\0" * 4096,
    b"evil:x:0:0::/:/bin/sh\n",
    b"evil:x:1000:0::/:/bin/sh\n",
    b"evil:x:4294967295:4294967296::/:\n",
    b"evil:x:-1:-1::/:\n",
    b"evil:x:1000:1000:%s%n:" + b"/" * 100000 + b":/bin/sh\n",
    b":" * 50000 + b"\n",
    b"evil:x:1000:1000::/\x1b[2J:/\n",
    b"+::::::\n",
    b"evil" * 100000,
    b"root:x:1000:1000::/:\nevil:x:1000:1000::/home:/bin/sh\n",
    b"evil\n" * 40000,
    b"\xff\xfe\n" * 100,
]
DEVICES = [
    (stat.S_IFCHR, 1, 3),
    (stat.S_IFCHR, 1, 5),
    (stat.S_IFCHR, 5, 1),
    (stat.S_IFCHR, 5, 0),
    (stat.S_IFCHR, 1, 11),
    (stat.S_IFBLK, 7, 0),
    (stat.S_IFCHR, 0, 0),
]
DEEP = 120  # of names this long: beyond the longest path


class Tree:
    def __init__(self, seed, directory, payload, canary, calm=False):
        self.random = random.Random(seed)
        self.top = os.fsencode(directory)
        self.canary = str(canary)
        self.mounts = []  # what has to be mounted in it: options of mount(8)
        os.mkdir(self.top)
        self.standard = True
        for place in self.random.sample(PLACES, self.random.randint(0, 4 if calm else 12)):
            self._put(place)
        for _ in range(self.random.randint(0, 8)):
            self._put(self.random.choice(NAMES))
        if self.random.random() < 0.1:
            self._deep()
        if self.random.random() < 0.06:
            self._many()
        if self.random.random() < 0.3:
            self._chain()
        for name in ("loop", "loop2"):
            if self.random.random() < 0.3 and not os.path.lexists(self._path(name)):
                os.symlink("loop2" if name == "loop" else "loop", self._path(name))
        self._program(payload)
        if not calm and self.random.random() < 0.15:
            self._mount()

    def _path(self, name):
        return os.path.join(self.top, os.fsencode(name))

    def _parent(self, path):
        """Whether there is a real directory above it, within the tree; made where nothing is."""
        parent = os.path.dirname(path)
        if len(parent) <= len(self.top):
            return True
        if not os.path.lexists(parent):
            return self._parent(parent) and (os.mkdir(parent) or True)
        return stat.S_ISDIR(os.lstat(parent).st_mode) and self._parent(parent)

    def _put(self, place):
        path = self._path(place)
        if not self._parent(path) or os.path.lexists(path):
            return
        form = self.random.choice(
            [
                self._directory,
                self._file,
                self._link,
                self._link,
                self._link,
                self._fifo,
                self._socket,
                self._device,
                self._accounts,
            ]
        )
        form(path)

    def _directory(self, path):
        os.mkdir(path)
        for _ in range(self.random.randint(0, 3)):
            inner = os.path.join(path, self.random.choice(NAMES))
            if not os.path.lexists(inner):
                self.random.choice([self._file, self._link, self._fifo, os.mkdir])(inner)
        os.chmod(path, self.random.choice([0o755, 0o755, 0o000, 0o1777, 0o2755, 0o6755]))
        os.chown(path, self.random.choice([0, 0, 1000, 4294967294]), 0)

    def _file(self, path):
        with open(path, "wb") as file:
            file.write(self.random.randbytes(self.random.choice([0, 1, 100, 70000])))
            if self.random.random() < 0.1:
                file.truncate(1 << 22)  # of holes
        os.chown(path, self.random.choice([0, 0, 1000]), self.random.choice([0, 1000]))
        os.chmod(path, self.random.choice([0o644, 0o000, 0o4755, 0o2755, 0o6777, 0o1644]))

    def _accounts(self, path):
        with open(path, "wb") as file:
            file.write(self.random.choice(PASSWDS))

    def _link(self, path):
        os.symlink(self.random.choice(LINKS).replace("CANARY", self.canary), path)

    def _fifo(self, path):
        os.mkfifo(path)

    def _socket(self, path):
        os.mknod(path, stat.S_IFSOCK | 0o755)

    def _device(self, path):
        kind, major, minor = self.random.choice(DEVICES)
        os.mknod(path, kind | 0o666, os.makedev(major, minor))

    def _deep(self):
        at = os.open(self.top, os.O_RDONLY)
        for level in range(DEEP):
            name = b"%03d" % level + b"d" * 60
            os.mkdir(name, dir_fd=at)
            below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=at))
        os.close(at)

    def _many(self):
        path = self._path("many")
        if os.path.lexists(path):
            return
        os.mkdir(path)
        for number in range(2000):
            os.close(os.open(path + b"/%d" % number, os.O_CREAT | os.O_WRONLY))

    def _chain(self):
        length = self.random.choice([5, 39, 41, 100])
        for number in range(length):
            if not os.path.lexists(self._path(f"chain{number}")):
                os.symlink(f"chain{number + 1}", self._path(f"chain{number}"))
        if not os.path.lexists(self._path(f"chain{length}")):
            os.symlink(self.random.choice(LINKS[:8]).replace("CANARY", self.canary), self._path(f"chain{length}"))

    def _program(self, payload):
        """What is to be run: mostly what tells of its sandbox, at times something else."""
        path, what = self._path("payload"), self.random.random()
        self.honest = what < 0.8
        if self.honest:
            shutil.copy(payload, path)
            os.chmod(path, self.random.choice([0o755, 0o755, 0o4755, 0o6755, 0o2755]))
            os.chown(path, *self.random.choice([(0, 0), (0, 0), (1000, 1000)]))
            os.chmod(path, os.lstat(path).st_mode & 0o7777)
        elif what < 0.9:
            with open(path, "wb") as file:
                file.write(
                    self.random.choice(
                        [
                            b"",
                            b"#!/proc/self/exe\n",
                            b"#!/payload\n",
                            b"#!/proc/1/exe run -- /payload\n",
                            b"#!" + b"a" * 5000 + b"\n",
                            b"\x7fELF",
                            b"#!\n",
                            b"#!/dev/zero\n",
                            b"no script\n",
                            b"#!/proc/self/fd/0\n",
                            open(payload, "rb").read()[:4096],
                        ]
                    )
                )
            os.chmod(path, 0o755)
        else:
            self.random.choice([self._link, self._fifo, self._device, os.mkdir])(path)

    def _mount(self):
        place = self.random.choice(PLACES)
        path = self._path(place)
        if not self._parent(path) or os.path.islink(path):
            return
        if not os.path.lexists(path):
            os.mkdir(path)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            self.mounts.append(
                self.random.choice(
                    [
                        ["-t", "tmpfs", "hostile", path],
                        ["-t", "proc", "hostile", path],
                        ["--bind", self.canary, path],
                        ["-t", "sysfs", "hostile", path],
                        ["--bind", "/dev", path],
                        ["-t", "mqueue", "hostile", path],
                    ]
                )
            )

    def state(self):
        """Of everything in it what a runtime has no business to change. By descriptors, since paths may be too long."""
        found = []

        def walk(at, depth):
            for name in sorted(os.listdir(at)):
                st = os.stat(name, dir_fd=at, follow_symlinks=False)
                found.append((depth, name, st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_nlink))
                if stat.S_ISDIR(st.st_mode):
                    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                    walk(below, depth + 1)
                    os.close(below)

        top = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        walk(top, 0)
        os.close(top)
        return found

    def change(self):
        """One change that an attested tree must not have, told; None where there was nothing to be changed."""
        files = [
            entry.path
            for entry in os.scandir(self.top)
            if entry.is_file(follow_symlinks=False) and entry.name != b".nucleus-rootfs-sha256"
        ]
        links = [entry.path for entry in os.scandir(self.top) if entry.is_symlink() and entry.name != b".nucleus-rootfs-sha256"]
        ways = (
            ["new file", "new link", "new directory"]
            + (["byte", "gone", "mode"] if files else [])
            + (["other target"] if links else [])
        )
        way = self.random.choice(ways)
        if way == "new file":
            os.close(os.open(self._path("zz-added"), os.O_CREAT | os.O_WRONLY))
        elif way == "new link":
            os.symlink(self.random.choice(LINKS[:10]), self._path("zz-added"))
        elif way == "new directory":
            os.mkdir(self._path("zz-added"))
        elif way == "byte":
            path = self.random.choice(files)
            with open(path, "ab") as file:
                file.write(b"x")
        elif way == "gone":
            os.unlink(self.random.choice(files))
        elif way == "mode":
            path = self.random.choice(files)
            os.chmod(path, os.lstat(path).st_mode & 0o7777 ^ 0o011)
        else:
            path = self.random.choice(links)
            os.unlink(path)
            os.symlink("zz-other", path)
        return way
