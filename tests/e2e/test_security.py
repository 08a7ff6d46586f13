"""The tries of hostile workloads that a service of a topology can make. Each runs as a job in the default sandbox, in a world of its own;
what the world has and its canary tree, mounted nowhere, have to stay as they were."""
import os
import pathlib
import subprocess

import posture
import pytest
import tries
from canary import Canary
from sandbox import flipping, image, production  # noqa: F401 (image: a fixture)
from world import NUCLEUS, wait_for

# pylint: disable=redefined-outer-name

@pytest.fixture
def canary(world):
    canary = Canary(world, world.directory / "canary", [NUCLEUS, pathlib.Path(NUCLEUS).with_name("nucleus-supervisor")])
    yield canary
    world.nucleus("destroy", world.project, "--yes", status=None)  # what it had mounted for its services is gone then
    canary.check()


@pytest.mark.parametrize("harm", [
    "chmod 4777 canary/file", "chmod 777 canary", "chown 7 canary/inner/deep", "ln canary/secret other", "touch canary/inner/new", "echo >> canary/file",
    "hostname owned", "mount -t tmpfs x /mnt", "mount --bind /etc/hostname /etc/hosts", "sysctl -qw net.ipv4.ping_group_range='0 77'",
    "mount -t tmpfs x /dev"])
def test_the_canary_sees_what_is_done_to_the_world(world, harm):
    canary = Canary(world, world.directory / "canary")
    canary.check()
    world.run("sh", "-c", harm)
    with pytest.raises(AssertionError):
        canary.check()


# ---- tries ----


def attempt(world, rootfs, script, canary, more=""):
    (world.directory / "try.py").write_text(tries.script(script, canary.top / "file"))
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/usr/bin/python3", "/tmp-try/try.py"]
volumes = ["{world.directory}/try.py:/tmp-try/try.py:ro"]
{more}
""")
    world.apply(path, "--timeout", "60s")


@pytest.mark.parametrize("name", tries.TRIES)
def test_a_try_is_refused(world, rootfs, canary, name):
    attempt(world, rootfs, tries.TRIES[name], canary)


def test_no_gid_0_for_a_plain_user(world, rootfs, canary):
    attempt(world, rootfs, "assert os.getuid() == 1 and os.getgid() != 0 and 0 not in os.getgroups(), (os.getgid(), os.getgroups())",
            canary, 'user = "1"\n')


def test_declared_groups_are_the_groups(world, rootfs, canary):
    attempt(world, rootfs, "assert sorted(os.getgroups()) == [33, 70], os.getgroups()", canary,
            'user = "nobody"\ngroup = "nogroup"\nadditional_groups = ["33", "70"]\n')


@pytest.mark.parametrize("name, make", {
    "passwd is a link to the host's": lambda root, host: (root / "etc/passwd").symlink_to(host),
    "hosts is a link to the host's": lambda root, host: (root / "etc/hosts").symlink_to(host),
    "resolv.conf is a FIFO": lambda root, host: os.mkfifo(root / "etc/resolv.conf"),
    "passwd is a FIFO": lambda root, host: os.mkfifo(root / "etc/passwd"),
    "proc is a link": lambda root, host: (root / "proc").symlink_to(pathlib.Path(host).parent),
    "dev is a link": lambda root, host: (root / "dev").symlink_to(pathlib.Path(host).parent),
    "sys is a file": lambda root, host: (root / "sys").write_text(""),
    "tmp is a link": lambda root, host: (root / "tmp").symlink_to(pathlib.Path(host).parent),
    "proc is a file": lambda root, host: (root / "proc").write_text(""),
    "etc is a link": lambda root, host: [(root / "etc").rmdir(), (root / "etc").symlink_to(pathlib.Path(host).parent)],
    "etc leads to /proc": lambda root, host: [(root / "etc").rmdir(), (root / "etc").symlink_to("/proc/self")],
    "hosts is a FIFO": lambda root, host: os.mkfifo(root / "etc/hosts"),
    "hostname is a directory": lambda root, host: (root / "etc/hostname").mkdir(),
    "group is a link to a device": lambda root, host: (root / "etc/group").symlink_to("/dev/zero"),
    "null and console are links": lambda root, host: [(root / "dev").mkdir(), (root / "dev/null").symlink_to(host),
                                                      (root / "dev/console").symlink_to(host), (root / "dev/pts").symlink_to("/etc")],
    "kcore is a link": lambda root, host: [(root / "proc").mkdir(), (root / "proc/kcore").symlink_to(host),
                                           (root / "proc/sys").symlink_to(pathlib.Path(host).parent)],
    "run is a link": lambda root, host: (root / "run").symlink_to(pathlib.Path(host).parent),
    "the volume's place is a link": lambda root, host: (root / "data").symlink_to(pathlib.Path(host).parent),
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_hostile_image_reaches_nothing(world, canary, name, make):
    """It may start or be refused; neither takes forever nor touches the host."""
    root = world.directory / "image"
    for directory in ("bin", "etc", "usr"):
        (root / directory).mkdir(parents=True)
    make(root, canary.top / "file")
    for directory in ("proc", "dev", "sys", "tmp", "data"):
        if not (root / directory).is_symlink() and not (root / directory).exists():
            (root / directory).mkdir()
    # A static shell: the image needs nothing else.
    world.run("sh", "-c", f"cp $(command -v busybox || echo /usr/bin/busybox) {root}/bin/busybox", status=None)
    if not (root / "bin/busybox").exists():
        pytest.skip("no busybox on this machine")
    path = world.write(f"""
