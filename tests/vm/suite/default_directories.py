"""What a machine's administrator finds where nobody has named a directory."""
import pathlib
import stat

import guest


def test_state_and_runtime_directories_are_roots_alone():
    rootfs = guest.minimal_rootfs()
    pathlib.Path("/root/one.toml").write_text(
        f'[container]\nname = "one"\nrootfs = "{rootfs}"\nmemory = "32M"\ncommand = ["/bin/sleep", "1000"]\n')
    guest.nucleus("apply", "-f", "/root/one.toml")
    for path in ("/var/lib/nucleus", "/run/nucleus"):
        assert stat.S_IMODE(pathlib.Path(path).stat().st_mode) == 0o700, path
    refused = guest.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", guest.NUCLEUS, "ps", status=1)
    assert "/var/lib/nucleus" in refused or "/run/nucleus" in refused, refused
    guest.nucleus("destroy", "one", "--yes")
