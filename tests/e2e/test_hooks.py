"""OCI hooks: when they run, where, with what they are told, and what comes of one that fails."""
import json
import os
import subprocess

import pytest
from world import NUCLEUS, wait_for

SERVICE = """
name = "PROJECT"
[services.a]
rootfs = "ROOTFS"
restart = "no"
command = ["/bin/sh", "-c", "echo workload; exec sleep 1000"]
[services.a.hooks]
HOOKS
"""
# Which hook, the state, and the namespaces it is in.
TELL = """#!/bin/sh
{ cat; echo; for kind in mnt pid net uts; do readlink /proc/self/ns/$kind; done; hostname; env; } > "$1.new"
mv "$1.new" "$1"
"""


@pytest.fixture
def root(world, rootfs):
    return rootfs


def script(world, text, name="hook"):
    path = world.directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def service(world, root, hooks, name="topology.toml"):
    return world.write(SERVICE.replace("ROOTFS", str(root)).replace("HOOKS", hooks), name)


def listed(point, path, *args, more=""):
    words = ", ".join(json.dumps(str(word)) for word in (path, *args))
    return f'{point} = [{{ path = "{path}", args = [{words}]{more} }}]\n'


def told(path):
    state, *rest = wait_for(f"{path} is told", lambda: path.exists() and path.read_text()).split("\n")
    return json.loads(state), rest[:4], rest[4], [line for line in rest[5:] if line]


def own_namespaces(world):
    names = ("mnt", "pid", "net", "uts")
    return [line for line in world.run("readlink", *(f"/proc/1/ns/{name}" for name in names)).stdout.split()]


def test_each_runs_at_its_moment_in_its_namespaces(world, root):
    hook = script(world, TELL)
    points = ("createRuntime", "createContainer", "poststart", "poststop")
    path = service(world, root, "".join(listed(point, hook, world.directory / point, more=', env = ["WORD=one two"]') for point in points))
    world.apply(path)
    state = json.loads(world.nucleus("state", "a").stdout)
    pid = world.pid("a")
    namespaces = [world.run("readlink", f"/proc/{pid}/ns/{kind}").stdout.strip() for kind in ("mnt", "pid", "net", "uts")]
    for point, status in (("createRuntime", "creating"), ("createContainer", "creating"), ("poststart", "running")):
        said, where, host, variables = told(world.directory / point)
        assert (said["ociVersion"], said["id"], said["status"], said["pid"]) == ("1.2.0", state["id"], status, pid)
        assert said["bundle"] == state["bundle"]
        assert said["annotations"]["nucleus.name"] == f"{world.project}/a"
        assert where == (namespaces if point == "createContainer" else own_namespaces(world)), point
        assert [word for word in variables if not word.startswith(("PWD=", "SHLVL=", "_="))] == ["WORD=one two"]
    assert not (world.directory / "poststop").exists()
    world.nucleus("stop", "a")
    said, where, *_ = told(world.directory / "poststop")
    assert (said["id"], said["status"]) == (state["id"], "stopped")
    assert "pid" not in said
    assert where == own_namespaces(world)
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


def test_start_container_runs_inside_as_the_workload(world, root):
    inner = "cat > /tmp/state; { id -u; grep -E 'Seccomp:|CapEff|NoNewPrivs' /proc/self/status; hostname; } > /tmp/said; echo words"
    path = service(world, root, f'startContainer = [{{ path = "/bin/sh", args = ["sh", "-c", {json.dumps(inner)}] }}]\n')
    world.apply(path)
    state = json.loads(world.nucleus("exec", "a", "--", "cat", "/tmp/state").stdout)
    assert (state["status"], state["pid"]) == ("created", world.pid("a"))
    uid, *lines, host = world.nucleus("exec", "a", "--", "cat", "/tmp/said").stdout.split("\n")[:-1]
    assert (uid, host) == ("0", "a")
    inside = world.nucleus("exec", "a", "--", "grep", "-E", "Seccomp:|CapEff|NoNewPrivs", "/proc/1/status").stdout.splitlines()
    assert lines == inside and "CapEff:\t0000000000000000" in inside


@pytest.mark.parametrize("point", ["createRuntime", "createContainer", "startContainer"])
def test_one_that_fails_before_the_workload_leaves_nothing(world, root, point):
    poststop = script(world, TELL, "poststop-hook")
    hook = "/bin/sh" if point == "startContainer" else script(world, "#!/bin/sh\nexec /bin/sh \"$@\"\n")
    words = json.dumps("echo why it fails; exit 3")
    path = service(world, root, f'{point} = [{{ path = "{hook}", args = ["sh", "-c", {words}] }}]\n'
                   + listed("poststop", poststop, world.directory / "poststop"))
    out = world.apply(path, status=1)
    assert f"{point} hook" in out.stdout + out.stderr
    assert "exit code 3: why it fails" in out.stdout + out.stderr
    assert "workload" not in world.nucleus("logs", "a", status=None).stdout
    assert told(world.directory / "poststop")[0]["status"] == "stopped"
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


