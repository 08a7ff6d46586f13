"""What a kernel may lack, made to lack it by strace: refused by default, told where it is allowed to go on without."""
import shutil

import pytest
from world import NUCLEUS

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def lacking(world, inject, *options, status=0, command=("sh", "-c", "echo ran")):
    return world.run("strace", "-f", "-qq", "-o", "/dev/null", *[word for call in inject for word in ("-e", f"inject={call}")],
                     "-e", "trace=" + ",".join(call.split(":")[0] for call in inject), NUCLEUS, "run", *options, "--", *command,
                     status=status)


@pytest.mark.parametrize("inject, flag, words", [
    ("pivot_root:error=EINVAL", "--allow-chroot-fallback", "its root is a chroot"),
    ("landlock_create_ruleset:error=EOPNOTSUPP", "--allow-degraded-security", "Landlock: this kernel has none"),
    ("seccomp:error=ENOSYS", "--allow-degraded-security", "seccomp: this kernel has no filters"),
])
def test_it_is_fatal_unless_allowed(world, rootfs, inject, flag, words):
    done = lacking(world, [inject], status=125)
    assert "ran" not in done.stdout
    done = lacking(world, [inject], flag)
    assert done.stdout == "ran\n" and words in done.stderr and done.stderr.count("\n") == 1
    other = {"--allow-chroot-fallback": "--allow-degraded-security"}.get(flag, "--allow-chroot-fallback")
    assert "ran" not in lacking(world, [inject], other, status=125).stdout


def test_a_chroot_is_no_way_out(world):
    script = "ls -d /../bin; cd /..; pwd; ls -di /; ls -di /..; ls /proc/1/root/usr >/dev/null && echo root"
    done = lacking(world, ["pivot_root:error=EINVAL"], "--allow-chroot-fallback", command=("sh", "-c", script))
    lines = done.stdout.split()
    assert lines[1] == "/" and lines[2] == lines[4]

