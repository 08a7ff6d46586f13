"""Checkpoint and restore: a program that counts, and a PostgreSQL server, go on where they were."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import guest

IMAGES = pathlib.Path("/root/checkpoints")
COUNTER = "echo up; i=0; while :; do i=$((i+1)); echo $i > /tmp/count; echo n $i; sleep 0.2; done"


def run(name, *options, command=("sh", "-c", COUNTER), rootfs=None):
    return guest.nucleus("run", "-d", "--name", name, "--rootfs", rootfs or guest.minimal_rootfs(), "--memory", "256M",
                         "--allow-checkpoint", *options, "--", *command)


def images(name):
    IMAGES.mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(IMAGES / name, ignore_errors=True)
    return str(IMAGES / name)


def state(name):
    return json.loads(guest.nucleus("state", name))


def inside(name, *command, **options):
    return guest.nucleus("exec", name, "--", *command, **options)


def count(name):
    return int(guest.wait_for("it counts", lambda: inside(name, "cat", "/tmp/count").strip()))


def remove(*names):
    for name in names:
        guest.nucleus("rm", "--force", name, status=None)


def test_a_counter_goes_on_where_it_was():
    run("counter", "--user", "65534", "--network", "bridge", "--publish", "8080:80", "--restart", "on-failure",
        "--health-cmd", "test -s /tmp/count", "--health-interval", "1s")
    guest.wait_for("it counts", lambda: count("counter") > 3)
    address = inside("counter", "ip", "-4", "addr", "show", "eth0")
    path = images("counter")
    guest.nucleus("checkpoint", "counter", "--output", path)
    assert os.stat(path).st_mode & 0o777 == 0o700
    stopped = state("counter")
    assert (stopped["status"], stopped["annotations"]["nucleus.reason"]) == ("stopped", "stopped")
    last = int(re.findall(r"n (\d+)", guest.nucleus("logs", "counter"))[-1])
    refused = guest.nucleus("restore", "--input", path, status=1)
    assert "there is a container of that name" in refused, refused
    guest.nucleus("rm", "counter")
    guest.nucleus("restore", "--input", path)
    assert state("counter")["status"] == "running"
    first = int(re.findall(r"n (\d+)", guest.wait_for("it logs", lambda: guest.nucleus("logs", "counter")))[0])
    assert last <= first <= last + 2, (last, first)
    now = count("counter")
    assert now >= last
    guest.wait_for("it counts on", lambda: count("counter") > now)
    # Held by what it was held by, and looked after as before.
    guest.nucleus("verify", "counter", "--verbose")
    assert re.findall(r"inet \S+", inside("counter", "ip", "-4", "addr", "show", "eth0")) == re.findall(r"inet \S+", address)
    guest.wait_for("it is healthy", lambda: state("counter")["annotations"].get("nucleus.health") == "healthy")
    pid = state("counter")["pid"]
    group = pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip()
    assert group.endswith("/nucleus/counter/service.counter"), group  # of its unit
    guest.nucleus("kill", "counter")
    guest.wait_for("it is started again", lambda: state("counter").get("pid", pid) != pid and state("counter")["status"] == "running")
    guest.nucleus("stop", "counter", "--timeout", "1s")
    assert state("counter")["status"] == "stopped"
    remove("counter")
    assert not list(pathlib.Path("/var/lib/nucleus/restore").iterdir())


def test_one_that_is_left_running_has_a_twin():
    run("first")
    guest.wait_for("it counts", lambda: count("first") > 3)
    path = images("first")
    pid = state("first")["pid"]
    guest.nucleus("checkpoint", "first", "--output", path, "--leave-running")
    before = count("first")
    guest.wait_for("it goes on", lambda: count("first") > before)
    assert state("first")["pid"] == pid
    guest.nucleus("restore", "--input", path, "--name", "second")
    assert inside("second", "hostname").strip() == "first"
    guest.wait_for("both count", lambda: count("second") > 3 and count("first") > before)
    guest.nucleus("verify", "second")
    assert "not empty" in guest.nucleus("checkpoint", "first", "--output", path, status=1)
    remove("first", "second")


def test_where_the_command_is_killed_the_container_goes_on_once_criu_is_through():
    run("killed", "--health-cmd", "test -s /tmp/count", "--health-interval", "500ms", "--on-unhealthy", "restart")
    guest.wait_for("it counts", lambda: count("killed") > 3)
    pid = state("killed")["pid"]
    for _ in range(2):
        path = pathlib.Path(images("killed"))
        begun = subprocess.Popen([guest.NUCLEUS, "checkpoint", "killed", "--output", str(path)], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        guest.wait_for("criu is at work", lambda: (path / "dump.log").exists())
        begun.kill()
        begun.wait()
        # As long as criu is at work nobody else is; then it is as if it had not been.
        guest.wait_for("criu is through", lambda: subprocess.run(["pgrep", "-x", "criu"], stdout=subprocess.DEVNULL).returncode != 0)
        now = guest.wait_for("it goes on", lambda: inside("killed", "cat", "/tmp/count", status=None).strip())
        guest.wait_for("it counts", lambda: count("killed") > int(now))
    assert state("killed")["pid"] == pid
    guest.nucleus("restore", "--input", str(path), "--name", "other", status=1)  # nobody has signed it
    whole = images("whole")
    guest.nucleus("checkpoint", "killed", "--output", whole)
    remove("killed")
    guest.nucleus("restore", "--input", whole)
    remove("killed")


def test_one_that_is_interrupted_goes_on_and_can_be_tried_again():
    # Nobody calls it unhealthy for standing still meanwhile.
    moves = "a=$(cat /tmp/count); sleep 1; test \"$(cat /tmp/count)\" != \"$a\""
    run("again", "--restart", "on-failure", "--health-cmd", moves, "--health-interval", "500ms", "--health-retries", "2",
        "--on-unhealthy", "restart")
    guest.wait_for("it counts", lambda: count("again") > 3)
    guest.wait_for("it is healthy", lambda: state("again")["annotations"].get("nucleus.health") == "healthy")
    path, pid = pathlib.Path(images("again")), state("again")["pid"]
    begun = subprocess.Popen([guest.NUCLEUS, "checkpoint", "again", "--output", str(path)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    guest.wait_for("criu is at work", lambda: (path / "dump.log").exists())
    begun.terminate()
    out = begun.communicate(timeout=300)[0]
    assert begun.returncode == 143 and "interrupted" in out, (begun.returncode, out)
    now = count("again")
    guest.wait_for("it goes on", lambda: count("again") > now)
    guest.nucleus("checkpoint", "again", "--output", str(path), "--leave-running")
    now = count("again")
    guest.wait_for("it goes on", lambda: count("again") > now)
    assert state("again")["pid"] == pid
    assert not list(pathlib.Path(state("again")["bundle"]).glob("checkpoint*"))
    guest.nucleus("checkpoint", "again", "--output", images("other"))
    remove("again")
    # What a restore that was killed has left is nobody's order, and goes.
    bundle, orphan = pathlib.Path("/run/nucleus/projects/again/service.again"), pathlib.Path("/var/lib/nucleus/restore/again.1")
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "restore").write_text("old")
    orphan.mkdir(parents=True, exist_ok=True)
    run("again")
    remove("again")
    # One that waits for who is at it, and is interrupted, has not begun.
    lock = pathlib.Path("/run/nucleus/locks/again.lock")
    lock.parent.mkdir(exist_ok=True)
    holder = subprocess.Popen(["flock", "-F", str(lock), "sh", "-c", "echo held; exec sleep 1000"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    begun = subprocess.Popen([guest.NUCLEUS, "restore", "--input", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert begun.stdout.readline().startswith("waiting for the lock")
    begun.terminate()
    out = begun.communicate(timeout=300)[0]
    assert begun.returncode == 143 and "interrupted" in out, (begun.returncode, out)
    holder.kill()
    holder.wait()
    guest.nucleus("restore", "--input", str(path))
    assert not orphan.exists()
    assert state("again")["status"] == "running"
    remove("again")


def test_an_interrupt_ends_the_dump_at_any_moment_and_a_second_one_does_no_harm():
    run("cut", "--health-cmd", "test -s /tmp/count", "--health-interval", "500ms", "--on-unhealthy", "restart",
        command=("sh", "-c", "dd if=/dev/zero of=/tmp/much bs=1M count=48 2>/dev/null; " + COUNTER))
    guest.wait_for("it counts", lambda: inside("cut", "cat", "/tmp/count", status=None).strip().isdigit())
    pid, path, caught = state("cut")["pid"], pathlib.Path(images("cut")), []

    def pids(program):
        return [int(number) for number in subprocess.run(["pgrep", "-x", program], capture_output=True, text=True).stdout.split()]

    def cut(moment, signals, *options):
        begun = subprocess.Popen([guest.NUCLEUS, "checkpoint", "cut", "--output", str(path), *options], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        while begun.poll() is None and not moment():
            pass
        criu = pids("criu")
        for number in criu:
            os.kill(number, signal.SIGSTOP)
        for end in signals:
            begun.send_signal(end)
        # It is told while it stands; a dump that is through by then is given up as well.
        if criu:
            caught.append(guest.wait_for("it may write no more", lambda: all(
                re.search(r"Max file size +0 +0", pathlib.Path(f"/proc/{number}/limits").read_text()) for number in criu)))
        for number in criu:
            os.kill(number, signal.SIGCONT)
        out = begun.communicate(timeout=300)[0]
        assert begun.returncode in [128 + end for end in signals], (begun.returncode, out)
        assert "nothing was written, and the container goes on" in out, out
        assert not path.exists() and not pids("criu")
        now = count("cut")
        guest.wait_for("it goes on", lambda: count("cut") > now)
        assert state("cut")["pid"] == pid

    def there(number):
        return lambda: path.exists() and len(list(path.iterdir())) >= number

    for number in (1, 4, 8, 12, 16, 20):
        cut(there(number), [signal.SIGINT if number % 8 else signal.SIGTERM])
    cut(lambda: pids("tar"), [signal.SIGINT, signal.SIGINT], "--leave-running")
    cut(there(6), [signal.SIGINT, signal.SIGTERM])
    assert len(caught) >= 5, caught
    guest.nucleus("checkpoint", "cut", "--output", str(path))
    remove("cut")
    guest.nucleus("restore", "--input", str(path))
    now = count("cut")
    guest.wait_for("it goes on", lambda: count("cut") > now)
    remove("cut")


def test_what_was_tampered_with_is_refused():
    run("victim")
    guest.wait_for("it counts", lambda: count("victim") > 1)
    path = pathlib.Path(images("victim"))
    guest.nucleus("checkpoint", "victim", "--output", str(path))
    remove("victim")
    pages, listed = next(path.glob("pages-*.img")), path / "checkpoint.json"
    for file in (pages, listed, path / "checkpoint.mac"):
        whole = file.read_bytes()
        file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        out = guest.nucleus("restore", "--input", str(path), status=1)
        assert ("changed since" in out) and (file == path / "checkpoint.mac" or file.name in out), out
        file.write_bytes(whole)
    pages.rename(path / "away")
    assert pages.name in guest.nucleus("restore", "--input", str(path), status=1)
    (path / "away").rename(pages)
    path.chmod(0o755)
    assert "not root's alone" in guest.nucleus("restore", "--input", str(path), status=1)
    path.chmod(0o700)
    assert guest.nucleus("ps", "--all").count("victim") == 0
    guest.nucleus("restore", "--input", str(path))
    remove("victim")


def test_what_cannot_be_restored_as_it_was_is_not_written_down():
    def refused(name, words, *options):
        out = guest.nucleus("checkpoint", name, "--output", images(name), *options, status=1)
        assert words in out, out
        assert state(name)["status"] == "running"
        remove(name)

    guest.nucleus("run", "-d", "--name", "landlock", "--rootfs", guest.minimal_rootfs(), "--", "sleep", "1000")
    refused("landlock", "Landlock")
    secret = pathlib.Path("/root/secret")
    secret.write_text("word\n")
    run("secrets", "--secret", f"{secret}:/run/secrets/word")
    refused("secrets", "--allow-secrets")
    run("init", "--init")
    refused("init", "mini-init")
    run("tty", "--tty")
    refused("tty", "a terminal")
    run("counted", "--seccomp-log-denied")
    refused("counted", "answers system calls")
    out = guest.nucleus("run", "--service-mode", "production", "--memory", "64M", "--rootfs", guest.minimal_rootfs(), "--allow-checkpoint",
                        "--", "true", status=125)
    assert "production refuses" in out, out


def test_a_postgresql_server_survives():
    binaries = next(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    data = pathlib.Path("/srv/pg")
    data.mkdir()
    guest.run("chown", "postgres:postgres", data)
    root = pathlib.Path("/opt/whole")
    root.mkdir()
    guest.run("mount", "--bind", "/", root)
    setup = f"{binaries}/initdb -D /data -A trust >/dev/null && exec {binaries}/postgres -D /data -k /tmp -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg", "--user", "postgres", "--volume", f"{data}:/data", command=("sh", "-c", setup), rootfs=str(root))

    def sql(words, status=0):
        return inside("pg", f"{binaries}/psql", "-h", "/tmp", "-U", "postgres", "-Atc", words, "postgres", status=status).strip()

    guest.wait_for("it answers", lambda: "1" == sql("select 1", status=None), seconds=240)
    sql("create table t (n int); insert into t select generate_series(1, 1000)")
    started = sql("select pg_postmaster_start_time()")
    path = images("pg")
    guest.nucleus("checkpoint", "pg", "--output", path)
    remove("pg")
    guest.nucleus("restore", "--input", path)
    assert sql("select sum(n) from t") == "500500"
    assert sql("select pg_postmaster_start_time()") == started
    sql("insert into t values (1)")
    guest.nucleus("verify", "pg")
    guest.nucleus("stop", "pg", "--timeout", "60s")
    assert state("pg")["annotations"]["nucleus.exit_code"] == "0"
    remove("pg")
