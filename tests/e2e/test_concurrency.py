"""Many at once: of one topology one after the other, of different ones side by side, and the end of whoever holds a lock."""
import signal
import subprocess

from world import NUCLEUS, wait_for

MANY = 32

ONE = """
name = "PROJECT"
[networks.n]
[services.a]
command = ["/bin/sleep", "infinity"]
networks = ["n"]
stop_signal = "KILL"
[services.b]
command = ["/bin/sleep", "infinity"]
networks = ["n"]
stop_signal = "KILL"
"""


def together(world, commands, timeout=120):
    """Starts them all at once: exit status, output and errors of each."""
    running = [world.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for command in commands]
    done = []
    for process in running:
        with process:
            out, err = process.communicate(timeout=timeout)
            done.append((process.returncode, out, err))
    return done


def test_applies_of_one_topology_go_one_after_the_other(world):
    path = world.write(ONE)
    done = together(world, [[NUCLEUS, "apply", "-f", path, "--lock-timeout", "100s", "--detailed-exitcode"]] * MANY)
    assert sorted(code for code, _, _ in done) == [0] * (MANY - 1) + [2], [err for code, _, err in done if code not in (0, 2)]
    assert len(world.json("history", world.project)["revisions"]) == 1
    assert len(world.processes()) == 4, world.processes()  # two supervisors, two workloads
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    done = together(world, [[NUCLEUS, "destroy", world.project, "--lock-timeout", "100s"]] * 8)
    assert {code for code, _, _ in done} <= {0, 1} and 0 in {code for code, _, _ in done}
    assert all("no such project" in err for code, _, err in done if code == 1), done
    world.nothing_left()


def test_applies_of_different_topologies_do_not_clash(world):
    names = [f"{world.project}x{i}" for i in range(MANY)]
    paths = [world.write(ONE.replace("PROJECT", name), f"{name}.toml") for name in names]
    done = together(world, [[NUCLEUS, "apply", "-f", path] for path in paths])
    assert {code for code, _, _ in done} == {0}, [err for code, _, err in done if code]
    subnets = [subnet for name in names for subnet in world.json("diff", "-f", f"{name}.toml")["leases"]["subnets"].values()]
    assert len(set(subnets)) == MANY, subnets
    for name, path in zip(names, paths):
        world.nucleus("diff", "-f", path, "--detailed-exitcode")
    assert len(world.links()) == MANY * 3 and len(world.tables()) == MANY
    done = together(world, [[NUCLEUS, "destroy", name] for name in names])
    assert {code for code, _, _ in done} == {0}, [err for code, _, err in done if code]
    world.nothing_left()
    assert not any(world.cgroups(name) for name in names)
    assert world.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout == "0\n"


def test_of_several_that_want_the_same_port_and_subnet_one_has_it(world):
    text = ONE.replace("[networks.n]", '[networks.n]\nsubnet = "10.91.50.0/24"').replace(
        'networks = ["n"]', 'networks = ["n"]\nport_forwards = ["127.0.0.1:18500:80"]', 1)
    names = [f"{world.project}x{i}" for i in range(8)]
    paths = [world.write(text.replace("PROJECT", name), f"{name}.toml") for name in names]
    done = together(world, [[NUCLEUS, "apply", "-f", path] for path in paths])
    winners = [name for name, (code, _, _) in zip(names, done) if code == 0]
    assert len(winners) == 1, done
    for code, _, err in done:
        assert code in (0, 1)
        assert code == 0 or "10.91.50.0/24" in err or "18500" in err, err
    assert {alias.split(":")[1].split("/")[0] for alias in world.links()} == set(winners)
    # The others have left nothing: what was refused was refused before anything was made.
    world.nucleus("destroy", winners[0])
    world.nothing_left()
    world.apply(next(path for name, path in zip(names, paths) if name not in winners))


def test_timings_say_where_the_time_went(world):
    path = world.write(ONE)
    told = world.apply(path, "--timings").stderr
    for words in ("look at the machine", "plan", "record the intent", "carry it out", "apply netns", "apply process"):
        assert words in told, told
    assert "look at the machine" in world.apply(path, "--timings").stderr


SLOW = ONE + '[services.slow]\ntype = "job"\ncommand = ["/bin/sleep", "300"]\n'


def test_when_the_holder_of_the_lock_is_killed_the_next_enters(world):
    path = world.write(SLOW)
    first = world.popen(NUCLEUS, "apply", "-f", path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the job", lambda: world.containers("--all").get(f"{world.project}/slow", {}).get("state") == "running")
    busy = world.nucleus("destroy", world.project, "--lock-timeout", "0s", status=5).stderr
    assert "held by process" in busy and "apply" in busy, busy
    world.write(ONE)
    second = world.popen(NUCLEUS, "apply", "-f", path, "--lock-timeout", "60s", "--output", "jsonl", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "waiting for the lock" in second.stderr.readline()
    inside = world.run("pgrep", "-f", "--", "--lock-timeout 60s").stdout.split()
    world.run("pkill", "-KILL", "-f", "--", f"^{NUCLEUS} apply -f {path}$")
    assert second.stdout.readline(), "it did not begin"
    assert second.wait(60) == 0, second.stderr.read()
    assert inside and first.wait(10) == -signal.SIGKILL
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    for stream in (second.stdout, second.stderr):
        stream.close()
