"""Seccomp, capability and Landlock policies of files: they hold, they are pinned, they are planned, and half of one never takes effect."""
import hashlib
import json

import pytest

ALLOW = """access arch_prctl brk clone clone3 close dup2 dup3 execve exit_group faccessat faccessat2 fadvise64 fcntl fstat futex getcwd getdents64 getegid
geteuid getgid getpid getppid getrandom getuid ioctl lseek mmap mprotect munmap newfstatat openat pipe2 poll pread64 prlimit64 read readlink
rseq rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list set_tid_address stat statfs statx uname umask vfork wait4 write""".split()
CAPS = '[ambient]\nkeep = ["net_bind_service"]\n'
LANDLOCK = """min_abi = 3
[[rules]]
path = "/usr"
access = ["read", "execute"]
[[rules]]
path = "/dev"
access = ["read", "write"]
[[rules]]
path = "/etc"
access = ["read"]
"""
BIND = 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 80)); print("bound")'


def profile(world, name="p.json", allow=ALLOW, **more):
    path = world.directory / name
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
                                "syscalls": [{"names": allow, "action": "SCMP_ACT_ALLOW"}], **more}))
    return path


def write(world, name, text):
    (world.directory / name).write_text(text)
    return name


def test_a_seccomp_profile_holds(world):
    profile(world)
    done = world.nucleus("run", "--seccomp-profile", "p.json", "--", "sh", "-c", "echo here; mkdir /tmp/x", status=1)
    assert done.stdout == "here\n" and "Function not implemented" in done.stderr
    world.nucleus("run", "--seccomp-profile", "p.json", "--seccomp-allow", "mkdir", "--", "mkdir", "/tmp/x")
    cached = list((world.state / "seccomp").glob("*.bpf"))
    assert len(cached) == 2 and all(path.stat().st_mode & 0o777 == 0o600 for path in cached)


def test_a_torn_cache_is_no_cache(world):
    profile(world)
    world.nucleus("run", "--seccomp-profile", "p.json", "--", "true")
    [cached] = (world.state / "seccomp").glob("*.bpf")
    whole = cached.read_bytes()
    for broken in (b"", whole[:100], whole[:-1] + bytes([whole[-1] ^ 1]), whole[:60] + bytes(8) + whole[68:]):
        cached.write_bytes(broken)
        world.nucleus("run", "--seccomp-profile", "p.json", "--", "mkdir", "/tmp/x", status=1)
    assert cached.read_bytes() == whole


@pytest.mark.parametrize("option, name, text", [("--caps-policy", "c.toml", CAPS), ("--landlock-policy", "l.toml", LANDLOCK),
                                               ("--seccomp-profile", "p.json", None)])
