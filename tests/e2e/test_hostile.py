"""What an image, a workload or another user of the machine tries on nucleus itself: on its terminal, its directories, its idea of users."""
import os
import shutil

import pytest
from world import wait_for


def image(world):
    """A root file system of one static program, new each time."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox on this machine")
    root = world.directory / f"image{len(list(world.directory.glob('image*')))}"
    for directory in ("bin", "etc", "proc", "dev", "sys", "tmp"):
        (root / directory).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    return root


def test_an_image_makes_nobody_root(world):
    root = image(world)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\napp:x:0:5::/:/bin/sh\nu:x:1000:42::/:/bin/sh\n")
    (root / "etc/group").write_text("staff:x:0:\n")
    text = f'name = "PROJECT"\n[services.a]\ntype = "job"\nrootfs = "{root}"\ncommand = ["/bin/busybox", "id"]\n'
    for keys in ('user = "app"', 'user = "1000"\ngroup = "staff"', 'user = "1000"\nadditional_groups = ["staff"]'):
        refused = world.apply(world.write(text + keys), status=1)
        assert "number 0, root's" in refused.stderr, refused.stderr
    world.apply(world.write(text + 'user = "1000"'))
    assert "uid=1000(u) gid=1000" in world.nucleus("logs", f"{world.project}/a").stdout


def test_a_root_is_looked_at_like_a_volume(world):
    text = 'name = "PROJECT"\n[services.a]\ntype = "job"\nrootfs = "ROOT"\ncommand = ["/bin/true"]\n'
    (world.directory / "link").symlink_to("/")
    for root, words in (("/", "whole machine"), ("/usr", "the machine's programs"), (world.directory / "link", "symbolic link"), (world.runtime, "containers are started from")):
        refused = world.apply(world.write(text.replace("ROOT", str(root))), status=1)
        assert words in refused.stderr, refused.stderr


def test_a_root_that_becomes_a_link_is_not_followed_at_the_next_start(world):
    root = image(world)
    path = world.write(f"""
name = "PROJECT"
[services.b]
rootfs = "{root}"
command = ["/bin/busybox", "sh", "-c", "sleep 1; wc -c /etc/shadow"]
restart = "always"
""")
    world.apply(path)
    root.rename(root.with_name("away"))
    root.symlink_to("/")
    wait_for("it was to be restarted", lambda: "ELOOP" in str(world.container("b")) or int(world.container("b")["restarts"]) >= 2)
    log = world.nucleus("logs", f"{world.project}/b").stdout
    assert not [line for line in log.splitlines() if line.strip().endswith("/etc/shadow") and line.split()[-2].isdigit()], log


def test_nothing_of_others_steers_the_terminal(world):
    path = world.write(r"""
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/sh", "-c", 'printf "x\233;31m\302\2332J\302\235y\033[2J\n"; exit 1']
""")
    failed = world.apply(path, status=None)
    shown = world.run("script", "-qec", f"nucleus logs {world.project}/a", "/dev/null").stdout
    assert "x\\x9b;31m" in shown, repr(shown)
    for text in (failed.stderr, failed.stdout, shown):
        assert "\x1b" not in text and "\x9b" not in text and "\x9d" not in text, repr(text)
    path = world.write('name = "PROJECT"\n[services.a]\nrootfs = "/nowhere\\u001b[2J\\u009b2J"\ncommand = ["/bin/true"]\n')
    refused = world.nucleus("validate", "-f", path, status=1)
    assert "\\x1b[2J\\xc2\\x9b2J" in refused.stderr and "\x1b" not in refused.stderr, repr(refused.stderr)


def test_directories_of_others_are_not_used(world):
    theirs = world.directory / "theirs"
    theirs.mkdir()
    theirs.chmod(0o777)
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "infinity"]\n')
    assert "others may write in it" in world.nucleus("apply", "-f", path, "--runtime-dir", theirs, status=1).stderr
    theirs.chmod(0o755)
    os.chown(theirs, 65534, 65534)
    assert "belongs to user 65534" in world.nucleus("apply", "-f", path, "--state-dir", theirs, status=1).stderr


def test_a_full_runtime_directory_does_not_keep_what_fills_it(world):
    world.run("mount", "-t", "tmpfs", "-o", "mode=0755,size=24M", "small", world.runtime)
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sh", "-c", "while :; do echo flood flood flood flood; done"]\n')
    world.apply(path)
    def full():
        usage = os.statvfs(f"/proc/{world.init}/root{world.runtime}")
        return usage.f_bavail == 0
    wait_for("it is full", full)
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()
