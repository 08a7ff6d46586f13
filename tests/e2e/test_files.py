"""Files that a sandbox is given: its context, secrets, and a root file system that is attested."""
import os
import shutil

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


@pytest.mark.parametrize("what, words", [("missing:/run/secrets/x", "there is no file"), ("key:/run/secrets", "give it a name"),
                                         ("key", "write"), ("pipe:/run/secrets/x", "there is no file")])
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


def test_attestation_needs_a_manifest_and_a_root(world, image):
    assert ".nucleus-rootfs-sha256" in attested(world, status=125).stderr
    done = world.nucleus("run", "--verify-rootfs-attestation", "--", "true", status=125)
    assert "there is no rootfs" in done.stderr
