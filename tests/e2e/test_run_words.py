"""What `nucleus run` says of options that it cannot hold: in the words of the command line, before anything is made, and what to do."""
import json
import os
import pathlib

import pytest
from ordinary import Ordinary
from test_single import SLEEPER

PROFILE = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["execve", "execveat"], "action": "SCMP_ACT_ERRNO"}]}'


def refused(world, *options, status=125):
    done = world.nucleus("run", *options, "--", "true", status=status)
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def given(world):
    """What the options below name."""
    top = world.directory
    for name in ("ctx", "secrets.d", "img", "img/etc"):
        (top / name).mkdir()
    (top / "img/etc/passwd").write_text("sly:x:33:0::/:/bin/sh\n")
    for name, text in [("file", "x\n"), ("empty", ""), ("p.json", PROFILE),
                       ("vars", "A=1\n\nLD_PRELOAD=/x\n"),
                       ("absent.toml", 'min_abi = 1\n[[rules]]\npath = "/usr"\naccess = ["read", "execute"]\n'
                                       '[[rules]]\npath = "/no/such"\naccess = ["read"]\n'),
                       ("read.toml", '[[rules]]\npath = "/usr"\naccess = ["read"]\n')]:
        (top / name).write_text(text)
    return top


@pytest.mark.parametrize("options, words", [
    (["--tmpfs", "/t:0"], "--tmpfs: '/t:0': nothing fits into no memory"),
    (["--io-limit", "8:0"], '--io-limit: limits nothing; write for example "8:0 rbps=10M wiops=100"'),
    (["--user", "0:"], "--user: '0:': neither USER nor USER:GROUP"),
    (["--user", "1000:1000", "--group", "5"], "--group: '5': the user has group '1000' with it already"),
    (["--seccomp-allow", "keyctl", "--seccomp-mode", "trace", "--seccomp-log", "t"], "--seccomp-allow: a trace lets every call through: leave it out"),
    (["--seccomp-mode", "trace"], "--seccomp-mode: a trace needs a file to go to, --seccomp-log"),
    (["--require-kernel-lockdown", "confidentiality"], "--require-kernel-lockdown: "),
    (["--caps-policy-sha256", "0" * 64], "--caps-policy-sha256: there is no --caps-policy it could be the digest of"),
    (["--context", "file"], "/file is no directory"),
    (["--context", "nowhere"], "--context: there is no directory "),
    (["--rootfs", "file"], "/file is no directory"),
    (["--secret", "./secrets.d:/run/secrets/x"], "/secrets.d is no file"),
    (["--secret", "./file:/proc/x"], "--secret: '/proc/x' would cover /proc, which is the kernel's"),
    (["--secret", "./file:/etc/x", "--tmpfs", "/etc/x"], "two mounts on '/etc/x'"),
    (["--context", "ctx", "--tmpfs", "/context"], "--tmpfs: two mounts on '/context'"),
    (["--context", "ctx", "--context-mode", "bind", "--verify-context-integrity"], "with --context-mode copy"),
    (["--context", "ctx", "--context-include", ""], "--context-include: an empty pattern"),
    (["--context", "ctx", "--context-exclude", "!a"], "--context-exclude: !a: a pattern does not begin with '!'; write \\! "),
    (["--context", "/"], "--context: '/' is given to nobody: it is the whole machine"),
    (["--volume", "/:/data"], "--volume: '/' is given to nobody: it is the whole machine"),
    (["--volume", "/etc/shadow:/data:ro"], "--volume: '/etc/shadow' is given to nobody: the machine's passwords"),
    (["--env-file", "vars"], "/vars:3: LD_PRELOAD leads the dynamic loader: --allow-loader-variables permits it"),
    (["--seccomp-mode", "trace", "--seccomp-log", "/no/such/trace"], "/no/such/trace: No such file or directory (ENOENT) <- --seccomp-log"),
    (["--seccomp-mode", "trace", "--seccomp-log", "ctx"], "/ctx: it is there, and no file"),
    (["--seccomp-mode", "trace", "--seccomp-log", "/dev/null"], "/dev/null: it is there, and no file"),
    (["--group", "nobodys"], "look up group nobodys: it is not in /etc/group of the host"),
    (["--systemd-credential", "c:/run/secrets/c"], "CREDENTIALS_DIRECTORY is not set"),
    (["--landlock-policy", "absent.toml"], "absent.toml:6:8"),
    (["--tmpfs", "/usr"], "--tmpfs /usr: mount at /usr: /usr is mounted already"),
    (["--tmpfs", "/etc"], "--tmpfs /etc: mount at /etc: it would hide the mount at /etc/"),
    (["--volume", "./ctx:/usr"], "--volume /usr: mount at /usr: /usr is mounted already"),
    (["--volume", "./ctx:/bin"], "--volume /bin: mount at /bin: a link stands there, to /usr/bin"),
    (["--secret", "./file:/etc/hosts"], "--secret /etc/hosts: mount at /etc/hosts: /etc/hosts is mounted already"),
    (["--secret", "./file:/run/secrets/a", "--secret", "./file:/run/secrets/a/b"],
     "--secret: '/run/secrets/a/b' is below '/run/secrets/a', which is a secret"),
    (["--rootfs", "/"], "--rootfs: '/' is given to nobody: it is the whole machine"),
    (["--rootfs", "/etc"], "--rootfs: '/etc' is given to nobody: "),
    (["--rootfs", "/proc"], "--rootfs: '/proc' is given to nobody: "),
    (["--rootfs", "img", "--user", "sly"], "set --group 0 if that is meant"),
])
def test_what_is_wrong_is_said_as_it_was_given(world, given, options, words):
    null = os.stat("/dev/null")
    said = refused(world, *options)
    assert words in said and ".writable" not in said, said
    assert world.run("find", world.runtime / "projects", "-mindepth", 1, status=None).stdout == ""
    assert os.stat("/dev/null").st_rdev == null.st_rdev


def test_what_is_to_be_executed_is_no_option(world):
    said = world.nucleus("run", "--", "", status=125).stderr
    assert "COMMAND: " in said and "--command" not in said


def test_a_tree_of_somebody_else_is_no_matter_of_the_group(world):
    said = Ordinary(world).nucleus("rootfs", "seal", "/mnt/run/..", status=1).stderr
    assert "EACCES" in said and "group nucleus" not in said and "owner of the tree" in said


def test_a_user_may_have_its_group_with_it(world):
    assert world.nucleus("run", "-u", "1000:1001", "--", "sh", "-c", "id -u; id -G").stdout == "1000\n1001\n"


def test_a_probe_by_the_shell_under_a_profile_without_execve_is_told(world, given):
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["true"]\nseccomp_profile = "p.json"\nhealth_check = "ls"\n'
                       '[services.b]\ncommand = ["true"]\nseccomp_profile = "p.json"\nhealth_check = ["ls"]\nreadiness_exec = "ls"\n')
    said = world.nucleus("validate", "-f", path).stderr
    assert [line.split(": the shell")[0] for line in said.splitlines()] == [
        f"{path}:7:1: warning: health_check", f"{path}:12:1: warning: readiness_exec"], said
    done = world.nucleus("run", "--seccomp-profile", "p.json", "--health-cmd", "ls", "--", "true")
    assert "--health-cmd: the shell can execute no program" in done.stderr


def test_usage_is_told_as_usage(world):
    assert "option '--memory' needs SIZE" in world.nucleus("run", "--memory", status=64).stderr
    assert "--output is the form of what --dry-run prints" in refused(world, "--output", "json", status=64)


def test_limits_that_are_not_held_are_called_as_options(world):
    done = world.nucleus("run", "--swap", "1G", "--io-limit", "8:0 rbps=1M", "--", "true")
    assert "warning: --swap, --io-limit: not held" in done.stderr or done.stderr == "", done.stderr


def test_credentials_that_the_unit_has_not(world, given):
    world.environment["CREDENTIALS_DIRECTORY"] = str(given)
    said = refused(world, "--systemd-credential", "nothing:/run/secrets/c")
    assert "systemd credential nothing: the calling unit has none of that name" in said and "LoadCredential=nothing:" in said
    world.environment["CREDENTIALS_DIRECTORY"] = "ctx"
    assert "is no absolute path" in refused(world, "--systemd-credential", "file:/run/secrets/c")


def test_a_policy_that_lets_nothing_be_executed_is_named(world, given):
    said = refused(world, "--landlock-policy", "read.toml", status=126)
    assert "EACCES" in said and "the Landlock policy has to allow 'execute'" in said


def test_results_are_written_to_what_is_no_file_and_leave_it_so(world, given):
    """As root a file would take the place of the machine's /dev/stdout."""
    (given / "trace").write_text('{"syscall":0,"name":"read","count":1}\n')
    for own in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert json.loads(world.nucleus("seccomp", "generate", "trace", "-o", own).stdout)["syscalls"]
    assert pathlib.Path("/dev/stdout").is_symlink()
    world.nucleus("seccomp", "generate", "trace", "-o", "/dev/null")
    assert pathlib.Path("/dev/null").is_char_device()
    # What somebody else may have put there is neither followed nor filled: who reads a pipe has the plan.
    world.run("ln", "-s", "elsewhere", "link")
    world.run("mkfifo", "pipe")
    for name, what in (("link", "it is a link"), ("pipe", "it is there, and no file")):
        assert f"/{name}: {what}" in world.nucleus("seccomp", "generate", "trace", "-o", given / name, status=1, timeout=20).stderr
    assert not (given / "elsewhere").exists()
    assert "/no/such/p.json: " in world.nucleus("seccomp", "generate", "trace", "-o", "/no/such/p.json", status=1).stderr
    assert "no call was recorded" in world.nucleus("seccomp", "generate", "empty", status=1).stderr


def test_validate_and_diff_refuse_what_is_given_to_nobody(world, given):
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["true"]\nvolumes = ["./ctx:/a",\n  "/:/data"]\ncontext = "/run"\n')
    for command in ("validate", "diff", "apply"):
        said = world.nucleus(command, "-f", path, status=1).stderr
        assert f"{path}:7:3: volumes: '/' is given to nobody: it is the whole machine" in said, said
        assert f"{path}:8:1: context: '/run' is given to nobody: " in said, said
    assert world.cgroups() == []


def test_an_ordinary_user_is_told_what_is_missing(world):
    user = Ordinary(world)
    world.run("install", "-d", "-m", "0700", "/mnt/roots")
    assert "/mnt/roots: Permission denied" in user.nucleus("run", "--context", "/mnt/roots", "--", "true", status=125).stderr
    said = user.nucleus("run", "--memlock", "1T", "--", "true", status=125).stderr
    assert "set resource limit memlock to 1T" in said and "root's to give" in said
    user.environment["XDG_RUNTIME_DIR"] = "relative"
    assert "XDG_RUNTIME_DIR is no absolute path" in user.nucleus("run", "--", "true", status=125).stderr


def test_what_is_not_started_leaves_no_program(world):
    """An ordinary user's containers in the background live in namespaces that a program keeps."""
    user = Ordinary(world)
    assert "--memory: '12Q'" in user.nucleus("run", "-d", "--memory", "12Q", "--", "true", status=125).stderr
    assert not [line for line in world.processes() if "nucleus-network" in line]


def test_a_runtime_directory_of_somebody_elses_is_not_used(world):
    """XDG_RUNTIME_DIR=/tmp, where anybody may have made a directory of that name before."""
    user = Ordinary(world)
    world.run("install", "-d", "-m", "1777", "/mnt/tmp")
    user.environment["XDG_RUNTIME_DIR"] = "/mnt/tmp"
    for options, words in (["-o", "1000", "-m", "0777"], "it belongs to user 1000"), (["-o", "33", "-m", "0777"], "others may write in it"):
        world.run("install", "-d", *options, "/mnt/tmp/nucleus")
        for command in (["run"], ["run", "-d"]):
            said = user.nucleus(*command, "--", "true", status=125).stderr
            assert words in said and "mode 0700" in said, said
            assert world.run("find", "/mnt/tmp/nucleus", "-mindepth", 1).stdout == ""
    world.run("rm", "-r", "/mnt/tmp/nucleus")
    user.nucleus("run", "--", "true")
    assert world.run("stat", "-c", "%u %a", "/mnt/tmp/nucleus").stdout == "33 700\n"


def test_who_has_no_runtime_directory_has_one_below_tmp(world):
    """As after su(1), or by cron(8): no XDG_RUNTIME_DIR, and no /run/user/UID."""
    user = Ordinary(world)
    del user.environment["XDG_RUNTIME_DIR"]
    world.run("sh", "-c", "mkdir -p /run/user && mount -t tmpfs -o mode=0755 user /run/user && mount -t tmpfs -o mode=1777 tmp /tmp", cwd="/")

    def run(**options):
        return user.nucleus("run", "--", "echo", "up", **options)

    assert run().stdout == "up\n"
    assert world.run("stat", "-c", "%u %a", "/tmp/nucleus-33", cwd="/").stdout == "33 700\n"
    for make, words in (("ln -s /mnt/run", "it is a symbolic link"), ("install -d -o 1000 -m 0700", "it belongs to user 1000"),
                        ("install -d -o 33 -m 0755", "its mode is not 0700"), ("touch", "it is no directory")):
        world.run("sh", "-c", f"rm -r /tmp/nucleus-33 && {make} /tmp/nucleus-33", cwd="/")
        said = run(status=125).stderr
        assert f"/tmp/nucleus-33: {words}" in said and "XDG_RUNTIME_DIR is not set" in said, said
    world.run("install", "-d", "-o", "33", "-m", "0700", "/run/user/33", cwd="/")
    assert run().stdout == "up\n"
    assert world.run("ls", "/run/user/33", cwd="/").stdout == "nucleus\n"


def test_a_login_finds_what_a_cron_job_started(world):
    """The one has a runtime directory, the other has one below /tmp: where projects are, is where both look."""
    user = Ordinary(world)
    for name in (world.project, f"{world.project}-own"):
        file = world.write(f'name = "{name}"\n[services.one]\nservice_mode = "agent"\ncommand = ["/bin/sleep", "1000"]\n')
        world.run("cp", file, f"/mnt/data/{name}.toml")
    world.run("sh", "-c", "mkdir -p /run/user && mount -t tmpfs -o mode=0755 user /run/user && mount -t tmpfs -o mode=1777 tmp /tmp", cwd="/")

    def nucleus(*arguments, login):
        user.environment.pop("XDG_RUNTIME_DIR", None)
        if login:
            user.environment["XDG_RUNTIME_DIR"] = "/mnt/run"
        return user.nucleus(*arguments).stdout

    def apply(name=world.project, **who):
        return nucleus("apply", "--yes", "-f", f"/mnt/data/{name}.toml", **who)

    def projects(directory):
        return world.run("ls", f"{directory}/projects", cwd="/").stdout.split()

    nucleus("run", "--", "true", login=True)
    apply(login=False)
    assert world.project in nucleus("ps", login=True)
    apply(login=True)
    nucleus("run", "--", "true", login=True)
    assert projects("/tmp/nucleus-33") == [world.project] and projects("/mnt/run/nucleus") == []
    # Where there are some in both, as before: the user's own comes first.
    user.environment["NUCLEUS_RUNTIME_DIR"] = "/mnt/run/nucleus"
    apply(f"{world.project}-own", login=True)
    del user.environment["NUCLEUS_RUNTIME_DIR"]
    assert projects("/mnt/run/nucleus") == [f"{world.project}-own"]
    assert world.project not in [line.split()[0] for line in nucleus("ps", login=True).splitlines()]
    nucleus("destroy", f"{world.project}-own", "--yes", login=True)
    nucleus("destroy", world.project, "--yes", login=True)
    assert projects("/tmp/nucleus-33") == projects("/mnt/run/nucleus") == []
    apply(login=True)
    assert projects("/mnt/run/nucleus") == [world.project] and projects("/tmp/nucleus-33") == []
    nucleus("destroy", world.project, "--yes", login=True)


def test_a_container_on_no_network_needs_no_program_for_one(world):
    """/dev/net/tun is root's alone here, and so a way out is not to be had."""
    user = Ordinary(world)
    world.run("sh", "-c", "mknod -m 0600 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun")
    alone = world.name("alone")
    done = user.nucleus("run", "-d", "--name", alone, "--", "sleep", "1000")
    assert len(done.stdout.strip()) == 32
    assert user.nucleus("rm", "--force", alone).stdout == alone + "\n"
    # What wants one has none, and nothing of it is left.
    said = user.nucleus("run", "-d", "--name", world.name("out"), "--network", "bridge", "--", "sleep", "1000", status=125).stderr
    assert "/dev/net/tun" in said, said
    assert json.loads(user.nucleus("ps", "--all", "--output", "json").stdout)["services"] == []


def test_a_file_beside_a_trace_is_nobodys_business(world, given):
    beside = given / "tr.writable"
    beside.write_text("kept\n")
    world.nucleus("run", "--seccomp-mode", "trace", "--seccomp-log", "tr", "--", "true")
    assert beside.read_text() == "kept\n" and (given / "tr").read_text()
    assert sorted(path.name for path in given.iterdir() if path.name.startswith((".tr", "tr"))) == ["tr", "tr.writable"]


def test_a_variable_without_a_value_is_the_callers(world):
    world.environment = {**world.environment, "GIVEN_HERE": "a=b"}
    said = world.nucleus("run", "-e", "GIVEN_HERE", "-e", "GIVEN_NOWHERE", "--", "env").stdout.split("\n")
    assert "GIVEN_HERE=a=b" in said and not any(line.startswith("GIVEN_NOWHERE") for line in said)


def test_a_users_group_stands_in_the_key_too(world):
    path = world.write(SLEEPER + 'user = "1000:5"\n')
    world.apply(path)
    assert world.nucleus("exec", "a", "--", "id", "-u").stdout + world.nucleus("exec", "a", "--", "id", "-g").stdout == "1000\n5\n"
    world.write(SLEEPER + 'user = "1000"\ngroup = "5"\n')
    world.nucleus("diff", "-f", path, "--detailed-exitcode", status=0)
