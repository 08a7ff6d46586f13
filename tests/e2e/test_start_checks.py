"""What is in the way of a start is told before anything is changed: by `apply`, by `diff`, and by `validate` where it needs no machine.
Who runs goes on running."""
import shutil

import pytest
from ordinary import Ordinary
from world import NUCLEUS, cgroup_root

HEAD = """name = "PROJECT"
[services.a]
service_mode = "agent"
restart = "always"
command = ["/bin/sleep", "1000"]
"""
BUSYBOX = "/usr/bin/busybox"  # one file, that is "sleep" by that name
CAPS = '[bounding]\nkeep = ["NET_RAW"]\n'
NOTHING = '[[rules]]\npath = "{}"\naccess = ["create"]\n'
# lines of the service, what is said of them and by which line of these, and whether `validate` says it: as a warning where another machine may have it
ROWS = {
    "credentials of no unit": ('systemd_credentials = ["db:/run/secrets/db"]', 1, "a: systemd_credentials: give systemd credentials: CREDENTIALS_DIRECTORY is not set", False),
    "a user that is not there": ('user = "nosuch"', 1, "a: user: look up user nosuch: it is not in /etc/passwd of the host", False),
    "a user that the image has not": ('rootfs = "img"\nuser = "nosuch"', 2, "a: user: look up user nosuch: it is not in /etc/passwd of ", "warning"),
    "a group that the image has not": ('rootfs = "img"\ngroup = "nosuch"', 2, "a: group: look up group nosuch", "warning"),
    "capabilities that its user is not started with": ('caps_policy = "c.toml"\nuser = "nobody"', 1, "a: caps_policy: use capability policy: a program of user 65534", False),
    "capabilities of a number": ('caps_policy = "c.toml"\nuser = "1000"', 1, "a: caps_policy: use capability policy: a program of user 1000", True),
    "a context through a link": ('context = "link"', 1, "a: context: mount {}/link: a symbolic link in the path is not followed", False),
    "a rootfs that was not sealed": ('rootfs = "img"\nverify_rootfs_attestation = true', 2, "the root file system was not sealed", "warning"),
    "a manifest that does not read": ('rootfs = "sealed"\nverify_rootfs_attestation = true', 2, ".nucleus-rootfs-sha256:1:", "warning"),
    "a secret where something is": ('secrets = ["img/token:/etc/hosts"]', 1, "a: secrets /etc/hosts: mount at /etc/hosts: /etc/hosts is mounted already", True),
    "a tmpfs over programs": ('tmpfs = ["/data",\n "/usr"]', 2, "a: tmpfs /usr: mount at /usr: /usr is mounted already", True),
    "a Landlock rule that allows nothing": ('landlock_policy = "l.toml"', 1, "a: landlock_policy: add Landlock rule /etc/hosts: in the container it is no directory, and create would allow nothing there (", True),
    "a Landlock rule that allows nothing of a file that is mounted": ('volumes = ["./img:/data"]\nlandlock_policy = "m.toml"', 2, "a: landlock_policy: add Landlock rule /data/token: in the container it is no directory, and create would allow nothing there (", False),
    "a volume over what this machine has": ('volumes = ["./img:/etc"]', 1, "a: volumes /etc: mount at /etc: it would hide the mount at /etc/", "warning"),
    "a link of the image into /proc": ('rootfs = "linked"\ntmpfs = ["/data/x"]', 2, "a: tmpfs /data/x: mount at /data/x: nothing may be mounted below /proc, where", "warning"),
    "a secret where something is, in any image": ('rootfs = "linked"\nsecrets = ["img/token:/etc/hosts"]', 2, "a: secrets /etc/hosts: mount at /etc/hosts: /etc/hosts is mounted already", True),
    "a Landlock rule for what this machine has not": ('landlock_policy = "n.toml"', 1, "a: landlock_policy: add Landlock rule /nosuch: there is no such path in the container (", "warning"),
    "a Landlock rule for what a volume has not": ('volumes = ["./img:/data"]\nlandlock_policy = "o.toml"', 2, "a: landlock_policy: add Landlock rule /data/none: there is no such path in the container (", False),
    "a working directory that this machine has not": ('workdir = "/usr/nosuch"', 1, "a: workdir: enter working directory /usr/nosuch: it is not in the container", False),
    "a working directory that the image has not": ('rootfs = "img"\nworkdir = "/srv"', 2, "a: workdir: enter working directory /srv: it is not in the container", "warning"),
    "a working directory that is a file": ('rootfs = "img"\nworkdir = "/etc/passwd"', 2, "a: workdir: enter working directory /etc/passwd: in the container it is no directory", "warning"),
    "a place below what is hidden of a context": ('context = "img"\ncontext_mode = "bind"\nvolumes = ["./sealed:/context/.git/sub"]', 3, "a: volumes /context/.git/sub: mount at /context/.git/sub: /context/.git of the context is hidden", True),
    "a place inside a volume": ('volumes = ["./img:/data",\n "./sealed:/data/none"]', 2, "a: volumes /data/none: mount at /data/none: ", False),
}