name = "PROJECT"
[volumes.data]
volume_type = "persistent"
path = "{world.directory}/data"
[services.a]
type = "job"
rootfs = "{root}"
command = ["/bin/busybox", "sh", "-c", "echo x > /data/written; echo x > /tmp/written; echo x > /dev/written; true"]
user = "nobody"
volumes = ["data:/data"]
""")
    done = world.apply(path, "--timeout", "20s", status=None)
    assert done.returncode in (0, 1, 6), done
    assert not (canary.top / "written").exists()


@pytest.mark.parametrize("mode", ["agent", "production"])
@pytest.mark.parametrize("place", ["data", "proc"])
@pytest.mark.parametrize("to", ["CANARY", "/etc"])
def test_a_mount_target_that_flips(world, canary, image, mode, place, to):
    """CVE-2021-30465, 2024-45310. Each change of a variable is another start; child_race_test.cpp has thousands."""
    prefix = production(world) if mode == "production" else []
    (image / place / "inner").mkdir(parents=True, exist_ok=True)
    (image / "link").symlink_to(to.replace("CANARY", str(canary.top)))
    (world.directory / "vol").mkdir()
    with flipping(image / place, image / "link"):
        for number in range(8):
            path = world.write(f"""
name = "PROJECT"
[services.a]
service_mode = "{mode}"
type = "job"
rootfs = "{image}"
command = ["/payload"]
volumes = ["{world.directory}/vol:/data/inner"]
environment = {{ NUMBER = "{number}" }}
{'memory = "64M"' if mode == "production" else ""}
""")
            done = world.run(*prefix, NUCLEUS, "apply", "-f", path, "--timeout", "20s", status=None, timeout=120)
            if done.returncode == 0:
                said = world.nucleus("logs", f"{world.project}/a").stdout
                wrong = posture.problems(said, init=mode == "production")
                assert [line for line in wrong if "is mounted at" not in line and "lacks" not in line] == [], said
            else:
                assert "service.a" in done.stderr, done
    assert os.listdir(world.directory / "vol") == []


@pytest.mark.parametrize("user", ["-1", "2147483648000", "4294967295", "4294967296", "0x0"])
def test_users_out_of_range_are_refused(world, user):
    path = world.write(f'name = "PROJECT"\n[services.a]\ncommand = ["/bin/true"]\nuser = "{user}"\n')
    world.nucleus("validate", "-f", path, status=1)


def test_an_interpreter_line_to_the_runtime_itself(world, canary, rootfs):
    """CVE-2019-5736: the entrypoint's interpreter is /proc/self/exe."""
    entry = world.directory / "entry"
    entry.write_text("#!/proc/self/exe\n")
    entry.chmod(0o755)
    binary = subprocess.run(["sha256sum", world.run("readlink", "-f", world.environment["PATH"].split(":")[0] + "/nucleus-supervisor")
                             .stdout.strip()], stdout=subprocess.PIPE, check=True).stdout
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/app/entry"]
volumes = ["{entry}:/app/entry:ro"]
""")
    assert world.apply(path, "--timeout", "20s", status=None).returncode != 0
    assert subprocess.run(["sha256sum", binary.split()[1]], stdout=subprocess.PIPE, check=True).stdout == binary


@pytest.mark.parametrize("workdir", ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fd/12", "/proc/self/root", "/proc/self/cwd"])
def test_no_working_directory_leads_out(world, canary, rootfs, workdir):
    """CVE-2024-21626."""
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/bin/pwd"]
workdir = "{workdir}"
""")
    done = world.apply(path, "--timeout", "20s", status=1)
    assert f"enter working directory {workdir}" in done.stderr


