"""`nucleus cp`: files into a container and out of it, and what a hostile container tries against that."""
import os

import pytest
from sandbox import canary, flipping, image  # noqa: F401 (fixtures)

SERVICE = """
name = "PROJECT"
[defaults]
service_mode = "agent"
[volumes.data]
volume_type = "ephemeral"
OWNER
[services.a]
rootfs = "IMAGE"
command = ["/bin/busybox", "sleep", "1000"]
volumes = ["data:/data"]
EXTRA
"""


@pytest.fixture
def start(world, image):  # noqa: F811
    def start(extra="", owner=""):
        world.apply(world.write(SERVICE.replace("IMAGE", str(image)).replace("EXTRA", extra).replace("OWNER", owner)))
    return start


def inside(world, script):
    return world.nucleus("exec", "a", "--", "/bin/busybox", "sh", "-c", script).stdout


def tree(top):
    return {str(path.relative_to(top)): (os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None, path.lstat().st_mode,
                                         int(path.lstat().st_mtime) if not path.is_symlink() else 0) for path in sorted(top.rglob("*"))}


def make_tree(top):
    (top / "sub/deeper").mkdir(parents=True)
    (top / "file").write_text("content\n" * 10000)
    (top / "file").chmod(0o640)
    (top / "sub/empty").write_text("")
    (top / "sub/program").write_text("#!/bin/sh\n")
    (top / "sub/program").chmod(0o755)
    (top / "link").symlink_to("sub/../../../etc/passwd")
    (top / "sub/deeper").chmod(0o700)
    os.utime(top / "file", (1_000_000_000, 1_000_000_000))
    os.utime(top / "sub", (1_100_000_000, 1_100_000_000))


@pytest.mark.parametrize("extra", ["", 'user = "1000"\ngroup = "1001"', 'userns = "auto"'])
def test_a_tree_goes_in_and_comes_out_as_it_was(world, start, extra):
    start(extra, 'owner = "1000:1001"' if "user =" in extra else "")
    make_tree(world.directory / "tree")
    world.nucleus("cp", world.directory / "tree", "a:/data")
    ids = "1000 1001" if "user =" in extra else "0 0"
    assert inside(world, "stat -c '%u %g' /data/tree /data/tree/file /data/tree/sub/deeper").split("\n")[:3] == [ids] * 3
    world.nucleus("cp", f"{world.project}/a:/data/tree", world.directory / "back")
    assert tree(world.directory / "back") == tree(world.directory / "tree")
    assert {path.lstat().st_uid for path in (world.directory / "back").rglob("*")} == {0}


def test_where_it_goes(world, start):
    start()
    one = world.directory / "one"
    one.write_text("1\n")
    world.nucleus("cp", one, "a:/data")
    world.nucleus("cp", one, "a:/data/two")
    world.nucleus("cp", "a:/data/two", world.directory)
    assert inside(world, "cat /data/one /data/two") == "1\n1\n" and (world.directory / "two").read_text() == "1\n"
    one.write_text("another\n")
    world.nucleus("cp", one, "a:/data/two")
    assert inside(world, "cat /data/two") == "another\n"
    world.nucleus("cp", "one", "a:/data/three", cwd=world.directory)
    assert inside(world, "ls -A /data").split() == ["one", "three", "two"], "no temporary is left"


def test_what_is_wrong_is_said(world, start):
    start()
    one = world.directory / "one"
    one.write_text("1\n")
    for words, status, text in ((("a:/x", "a:/y"), 64, "in a container"), ((one, one), 64, "in a container"), (("nobody:/x", one), 1, "no such"),
                                (("a:/no/such", one), 1, "No such file"), ((world.directory / "none", "a:/data"), 1, "No such file"),
                                ((one, "a:/no/such/directory"), 1, "No such file"), ((one, "a:/bin/file"), 1, "Read-only"),
                                (("a:/", world.directory), 1, "no name"), (("a:/data/..", world.directory), 1, "no name"),
                                (("a:/dev/null", world.directory / "null"), 1, "neither"), (("a:/proc/version", world.directory), 1, "neither"),
                                ((one, "a:/proc/sys/kernel/hostname"), 1, "")):
        said = world.nucleus("cp", *words, status=status).stderr
        assert text in said, f"{words}: {said}"
    assert not (world.directory / "version").exists()
    world.nucleus("pause", "a")
    assert "is paused" in world.nucleus("cp", one, "a:/data", status=1).stderr


