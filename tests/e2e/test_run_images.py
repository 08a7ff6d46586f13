"""Images and directories that lead elsewhere, or change while they are looked at, as `nucleus run` is given them: nothing of the host is
reached, nothing hangs."""

import itertools
import os
import shutil
import subprocess

import posture
import pytest
from canary import SECRET
from sandbox import canary, flipping, image, nothing_left, run  # noqa: F401  # pylint: disable=unused-import

# pylint: disable=redefined-outer-name

# ---- what flips while it is looked at (CVE-2021-30465, 2024-45310, 2018-15664) ----


@pytest.mark.parametrize("place", ["data", "proc", "tmp", "etc", "dev"])
@pytest.mark.parametrize("to", ["CANARY", "/etc", "/proc/self/fd/7"])
def test_a_mount_target_that_flips(world, canary, image, place, to):
    (image / place).mkdir(exist_ok=True)
    (image / place / "inner").mkdir()
    (image / "link").symlink_to(to.replace("CANARY", str(canary.top)))
    (world.directory / "vol").mkdir()
    with flipping(image / place, image / "link"):
        for _ in range(4):
            done = run(world, "--rootfs", "image", "--volume", "./vol:/data/inner", "--", "/payload", status=None)
            if done.returncode == 0:
                assert [
                    line for line in posture.problems(done.stdout) if "is mounted at" not in line and "lacks" not in line
                ] == []
            else:
                assert done.returncode in (125, 127) and done.stdout == "", done
    assert os.listdir(world.directory / "vol") == []
    nothing_left(world)


@pytest.mark.parametrize("give", ["volume", "secret"])
def test_a_file_at_a_name_of_the_root_that_the_image_lacks(world, image, give):
    """Of the overlay that has the name, the file may have the number that the root has."""
    (world.directory / "given").write_text("given\n")
    for name in ("/c.py", "/key", "/zzz.txt", "/dir/c.py"):
        option = {"volume": f"./given:{name}:ro", "secret": f"./given:{name}"}[give]
        assert run(world, "--rootfs", "image", f"--{give}", option, "--", "/bin/cat", name).stdout == "given\n"
    two = run(world, "--rootfs", "image", "--volume", "./given:/a:ro", "--volume", "./given:/b:ro", "--secret", "./given:/c", "--", "/bin/cat", "/a", "/b", "/c")
    assert two.stdout == "given\n" * 3


@pytest.mark.parametrize("mode", ["copy", "bind"])
def test_a_context_that_flips(world, canary, image, mode):
    """Docker 2018-15664: a directory of the context is a link to the host's at the moment it is entered."""
    (world.directory / "ctx/at/inner").mkdir(parents=True)
    (world.directory / "ctx/at/secret").write_text("own\n")
    (world.directory / "ctx/link").symlink_to(canary.top)
    (world.directory / "ctx/file").write_text("own\n")
    (world.directory / "ctx/file2").symlink_to(canary.top / "secret")
    with flipping(world.directory / "ctx/at", world.directory / "ctx/link"), flipping(
        world.directory / "ctx/file", world.directory / "ctx/file2"
    ):
        for _ in range(25):
            done = run(
                world,
                "--rootfs",
                "image",
                "--context",
                "ctx",
                "--context-mode",
                mode,
                "--",
                "/bin/sh",
                "-c",
                "cat /context/*/secret /context/file*",
                status=None,
            )
            assert SECRET not in done.stdout, done
            assert done.returncode in (0, 1, 125), done


# ---- places of the image that are links or FIFOs (podman 2025-9566, 2024-9676; CVE-2025-31133, 52565, 52881) ----

PLACES = [
    "etc/passwd",
    "etc/group",
    "etc/hosts",
    "etc/resolv.conf",
    "etc/hostname",
    "etc/tls/key",
    "run/secrets/key",
    "dev/null",
    "dev/console",
    "dev/pts",
    "dev/ptmx",
    "proc/kcore",
    "proc/keys",
    "proc/self/attr/exec",
    "proc/sys",
    "sys/firmware",
    "sys/fs/cgroup",
    ".nucleus-rootfs-sha256",
]
FORMS = {
    "a link to the host's": lambda path, canary: path.symlink_to(canary.top / "secret"),
    "a link up and out": lambda path, canary: path.symlink_to("../../../../../../../.." + str(canary.top / "secret")),
    "a FIFO": lambda path, canary: os.mkfifo(path),
    "a link to the host's FIFO": lambda path, canary: path.symlink_to(canary.top / "fifo"),
    "a link to a device": lambda path, canary: path.symlink_to("/dev/zero"),
    "a device": lambda path, canary: os.mknod(path, 0o020666, os.makedev(1, 5)),
}