def test_one_that_takes_too_long_is_killed_with_what_it_started(world, root):
    hook = script(world, "#!/bin/sh\nsetsid sleep 4321 &\nexec sleep 4321\n")
    path = service(world, root, listed("createRuntime", hook, more=', timeout = "300ms"'))
    out = world.apply(path, status=1)
    assert "within 300 ms" in out.stdout + out.stderr
    assert "sleep 4321" not in world.run("ps", "-e", "-o", "args=").stdout
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


def test_one_that_takes_too_long_takes_no_other_along(world, root):
    stays = script(world, "#!/bin/sh\nsetsid sleep 4322 </dev/null >/dev/null 2>&1 &\n", "stays")
    slow = script(world, "#!/bin/sh\nsetsid sleep 4323 &\nexec sleep 4323\n", "slow")
    path = service(world, root, f'poststart = [{{ path = "{stays}" }}, {{ path = "{slow}", timeout = "300ms" }}]\n')
    world.apply(path)
    assert "within 300 ms" in world.nucleus("logs", "a").stderr + world.nucleus("logs", "a").stdout
    running = world.run("ps", "-e", "-o", "args=").stdout
    assert "sleep 4322" in running and "sleep 4323" not in running
    assert world.container("a")["state"] == "running"
    world.nucleus("destroy", world.project, "--yes")
    assert "sleep 4322" not in world.run("ps", "-e", "-o", "args=").stdout
    world.nothing_left()


def test_the_workload_is_attended_to_during_poststart(world, root):
    # It writes more than a pipe holds before it says that it is through, which the hook waits for.
    through, begun = world.directory / "through", world.directory / "begun"
    through.mkdir()
    wait = script(world, f"#!/bin/sh\ntouch {begun}\nwhile [ ! -e {through}/it ]; do sleep 0.05; done\n")
    text = service(world, root, listed("poststart", wait)).read_text()
    text = text.replace("echo workload; exec sleep 1000", "i=0; while [ $i -lt 9999 ]; do echo more than a pipe holds; i=$((i+1)); done; touch /through/it; exec sleep 1000")
    text = text.replace("[services.a.hooks]", f'volumes = ["{through}:/through"]\n[services.a.hooks]')
    world.apply(world.write(text, "writes.toml"))
    assert begun.exists() and (through / "it").exists()


def test_what_the_workload_says_is_heard_during_poststart(world):
    status = world.runtime / f"projects/{world.project}/service.a/status"
    hook = script(world, f"#!/bin/sh\nuntil grep -q '^words serving' {status}; do sleep 0.05; done\n")
    say = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1\\nSTATUS=serving')"
    command = json.dumps(["sh", "-c", f'python3 -c "{say}"; exec sleep 1000'])
    path = world.write(f'name = "PROJECT"\n[services.a]\nservice_mode = "agent"\nsd_notify = true\ncommand = {command}\n'
                       "[services.a.hooks]\n" + listed("poststart", hook), "says.toml")
    world.apply(path)
    assert world.container("a")["state"] == "running" and world.container("a")["status"] == "serving"
    assert "poststart" not in world.nucleus("logs", "a").stdout, "it was no longer waited for"