def test_links_of_the_container_lead_nowhere_else(world, start, canary):  # noqa: F811
    start()
    (world.directory / "outside").mkdir()
    (world.directory / "outside/secret").write_text("the host's\n")
    outside = world.directory / "outside"
    inside(world, f"ln -s {outside} /data/out; ln -s {outside}/secret /data/secret; ln -s ../../../../../../..{outside} /data/up; ln -s /proc/1/root /data/magic;"
                  "mkfifo /data/fifo; mkdir /data/in; ln -s /data/in /data/good; echo mine > /data/in/file")
    one = world.directory / "one"
    one.write_text("hostile?\n")
    for into in ("out", "up", "out/x", "magic/x", "secret/x"):
        world.nucleus("cp", one, f"a:/data/{into}", status=None)
    for out in ("out/secret", "up/secret", "magic/etc/passwd"):
        world.nucleus("cp", f"a:/data/{out}", world.directory / "got", status=1)
    assert [path.name for path in outside.iterdir()] == ["secret"] and (outside / "secret").read_text() == "the host's\n"
    world.nucleus("cp", "a:/data/good/file", world.directory / "got")
    assert (world.directory / "got").read_text() == "mine\n"
    # A link itself is copied as one; where one was named nothing is replaced, and nothing written through it.
    world.nucleus("cp", "a:/data/secret", world.directory / "link")
    assert os.readlink(world.directory / "link") == f"{outside}/secret"
    world.nucleus("cp", one, "a:/data/in/new")
    inside(world, f"ln -sf {outside}/secret /data/in/new")
    assert "it is a link" in world.nucleus("cp", one, "a:/data/in/new", status=1).stderr
    assert (outside / "secret").read_text() == "the host's\n" and inside(world, "readlink /data/in/new") == f"{outside}/secret\n"
    # A FIFO holds nobody up.
    said = world.nucleus("cp", "a:/data", world.directory / "all")
    assert "1 left out" in said.stderr and not (world.directory / "all/fifo").exists()
    # What was written here does not lead anywhere either: links are only made.
    world.nucleus("cp", "a:/data", world.directory / "all", status=None)
    assert (outside / "secret").read_text() == "the host's\n"
    world.nucleus("destroy", world.project, "--yes")


def test_what_the_machine_has_of_other_kinds_is_not_replaced(world, start):
    start()
    inside(world, "echo x > /data/file; mkdir /data/tree; echo x > /data/tree/fifo; ln -s file /data/link")
    world.run("mknod", world.directory / "null", "c", "1", "3")
    os.mkfifo(world.directory / "fifo")
    (world.directory / "link").symlink_to("file")
    (world.directory / "file").write_text("the host's\n")
    (world.directory / "all/tree").mkdir(parents=True)
    os.mkfifo(world.directory / "all/tree/fifo")
    for out, name, kind in (("file", "null", "a device"), ("file", "fifo", "a device"), ("file", "link", "a link"), ("link", "null", "a device"), ("tree", "all", "a device")):
        before = os.lstat(world.directory / name).st_ino
        said = world.nucleus("cp", f"a:/data/{out}", world.directory / name, status=1).stderr
        assert f"it is {kind}" in said and os.lstat(world.directory / name).st_ino == before, said
    assert (world.directory / "file").read_text() == "the host's\n" and (world.directory / "all/tree/fifo").is_fifo()


def test_names_that_change_while_it_copies(world, start, canary):  # noqa: F811
    """Docker 2018-15664: a directory and a link to the host change places, over and over."""
    start()
    outside = world.directory / "outside"
    outside.mkdir()
    (outside / "file").write_text("the host's\n")
    one = world.directory / "file"
    one.write_text("new\n")
    inside(world, f"mkdir /data/d; echo mine > /data/d/file; ln -s {outside} /data/l")
    data = f"/proc/{world.init}/root/proc/{world.pid('a')}/root/data"
    with flipping(f"{data}/d", f"{data}/l"):
        for number in range(150):
            world.nucleus("cp", one, "a:/data/d", status=None)
            got = world.directory / f"got{number}"
            world.nucleus("cp", "a:/data/d/file", got, status=None)
            assert not got.exists() or got.read_text() in ("mine\n", "new\n")
    assert (outside / "file").read_text() == "the host's\n" and len(list(outside.iterdir())) == 1
    world.nucleus("destroy", world.project, "--yes")


def test_set_user_id_does_not_come_along(world, start):
    start()
    inside(world, "cp /bin/busybox /data/su; chmod 6755 /data/su")
    world.nucleus("cp", "a:/data/su", world.directory / "su")
    assert (world.directory / "su").stat().st_mode & 0o7777 == 0o755
