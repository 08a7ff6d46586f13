"""`nucleus verify`: what runs, compared line by line with what was asked when it was started. Each way to loosen it from outside is seen by
name; what may not be read is never taken for good."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import posture
import pytest
from world import NUCLEUS, controllers, descendants, wait_for

SERVICES = """
name = "PROJECT"
[networks.internal]
subnet = "10.91.8.0/24"

[services.web]
command = ["/bin/sleep", "infinity"]
networks = ["internal"]
memlock = "64K"
user = "1000"
tmpfs = ["/scratch:1M"]

[services.db]
command = ["/bin/sh", "-c", "sleep infinity"]
init = true
"""

# What is done to the service, by root from outside: the line that says so, and how.
MOUNTS = "nsenter --target $PID --mount --"
LOOSENED = {
    "moved to another control group": ("cgroup", "echo $PID > $CGROUP/../../cgroup.procs"),
    "something mounted": ("mount /tmp", f"{MOUNTS} mount -t tmpfs stranger /tmp"),
    "something mounted at a new place": ("mount /scratch/new", f"{MOUNTS} sh -c 'mkdir /scratch/new; mount -t tmpfs stranger /scratch/new'"),
    "a mount made writable": ("mount /sys", f"{MOUNTS} mount -o remount,bind,rw,nosuid,nodev,noexec /sys"),
    "a mount that may execute": ("mount /proc", f"{MOUNTS} mount -o remount,bind,exec,nosuid,nodev /proc"),
    "the root made writable": ("mount /", f"{MOUNTS} mount -o remount,bind,rw,nosuid,nodev /"),
    "a mount that receives": ("mount /scratch", f"{MOUNTS} mount --make-shared /scratch"),
    "a mount taken off": ("mount /scratch", f"{MOUNTS} umount /scratch"),
    "oom_score_adj lowered": ("oom_score_adj", "echo -500 > /proc/$PID/oom_score_adj"),
    "a limit raised": ("limit memlock", "prlimit --pid $PID --memlock=unlimited:unlimited"),
    "another host name": ("host name", "nsenter --target $PID --uts -- hostname stranger"),
}
# The kernel tells nobody of it; shared with nothing but itself it lets nothing in.
UNTOLD = "a mount that receives"
# Workloads whose first thread is a zombie while another goes on: after a while, and before its supervisor has looked at it.
FIRST_GONE = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(100000,)).start(); ctypes.CDLL(None).syscall(60, 0)"


MAY_EXCEED = int(re.search(r"^CapEff:\s*(\w+)", pathlib.Path("/proc/self/status").read_text(), re.M)[1], 16) >> 24 & 1


def services(world):
    path = world.write(SERVICES)
    world.apply(path)
    return path


def loosen(world, how, pid, cgroup=""):
    if ("oom_score" in how or "prlimit" in how) and not MAY_EXCEED:
        pytest.skip("needs CAP_SYS_RESOURCE")
    world.run("sh", "-ec", how, env={**world.environment, "PID": str(pid), "CGROUP": str(cgroup)})


def cgroup_of(world, service):
    return next(path for path in world.cgroups() if path.name == f"service.{service}")


def drift(world):
    return world.nucleus("drift", world.project, status=None).stdout


def lines(world, *names, status=0):
    """(container, check) -> (asked, found, result)"""
    document = world.json("verify", *names, status=status)
    assert document["format_version"] == 1
    return {(container["name"], check["check"]): (check["asked"], check["found"], check["result"])
            for container in document["containers"] for check in container["checks"]}


def differing(found):
    return {key for key, (_, _, result) in found.items() if result == "differs"}


def runs(world, name):
    return wait_for("it to run", lambda: next((row for row in world.json("ps")["services"] if row["name"] == name and row["state"] == "running"), None))


@contextlib.contextmanager
def box(world, *options):
    """A container of `run`, in the background; its row of `ps`. Control groups are the machine's, so its name is this world's alone."""
    name = f"{world.project}box"
    with world.popen("nucleus", "run", "--name", name, *options, "--", "sleep", "1000") as process:
        row = runs(world, name)
        try:
            yield row
        finally:
            world.run("kill", "-TERM", row["supervisor_pid"])
            process.wait(20)


def test_nothing_runs(world):
    world.apply(world.write('name = "PROJECT"\n[services.job]\ntype = "job"\ncommand = ["true"]\n'))
    assert world.nucleus("verify").stdout == "nothing is running\n"
    assert world.json("verify")["containers"] == []
    assert "nothing is running" not in world.nucleus("verify", world.project, status=1).stdout
    assert "is not running" in world.nucleus("verify", f"{world.project}/job", status=1).stderr
    assert "no such service" in world.nucleus("verify", "nobody", status=1).stderr


def test_services_are_as_asked(world):
    services(world)
    found = lines(world)
    assert {result for _, _, result in found.values()} == {"ok", "-"}, {k: v for k, v in found.items() if v[2] not in "ok-"}
    web = f"{world.project}/web"
    assert found[web, "user"] == ("1000", "1000", "ok")
    assert found[web, "bounding capabilities"] == ("none", "none", "ok")
    assert found[web, "seccomp"][:2] == ("filter", "filter (1)")
    assert found[web, "net namespace"][0] == "that of the service"
    assert found[web, "limit memlock"][0] == "65536"
    assert found[web, "host name"][1] == "web"
    assert found[web, "landlock"] == ("rules", "not to be seen from outside", "-")
    assert (web, "program") not in found and (web, "init: program") not in found
    # Behind a mini-init both are looked at.
    db = f"{world.project}/db"
    assert found[db, "init: program"] == ("of nucleus, read-only", "of nucleus, read-only", "ok")
    assert found[db, "init: open files"][:2] == ("none", "0 open")
    assert found[db, "no_new_privs"][2] == found[db, "init: no_new_privs"][2] == "ok"
    assert found[db, "supervisor's program"][1] == "read-only"
    # Short unless it is asked for.
    text = world.nucleus("verify", world.project).stdout
    assert re.fullmatch(rf"{world.project}/db: as asked, \d+ checks\n{world.project}/web: as asked, \d+ checks\n", text)
    whole = world.nucleus("verify", web, "--all").stdout
    assert re.search(r"^ +CHECK +ASKED +FOUND +RESULT$", whole, re.M) and re.search(r"^ +landlock .* -$", whole, re.M)
    assert re.search(r"^ +mount /proc +ro?w?,nosuid,nodev,noexec +\S+ +ok$", whole, re.M), whole
    assert world.nucleus("verify", web, "-v").stdout == whole


def test_names(world):
    services(world)
    names = lambda *words: {name for name, _ in lines(world, *words)}
    web, db = f"{world.project}/web", f"{world.project}/db"
    assert names() == names(world.project) == names(web, "db", "web") == {web, db}
    assert names("web") == names(web) == names(world.container("web")["id"][:8]) == {web}
    with box(world) as row:
        box_name = row["name"]
        assert names(box_name) == {box_name} and names() == {web, db, box_name}


@pytest.mark.parametrize("row", LOOSENED)
def test_what_is_loosened_from_outside_is_named(world, row):
    line, how = LOOSENED[row]
    path = services(world)
    loosen(world, how, world.pid("web"), cgroup_of(world, "web"))
    done = world.nucleus("verify", status=1)
    assert f"{world.project}/db: as asked" in done.stdout
    assert re.search(rf"^ +{re.escape(line)} .* differs$", done.stdout, re.M), done.stdout
    assert re.search(r"\d differences? in 1 of 2 containers", done.stderr)  # what lies below a stranger is told as well
    assert differing(lines(world, status=1)) == {(f"{world.project}/web", line)}

    # It is drift as well, told by name and repaired by a restart of this service alone. Of mounts its supervisor tells.
    before = world.pids()
    if row == UNTOLD:
        assert "service.web" not in drift(world)
        world.apply(path, "--replace", "service.web")
    else:
        words = "cgroup" if line == "cgroup" else line.replace("mount ", "mounts ") + (":" if line.startswith("mount") else "")
        wait_for("its drift", lambda: re.search(rf"! +service.web +drift +.*{words}", drift(world)))
        assert "service.web" in world.apply(path, "--fail-on", "restart", status=3).stderr
        world.apply(path)
    world.nucleus("verify")
    world.nucleus("drift", world.project, "--detailed-exitcode")
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    after = world.pids()
    assert after[f"{world.project}/db"] == before[f"{world.project}/db"] and after[f"{world.project}/web"] != before[f"{world.project}/web"]


def test_a_mount_that_is_as_it_was_again_is_no_drift(world):
    services(world)
    loosen(world, f"{MOUNTS} mount -o remount,bind,suid,dev /scratch", world.pid("web"))
    wait_for("its drift", lambda: "mounts /scratch: rw, asked: rw,nosuid,nodev" in drift(world))
    loosen(world, f"{MOUNTS} mount -o remount,bind,nosuid,nodev /scratch", world.pid("web"))
    wait_for("no drift", lambda: "service.web" not in drift(world))


def first_gone(world, init, at_once):
    """web, with its first thread gone: the process, and a thread of it that lives."""
    program = posture.program("first_gone.c", "-pthread")
    command = ["/opt/first_gone"] if at_once else ["/usr/bin/python3", "-c", FIRST_GONE]
    path = world.write(SERVICES.replace('["/bin/sleep", "infinity"]', f'{json.dumps(command)}\nvolumes = ["{program.parent}:/opt:ro"]' + "\ninit = true" * init))
    world.apply(path)
    pid = world.pid("web")
    if init:
        pid = wait_for("the workload", lambda: world.run("cat", f"/proc/{pid}/task/{pid}/children").stdout.split())[0]
    wait_for("its end", lambda: "State:\tZ" in world.run("cat", f"/proc/{pid}/status").stdout)
    [thread] = (each for each in world.run("ls", f"/proc/{pid}/task").stdout.split() if each != str(pid))
    return path, pid, f"/proc/{pid}/task/{thread}"


@pytest.mark.parametrize("init, at_once", [(False, False), (False, True), (True, True)])
def test_a_workload_whose_first_thread_has_exited_is_looked_at_by_another(world, init, at_once):
    path, pid, proc = first_gone(world, init, at_once)
    web = f"{world.project}/web"
    found = lines(world, web)
    assert {result for _, _, result in found.values()} == {"ok", "-"}
    assert {(web, "mount /"), (web, "host name"), (web, "open files"), (web, "cgroup"), (web, "seccomp")} <= set(found)
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    loosen(world, f"nsenter --mount={proc}/ns/mnt mount -o remount,bind,rw,nosuid,nodev /; nsenter --uts={proc}/ns/uts hostname stranger", pid)
    assert differing(lines(world, web, status=1)) == {(web, "mount /"), (web, "host name")}
    wait_for("its drift", lambda: "mounts /: rw,nosuid,nodev, asked: ro,nosuid,nodev" in drift(world))
    assert "not confined as it was: host name stranger" in drift(world)
    assert world.nucleus("exec", "web", "hostname").stdout == "stranger\n"
    world.nucleus("cp", f"{web}:/etc/hostname", world.directory / "copy")
    loosen(world, f"{LOOSENED['moved to another control group'][1]}", pid, cgroup_of(world, "web"))
    assert (web, "cgroup") in differing(lines(world, web, status=1))
    if not init:
        assert re.search("service.web +drift +.*cgroup", drift(world))


def test_a_workload_whose_threads_come_and_go_may_not_be_entered(world):
    """But now and then, when one stays for long enough."""
    program = posture.program("come_and_go.c", "-pthread")
    world.apply(world.write(SERVICES.replace('["/bin/sleep", "infinity"]', f'["/opt/come_and_go"]\nvolumes = ["{program.parent}:/opt:ro"]')))
    pid = world.pid("web")
    world.run("kill", "-USR1", str(pid))
    wait_for("its end", lambda: "State:\tZ" in world.run("cat", f"/proc/{pid}/status").stdout)
    words = ["no thread of it stays long enough to enter by", "Linux before 6.9 enters by no other"]
    old = tuple(map(int, os.uname().release.split(".")[:2])) < (6, 9)
    said = ""
    for tries in range(100):
        said += world.nucleus("exec", "web", "true", status=None).stderr
        if tries > 10 and words[old] in said:
            break
    assert words[not old] not in said and "namespaces: No such process" not in said, said
    if not said:
        pytest.skip("one always stayed for long enough")
    assert words[old] in said, said


def test_what_a_workload_may_do_by_itself_is_no_difference(world):
    script = "import os, resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 4096)); open('/proc/self/oom_score_adj', 'w').write('700'); " \
             "f = open('/scratch/file', 'w'); print('done', flush=True); os.execvp('sleep', ['sleep', 'infinity'])"
    path = world.write(SERVICES.replace('["/bin/sleep", "infinity"]', json.dumps(["/usr/bin/python3", "-c", script])))
    world.apply(path)
    wait_for("its word", lambda: "done" in world.nucleus("logs", "web", status=None).stdout)
    world.nucleus("verify")
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_the_workload_behind_a_mini_init_is_looked_at_itself(world):
    services(world)
    init = world.pid("db")
    child = world.run("cat", f"/proc/{init}/task/{init}/children").stdout.split()[0]
    loosen(world, "echo -700 > /proc/$PID/oom_score_adj", child)
    assert differing(lines(world, status=1)) == {(f"{world.project}/db", "oom_score_adj")}
    loosen(world, "echo -700 > /proc/$PID/oom_score_adj", init)
    assert differing(lines(world, status=1)) == {(f"{world.project}/db", "oom_score_adj"), (f"{world.project}/db", "init: oom_score_adj")}


@pytest.mark.parametrize("options", [[], ["--init"], ["--user", "1000"]])
@pytest.mark.parametrize("row", ["something mounted", "oom_score_adj lowered", "another host name", "a mount made writable"])
def test_containers_of_run(world, options, row):
    line, how = LOOSENED[row]
    with box(world, "--memlock", "64K", *options) as seen:
        world.nucleus("verify", seen["name"])
        loosen(world, how, seen["pid"])
        # Of two processes it is the first, which is the mini-init, whose score was changed.
        line = "init: " + line if options == ["--init"] and line == "oom_score_adj" else line
        assert differing(lines(world, seen["name"], status=1)) == {(seen["name"], line)}


def test_standard_files_of_run_are_the_callers_choice(world):
    with world.popen("sh", "-c", "exec nucleus run --name $0 -- sleep 1000 >$NUCLEUS_RUNTIME_DIR/out", f"{world.project}out") as process:
        row = runs(world, f"{world.project}out")
        world.nucleus("verify", row["name"])
        world.run("kill", "-TERM", row["supervisor_pid"])
        process.wait(20)


def test_a_launch_of_another_is_no_witness(world):
    services(world)
    base = world.runtime / "projects" / world.project
    world.run("cp", base / "service.db" / "launch", base / "service.web" / "launch")
    assert (f"{world.project}/web", "launch") in differing(lines(world, status=1))
    world.run("sh", "-c", f"echo nonsense > {base}/service.web/launch")
    assert "web" in world.nucleus("verify", "web", status=1).stderr


def test_an_ordinary_user_is_told_what_it_may_not_read(world):
    services(world)
    world.run("sh", "-c", f"chmod -R a+rX {world.state} {world.runtime} 2>/dev/null; chmod 0600 {world.runtime}/projects/*/*/launch")
    world.run("sh", "-c", "d=$0; while [ $d != / ]; do chmod a+x $d; d=$(dirname $d); done", world.directory)
    done = world.run("setpriv", "--reuid", "65534", "--clear-groups", "nucleus", "verify", status=1)
    assert "as asked" not in done.stdout and re.search(r"launch +as recorded +\? +\?", done.stdout), done.stdout + done.stderr
    assert "2 lines could not be read" in done.stderr and "run it as root" in done.stderr


@pytest.mark.skipif("memory" not in controllers(), reason="production needs a memory controller")
def test_production(world, rootfs):
    path = world.write(f'name = "PROJECT"\n[defaults]\nservice_mode = "production"\nrootfs = "{rootfs}"\nmemory = "64M"\n'
                       '[services.web]\ncommand = ["/bin/sleep", "infinity"]\nuser = "1000"\n')
    world.apply(path)
    found = lines(world)
    assert found[f"{world.project}/web", "cgroup memory.max"] == ("67108864", "67108864", "ok")
    (cgroup_of(world, "web") / "memory.max").write_text("max")
    loosen(world, f"{MOUNTS} mount -o remount,bind,rw,nosuid,nodev /", world.pid("web"))
    assert differing(lines(world, status=1)) == {(f"{world.project}/web", "cgroup memory.max"), (f"{world.project}/web", "mount /")}


def test_a_rootfs_and_a_volume_with_mounts_of_its_own(world, rootfs):
    """What came along with a tree that was cloned is as it was asked for; what is mounted into it later without its flags is not."""
    data = world.directory / "data"
    (data / "disk").mkdir(parents=True)
    world.run("mount", "-t", "tmpfs", "disk", data / "disk")
    path = world.write(f'name = "PROJECT"\n[services.web]\nrootfs = "{rootfs}"\ninit = true\ncommand = ["/bin/sleep", "infinity"]\n'
                       f'volumes = ["{data}:/mnt:ro"]\n')
    world.apply(path)
    found = lines(world)
    assert found[f"{world.project}/web", "mount /mnt"][2] == found[f"{world.project}/web", "mount /mnt/disk"][2] == "ok"
    loosen(world, f"{MOUNTS} mount -t tmpfs -o ro,nosuid,nodev stranger /mnt/disk", world.pid("web"))
    assert differing(lines(world, status=1)) == {(f"{world.project}/web", "number of mounts")}
    loosen(world, f"{MOUNTS} umount /mnt/disk", world.pid("web"))
    world.nucleus("verify")
    loosen(world, f"{MOUNTS} mount -o remount,bind,rw,nosuid,nodev /mnt", world.pid("web"))
    assert differing(lines(world, status=1)) == {(f"{world.project}/web", "mount /mnt")}


def test_it_changes_nothing(world):
    services(world)
    launch = pathlib.Path(f"/proc/{world.init}/root{world.runtime}/projects/{world.project}/service.web/launch")
    before, pids = launch.read_bytes(), world.pids()
    world.nucleus("verify")
    assert (launch.read_bytes(), world.pids()) == (before, pids)


def test_user_and_time_namespaces(world):
    world.apply(world.write('name = "PROJECT"\n[services.a]\nrootless = true\nuser = "5"\ncommand = ["sleep", "100000"]\n'
                            '[services.b]\nuserns = "auto"\ntime_namespace = true\ncommand = ["sleep", "100000"]\n'))
    found = lines(world)
    assert differing(found) == set()
    a, b = f"{world.project}/a", f"{world.project}/b"
    assert int(found[a, "user"][1]) > 500000 and found[a, "uid_map"][2] == found[b, "gid_map"][2] == "ok"
    assert found[a, "user namespace"] == found[b, "user namespace"] == found[b, "time namespace"] == ("its own", "its own", "ok")
    assert found[a, "time namespace"] == ("the caller's", "the caller's", "ok")


def test_what_is_shared_on_purpose_is_no_difference(world):
    with box(world, "--network", "host", "--allow-host-network", "--disable-cgroup-namespace") as row:
        found = lines(world, row["name"])
        assert found[row["name"], "net namespace"] == found[row["name"], "cgroup namespace"] == ("the caller's", "the caller's", "ok")
        assert found[row["name"], "ipc namespace"][0] == "its own"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("moment", ["in the midst", "before its limits"])
def test_what_ends_while_it_is_looked_at_differs_in_nothing(world, moment):
    path, log = services(world), world.directory / "calls"
    at = f"/proc/{world.pid('web')}/mountinfo" if moment == "in the midst" else world.cgroups()[0]
    command = ("strace", "-f", "-o", log, "-P", at, "-e", "trace=openat", "-e", "inject=openat:signal=STOP:when=1", NUCLEUS, "verify", "web", "--all")
    with world.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as looking:
        wait_for("it has got there", lambda: log.exists() and "stopped by SIGSTOP" in log.read_text())
        world.nucleus("destroy", "-f", path, "--yes")
        os.kill(descendants(looking.pid)[-1], signal.SIGCONT)
        assert looking.communicate(timeout=60)[0] == f"nucleus: verify: {world.project}/web: is not running\n"
    assert looking.returncode == 1


def test_what_was_named_and_does_not_run_is_an_error(world):
    world.apply(world.write(SERVICES + '[services.job]\ntype = "job"\ncommand = ["true"]\n'))
    # Of a project that has more than what has completed, those that run are meant.
    assert set(key[0] for key in lines(world, world.project)) == {f"{world.project}/web", f"{world.project}/db"}
    ended, running = f"{world.project}-ended", f"{world.project}-running"
    world.nucleus("run", "-d", "--name", running, "--", "sleep", "1000")
    world.nucleus("run", "-d", "--name", ended, "--", "true")
    world.nucleus("wait", ended, status=None)
    alone = world.nucleus("verify", ended, status=1)
    assert (alone.stdout, alone.stderr) == ("", f"nucleus: verify: {ended}: is not running\n")
    both = world.nucleus("verify", ended, running, status=1)
    assert both.stdout.startswith(f"{running}: as asked") and f"{ended}: is not running" in both.stderr
    assert set(key[0] for key in lines(world, running, f"{world.project}/job", status=1)) == {running}
    world.nucleus("stop", running)
    assert "is not running" in world.nucleus("verify", running, status=1).stderr
    world.nucleus("stop", "web")
    world.nucleus("stop", "db")
    assert f"{world.project}: nothing of it is running" in world.nucleus("verify", world.project, status=1).stderr
    assert world.nucleus("verify").stdout == "nothing is running\n"