def test_a_stop_ends_a_poststart_hook_and_asks_the_workload(world, root):
    begun, asked = world.directory / "begun", world.directory / "asked"
    hook = script(world, f"#!/bin/sh\ntouch {begun}\nexec sleep 4324\n")
    other = script(world, TELL, "other")
    hooks = f'poststart = [{{ path = "{hook}", timeout = "500s" }}, {{ path = "{other}", args = ["other", "{world.directory}/other-told"] }}]\n'
    asked.mkdir()
    text = service(world, root, hooks).read_text()
    text = text.replace("echo workload; exec sleep 1000", "trap 'touch /asked/it; exit 7' TERM; touch /asked/up; while :; do sleep 0.1; done")
    text = text.replace("[services.a.hooks]", f'volumes = ["{asked}:/asked"]\n[services.a.hooks]')
    applying = world.popen(NUCLEUS, "apply", "-f", world.write(text, "stopped.toml"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the hook runs", begun.exists)
    wait_for("the workload listens", (asked / "up").exists)
    assert world.container("a")["state"] == "running"
    world.nucleus("stop", "a")
    applying.wait(60)
    assert (asked / "it").exists()
    assert not (world.directory / "other-told").exists()
    assert "sleep 4324" not in world.run("ps", "-e", "-o", "args=").stdout


def test_poststop_has_its_time_at_a_stop(world, root):
    done = world.directory / "done"
    hook = script(world, f"#!/bin/sh\nsleep 7\ntouch {done}\n")
    world.apply(service(world, root, listed("poststop", hook)))
    world.nucleus("stop", "a", "--timeout", "0s")
    assert done.exists()


def test_one_that_fails_afterwards_is_logged_and_the_others_run(world, root):
    bad, good = script(world, "#!/bin/sh\necho no; exit 1\n", "bad"), script(world, TELL, "good")
    for point in ("poststart", "poststop"):
        assert not (world.directory / point).exists()
    hooks = "".join(f'{point} = [{{ path = "{bad}" }}, {{ path = "{good}", args = ["good", "{world.directory / point}"] }}]\n'
                    for point in ("poststart", "poststop"))
    world.apply(service(world, root, hooks))
    assert world.container("a")["state"] == "running"
    told(world.directory / "poststart")
    assert "poststart hook" in world.nucleus("logs", "a").stderr + world.nucleus("logs", "a").stdout
    world.nucleus("stop", "a")
    told(world.directory / "poststop")
    logs = world.nucleus("logs", "a")
    assert "exit code 1: no" in logs.stdout + logs.stderr


def test_only_what_root_alone_can_change_is_run(world, root):
    open_to_others = script(world, TELL, "open")
    open_to_others.chmod(0o777)
    others = script(world, TELL, "others")
    os.chown(others, 12345, 12345)
    link = world.directory / "link"
    link.symlink_to(script(world, TELL, "target"))
    os.chown(link, 12345, 12345, follow_symlinks=False)
    wide = world.directory / "wide"
    wide.mkdir(mode=0o777)
    wide.chmod(0o777)
    below = script(world, TELL, "wide/hook")
    for number, hook in enumerate((open_to_others, others, link, below)):
        out = world.apply(service(world, root, listed("createRuntime", hook, world.directory / f"told{number}")), status=1)
        assert "others than root may write to it" in out.stdout + out.stderr
        assert not (world.directory / f"told{number}").exists()


def test_they_run_at_every_start(world, root):
    hook = script(world, "#!/bin/sh\ncat >> \"$1\"\necho >> \"$1\"\n")
    seen = world.directory / "seen"
    path = service(world, root, listed("poststop", hook, seen)).read_text().replace('restart = "no"', 'restart = "always"')
    path = world.write(path.replace("exec sleep 1000", "exit 0"), "again.toml")
    world.apply(path, status=None)
    wait_for("it has ended more than once", lambda: seen.exists() and len(seen.read_text().splitlines()) > 1)
    first, second = map(json.loads, seen.read_text().splitlines()[:2])
    assert first["id"] == second["id"]
    assert (first["annotations"]["nucleus.restarts"], second["annotations"]["nucleus.restarts"]) == ("0", "1")


def test_a_change_of_them_is_planned(world, root):
    hook = script(world, TELL)
    world.apply(service(world, root, listed("poststop", hook, world.directory / "one")))
    path = service(world, root, listed("poststop", hook, world.directory / "two"))
    plan = world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2).stdout
    assert "restart" in plan and "hooks" in plan
    world.apply(path)
    assert (world.directory / "one").exists()
    assert "no changes" in world.nucleus("diff", "-f", path).stdout.lower() or world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_every_problem_has_its_place(world, root):
    text = ('createruntime = []\ncreateContainer = [{ path = "/nowhere/hook" }, { args = ["x"] }]\n'
            'startContainer = [{ path = "bin/true" }]\npoststart = [{ path = "/bin/true", timeout = 0, envs = [] }]\npoststop = "x"\n')
    path = service(world, root, text)
    first = path.read_text().splitlines().index("createruntime = []") + 1
    err = world.nucleus("validate", "-f", path, status=1).stderr
    for place, words in ((f"{first}:1", "did you mean 'createRuntime'"), (f"{first + 1}:29", "there is no file /nowhere/hook"),
                         (f"{first + 1}:48", "'path' is missing"), (f"{first + 2}:28", "absolute path inside the container"),
                         (f"{first + 3}:46", "longer than nothing"), (f"{first + 3}:49", "unknown key 'envs'"),
                         (f"{first + 4}:12", "a list of tables")):
        assert any(f":{place}:" in line and words in line for line in err.splitlines()), (place, words, err)
