"""The Debian 13 guest's disk, kernel and initrd: made once per list of packages and kept in the cache."""
import contextlib
import fcntl
import hashlib
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SUITE = "trixie"
PACKAGES = """systemd systemd-sysv udev dbus iproute2 nftables libnftables1 procps python3 busybox-static curl kmod strace uidmap slirp4netns
docker.io docker-cli firewalld iptables criu postgresql
linux-image-cloud-amd64""".split()

# What a guest for tests has no use for and would pay for at every boot. Its devices are few and known: MODULES instead of a coldplug.
MASKED = """serial-getty@.service getty@.service console-getty.service apt-daily.timer apt-daily-upgrade.timer
dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service
systemd-firstboot.service modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service
sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount
proc-sys-fs-binfmt_misc.automount systemd-binfmt.service ldconfig.service systemd-hwdb-update.service
systemd-journal-catalog-update.service systemd-update-done.service systemd-udev-trigger.service systemd-udev-load-credentials.service
postgresql.service docker.service docker.socket containerd.service firewalld.service
systemd-pcrmachine.service systemd-tpm2-setup-early.service systemd-tpm2-setup.service systemd-hibernate-clear.service""".split()
MODULES = ["virtio_console", "virtio_net"]

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox insmod /virtio_blk.ko
/bin/busybox mount -t ext4 -o rw /dev/vda /new || exec /bin/busybox reboot -f
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /lib/systemd/systemd
"""

# The payload comes as a tar file on a second disk, so that the image of the system is the same for every run.
UNIT = """[Unit]
Description=The tests
After=multi-user.target
[Service]
ExecStartPre=/bin/sh -c 'test -d /opt/tests || { mkdir /opt/tests && tar -xf /dev/vdb -C /opt/tests; }'
ExecStart=/usr/bin/python3 -B /opt/tests/guest.py
Environment=HOME=/root TERM=dumb LANG=C.UTF-8
WorkingDirectory=/root
StandardOutput=journal+console
StandardError=journal+console
OOMPolicy=continue
TasksMax=infinity
"""


def cache_directory():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "nucleus"


def configure(root):
    units = root / "etc/systemd/system"
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / "tests.service").write_text(UNIT)
    (root / "etc/modules-load.d/guest.conf").write_text("\n".join(MODULES) + "\n")
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants/tests.service").symlink_to("../tests.service")
    # Without an id the boot would count as the first one, with all presets to be run.
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc/hostname").write_text("guest\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 guest\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)


def make(new, work):
    root, initrd = work / "root", work / "initrd"
    for directory in (new, root, *(initrd / name for name in ("bin", "dev", "new"))):
        directory.mkdir(parents=True)
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=" + ",".join(PACKAGES), *without,
                    SUITE, work / "system.tar"], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    subprocess.run(["tar", "-xf", work / "system.tar", "-C", root], check=True)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), new / "vmlinuz")
    shutil.copy(root / "usr/bin/busybox", initrd / "bin/busybox")
    module = next(root.glob("usr/lib/modules/*/kernel/drivers/block/virtio_blk.ko.xz"))
    (initrd / "virtio_blk.ko").write_bytes(lzma.decompress(module.read_bytes()))  # insmod takes it unpacked
    (initrd / "init").write_text(INIT)
    (initrd / "init").chmod(0o755)
    subprocess.run("find . | ./bin/busybox cpio -o -H newc | gzip -1 >" + str(new / "initrd.gz"), shell=True, cwd=initrd,
                   check=True, stderr=subprocess.DEVNULL)
    shutil.rmtree(root / "boot")
    configure(root)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "assume_storage_prezeroed=1", "-d", root, new / "disk.img", "4G"],
                   check=True)
    (new / "packages").write_text("\n".join(PACKAGES) + "\n")


def image():
    """The directory with disk.img, vmlinuz and initrd.gz; made first if there is none (about a minute)."""
    digest = hashlib.sha256("\n".join([SUITE, INIT, UNIT, *MODULES, *MASKED, *PACKAGES]).encode()).hexdigest()[:16]
    ready = cache_directory() / f"guest-{digest}"
    ready.parent.mkdir(parents=True, exist_ok=True)
    with open(ready.with_suffix(".lock"), "w") as lock, contextlib.ExitStack() as stack:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ready.parent)))
            make(work / "new", work)
            (work / "new").rename(ready)
    return ready