def test_policies_are_pinned(world, option, name, text):
    path = profile(world) if text is None else world.directory / write(world, name, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    world.nucleus("run", option, name, f"{option}-sha256", digest.upper(), "--", "true")
    wrong = world.nucleus("run", option, name, f"{option}-sha256", digest[::-1], "--", "touch", "/tmp/started", status=125)
    assert f"{option}-sha256" in wrong.stderr and digest in wrong.stderr
    assert "there is no" in world.nucleus("run", f"{option}-sha256", digest, "--", "true", status=125).stderr


def test_capabilities_are_exactly_those_of_the_policy(world):
    write(world, "c.toml", CAPS)
    status = world.nucleus("run", "--caps-policy", "c.toml", "--user", "1000", "--", "grep", "Cap", "/proc/self/status").stdout
    assert {line.split()[1] for line in status.splitlines()} == {"0000000000000400"}
    assert world.nucleus("run", "--caps-policy", "c.toml", "--user", "1000", "--", "python3", "-c", BIND).stdout == "bound\n"
    refused = world.nucleus("run", "--user", "1000", "--", "python3", "-c", BIND, status=1)
    assert "Permission denied" in refused.stderr


def test_capabilities_that_would_not_be_had_are_an_error(world):
    write(world, "c.toml", '[bounding]\nkeep = ["CHOWN"]\n')
    done = world.nucleus("run", "--caps-policy", "c.toml", "--user", "1000", "--", "true", status=125)
    assert "keep them in [ambient]" in done.stderr and "CHOWN" in done.stderr
    world.nucleus("run", "--caps-policy", "c.toml", "--", "chown", "1:1", "/tmp")


def test_landlock_holds_and_reading_is_not_executing(world):
    write(world, "l.toml", LANDLOCK)
    done = world.nucleus("run", "--landlock-policy", "l.toml", "--", "sh", "-c", "cat /etc/hostname >/dev/null && echo read; ls /tmp; touch /tmp/a",
                         status=1)
    assert done.stdout == "read\n" and done.stderr.count("Permission denied") == 2
    write(world, "l.toml", LANDLOCK.replace('"read", "execute"', '"read"'))
    assert "EACCES" in world.nucleus("run", "--landlock-policy", "l.toml", "--", "true", status=126).stderr


def test_a_landlock_path_that_is_missing_is_an_error(world):
    write(world, "l.toml", LANDLOCK + '[[rules]]\npath = "/no/such"\naccess = ["read"]\n')
    assert "/no/such" in world.nucleus("run", "--landlock-policy", "l.toml", "--", "true", status=125).stderr


@pytest.mark.parametrize("path, access", [("/etc/hosts", '"create", "remove"'), ("/dev/null", '"readdir"'), ("/etc/hosts", '"ioctl"')])
def test_a_landlock_rule_that_would_allow_nothing_is_an_error(world, path, access):
    write(world, "l.toml", LANDLOCK + f'[[rules]]\npath = "{path}"\naccess = [{access}]\n')
    said = world.nucleus("run", "--landlock-policy", "l.toml", "--", "true", status=125).stderr
    place = f"l.toml:{LANDLOCK.count(chr(10)) + 2}:8"
    words = access.replace('"', "")
    why = f"in the container it is no directory{' and no device' if words == 'ioctl' else ''}, and {words} would allow nothing there"
    assert f"add Landlock rule {path}: {why}" in said and place in said and "ENOTDIR" not in said and "stat" not in said
    write(world, "l.toml", LANDLOCK + f'[[rules]]\npath = "{path}"\naccess = [{access}, "read"]\n')
    world.nucleus("run", "--landlock-policy", "l.toml", "--", "true")


def test_a_landlock_rule_that_would_allow_nothing_of_a_rootfs_is_told_before_anything_is_made(world, tmp_path):
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/passwd").touch()
    (tmp_path / "tree/etc/group").symlink_to("passwd")
    path = world.write(f'''name = "PROJECT"
[services.one]
command = ["/usr/bin/true"]
rootfs = "{tmp_path}/tree"
landlock_policy = "l.toml"
volumes = ["{tmp_path}/tree/etc:/data"]
''')
    rules = [("/etc/passwd", '"create", "remove"'), ("/etc", '"create"'), ("/etc/passwd/", '"all"'), ("/data/passwd", '"create"'), ("/etc/group", '"create"')]
    for number, (place, access) in enumerate(rules):
        write(world, "l.toml", f'[[rules]]\npath = "{place}"\naccess = [{access}]\n')
        told = world.nucleus("validate", "-f", path, status=None).stderr
        wrong = "l.toml:2:8: rule for '/etc/passwd': in the rootfs of one it is no directory, and create, remove would allow nothing there"
        assert (wrong in told) == (number == 0) and ("rule for" in told) == (number == 0), told


def test_a_landlock_rule_for_what_a_rootfs_has_not_is_told_before_anything_is_made(world, tmp_path):
    for name in ("usr/bin", "etc", "var", "data"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    (tmp_path / "tree/var/run").symlink_to("/run")
    (tmp_path / "tree/etc/mtab").symlink_to("/proc/mounts")
    there = ["/usr/bin", "/data/below", "/var/run/x", "/etc/mtab", "/etc/hosts", "/dev/null", "/mnt"]
    rules = "".join(f'[[rules]]\npath = "{path}"\naccess = ["read"]\n' for path in there)
    path = world.write(f"""name = "PROJECT"
[services.one]
command = ["/usr/bin/true"]
rootfs = "{tmp_path}/tree"
landlock_policy = "l.toml"
tmpfs = ["/mnt/below", "/data:1M"]
""")
    write(world, "l.toml", rules + '[[rules]]\npath = "/opt/none"\naccess = ["read"]\n[[rules]]\npath = "/usr/none"\naccess = ["read"]\n')
    line = rules.count("\n") + 2
    for command in ("validate", "diff", "apply"):
        told = world.nucleus(command, "-f", path, status=None)
        assert told.returncode != 0 and world.cgroups() == []
        problems = [text for text in told.stderr.splitlines() if "has no such path in its rootfs" in text]
        assert [f"l.toml:{number}:" in text for number, text in zip((line, line + 3), problems, strict=True)] == [True, True], told.stderr
        assert "'/opt/none': one" in problems[0] and "'/usr/none': one" in problems[1]
    write(world, "l.toml", rules)
    assert "no such path" not in world.nucleus("diff", "-f", path).stderr
    # Another that has the same policy and rootfs, but not the same mounts.
    one = path.read_text().partition("[services.one]")[2].partition("tmpfs")[0]
    path.write_text(path.read_text() + "[services.two]" + one)
    problems = [text for text in world.nucleus("validate", "-f", path, status=1).stderr.splitlines() if "has no such path" in text]
    assert [text.partition("rule for ")[2].partition(" has")[0] for text in problems] == ["'/data/below': two", "'/mnt': two"], problems


def test_landlock_ports(world):
    write(world, "l.toml", LANDLOCK + '[[rules]]\npath = "/"\naccess = ["all"]\n')
    listen = 'import socket, sys; s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); print("bound")'
    (world.directory / "l.toml").write_text("tcp_bind = [8080]\n" + (world.directory / "l.toml").read_text())
    options = ["run", "--landlock-policy", "l.toml", "--", "python3", "-c", listen]
    assert world.nucleus(*options, "8080").stdout == "bound\n"
    assert "Permission denied" in world.nucleus(*options, "8081", status=1).stderr


@pytest.mark.parametrize("option, name, text, place", [
    ("--seccomp-profile", "p.json", '{"defaultAction": "SCMP_ACT_ALLO"}', "p.json:1:"),
    ("--seccomp-profile", "p.json", '{"defaultAction": "SCMP_ACT_ALLOW", "sycalls": []}', "p.json:1:"),
    ("--caps-policy", "c.toml", '[bounding]\nkeep = ["CAP_NET_BIND"]\n', "c.toml:2:"),
    ("--caps-policy", "c.toml", "[bonding]\nkeep = []\n", "c.toml:1:"),
    ("--landlock-policy", "l.toml", '[[rules]]\npath = "/"\naccess = ["reed"]\n', "l.toml:3:"),
])
def test_a_problem_has_its_place_and_nothing_starts(world, option, name, text, place):
    write(world, name, text)
    done = world.nucleus("run", option, name, "--", "echo", "started", status=125)
    assert place in done.stderr and done.stdout == ""
    file = world.write(f'name = "PROJECT"\n[services.s]\ncommand = ["true"]\n{option[2:].replace("-", "_")} = "{name}"\n')
    assert place in world.nucleus("validate", "-f", file, status=1).stderr
    assert place in world.nucleus("diff", "-f", file, status=1).stderr


def test_production_refuses_capabilities_that_reach_the_machine(world, rootfs):
    write(world, "c.toml", '[bounding]\nkeep = ["SYS_ADMIN"]\n')
    done = world.nucleus("run", "--service-mode", "production", "--rootfs", str(rootfs), "--memory", "64M", "--caps-policy", "c.toml", "--", "true",
                         status=125)
    assert "SYS_ADMIN" in done.stderr and "c.toml:2:" in done.stderr


def test_a_changed_policy_is_a_planned_restart(world):
    path = profile(world)
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sleep", "100000"]\nseccomp_profile = "p.json"\nseccomp_allow = ["nanosleep", "clock_nanosleep"]\n')
    world.apply(file)
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    pid = world.pid("s")
    profile(world, allow=[*ALLOW, "mkdir"])
    plan = world.nucleus("diff", "-f", file, "--detailed-exitcode", status=2).stdout
    assert "restart" in plan and "seccomp_profile" in plan
    world.apply(file)
    assert world.pid("s") != pid
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    saved = world.directory / "plan"
    path.write_text(path.read_text().replace("mkdir", "rmdir"))
    world.nucleus("diff", "-f", file, "--out", str(saved))
    path.write_text(path.read_text().replace("rmdir", "link"))
    world.nucleus("apply", str(saved), "--yes", status=4)


def test_explain_diff_and_generate(world):
    profile(world)
    profile(world, "q.json", [*ALLOW, "mkdir"])
    assert "ENOSYS" in world.nucleus("seccomp", "explain", "p.json").stdout
    assert "mkdir" in world.nucleus("seccomp", "diff", "p.json", "q.json", "--detailed-exitcode", status=2).stdout
    assert world.nucleus("seccomp", "diff", "p.json", "p.json", "--detailed-exitcode").stdout == ""
    write(world, "t.ndjson", '{"syscall":0,"name":"read","count":3}\n{"syscall":1,"name":"write","count":1}\n')
    world.nucleus("seccomp", "generate", "t.ndjson", "-o", "made.json")
    made = json.loads((world.directory / "made.json").read_text())
    assert made["syscalls"][0]["names"] == ["read", "write"] and made["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    write(world, "wrong.ndjson", '{"syscall":0,"name":"read","count":3}\n{"syscall":0,"name":"write","count":1}\n')
    assert "wrong.ndjson:2:12: /syscall: 0 is read on this machine, and not write" in world.nucleus("seccomp", "generate", "wrong.ndjson", status=1).stderr
    world.run("ln", "t.ndjson", "same.ndjson")
    for output in ("t.ndjson", "./t.ndjson", "same.ndjson"):
        said = world.nucleus("seccomp", "generate", "t.ndjson", "-o", output, status=1).stderr
        assert "it is the trace t.ndjson" in said and '"write"' in (world.directory / "t.ndjson").read_text()
    assert "t.ndjson:1:" in world.nucleus("seccomp", "generate", write(world, "t.ndjson", "{]\n"), status=1).stderr