@pytest.fixture
def there(world):
    here = world.directory
    for name in ("img/etc", "sealed/etc"):
        (here / name).mkdir(parents=True)
    (here / "img/etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (here / "img/etc/group").write_text("root:x:0:\n")
    (here / "img/token").write_text("secret")
    (here / "sealed/.nucleus-rootfs-sha256").write_text("nonsense\n")
    (here / "link").symlink_to("img")
    (here / "linked/proc").mkdir(parents=True)
    (here / "linked/data").symlink_to("/proc")
    (here / "c.toml").write_text(CAPS)
    (here / "l.toml").write_text(NOTHING.format("/etc/hosts"))
    (here / "m.toml").write_text(NOTHING.format("/data/token"))
    rules = [f'[[rules]]\npath = "{path}"\naccess = ["read"]\n' for path in ("/usr", "/", "/dev/null", "/etc", "/home", "/var/run/x", "/bin/sh", "/tmp/x", "/nosuch")]
    (here / "n.toml").write_text("".join(rules))
    (here / "o.toml").write_text('[[rules]]\npath = "/data"\naccess = ["read"]\n[[rules]]\npath = "/data/none"\naccess = ["read"]\n')
    return here


def kept(world, below=""):
    """What is in the runtime directory, which is the world's."""
    return world.run("find", world.runtime / below, "-mindepth", "1").stdout


@pytest.mark.parametrize("row", ROWS)
def test_nobody_is_stopped_for_what_cannot_start(world, there, row):
    lines, number, words, by_validate = ROWS[row]
    path = world.write(HEAD)
    world.apply(path)
    pid, revisions = world.pid("a"), world.nucleus("history", world.project).stdout
    path = world.write(HEAD + lines + "\n")
    words = words.replace("{}", str(there))

    told = world.nucleus("diff", "-f", path, status=None)
    warns = "credentials" in row  # those of another caller may be there
    assert told.returncode == (0 if warns else 1) and words in told.stderr, told.stderr
    assert f"{path.name}:{HEAD.count(chr(10)) + number}:" in told.stderr, told.stderr
    told = world.nucleus("validate", "-f", path, status=1 if by_validate is True else 0)
    assert (words in told.stderr) == bool(by_validate) and ("warning: " in told.stderr) == (by_validate == "warning"), told.stderr
    told = world.apply(path, status=1)
    assert words in told.stderr and "[1/" not in told.stdout, told
    assert world.pid("a") == pid and world.nucleus("history", world.project).stdout == revisions

    path = world.write(HEAD)
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_what_runs_is_not_asked_whether_it_could(world, there):
    """A diff of nothing costs nothing, and what has gone from under a workload is no matter while that runs."""
    (there / "img/bin").mkdir()
    shutil.copy(BUSYBOX, there / "img/bin/sleep")
    path = world.write(HEAD + 'rootfs = "img"\nuser = "root"\n')
    world.apply(path)
    (there / "img/etc/passwd").write_text("")
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_what_a_container_has_by_the_time_that_it_starts_is_no_hindrance(world, there):
    (there / "img/srv").symlink_to("/data")
    for lines in ('rootfs = "img"\nworkdir = "/srv"', 'rootfs = "img"\nworkdir = "/etc"', 'rootfs = "img"\nworkdir = "/context"\ncontext = "img"',
                  'rootfs = "img"\nworkdir = "/data/x"\ntmpfs = ["/data"]', 'rootfs = "img"\nworkdir = "/data"\nvolumes = ["./img:/data/inner"]',
                  'workdir = "/tmp"', 'workdir = "/root"', 'workdir = "/bin"', 'workdir = "/data"\nvolumes = ["./img:/data"]', 'workdir = "/data/srv"\nvolumes = ["./img:/data"]'):
        for command in ("validate", "diff"):
            told = world.nucleus(command, "-f", world.write(HEAD + lines + "\n"))
            assert "workdir" not in told.stderr, (lines, told.stderr)


def test_what_comes_before_it_may_make_what_it_needs(world, there):
    """A job fills the root file system, and a volume, of the service behind it."""
    filled = f"""name = "PROJECT"
[volumes.data]
path = "{there}/data"
[services.fill]
type = "job"
service_mode = "agent"
volumes = ["./sealed:/out", "data:/data"]
command = ["/bin/sh", "-c", "mkdir -p /out/bin /out/etc /data/inner; cp /out/sleep /out/bin; echo web:x:33:33::/: > /out/etc/passwd; echo web:x:33: > /out/etc/group"]
[services.a]
service_mode = "agent"
rootfs = "sealed"
user = "web"
volumes = ["data:/data", "./img:/data/inner"]
command = ["/bin/sleep", "1000"]
depends_on = [{{ service = "fill", condition = "completed" }}]
"""
    shutil.copy(BUSYBOX, there / "sealed/sleep")
    path = world.write(filled)
    world.nucleus("validate", "-f", path)
    world.nucleus("diff", "-f", path)
    world.apply(path)
    assert world.inside("a", "/bin/sleep", "0").returncode == 0
    # Whoever comes before nobody is asked at once.
    path = world.write(filled.replace('depends_on = [{ service = "fill", condition = "completed" }]\n', "").replace('"web"', '"nosuch"'))
    assert "look up user nosuch" in world.nucleus("diff", "-f", path, status=1).stderr


def test_one_in_the_background_is_told_the_option(world, there):
    told = world.nucleus("run", "--detach", "--user", "nosuch", "--", "true", status=125)
    assert "--user: look up user nosuch" in told.stderr
    assert world.json("ps", "--all")["services"] == []


def test_whoever_can_start_does(world, there):
    """Where nobody is stopped for one that cannot start, it is told, and fails with those that wait for it, alone."""
    b = '[services.b]\nservice_mode = "agent"\nuser = "nosuch"\ncommand = ["/bin/sleep", "1000"]\n'
    c = '[services.c]\nservice_mode = "agent"\ncommand = ["/bin/sleep", "1000"]\n'
    path = world.write(HEAD + b + c + 'depends_on = ["b"]\n')
    words = "warning: b: user: look up user nosuch"
    told = world.nucleus("diff", "-f", path)
    assert words in told.stderr and f"{path.name}:{HEAD.count(chr(10)) + 3}:" in told.stderr, told.stderr
    told = world.apply(path, status=1)
    assert words in told.stderr and "service.b/process" in told.stderr, told.stderr
    pid = world.pid("a")
    assert len(world.json("ps")["services"]) == 1
    # Who runs, and would wait for it, would not come back.
    world.apply(world.write(HEAD + c))
    c_pid = world.pid("c")
    path = world.write(HEAD + b + c + 'depends_on = ["b"]\nenvironment = { X = "1" }\n')
    plan = there / "plan.json"
    told = world.nucleus("diff", "-f", path, "--out", plan, status=1)
    assert "look up user nosuch" in told.stderr and "would be stopped: c" in told.stderr, told.stderr
    assert not plan.exists()
    world.apply(path, status=1)
    assert (world.pid("a"), world.pid("c")) == (pid, c_pid)


def test_each_that_is_stopped_counts_for_a_seal(world, there):
    """What several have in common is looked at once, and holds for each."""
    two = HEAD.replace("services.a", "services.b")
    world.apply(world.write(two))
    sealed = 'rootfs = "img"\nverify_rootfs_attestation = true\n'
    path = world.write(HEAD + sealed + two.split("\n", 1)[1] + sealed)
    told = world.nucleus("diff", "-f", path, status=1)
    assert "warning: a: " in told.stderr and "b: verify_rootfs_attestation" in told.stderr.replace("warning: b: ", ""), told.stderr


def test_what_a_root_that_comes_does_not_excuse(world, there):
    path = world.write(HEAD)
    world.apply(path)
    fill = '[services.fill]\ntype = "job"\nservice_mode = "agent"\nvolumes = ["./sealed:/out"]\ncommand = ["/bin/true"]\n'
    lines = 'rootfs = "sealed"\nuser = "1000"\ncaps_policy = "c.toml"\ndepends_on = [{ service = "fill", condition = "completed" }]\n'
    told = world.nucleus("diff", "-f", world.write(HEAD + lines + fill), status=1)
    assert "a: caps_policy: use capability policy: a program of user 1000" in told.stderr, told.stderr


def test_a_secret_may_come_with_a_volume(world, there):
    """What lies in a volume of its own is not asked for before that is there, and is then: here by a rollback, which reads no file."""
    (there / "late").mkdir()
    (there / "late/token").write_text("secret")
    volume = f'[volumes.data]\npath = "{there}/late"\n'
    world.apply(world.write(HEAD + f'secrets = ["{there}/late/token:/run/secrets/t"]\nvolumes = ["data:/data"]\n' + volume))
    path = world.write(HEAD.replace("services.a", "services.b"))
    world.apply(path)
    shutil.rmtree(there / "late")
    told = world.nucleus("rollback", world.project, "1", "--yes", status=1)
    assert "<- service.a/process" in told.stderr and "secrets /run/secrets/t" not in told.stderr, told.stderr
    # That has made the volume.
    world.apply(path)
    told = world.nucleus("rollback", world.project, "1", "--yes", status=1)
    assert f"warning: a: secrets /run/secrets/t: read {there}/late/token: " in told.stderr, told.stderr


def test_nobody_is_stopped_for_a_secret_that_its_volume_has_not(world, there):
    """By a rollback, as above."""
    (there / "late").mkdir()
    (there / "late/token").write_text("secret")
    text = HEAD + f'volumes = ["data:/data"]\n[volumes.data]\npath = "{there}/late"\n'
    world.apply(world.write(text.replace("volumes =", f'secrets = ["{there}/late/token:/run/secrets/t"]\nvolumes =')))
    world.apply(world.write(text))
    pid = world.pid("a")
    (there / "late/token").unlink()
    told = world.nucleus("rollback", world.project, "1", "--yes", status=1)
    assert f": secrets /run/secrets/t: read {there}/late/token: " in told.stderr and "warning: " not in told.stderr, told.stderr
    assert world.pid("a") == pid
    (there / "late/token").write_text("secret")
    world.nucleus("rollback", world.project, "1", "--yes")


def test_an_ordinary_user_is_asked_as_who_its_apply_is(world):
    """diff and validate are outside of the user namespace that apply is in."""
    ordinary = Ordinary(world)
    policy = world.run("sh", "-c", "printf '[ambient]\nkeep = [\"NET_BIND_SERVICE\"]\n[bounding]\nkeep = [\"NET_BIND_SERVICE\", \"NET_RAW\"]\n' > /mnt/c.toml")
    assert policy.returncode == 0
    head = HEAD.replace("PROJECT", world.project)

    def write(lines):
        path = world.directory / "mine.toml"
        path.write_text(head + lines + "\n")
        world.run("install", "-m", "0644", path, "/mnt/mine.toml")
        return "/mnt/mine.toml"

    path = write('userns = "keep-id"\ncaps_policy = "/mnt/c.toml"')
    ordinary.nucleus("validate", "-f", path)
    told = ordinary.nucleus("diff", "-f", path)
    assert "capability policy" not in told.stderr, told.stderr
    told = ordinary.nucleus("diff", "-f", write('userns = "auto"\nuser = "7"'))
    assert "warning: a: userns: " in told.stderr or "warning: a: user: " in told.stderr, told.stderr
    ordinary.nucleus("apply", "-f", write('userns = "keep-id"\ncaps_policy = "/mnt/c.toml"'))
    ordinary.nucleus("destroy", world.project, "--yes")


# ---- what the kernel lacks ----

@pytest.fixture
def lacking(world):
    """Runs nucleus on a kernel that lacks something; strace(1), injection."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")

    def run(inject, *arguments, status=1):
        return world.run("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={inject.split(':')[0]}", "-e", f"inject={inject}", NUCLEUS, *arguments, status=status)
    return run


LACKS = {
    "no Landlock": ("landlock_create_ruleset:error=EOPNOTSUPP", "", 1, "Landlock: this kernel has none; allow_degraded_security = true goes on without"),
    "a Landlock too old": ("landlock_create_ruleset:retval=2", 'rootfs = "img"\nservice_mode = "production"', 3, "service_mode: production requires Landlock ABI 3: this kernel has ABI 2"),
    "no seccomp filters": ("seccomp:error=EINVAL", "", 1, "seccomp: this kernel has no filters; allow_degraded_security = true goes on without"),
    "no filter to trace with": ("seccomp:error=EINVAL", 'seccomp_mode = "trace"\nseccomp_log = "t"\nallow_degraded_security = true', 2, "seccomp_mode: seccomp: this kernel has no filters"),
    "a tmpfs that is swapped": ("fsconfig:error=EINVAL", 'rootfs = "img"\nservice_mode = "production"\nsecrets = ["img/token:/run/secrets/t"]', 4, "secrets: keep secrets: this kernel's tmpfs may be swapped out, and the machine has swap"),
}


@pytest.mark.parametrize("row", LACKS)
def test_a_kernel_that_lacks_what_it_has_to_enforce_is_told_before_anything_is_made(world, there, lacking, row):
    inject, lines, number, words = LACKS[row]
    (there / "swaps").write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1000 0 -2\n")
    world.run("mount", "--bind", there / "swaps", "/proc/swaps")
    head = HEAD if "production" not in lines else HEAD.replace('service_mode = "agent"\n', "").replace('restart', 'memory = "64M"\nrestart')
    path = world.write(head + lines + "\n")
    place = f"{path.name}:{2 if number == 1 else head.count(chr(10)) + number - 1}:"
    for command in ("diff", "apply"):
        told = lacking(inject, command, "-f", path)
        assert place in told.stderr and words in told.stderr and told.stdout == "", (command, told)
    assert not world.state.exists() and kept(world) == ""
    told = lacking(inject, "validate", "-f", path, status=0)
    assert place in told.stderr and "warning: a: " + words in told.stderr, told.stderr


def test_who_runs_is_not_stopped_by_a_kernel_that_lacks_something(world, there, lacking):
    path = world.write(HEAD)
    world.apply(path)
    pid = world.pid("a")
    plan = there / "plan.json"
    world.nucleus("diff", "-f", world.write(HEAD.replace("1000", "1001")), "--out", plan)
    told = lacking("landlock_create_ruleset:error=EOPNOTSUPP", "apply", "--yes", plan)
    assert "a: Landlock: this kernel has none" in told.stderr and world.pid("a") == pid, told
    # Nor is one command's container made.
    for options, words in ((["--dry-run"], ""), (["--detach"], ""), (["--service-mode", "production", "--memory", "64M", "--rootfs", "img"], "--service-mode: production requires Landlock ABI 3")):
        told = lacking("landlock_create_ruleset:error=EOPNOTSUPP", "run", *options, "--", "true", status=125)
        assert (words or "Landlock: this kernel has none; --allow-degraded-security goes on without") in told.stderr, told.stderr
    assert len(world.json("ps", "--all")["services"]) == 1


def test_a_capability_that_whoever_starts_nucleus_lacks_is_named_before_anybody_is_stopped(world, there):
    """Also of a command's container; in a user namespace of its own a workload has all of them anew."""
    def without(*arguments, status=0):
        return world.run("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--", NUCLEUS, *arguments, status=status)
    (there / "c.toml").write_text('[bounding]\nkeep = ["NET_RAW"]\n\n[ambient]\nkeep = ["NET_RAW"]\n')
    words = f"keep CAP_NET_RAW: whoever starts nucleus does not have it ({there}/c.toml:5:8)"
    path = world.write(HEAD)
    world.apply(path)
    pid = world.pid("a")
    lines = 'caps_policy = "c.toml"\nuser = "1000"\n'
    path = world.write(HEAD + lines)
    place = f"{path.name}:{HEAD.count(chr(10)) + 1}:"
    world.nucleus("diff", "-f", path)
    told = without("diff", "-f", path)
    assert place in told.stderr and "warning: a: caps_policy: " + words in told.stderr, told.stderr
    told = without("apply", "-f", path, status=1)
    assert place in told.stderr and "a: caps_policy: " + words in told.stderr and world.pid("a") == pid, told.stderr
    for options in ([], ["--dry-run"], ["--detach"]):
        told = without("run", *options, "--user", "1000", "--caps-policy", there / "c.toml", "--", "true", status=125)
        assert "--caps-policy: " + words in told.stderr, told.stderr
    assert len(world.json("ps", "--all")["services"]) == 1
    # What it would not be given anyway is no error, and neither is what it has of its own.
    (there / "c.toml").write_text('[bounding]\nkeep = ["NET_RAW"]\n[permitted]\nkeep = []\n')
    without("run", "--user", "1000", "--caps-policy", there / "c.toml", "--", "true")
    (there / "c.toml").write_text(CAPS)
    without("run", "--rootless", "--caps-policy", there / "c.toml", "--", "true")


# ---- what was sealed ----

def test_nobody_is_stopped_for_a_root_that_is_no_longer_as_it_was_sealed(world, there):
    """Whole, where somebody runs who would be stopped: whoever is started alone is verified by its start."""
    root = there / "whole"
    (root / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/sleep")
    world.nucleus("rootfs", "seal", root)
    lines = 'rootfs = "whole"\nverify_rootfs_attestation = true\n'
    path = world.write(HEAD + lines)
    world.apply(path)
    pid = world.pid("a")
    (root / "evil").write_text("")
    path = world.write(HEAD.replace("1000", "1001") + lines)
    world.nucleus("diff", "-f", path)  # which reads no tree
    told = world.apply(path, status=1)
    assert f"{path.name}:{HEAD.count(chr(10)) + 2}:1: a: verify_rootfs_attestation: verify {root}/evil: extra, not sealed" in told.stderr, told.stderr
    assert world.pid("a") == pid and "[1/" not in told.stdout
    # One that waits for it is not stopped either.
    b = HEAD.partition("\n")[2].replace("services.a", "services.b")
    path = world.write(HEAD + b + 'depends_on = ["a"]\n')
    (root / "evil").unlink()
    world.apply(path)
    pids = world.pids()
    (root / "evil").write_text("")
    path = world.write(HEAD + lines + b + 'depends_on = ["a"]\nenvironment = { X = "1" }\n')
    told = world.apply(path, status=1)
    assert "not sealed: a regular file; who runs and waits for it would be stopped: b" in told.stderr and world.pids() == pids, told.stderr
    (root / "evil").unlink()
    world.apply(path)
    assert world.pids() != pids
    # By its own start, where nobody runs.
    world.nucleus("destroy", world.project, "--yes")
    (root / "evil").write_text("")
    told = world.apply(world.write(HEAD + lines), status=1)
    assert "extra, not sealed" in told.stderr and "service.a/process" in told.stderr and "problem" not in told.stderr, told.stderr


# ---- limits ----

@pytest.fixture
def no_controllers(world):
    """A machine without cgroup2."""
    root = cgroup_root()
    if root is not None:
        world.run("umount", "--lazy", root)


def test_a_limit_that_cannot_be_held_is_told_before_anything_is_written(world, there, no_controllers):
    path = world.write(HEAD.replace('"agent"', '"production"') + 'memory = "64M"\nrootfs = "img"\n')
    why = "memory: this machine has no cgroup2 controller for it"
    agent = 'hint: service_mode = "agent" goes on without the limit'
    told = world.apply(path, status=1)
    assert f"limit service.a {why}" in told.stderr and agent in told.stderr, told.stderr
    options = ["--service-mode", "production", "--memory", "64M", "--rootfs", "img", "--", "true"]
    for detach in ([], ["--detach", "--name", "box"]):
        told = world.nucleus("run", *detach, *options, status=125)
        assert "limit --memory: this machine has no cgroup2 controller for it" in told.stderr, told.stderr
        assert "hint: --service-mode agent goes on without the limit" in told.stderr and "service." not in told.stderr, told.stderr
    assert not world.state.exists() and kept(world) == ""
    # Where something is kept already, nothing is kept of this.
    world.apply(world.write('name = "PROJECT-other"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\n', "other.toml"))
    locks = kept(world, "locks")
    told = world.apply(path, status=1)
    assert f"limit service.a {why}" in told.stderr and locks != "" and kept(world, "locks") == locks, told.stderr


def test_limits_that_are_not_held_are_called_as_options_of_a_container_in_the_background_too(world, no_controllers):
    name = f"{world.project}-box"
    told = world.nucleus("run", "--detach", "--name", name, "--memory", "64M", "--swap", "1G", "--", "sleep", "1000").stderr
    assert "warning: --memory: not held, " in told and "warning: --swap: not held, " in told and "service." not in told, told
    world.nucleus("rm", "--force", name)
