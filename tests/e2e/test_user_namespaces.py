"""User namespaces: ordinary users' sandboxes, and root's that ask for one; who the workload is, and what belongs to whom."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from ordinary import USER, Ordinary
from world import NUCLEUS, wait_for

MAPPERS = pathlib.Path("/usr/bin/newuidmap").exists()
needs_mappers = pytest.mark.skipif(not MAPPERS, reason="needs newuidmap: the package uidmap")


@pytest.fixture
def ordinary(world):
    return Ordinary(world)


def id_map(text):
    return [tuple(map(int, line.split())) for line in text.splitlines()]


# ---- ordinary users ----

def test_an_ordinary_user_is_root_inside_and_nobody_else(ordinary):
    done = ordinary.sh("id -u; id -G; cat /proc/self/uid_map; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; cat /dev/null")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["0", "0"] and done.stderr == ""
    assert id_map(lines[2]) == [(0, USER, 1)]
    assert [line.split()[1] for line in lines[3:]] == ["0" * 16] * 5 + ["1", "2"]


@pytest.mark.parametrize("options", [[], ["--userns", "keep-id"]])
def test_a_dry_run_says_who_it_is_on_the_host(ordinary, options):
    """The maps that it really has, read where the host's numbers are seen."""
    told = json.loads(ordinary.nucleus("run", "--dry-run", "--output", "json", *options, "--", "true").stdout)
    with ordinary.world.popen("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "run", *options, "--",
                              "sh", "-c", "echo up; exec sleep 1000", env=ordinary.environment, cwd="/", stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        # The workload may speak before its supervisor has written down who it is.
        pid = wait_for("its pid", lambda: json.loads(ordinary.nucleus("ps", "--output", "json").stdout)["services"][0]["pid"])
        enforced = {ids: id_map(ordinary.world.run("cat", f"/proc/{pid}/{name}").stdout) for ids, name in (("users", "uid_map"), ("groups", "gid_map"))}
        ordinary.world.kill(pid)
    assert {ids: [tuple(line.values()) for line in lines] for ids, lines in told["id_maps"].items()} == enforced
    assert "user" in told["namespaces"]
    text = ordinary.nucleus("run", "--dry-run", *options, "--", "true").stdout
    assert re.search(rf"^users inside +{USER if options else 0} is {USER} \(1\)$", text, re.M), text


def test_it_leaves_nothing_and_touches_nothing_of_roots(ordinary):
    ordinary.sh("true")
    left = [path for path in ordinary.world.run("find", "/mnt/run", "-type", "f").stdout.splitlines()]
    assert left == []
    assert not ordinary.world.state.exists()


@pytest.mark.parametrize("options", [[], ["--init"], ["--hostname", "inside"]])
def test_its_own_containers_it_can_verify(ordinary, options):
    box = ordinary.world.name("box")
    with ordinary.world.popen("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "run", "--name", box, *options, "--",
                              "sh", "-c", "echo up; sleep 1000", env=ordinary.environment, cwd="/", stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        seen = lambda: json.loads(ordinary.nucleus("ps", "--output", "json").stdout)["services"][0]
        wait_for("it to run", lambda: seen()["state"] == "running")
        done = ordinary.nucleus("verify", "--all")
        name = "inside" if "--hostname" in options else box
        assert re.search(rf"host name +{name} +{name} +ok", done.stdout), done.stdout
        pid = seen()["pid"]
        ordinary.world.run("nsenter", "-t", pid, "--uts", "hostname", "other")
        assert re.search(rf"host name +{name} +other +differs", ordinary.nucleus("verify", status=1).stdout)
        ordinary.world.kill(pid)


def test_its_volume_is_the_users(ordinary):
    ordinary.sh("echo there > /data/file", "--volume", "/mnt/data:/data")
    assert ordinary.world.run("stat", "-c", "%u:%g", "/mnt/data/file").stdout == f"{USER}:{USER}\n"


def test_it_may_not_do_with_roots_files_what_the_user_may_not(ordinary):
    ordinary.world.run("sh", "-c", "echo secret > /mnt/data/roots; chmod 600 /mnt/data/roots")
    done = ordinary.sh("cat /data/roots", "--volume", "/mnt/data:/data", status=1)
    assert "Permission denied" in done.stderr


def test_secrets_and_contexts_work(ordinary):
    ordinary.world.run("sh", "-c", f"echo key > /mnt/run/key; mkdir /mnt/run/ctx; echo x > /mnt/run/ctx/file; chown -R {USER} /mnt/run")
    done = ordinary.sh("cat /etc/key /context/file; stat -c %a:%u /etc/key; echo y > /context/file",
                       "--secret", "/mnt/run/key:/etc/key", "--context", "/mnt/run/ctx", status=2)
    assert done.stdout == "key\nx\n400:0\n"
    done = ordinary.sh("cat file", "--context", "/mnt/run/ctx", "--context-mode", "bind")
    assert done.stdout == "x\n"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_that_secrets_may_be_swapped_out_is_told_where_there_may_be_swap(ordinary):
    """In a user namespace no tmpfs is kept from it; tmpfs(5). Where it cannot be read there may be some."""
    ordinary.world.run("sh", "-c", f"echo key > /mnt/run/key; chown {USER} /mnt/run/key")
    unread = ("strace", "-f", "-qq", "-o", "/dev/null", "-P", "/proc/swaps", "-e", "inject=open,openat,openat2:error=EACCES")
    done = ordinary.world.run("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *unread, "/mnt/nucleus", "run",
                              "--secret", "/mnt/run/key:/etc/key", "--", "cat", "/etc/key", env=ordinary.environment, cwd="/")
    assert done.stdout == "key\n" and done.stderr.count("\n") == 1, done.stderr
    assert "secrets: in a user namespace a tmpfs may be swapped out, and the machine has swap" in done.stderr


def test_a_rootfs_of_the_users_own(ordinary, rootfs):
    ordinary.world.run("cp", "-a", rootfs, "/mnt/rootfs")
    done = ordinary.sh("echo $(id -u) $(ls /); echo x > /file", "--rootfs", "/mnt/rootfs", status=2)
    assert done.stdout.startswith("0 app bin") and "Read-only" in done.stderr


def test_groups_that_cannot_be_given_up_are_told(ordinary):
    done = ordinary.sh("true", groups=f"--groups={USER},4")
    assert "supplementary groups cannot be given up: " in done.stderr
    assert "subordinate ids in /etc/subuid and /etc/subgid, and newuidmap, make it possible" in done.stderr
    done = ordinary.nucleus("run", "--additional-group", "4", "--", "true", status=125)
    assert "group 4" in done.stderr


@needs_mappers
def test_why_groups_cannot_be_given_up_is_told(ordinary):
    def said():
        return ordinary.sh("true", groups=f"--groups={USER},4").stderr

    assert "cannot be given up: the user has no line in /etc/subuid or none in /etc/subgid" in said()
    ordinary.world.run("mount", "--bind", "/dev/null", "/usr/bin/newgidmap")
    assert "cannot be given up: /usr/bin/newgidmap is not there" in said()


def test_limits_of_ordinary_users_are_told_or_refused(ordinary):
    done = ordinary.sh("true", "--memory", "1G")
    assert "warning: --memory: not held" in done.stderr


def test_ids_that_are_not_there_are_named(ordinary):
    for option in (["--user", "12"], ["--userns", "nomap"], ["--userns", "auto"]):
        done = ordinary.nucleus("run", *option, "--", "true", status=125)
        assert "subuid" in done.stderr, option


def test_keep_id_alone(ordinary):
    done = ordinary.sh("id -u; id -g; cat /proc/self/uid_map; touch /tmp/x; stat -c %u /tmp/x", "--userns", "keep-id")
    lines = done.stdout.splitlines()
    assert lines[:2] == [str(USER), str(USER)] and id_map(lines[2]) == [(USER, 0, 1)] and lines[3] == str(USER)


def test_a_working_directory_that_only_the_workload_may_enter(ordinary):
    """Root of the namespace has no power over what has a group that is none there; the owner needs none."""
    ordinary.world.run("sh", "-c", f"install -d -o {USER} -g 7 -m 0750 /mnt/data/g; echo seen > /mnt/data/g/sec")
    given = ["--userns", "keep-id", "--context", "/mnt/data/g", "--context-mode", "bind"]
    assert ordinary.sh("pwd; cat sec", *given).stdout == "/context\nseen\n"
    ordinary.world.run("chown", "7", "/mnt/data/g")
    done = ordinary.sh("true", "--userns", "keep-id", "--volume", "/mnt/data/g:/data:ro", "--workdir", "/data", status=125)
    assert "working directory /data: Permission denied" in done.stderr


def attested(ordinary, status=0):
    return ordinary.nucleus("run", "--rootfs", "/mnt/data/image", "--verify-rootfs-attestation", "--", "/bin/busybox", "echo", "ran", status=status)


@pytest.mark.parametrize("whose", [USER, 0])
def test_an_attested_root_of_ones_own_or_of_roots(ordinary, whose):
    """Owners are sealed as the machine has them, and compared where they have other numbers, or none."""
    ordinary.world.run("sh", "-c", "mkdir -p /mnt/data/image/bin /mnt/data/image/etc; cp /usr/bin/busybox /mnt/data/image/bin; echo > /mnt/data/image/etc/conf")
    ordinary.world.run("chown", "-R", f"{whose}:{whose}", "/mnt/data/image")
    if whose == USER:
        ordinary.nucleus("rootfs", "seal", "/mnt/data/image")
    else:
        ordinary.world.nucleus("rootfs", "seal", "/mnt/data/image")
    ordinary.nucleus("rootfs", "verify", "/mnt/data/image")
    assert attested(ordinary).stdout == "ran\n"
    ordinary.world.run("chown", str(USER - whose), "/mnt/data/image/etc/conf")
    done = attested(ordinary, status=125)
    assert "etc/conf: its owner is" in done.stderr and done.stdout == ""


@needs_mappers
def test_an_attested_root_of_somebody_who_may_be_a_number_that_was_lent(ordinary):
    """Whoever has no number is shown as 65534, which is a user's once so many are lent."""
    ordinary.world.run("sh", "-c", "mkdir -p /mnt/data/image/bin; cp /usr/bin/busybox /mnt/data/image/bin")
    ordinary.world.nucleus("rootfs", "seal", "/mnt/data/image")
    ordinary.lend(count=1000)
    assert attested(ordinary).stdout == "ran\n"
    ordinary.lend()
    done = attested(ordinary, status=125)
    assert "its owner is 65534:65534, sealed 0:0: here 65534 is a user" in done.stderr and done.stdout == "", done


@needs_mappers
def test_subordinate_ids(ordinary):
    ordinary.lend()
    done = ordinary.sh("cat /proc/self/uid_map; id -G", groups=f"--groups={USER},4")
    *maps, groups = done.stdout.splitlines()
    assert id_map("\n".join(maps)) == [(0, USER, 1), (1, 200000, 65536)]
    assert groups == "0" and done.stderr == ""
    done = ordinary.sh("id -u; id -G", "--user", "12", "--group", "12", "--additional-group", "44")
    assert done.stdout == "12\n12 44\n"


@needs_mappers
@pytest.mark.parametrize("word, maps, user", [
    ("keep-id", [(0, 1, USER), (USER, 0, 1), (USER + 1, USER + 1, 65536 - USER)], USER),
    ("nomap", [(0, 1, 65536)], 0),
    ("auto", [(0, 1, 4096)], 0),
])
def test_ways_to_map(ordinary, word, maps, user):
    ordinary.lend()
    done = ordinary.sh("id -u; cat /proc/self/uid_map", "--userns", word)
    first, *rest = done.stdout.splitlines()
    assert int(first) == user and id_map("\n".join(rest)) == maps


@needs_mappers
def test_ranges_of_their_own_are_different(ordinary):
    ordinary.lend()
    done = ordinary.sh(r"cat /proc/self/uid_map", "--userns", "auto")
    one = id_map(done.stdout)
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "run", "--userns", "auto", "--"]
    environment = {"PATH": os.environ["PATH"], "HOME": "/mnt/run", "XDG_RUNTIME_DIR": "/mnt/run"}
    with ordinary.world.popen(*command, "sh", "-c", "cat /proc/self/uid_map; read end", env=environment, cwd="/",
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        held = id_map(process.stdout.readline())
        other = id_map(ordinary.sh("cat /proc/self/uid_map", "--userns", "auto").stdout)
        process.stdin.close()
        process.wait(timeout=60)
    assert held == one and other != held


# ---- root's ----

def test_roots_container_has_ids_that_nobody_else_has(world):
    script = "id -u; cat /proc/self/uid_map; stat -c '%u:%g' /; touch /tmp/x; stat -c %u /tmp/x"
    done = world.nucleus("run", "--rootless", "--", "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert lines[0] == "0" and lines[2:] == ["0:0", "0"]
    ((inside, outside, count),) = id_map(lines[1])
    assert (inside, count) == (0, 65536) and outside >= 524288
    assert world.nucleus("run", "--userns", "keep-id", "--", "cat", "/proc/self/uid_map").stdout.split() == ["0", "0", "65536"]


def test_owners_of_a_rootfs_and_of_volumes_are_as_on_the_host(world, rootfs):
    data = world.directory / "data"
    data.mkdir()
    os.chown(data, 7, 8)
    done = world.nucleus("run", "--rootless", "--rootfs", rootfs, "--volume", f"{data}:/data", "--user", "7", "--group", "8", "--",
                         "sh", "-c", "stat -c %u:%g /bin /data; echo x > /data/file")
    assert done.stdout == "0:0\n7:8\n"
    info = (data / "file").stat()
    assert (info.st_uid, info.st_gid) == (7, 8)


def test_a_verified_rootfs_and_secrets_in_a_user_namespace(world, rootfs):
    sealed = world.directory / "sealed"
    world.run("cp", "-a", rootfs, sealed)
    world.nucleus("rootfs", "seal", "--plain", sealed)
    (world.directory / "key").write_text("key\n")
    done = world.nucleus("run", "--rootless", "--rootfs", sealed, "--verify-rootfs-attestation", "--secret", "key:/etc/key",
                         "--user", "9", "--", "sh", "-c", "cat /etc/key; stat -c %a:%u /etc/key; stat -c %u /bin")
    assert done.stdout == "key\n400:9\n0\n"


def test_services_in_user_namespaces(world):
    path = world.write("""
name = "PROJECT"
[networks.n]
[services.a]
command = ["sh", "-c", "id -u; cat /proc/self/uid_map; exec sleep 100000"]
rootless = true
networks = ["n"]
user = "5"
health_check = ["sh", "-c", "test $(id -u) = 5 && test -d /proc/1"]
health_interval = "200ms"
[services.b]
command = ["sleep", "100000"]
userns = "auto"
time_namespace = true
""")
    world.apply(path, "--timeout", "60s")
    assert world.nucleus("diff", "-f", path, "--detailed-exitcode").stdout
    maps = [id_map(pathlib.Path(f"/proc/{world.init}/root/proc/{world.pid(name)}/uid_map").read_text()) for name in ("a", "b")]
    assert maps[0] != maps[1] and all(entry[0][1] >= 524288 for entry in maps)
    assert world.container("a")["health"] == "healthy"
    address = world.inside("a", "ip", "-o", "-4", "addr", "show", "scope", "global").stdout
    assert re.search(r"inet \d+", address)
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_a_service_in_a_user_namespace_sees_its_own_interfaces(world):
    path = world.write("""
name = "PROJECT"
[networks.n]
[services.s]
command = ["sh", "-c", "echo $(ls /sys/class/net); exec sleep 100000"]
rootless = true
networks = ["n"]
""")
    world.apply(path, "--timeout", "60s")
    wait_for("what it sees", lambda: "eth0 lo" in world.nucleus("logs", f"{world.project}/s").stdout)


def test_starting_again_holds_no_more_files(world):
    path = world.write("""
name = "PROJECT"
[services.s]
command = ["sh", "-c", "sleep 0.05; exit 1"]
rootless = true
restart = "always"
""")
    world.apply(path, "--timeout", "60s", status=None)  # it does not stay up
    supervisor = next(line for line in world.run("pgrep", "-f", "nucleus-supervisor").stdout.split())

    def held():
        return world.run("sh", "-c", f"ls -l /proc/{supervisor}/fd | grep -c userns").stdout.strip()

    until = time.monotonic() + 30
    while world.container("s")["restarts"] < 3 and time.monotonic() < until:
        time.sleep(0.1)
    assert held() == "1"


# ---- what is shared with the host ----

def test_a_service_on_the_hosts_network(world):
    path = world.write("""
name = "PROJECT"
[services.s]
command = ["sh", "-c", "readlink /proc/self/ns/net; exec sleep 100000"]
network = "host"
allow_host_network = true
health_check = ["sh", "-c", "readlink /proc/self/ns/net > /run/net; true"]
health_interval = "100ms"
""")
    own = world.run("readlink", "/proc/self/ns/net").stdout.strip()
    world.apply(path, "--timeout", "60s")
    wait_for("what it sees", lambda: own in world.nucleus("logs", f"{world.project}/s").stdout)
    pid = world.pid("s")
    assert world.run("cat", f"/proc/{pid}/root/run/net").stdout.strip() == own
    assert "nothing to do" in world.nucleus("diff", "-f", path).stdout
    assert world.nucleus("verify", world.project)
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_the_hosts_network_wants_permission(world):
    done = world.nucleus("run", "--network", "host", "--", "true", status=125)
    assert "--allow-host-network" in done.stderr
    own = world.run("readlink", "/proc/self/ns/net").stdout
    assert world.nucleus("run", "--network", "host", "--allow-host-network", "--", "readlink", "/proc/self/ns/net").stdout == own
    done = world.nucleus("run", "--network", "host", "--allow-host-network", "--rootless", "--", "sh", "-c", "ls /sys/class/net")
    assert "lo" in done.stdout


def test_clocks_and_control_groups(world):
    own = world.run("readlink", "/proc/self/ns/time").stdout
    assert world.nucleus("run", "--time-namespace", "--", "readlink", "/proc/self/ns/time").stdout != own
    assert world.nucleus("run", "--", "readlink", "/proc/self/ns/time").stdout == own
    shown = world.nucleus("run", "--disable-cgroup-namespace", "--", "grep", "^0:", "/proc/self/cgroup").stdout
    assert "/container." in shown
    assert world.nucleus("run", "--", "grep", "^0:", "/proc/self/cgroup").stdout == "0::/\n"


@pytest.mark.parametrize("options, word", [
    (["--allow-host-network"], "--allow-host-network"),
    (["--network", "host", "--allow-host-network"], "--network host"),
    (["--allow-degraded-security"], "--allow-degraded-security"),
    (["--allow-chroot-fallback"], "--allow-chroot-fallback"),
    (["--seccomp-mode", "trace", "--seccomp-log", "log"], "--seccomp-mode trace"),
    (["--trust-level", "untrusted"], "--trust-level"),
])
def test_production_refuses_what_weakens_it_before_anything_is_made(world, rootfs, options, word):
    done = world.nucleus("run", "--service-mode", "production", "--rootfs", rootfs, "--memory", "64M", *options, "--", "true", status=125)
    assert word in done.stderr and not (world.runtime / "projects").exists()


def test_lockdown_is_demanded_of_the_kernel(world):
    done = world.nucleus("run", "--require-kernel-lockdown", "confidentiality", "--", "true", status=125)
    assert "require_kernel_lockdown" in done.stderr or "--require-kernel-lockdown" in done.stderr
    fake = world.directory / "lockdown"
    fake.write_text("none [integrity] confidentiality\n")
    world.run("mount", "-t", "tmpfs", "security", "/sys/kernel/security")
    world.run("cp", fake, "/sys/kernel/security/lockdown")
    world.nucleus("run", "--require-kernel-lockdown", "integrity", "--", "true")
    done = world.nucleus("run", "--require-kernel-lockdown", "confidentiality", "--", "true", status=125)
    assert "lockdown is integrity" in done.stderr


def test_loader_variables_want_permission(world):
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "GCONV_PATH"):
        done = world.nucleus("run", "-e", f"{name}=/x", "--", "true", status=125)
        assert name in done.stderr and "--allow-loader-variables" in done.stderr
    (world.directory / "env").write_text("LD_BIND_NOW=1\n")
    world.nucleus("run", "--env-file", "env", "--", "true", status=125)
    assert world.nucleus("run", "--env-file", "env", "--allow-loader-variables", "--", "sh", "-c", "echo $LD_BIND_NOW").stdout == "1\n"


def test_untrusted_wants_gvisor(world):
    done = world.nucleus("run", "--trust-level", "untrusted", "--", "true", status=125)
    assert "gVisor" in done.stderr
    world.nucleus("run", "--trust-level", "untrusted", "--allow-degraded-security", "--", "true")