@pytest.mark.parametrize("workdir", ["/", "/tmp", "/usr/share"])
def test_landlock_holds_in_every_working_directory(world, canary, rootfs, workdir):
    """Its rules are paths of the root, not of the working directory."""
    attempt(world, rootfs, r"""
open("/tmp/x", "w").close()
open("/dev/null", "w").close()
os.execv("/bin/true", ["true"]) if os.fork() == 0 else None
assert os.wait()[1] == 0
""", canary, f'workdir = "{workdir}"\n')


@pytest.mark.parametrize("keys", ["", "init = true", 'user = "1000"', 'user = "1000"\ninit = true'])
def test_nobody_reaches_into_a_probe_on_its_way_in(world, canary, rootfs, keys):
    """CVE-2016-9962, CVE-2019-5736: while probes enter it one after the other. Whoever has nobody else to look at has tried nothing."""
    (world.directory / "intruder.py").write_text(tries.INTRUDER + "time.sleep(1000)\n")
    path = world.write(f"""
name = "PROJECT"
[services.a]
rootfs = "{rootfs}"
command = ["/usr/bin/python3", "/app/intruder.py"]
volumes = ["{world.directory}/intruder.py:/app/intruder.py:ro"]
health_check = ["/bin/sleep", "0.02"]
health_interval = "20ms"
on_unhealthy = "none"
{keys}
""")
    world.apply(path, "--timeout", "20s")
    verdict = wait_for("the verdict", lambda: world.nucleus("logs", f"{world.project}/a").stdout, 60)
    assert "seen []" in verdict, verdict


def test_a_chroot_in_a_volume_brings_no_kernel_file_system_along(world, canary):
    """Its /proc is the machine's: core_pattern is for root to write, whatever capabilities it lacks."""
    (world.directory / "vol/chroot/proc").mkdir(parents=True)
    world.run("mount", "-t", "proc", "proc", world.directory / "vol/chroot/proc")
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/ls", "/data/chroot/proc/sys/kernel/core_pattern"]
volumes = ["{world.directory}/vol:/data"]
""")
    assert "a file system of the kernel's own is mounted in it" in world.apply(path, status=1).stderr
    world.run("umount", world.directory / "vol/chroot/proc")


def test_a_bind_mount_is_no_other_name_for_what_may_not_be_given(world, canary):
    (world.directory / "vol/sub").mkdir(parents=True)
    world.run("mount", "--bind", "/etc", world.directory / "vol/sub")
    below = "is /etc by another name: it holds the machine's passwords and keys"
    for source in ("vol", "vol/sub", "vol/sub/shadow"):
        said = world.nucleus("run", "--volume", f"{world.directory}/{source}:/data:ro", "--", "/bin/true", status=125).stderr
        assert (below if "shadow" not in source else "/etc/shadow by another name: the machine's passwords") in said, said
    world.nucleus("run", "--volume", f"{world.directory}/vol/sub/hostname:/data:ro", "--", "/bin/true")
    world.run("umount", world.directory / "vol/sub")
    world.nucleus("run", "--volume", f"{world.directory}/vol:/data:ro", "--", "/bin/true")


def test_a_config_file_is_not_a_way_round_what_may_be_mounted(world, canary):
    """It is given as a copy; the path that counts is the original's, and the copy is for the same eyes."""
    text = """
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/sh", "-c", "cat /x; stat -c %a:%u /x"]
volumes = ["FILE:/x:ro"]
"""
    assert "passwords" in world.apply(world.write(text.replace("FILE", "/etc/shadow")), status=1).stderr
    link = world.directory / "link"
    link.symlink_to(canary.top / "file")
    assert "symbolic link" in world.apply(world.write(text.replace("FILE", str(link))), status=1).stderr
    plain = world.directory / "plain"
    plain.write_text("configured\n")
    plain.chmod(0o640)
    os.chown(plain, 33, 33)
    world.apply(world.write(text.replace("FILE", str(plain)) + 'user = "33"\ngroup = "33"\n'), "--timeout", "20s")
    assert "configured" in world.nucleus("logs", f"{world.project}/a").stdout
    assert "640:33" in world.nucleus("logs", f"{world.project}/a").stdout


def test_a_workload_does_not_write_to_the_terminal_of_who_applies(world, canary):
    path = world.write(r"""
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/sh", "-c", "printf '\\033]0;owned\\007\\n'; exit 3"]
""")
    done = world.apply(path, "--timeout", "20s", status=None)
    assert done.returncode != 0 and "owned" in done.stderr
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr
