"""Files that a sandbox is given: its context, secrets, and a root file system that is attested."""
import contextlib
import hashlib
import hmac
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import time

import pytest


@pytest.fixture
def context(world):
    top = world.directory / "ctx"
    (top / "src").mkdir(parents=True)
    (top / ".git").mkdir()
    for name, text in {"agent": "#!/bin/sh\necho agent in $PWD\n", "src/main.c": "int main;\n", ".git/config": "url\n", ".env": "TOKEN=1\n",
                       "server.pem": "key\n", "notes.log": "log\n"}.items():
        (top / name).write_text(text)
    (top / "agent").chmod(0o755)
    (top / "out").symlink_to("/etc/shadow")
    os.mkfifo(top / "pipe")
    return top


def listing(world, *options):
    out = world.nucleus("run", "--context", "ctx", *options, "--", "find", ".", "-type", "f").stdout
    return sorted(line[2:] for line in out.splitlines())


def test_a_context_is_copied_without_what_is_nobodys_business(world, context):
    assert world.nucleus("run", "--context", "./ctx", "--", "./agent").stdout == "agent in /context\n"
    assert listing(world) == ["agent", "notes.log", "src/main.c"]
    assert listing(world, "--context-exclude", "*.log", "--context-include", ".env") == [".env", "agent", "src/main.c"]
    done = world.nucleus("run", "--context", "ctx", "--", "sh", "-c", "touch a; ls -a | tr '\\n' ' '", status=0)
    assert "Read-only" in done.stderr and "pipe" not in done.stdout and "out" not in done.stdout


def test_a_context_that_is_bound_shows_no_more(world, context):
    bound = ["--context-mode", "bind"]
    done = world.nucleus("run", "--context", "ctx", *bound, "--", "sh", "-c", "cat .env server.pem .git/config; ls -A .git; ./agent; touch a", status=1)
    assert done.stdout == "agent in /context\n" and "Read-only" in done.stderr
    (context / "later").write_text("seen\n")
    assert world.nucleus("run", "--context", "ctx", *bound, "--", "cat", "later").stdout == "seen\n"


@pytest.mark.parametrize("asked", [["--volume", "./given:/context/.git/sub"], ["--secret", "./key:/context/.git/sub/key"], ["--tmpfs", "/context/.git/sub"]], ids=str)
def test_nothing_is_mounted_below_what_is_hidden(world, context, asked):
    for name in ("given", "ctx/.git/sub"):
        (world.directory / name).mkdir()
    for name in ("key", "ctx/.git/sub/key"):
        (world.directory / name).write_text("key\n")
    words = ["run", "--context", "ctx", "--context-mode", "bind", *asked]
    done = world.nucleus(*words, "--", "true", status=125)
    assert "/context/.git of the context is hidden" in done.stderr and "--context-include" in done.stderr, done.stderr
    world.nucleus(*words, "--context-include", ".git", "--", "true")


def test_nothing_is_mounted_below_what_is_mounted_in_a_bound_context(world, context):
    """That is hidden too."""
    (world.directory / "given").mkdir()
    (context / "mounted").mkdir()
    world.run("sh", "-c", f"mount -t tmpfs none {context}/mounted && mkdir {context}/mounted/sub")
    done = world.nucleus("run", "--context", "ctx", "--context-mode", "bind", "--volume", "./given:/context/mounted/sub", "--", "true", status=125)
    assert "/context/mounted of the context is hidden" in done.stderr, done.stderr
    world.run("umount", context / "mounted")


def test_mounts_in_a_context_that_is_copied(world, context):
    """Where the context has nothing at their places, they are made in the copy."""
    (world.directory / "given").mkdir()
    (world.directory / "key").write_text("key\n")
    options = ["--context", "ctx", "--volume", "./given:/context/results/a", "--volume", "./key:/context/src/conf:ro", "--volume", "./given:/context/src/main.d:ro",
               "--tmpfs", "/context/cache", "--secret", "./key:/context/deep/er/key"]
    script = "cat src/conf deep/er/key src/main.c; touch results/a/new cache/x; touch y results/y 2>&1 | grep -c Read-only; ls src/main.d"
    for more in ([], ["--verify-context-integrity"]):
        done = world.nucleus("run", *options, *more, "--", "sh", "-c", script)
        assert done.stdout == "key\nkey\nint main;\n2\nnew\n"
    assert (world.directory / "given/new").exists() and not (context / "results").exists() and not (context / "deep").exists()
    for volume, way in (("./given:/context/agent", "agent is no directory"), ("./key:/context/src:ro", "src is no file"), ("./key:/context/agent/x:ro", "agent is no directory")):
        assert way in world.nucleus("run", "--context", "ctx", "--volume", volume, "--", "true", status=125).stderr


def test_mounts_in_a_context_that_is_bound(world, context):
    """Their places have to be there; and of what is mounted there nothing is hidden."""
    (world.directory / "given").mkdir()
    (world.directory / "given/.env").write_text("given\n")
    options = ["--context", "ctx", "--context-mode", "bind", "--volume", "./given:/context/results"]
    missing = world.nucleus("run", *options, "--", "true", status=125).stderr
    assert "ctx/results does not exist" in missing and "make it first" in missing
    (context / "results").mkdir()
    (context / "results/.env").write_text("the context's\n")
    for more in ([], ["--context-exclude", "results"]):
        assert world.nucleus("run", *options, *more, "--", "sh", "-c", "cat results/.env; touch results/new").stdout == "given\n"
    assert (world.directory / "given/new").exists()


def test_a_service_that_gets_a_context_and_a_place_in_it(world, context):
    (world.directory / "given").mkdir()
    service = 'name = "PROJECT"\n[services.s]\ncommand = ["/bin/sleep", "100000"]\n'
    world.apply(world.write(service))
    before = world.pid("s")
    given = 'context = "ctx"\nvolumes = ["./given:/context/{}"]\n'
    file = world.write(service + given.format("agent"))
    done = world.nucleus("apply", "-f", file, status=None)
    assert done.returncode != 0 and "agent is no directory" in done.stderr + done.stdout and world.pid("s") == before
    world.apply(world.write(service + given.format("results")))
    world.nucleus("exec", "s", "--", "touch", "/context/results/new")
    assert (world.directory / "given/new").exists()


def many(top, files=600):
    top.mkdir()
    for i in range(files):
        (top / f"f{i}").write_text("")


def test_what_was_found_in_a_bound_context_is_kept_and_follows_changes(world, context):
    """A large context is read once; afterwards only what has changed is, and nothing is shown for that."""
    many(context / "lib")
    kept = world.runtime / "contexts"
    look = ["run", "--context", "ctx", "--context-mode", "bind", "--", "sh", "-c", "cat .env server.pem lib/late.key lib/.env/x src/.env 2>/dev/null; true"]
    for _ in range(2):
        assert world.nucleus(*look).stdout == ""
    listed = world.run("stat", "-c", "%a %u %n", kept, *world.run("find", kept, "-type", "f").stdout.split()).stdout.split("\n")
    assert listed[0].startswith("700 0") and listed[1].startswith("600 0") and len(listed) == 3, listed
    (context / "lib/late.key").write_text("key\n")
    (context / "src/.env").write_text("T=1\n")
    assert world.nucleus(*look).stdout == ""
    (context / "lib/.env").mkdir()
    (context / "lib/.env/x").write_text("T=1\n")
    assert world.nucleus(*look).stdout == ""
    world.run("sh", "-c", f"for each in {kept}/*; do echo damaged > $each; done")
    assert world.nucleus(*look).stdout == ""
    included = world.nucleus("run", "--context", "ctx", "--context-mode", "bind", "--context-include", ".env", "--", "cat", ".env", "src/.env")
    assert included.stdout == "TOKEN=1\nT=1\n"


def test_a_name_that_cannot_be_hidden(world, context):
    (context / "a\nb.key").write_text("key\n")
    done = world.nucleus("run", "--context", "ctx", "--context-mode", "bind", "--", "true", status=125)
    assert "ctx/a\\x0ab.key" in done.stderr and "control characters" in done.stderr and "copied" in done.stderr
    assert "a\nb.key" not in listing(world)


def test_a_context_larger_than_its_room(world, context):
    """What a copy may take is the container's memory limit, and it is said by how much it is too large."""
    (context / "large").write_bytes(b"x" * (3 << 20))
    done = world.nucleus("run", "--context", "ctx", "--memory", "2M", "--service-mode", "agent", "--", "true", status=125)
    assert f"{context}: 4 files, 3084K, do not fit into 2M, the memory limit" in done.stderr, done.stderr
    assert "leave out what is not needed" in done.stderr
    sizes = world.nucleus("run", "--context", "ctx", "--memory", "64M", "--", "df", "-k", "/context").stdout
    assert sizes.split("\n")[1].split()[1] == str(64 << 10)


def preparing(world):
    """The pid of who is about to start a container."""
    deadline = time.monotonic() + 20
    while not (rows := world.json("ps")["services"]) or rows[0]["supervisor_pid"] is None:
        assert time.monotonic() < deadline
    assert rows[0]["state"] != "running", "it was too quick"
    return str(rows[0]["supervisor_pid"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", ["copy", "integrity", "rootfs"])
def test_a_long_preparation_can_be_interrupted(world, image, number, what):
    """A tree that takes long: holes, which are hashed byte by byte, and of which a copy is as sparse."""
    top = image if what == "rootfs" else world.directory / "large"
    top.mkdir(exist_ok=True)
    for i in range(20_000 if what == "copy" else 40):
        with open(top / f"f{i}", "wb") as file:
            file.truncate(1000 if what == "copy" else 256 << 20)
    options = {"copy": ["--context", "large"], "integrity": ["--context", "large", "--verify-context-integrity"],
               "rootfs": ["--rootfs", "image", "--verify-rootfs-attestation"]}[what]
    if what == "rootfs":  # as if it had been sealed: what the manifest says is compared when all was read
        listed = "".join(f"{hashlib.sha256(b'').hexdigest()}\tf{i}\n" for i in range(40))
        (top / ".nucleus-rootfs-sha256").write_text(listed)
    with world.popen("nucleus", "run", "--name", world.name("box"), *options, "--", "/bin/sh", "-c", "echo ran", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        world.run("kill", f"-{number.name[3:]}", preparing(world))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, b""), err
    assert b"interrupted" in err
    assert world.run("find", world.runtime / "projects", "-mindepth", 1, status=None).stdout == ""


def test_progress_is_for_terminals(world):
    """From a second on, in one line that is gone before the workload writes."""
    (world.directory / "large").mkdir()
    for i in range(40):
        with open(world.directory / f"large/f{i}", "wb") as file:
            file.truncate(256 << 20)
    command = ["run", "--context", "large", "--verify-context-integrity", "--", "echo", "ran"]
    main, end = pty.openpty()
    with world.popen("nucleus", *command, stdout=end, stderr=end) as process:
        os.close(end)
        shown = b""
        while b"files" not in shown:
            shown += os.read(main, 4096)
        world.run("kill", "-INT", preparing(world))
        while True:
            try:
                shown += os.read(main, 4096)
            except OSError:  # EIO: the other end is closed
                break
        process.wait(60)
    os.close(main)
    assert b"hashing the context: " in shown
    assert shown.rindex(b"\r\x1b[K") < shown.index(b"interrupted")
    assert process.returncode == 130


def test_a_copy_is_the_workloads_and_of_its_time(world, context):
    done = world.nucleus("run", "--context", "ctx", "--user", "1000", "--", "sh", "-c", "stat -c %u:%g . agent; test -O agent && echo own")
    assert done.stdout == "1000:1000\n1000:1000\nown\n"


def test_integrity_of_a_context(world, context):
    assert world.nucleus("run", "--context", "ctx", "--verify-context-integrity", "--", "./agent").stdout == "agent in /context\n"
    done = world.nucleus("run", "--context", "ctx", "--context-mode", "bind", "--verify-context-integrity", "--", "true", status=125)
    assert "--verify-context-integrity" in done.stderr


def test_a_context_in_a_topology(world, context):
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sh", "-c", "./agent; sleep 100000"]\ncontext = "ctx"\n')
    world.apply(file)
    assert "agent in /context" in world.nucleus("logs", "s").stdout
    world.nucleus("diff", "-f", file, "--detailed-exitcode")


# ---- secrets ----

SECRET = "correct-horse-battery"


def test_secrets_are_in_memory_and_for_their_user_only(world):
    (world.directory / "key").write_text(SECRET)
    looks = ("cat /run/secrets/api /etc/tls/cert.pem; echo; stat -c '%a %u' /run/secrets/api /etc/tls/cert.pem; stat -f -c %T /run/secrets /etc/tls/cert.pem;"
             "grep -c noswap /proc/self/mountinfo; chmod 777 /run/secrets/api; echo >> /etc/tls/cert.pem")
    done = world.nucleus("run", "--secret", "./key:/run/secrets/api", "--secret", "./key:/etc/tls/cert.pem", "--user", "1000", "--", "sh", "-c", looks,
                         status=2)
    assert done.stdout.split() == [SECRET + SECRET, "400", "1000", "400", "1000", "tmpfs", "tmpfs", "2"]
    assert "Read-only" in done.stderr and "Permission denied" in done.stderr
    other = world.nucleus("run", "--secret", "./key:/run/secrets/api", "--", "sh", "-c", "ls -l /run/secrets", status=0)
    assert "-r--------" in other.stdout


def test_a_secret_is_in_no_state_and_no_argument(world, rootfs):
    (world.directory / "key").write_text(SECRET)
    (world.directory / "creds").mkdir()
    (world.directory / "creds/db").write_text(SECRET)
    world.environment["CREDENTIALS_DIRECTORY"] = str(world.directory / "creds")
    file = world.write(f'name = "PROJECT"\n[services.s]\nrootfs = "{rootfs}"\ncommand = ["sh", "-c", "cat /run/secrets/a /etc/b | md5sum; sleep 100000"]\n'
                       'secrets = [{ source = "key", destination = "/run/secrets/a" }]\nsystemd_credentials = ["db:/etc/b"]\n')
    world.apply(file)
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    for top in (world.state, world.runtime):
        found = world.run("grep", "-r", "-l", SECRET, top, status=None).stdout
        assert found == "", found
    assert SECRET not in world.nucleus("show", world.project).stdout + world.nucleus("logs", "s").stdout
    said = world.run("sh", "-c", "for each in /proc/[0-9]*; do cat $each/cmdline $each/environ; done", status=None).stdout
    assert "sleep" in said and SECRET not in said


def test_a_secret_that_changed_is_a_change(world):
    """By a digest that is of no use without the machine's key."""
    key, other = world.directory / "key", world.directory / "other"
    key.write_text(SECRET)
    other.write_text("1234")
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sh", "-c", "cat /run/secrets/a; sleep 100000"]\n'
                       'secrets = ["./key:/run/secrets/a", "./other:/run/secrets/b"]\n'
                       '[services.t]\ncommand = ["sleep", "infinity"]\nsecrets = ["./key:/run/secrets/a"]\n')
    world.apply(file)
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    machines = (world.state / "secret-digest.key")
    assert machines.stat().st_mode & 0o777 == 0o600 and machines.stat().st_size == 32
    world.nucleus("diff", "-f", file, "--out", "saved.plan")
    digests = re.findall(r'"secrets:/run/secrets/[ab]":"([0-9a-f]{64})"', (world.directory / "saved.plan").read_text().replace("\\", ""))
    assert len(set(digests)) == 3, digests  # the same secret has another digest elsewhere
    for known in (SECRET, "1234"):
        plain = {hashlib.sha256(known.encode()).hexdigest(), hmac.new(b"", known.encode(), "sha256").hexdigest()}
        assert not plain & set(digests)
    other.write_text("5678")
    pids = world.pid("s"), world.pid("t")
    assert "secret /run/secrets/b changed" in world.nucleus("diff", "-f", file, "--detailed-exitcode", status=2).stdout
    refused = world.nucleus("apply", "saved.plan", status=4)
    assert "stale" in refused.stderr and "service.s" in refused.stderr
    world.apply(file)
    assert world.pid("s") != pids[0] and world.pid("t") == pids[1]
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    key.unlink()  # what cannot be read is not taken for a change; that it is not there is told
    world.nucleus("diff", "-f", file, status=1)


def test_a_key_that_is_lost_or_damaged_is_told(world):
    """Without it nobody can say whether a secret has changed."""
    (world.directory / "key").write_text(SECRET)
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sleep", "100000"]\nsecrets = ["./key:/run/secrets/a"]\n')
    assert "whether" not in world.apply(file).stderr
    assert "whether" not in world.nucleus("diff", "-f", file, "--detailed-exitcode").stderr
    key = world.state / "secret-digest.key"
    whole = key.read_bytes()
    for damage, words in [(lambda: key.chmod(0o644), f"may be read or written by others than its owner: `chmod 600 {key}`"),
                          (lambda: (key.chmod(0o600), key.write_bytes(b"short")), "is damaged: remove it, and another is made, and services with secrets are restarted"),
                          (lambda: (key.write_bytes(whole), os.chown(key, 1, -1)), "is no file of whoever runs this: remove it")]:
        damage()
        for command in (("diff", "--detailed-exitcode"), ("apply",)):
            told = world.nucleus(*command, "-f", file).stderr
            assert "warning: whether secrets have changed is not known: " in told and words in told, told
    os.chown(key, 0, -1)
    key.touch()  # it is the same one
    for command in (("diff", "--detailed-exitcode"), ("apply",)):
        assert "whether" not in world.nucleus(*command, "-f", file).stderr
    key.unlink()
    for command in (("diff", "--detailed-exitcode"), ("apply",)):  # diff makes another, and so knows that all count as changed
        done = world.nucleus(*command, "-f", file, status=None)
        assert "the key of secrets' digests is another one than when they were applied" in done.stderr, done.stderr
        assert "secret /run/secrets/a changed" in done.stdout
    done = world.nucleus("diff", "-f", file, "--detailed-exitcode")
    assert "whether" not in done.stderr


def test_another_key_is_told_of_each_service_until_it_is_applied(world):
    (world.directory / "key").write_text(SECRET)
    file = world.write('name = "PROJECT"\n' + "".join(f'[services.{name}]\ncommand = ["sleep", "100000"]\nsecrets = ["./key:/run/secrets/a"]\n'
                                                      for name in ("one", "two")) + '[services.three]\ncommand = ["sleep", "100000"]\n')
    world.apply(file)
    (world.state / "secret-digest.key").unlink()
    other = "the key of secrets' digests is another one"
    assert other in world.nucleus("diff", "-f", file).stderr
    for target, told in (("three", True), ("one", True), ("two", False)):
        world.nucleus("apply", "-f", file, "--target", f"service.{target}")
        assert (other in world.nucleus("diff", "-f", file).stderr) == told, target
    world.nucleus("diff", "-f", file, "--detailed-exitcode")


def test_what_a_secret_holds_is_noted_once_it_can_be_and_restarts_nothing(world):
    (world.directory / "key").write_text(SECRET)
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sleep", "100000"]\nsecrets = ["./key:/run/secrets/a"]\n')
    world.nucleus("diff", "-f", file)
    key = world.state / "secret-digest.key"
    key.chmod(0o644)
    world.apply(file)
    pid = world.pid("s")
    world.nucleus("diff", "-f", file, "--out", "saved.plan", "--detailed-exitcode")
    key.chmod(0o600)
    assert "secret /run/secrets/a is known from now on" in world.nucleus("diff", "-f", file).stdout
    assert "restart" not in world.nucleus("apply", "saved.plan").stdout
    assert world.pid("s") == pid
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    (world.directory / "key").write_text("another")
    assert "secret /run/secrets/a changed" in world.nucleus("diff", "-f", file, "--detailed-exitcode", status=2).stdout
    world.apply(file)
    assert world.pid("s") != pid


def test_a_plan_may_be_saved_by_somebody_who_cannot_read_the_secrets(world):
    """As a member of the group nucleus; here the key is not one to be used."""
    (world.directory / "key").write_text(SECRET)
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sleep", "100000"]\nsecrets = ["./key:/run/secrets/a"]\n')
    world.nucleus("diff", "-f", file)
    key = world.state / "secret-digest.key"
    key.chmod(0o644)
    assert "whether secrets have changed is not known" in world.nucleus("diff", "-f", file, "--out", "saved.plan").stderr
    key.chmod(0o600)
    world.nucleus("apply", "saved.plan")
    world.nucleus("diff", "-f", file, "--detailed-exitcode")  # and what it holds is known from now on
    key.chmod(0o644)
    world.nucleus("diff", "-f", file, "--out", "saved.plan")
    key.chmod(0o600)
    (world.directory / "key").write_text("another")  # seen when it was applied: this is a change since
    assert "stale" in world.nucleus("apply", "saved.plan", status=4).stderr


def test_a_credential_that_changed_is_a_change(world):
    creds = world.directory / "creds"
    creds.mkdir()
    (creds / "db").write_text(SECRET)
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["sleep", "100000"]\nsystemd_credentials = ["db:/run/secrets/db"]\n')
    world.environment["CREDENTIALS_DIRECTORY"] = str(creds)
    world.apply(file)
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    (creds / "db").write_text("another")
    del world.environment["CREDENTIALS_DIRECTORY"]  # a person at a terminal has none, and sees no change
    world.nucleus("diff", "-f", file, "--detailed-exitcode")
    world.environment["CREDENTIALS_DIRECTORY"] = str(creds)
    assert "credential /run/secrets/db changed" in world.nucleus("diff", "-f", file, "--detailed-exitcode", status=2).stdout
    world.apply(file)
    world.nucleus("diff", "-f", file, "--detailed-exitcode")


@pytest.mark.parametrize("to", ["/etc/shadow", "CANARY", "../../../../../../CANARY", "/proc/self/root"])
@pytest.mark.parametrize("form", ["the place", "above it"])
def test_a_secret_at_a_link_of_the_image_stays_inside(world, image, to, form):
    canary = world.directory / "canary"
    canary.mkdir()
    (canary / "key").write_text("host's\n")
    (world.directory / "key").write_text(SECRET)
    place = image / "etc/tls" if form == "above it" else image / "etc/tls/key"
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(to.replace("CANARY", str(canary)[to.startswith("..") :]) + ("" if form == "above it" else "/key" if "CANARY" in to else ""))
    before = pathlib.Path("/etc/shadow").read_bytes()
    done = world.nucleus("run", "--rootfs", "image", "--secret", "./key:/etc/tls/key", "--", "/bin/sh", "-c",
                         "/bin/busybox cat /etc/tls/key", status=None)
    assert done.returncode in (0, 1, 125) and "host's" not in done.stdout
    assert done.stdout in ("", SECRET), done
    assert (canary / "key").read_text() == "host's\n" and os.listdir(canary) == ["key"]
    assert pathlib.Path("/etc/shadow").read_bytes() == before
    assert SECRET not in "".join(path.read_text(errors="replace") for path in image.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize("what, words", [("missing:/run/secrets/x", "there is no file"), ("key:/run/secrets", "give it a name"),
                                         ("key", "write"), ("pipe:/run/secrets/x", "/pipe is no file")])
def test_secrets_that_cannot_be(world, what, words):
    (world.directory / "key").write_text(SECRET)
    os.mkfifo(world.directory / "pipe")
    done = world.nucleus("run", "--secret", f"./{what}", "--", "true", status=125)
    assert "--secret" in done.stderr and words in done.stderr


def test_secrets_are_not_put_below_what_is_somebody_elses(world):
    (world.directory / "key").write_text(SECRET)
    done = world.nucleus("run", "--secret", "./key:/run/secrets/x", "--tmpfs", "/run/secrets", "--", "true", status=125)
    assert "/run/secrets" in done.stderr


def test_a_strict_umask_keeps_no_secret_from_its_workload(world):
    (world.directory / "key").write_text(SECRET)
    done = world.run("sh", "-c", "umask 077; nucleus run --user 1000 --secret ./key:/run/secrets/db/x -- cat /run/secrets/db/x")
    assert done.stdout == SECRET


def test_a_credential_without_a_unit(world):
    world.environment.pop("CREDENTIALS_DIRECTORY", None)
    done = world.nucleus("run", "--systemd-credential", "db:/run/secrets/db", "--", "true", status=125)
    assert "CREDENTIALS_DIRECTORY is not set" in done.stderr


# ---- attestation ----

@pytest.fixture
def image(world):
    root = world.directory / "image"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/usr/bin/busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "etc").mkdir()
    (root / "etc/conf").write_text("good\n")
    return root


def attested(world, status=0):
    return world.nucleus("run", "--rootfs", "image", "--verify-rootfs-attestation", "--", "/bin/sh", "-c", "cat /etc/conf", status=status)


@pytest.mark.parametrize("form", [[], ["--plain"]])
def test_an_attested_root(world, image, form):
    world.nucleus("rootfs", "seal", "image", *form)
    world.nucleus("rootfs", "verify", "image")
    assert attested(world).stdout == "good\n"
    (image / "etc/conf").write_text("evil\n")
    done = attested(world, status=125)
    assert "etc/conf" in done.stderr and done.stdout == ""
    (image / "etc/conf").write_text("good\n")
    (image / "etc/more").write_text("")
    assert "etc/more" in attested(world, status=125).stderr
    (image / "etc/more").unlink()
    assert attested(world).stdout == "good\n"


def reader_of(path):
    """A process that has the file open, whatever name it has for it."""
    wanted = path.stat()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if not (process / "comm").read_text().startswith("nucleus"):
                continue
            if any(os.path.samestat(wanted, fd.stat()) for fd in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            pass
    return None


@pytest.mark.parametrize("form", [[], ["--plain"]])
def test_what_is_changed_while_the_rest_is_read_does_not_run(world, image, form):
    """A small file was read; while a large one is, it is written to."""
    large = image / "large"
    with large.open("wb") as file:
        file.truncate(1 << 28)
    world.nucleus("rootfs", "seal", "image", *form)
    # By way of a shell: nsenter(1) stops with its child, and nobody would have it go on.
    command = ["sh", "-c", '"$@"; exit $?', "sh",
               "nucleus", "run", "--rootfs", "image", "--verify-rootfs-attestation", "--", "/bin/sh", "-c", "cat /etc/conf"]
    for _ in range(10):
        with world.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and (pid := reader_of(large)) is None:
                pass
            if process.poll() is None:
                time.sleep(0.05)
                reading = False
                with contextlib.suppress(ProcessLookupError):  # it has read it by now
                    os.kill(pid, signal.SIGSTOP)
                    reading = reader_of(large) == pid
                    if reading:
                        (image / "etc/conf").write_text("evil\n")
                    os.kill(pid, signal.SIGCONT)
                if reading:
                    out, told = process.communicate(timeout=60)
                    assert process.returncode == 125 and out == "" and "etc/conf" in told, (out, told)
                    return
            process.communicate(timeout=60)
    pytest.fail("it was never met while it was reading")


def test_a_root_that_was_sealed_anew_is_not_the_one_that_was_planned(world, image):
    world.nucleus("rootfs", "seal", "image")
    file = world.write('name = "PROJECT"\n[services.s]\ncommand = ["/bin/sh", "-c", "cat /etc/conf; exec /bin/busybox sleep 100000"]\n'
                       'rootfs = "./image"\nverify_rootfs_attestation = true\nrestart = "always"\n')
    world.nucleus("diff", "-f", file, "--out", "saved.plan")
    world.nucleus("show", "saved.plan")
    (image / "etc/conf").write_text("evil\n")
    world.nucleus("rootfs", "seal", "image")
    refused = world.nucleus("apply", "saved.plan", status=4)
    assert "stale" in refused.stderr
    world.apply(file)
    assert world.nucleus("logs", "s").stdout.endswith("evil\n")
    # Nor does a supervisor start again what was changed and sealed meanwhile.
    (image / "etc/conf").write_text("worse\n")
    world.nucleus("rootfs", "seal", "image")
    world.kill(world.pid("s"))
    deadline = time.monotonic() + 30
    status = world.runtime / "projects" / world.project / "service.s/status"
    while "not the one that was planned with" not in world.run("cat", status).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "worse" not in world.nucleus("logs", "s").stdout


def test_attestation_needs_a_manifest_and_a_root(world, image):
    assert ".nucleus-rootfs-sha256" in attested(world, status=125).stderr
    done = world.nucleus("run", "--verify-rootfs-attestation", "--", "true", status=125)
    assert "there is no rootfs" in done.stderr