@pytest.mark.parametrize("form", FORMS)
def test_places_of_the_image_lead_nowhere(world, canary, image, form):
    for place in PLACES:
        path = image / place
        path.parent.mkdir(parents=True, exist_ok=True)
        FORMS[form](path, canary)
    (world.directory / "key").write_text("key\n")
    for user, secret in itertools.product((["--user", "1000"], ["--user", "name"], []), ("/etc/tls/key", "/run/secrets/key")):
        done = run(
            world,
            "--rootfs",
            "image",
            *user,
            "--secret",
            f"./key:{secret}",
            "--",
            "/bin/sh",
            "-c",
            f"/payload; cat {secret} /etc/hosts",
            status=None,
            timeout=30,
        )
        assert done.returncode in (0, 1, 125), done
        assert SECRET not in done.stdout + done.stderr
        if done.returncode != 125:
            uid = 1000 if user else 0
            assert posture.problems(done.stdout, uid, uid) == [] and "key\n" in done.stdout
    nothing_left(world)


@pytest.mark.parametrize(
    "what",
    [["-t", "tmpfs", "x"], ["-t", "proc", "x"], ["--bind", "canary"], ["--bind", "/"]],
    ids=["tmpfs", "proc", "the canary", "the host"],
)
def test_something_is_mounted_in_the_image(world, canary, image, what):
    """CVE-2019-16884, 2023-27561."""
    for place in ("proc", "sys", "dev", "etc", "run", "tmp"):
        (image / place).mkdir(exist_ok=True)
        world.run("mount", *what, image / place)
        words = f"/payload; cat /{place}/secret /{place}{canary.top}/secret 2>/dev/null"
        done = run(world, "--rootfs", "image", "--", "/bin/sh", "-c", words, status=None)
        world.run("umount", "-l", image / place)
        assert SECRET not in done.stdout, done
        assert done.returncode == 125 or posture.problems(done.stdout) == [], done


def test_nothing_of_the_image_is_loaded(world, canary, image):
    """Docker 2019-14271: names are looked up in the image's text files, and by none of its libraries."""
    source = world.directory / "nss.c"
    source.write_text(
        f'#include <fcntl.h>\n__attribute__((constructor)) void loaded(void) {{ open("{canary.top}/loaded", O_CREAT | O_RDWR, 0600); }}\n'
    )
    (image / "etc/nsswitch.conf").write_text("passwd: evil files\ngroup: evil files\nhosts: evil\n")
    (image / "etc/passwd").write_text("name:x:1000:1000::/:/bin/sh\n")
    (image / "lib/x86_64-linux-gnu").mkdir(parents=True)
    library = image / "lib/x86_64-linux-gnu/libnss_evil.so.2"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    for name in ("libnss_files.so.2", "libc.so.6"):
        shutil.copy(library, library.parent / name)
    (image / "etc/ld.so.preload").write_text("/lib/x86_64-linux-gnu/libnss_evil.so.2\n")
    assert posture.problems(run(world, "--rootfs", "image", "--user", "name", "--", "/payload").stdout, 1000, 1000) == []
    assert run(world, "--rootfs", "image", "--user", "other", "--", "/payload", status=125).stdout == ""


def test_a_user_of_the_image_is_not_root_in_disguise(world, canary, image):
    (image / "etc/passwd").write_text(
        "evil:x:0:0::/:/bin/sh\nlow:x:1000:0::/:/bin/sh\nhuge:x:4294967296:1::/:/bin/sh\nminus:x:-1:-1::/:/bin/sh\n"
    )
    (image / "etc/group").write_text("wheel:x:0:low\nminus:x:4294967295:\n")
    for options in (
        ["--user", "evil"],
        ["--user", "low"],
        ["--user", "huge"],
        ["--user", "minus"],
        ["--user", "1000", "--group", "wheel"],
        ["--user", "1000", "--additional-group", "wheel"],
        ["--user", "1000", "--group", "minus"],
    ):
        assert run(world, "--rootfs", "image", *options, "--", "/payload", status=125).stdout == ""
