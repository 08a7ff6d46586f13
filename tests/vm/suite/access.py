"""Who may look: root's state is root's, and that of a group `nucleus` where an administrator has made one."""
import os
import pathlib
import stat

import guest

FILE = pathlib.Path("/opt/access.toml")  # where others may read it; /root is closed
GROUP = 990
SYSTEMS = {**os.environ, "NUCLEUS_STATE_DIR": "/var/lib/nucleus", "NUCLEUS_RUNTIME_DIR": "/run/nucleus"}


def modes():
    return {path: oct(stat.S_IMODE(os.stat(path).st_mode))
            for path in ("/var/lib/nucleus", "/var/lib/nucleus/applied.db", "/run/nucleus", "/run/nucleus/observed.db")}


def somebody(*arguments, group=65534, status=0):
    """nucleus as nobody but for one group, looking at root's directories."""
    return guest.run("setpriv", "--reuid", "65534", "--regid", "65534", "--groups", str(group), guest.NUCLEUS, *arguments,
                     status=status, env=SYSTEMS)


def test_without_the_group_they_are_roots_alone():
    FILE.write_text(f'[container]\nname = "one"\nrootfs = "{guest.minimal_rootfs()}"\nmemory = "32M"\n'
                    'command = ["/bin/sleep", "1000"]\n')
    guest.nucleus("apply", "-f", str(FILE))
    assert modes() == dict(zip(modes(), ("0o700", "0o600") * 2)), modes()
    for arguments in (("ps",), ("diff", "-f", str(FILE)), ("drift", "one"), ("history", "one")):
        refused = somebody(*arguments, status=1)
        assert "/var/lib/nucleus" in refused or "/run/nucleus" in refused, refused
        assert "create" not in refused, refused  # what it may not read is not taken for absent


def test_members_of_the_group_may_read_and_only_read():
    guest.run("groupadd", "--gid", str(GROUP), "nucleus")
    FILE.write_text(FILE.read_text().replace("32M", "40M"))
    guest.nucleus("apply", "-f", str(FILE))  # opens what it comes by
    assert modes() == dict(zip(modes(), ("0o750", "0o640") * 2)), modes()
    assert "one" in somebody("ps", group=GROUP)
    seen = somebody("diff", "-f", str(FILE), group=GROUP, status=None)
    assert "service.one" in seen or "nothing to do" in seen, seen
    assert "create" not in seen and "destroy" not in seen, seen
    for arguments in (("apply", "-f", str(FILE)), ("destroy", "one", "--yes")):
        somebody(*arguments, group=GROUP, status=1)
    somebody("ps", status=1)  # others still may not
    assert "one" in guest.nucleus("ps")
    guest.nucleus("destroy", "one", "--yes")
