"""One service: made, left alone, changed, destroyed."""
import pytest
from world import controllers, wait_for

SLEEPER = """
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
memory = "64M"
"""


def test_apply_starts_it_and_destroy_leaves_nothing(world):
    path = world.write(SLEEPER)
    planned = world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2).stdout
    assert "service.a" in planned and "create" in planned
    assert not world.state.exists(), "diff wrote state"
    world.apply(path)
    assert world.run("cat", f"/proc/{world.pid('service.a')}/comm").stdout == "sleep\n"
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()
    assert world.containers("--all") == {}


def test_second_apply_does_nothing(world):
    path = world.write(SLEEPER)
    world.apply(path)
    before = world.pid("a")
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    world.apply(path, "--detailed-exitcode")
    world.nucleus("drift", world.project, "--detailed-exitcode")
    assert world.pid("a") == before


def test_a_container_file_is_a_topology_of_one(world):
    path = world.write("""
[container]
name = "PROJECT"
service_mode = "agent"
command = ["/bin/sleep", "infinity"]
""")
    world.apply(path)
    assert len(world.containers()) == 1
    world.nucleus("destroy", "-f", path)
    world.nothing_left()


def test_drift_and_diff_agree_about_a_container_file_that_has_ended(world):
    path = world.write("""
[container]
name = "PROJECT"
service_mode = "agent"
restart = "no"
command = ["/bin/sh", "-c", "echo up; sleep 1"]
""")
    world.apply(path)
    wait_for("it has ended", lambda: not world.containers())
    for command in (("diff", "-f", path), ("drift", world.project)):
        assert "state exited" in world.nucleus(*command, "--detailed-exitcode", status=2).stdout, command
    world.apply(path)
    assert world.nucleus("logs", world.project).stdout.count("up") == 2
    # What a command has started is in no file that says it again.
    world.nucleus("destroy", "-f", path, "--yes")
    world.nucleus("run", "-d", "--name", world.project, "--", "true")
    wait_for("it has ended", lambda: not world.containers())
    world.nucleus("drift", world.project, "--detailed-exitcode")
    world.nucleus("rm", world.project)


def test_memory_changes_live(world):
    path = world.write(SLEEPER)
    world.apply(path)
    before = world.pid("a")
    world.write(SLEEPER.replace("64M", "96M"))
    planned = world.nucleus("diff", "-f", path, "--detailed-exitcode", status=None)
    assert "memory 64M" in planned.stdout and "96M" in planned.stdout, planned.stdout
    assert "restart" not in planned.stdout and "replace" not in planned.stdout
    world.apply(path)
    assert world.pid("a") == before
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


@pytest.mark.skipif("memory" in controllers(), reason="this machine has a memory controller")
def test_a_limit_without_controller_is_said_in_every_plan(world):
    path = world.write(SLEEPER)
    for command in ("diff", "apply", "diff", "apply"):
        done = world.nucleus(command, "-f", path)
        assert "memory" in done.stdout + done.stderr and "controller" in done.stdout + done.stderr, done
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


@pytest.mark.skipif("memory" in controllers(), reason="this machine has a memory controller")
def test_production_refuses_a_limit_without_controller(world, rootfs):
    path = world.write(f"""
name = "PROJECT"
[services.a]
service_mode = "production"
rootfs = "{rootfs}"
command = ["/bin/sleep", "infinity"]
memory = "64M"
""")
    refused = world.apply(path, status=1)
    assert "memory" in refused.stderr and "controller" in refused.stderr, refused.stderr
    world.nothing_left()


@pytest.mark.parametrize("change", ['command = ["/bin/sleep", "1000"]', 'environment = { A = "1" }', 'hostname = "other"'])
def test_what_needs_a_new_process_gets_one(world, change):
    path = world.write(SLEEPER)
    world.apply(path)
    before = world.pid("a")
    text = SLEEPER + change if not change.startswith("command") else SLEEPER.replace('command = ["/bin/sleep", "infinity"]', change)
    world.write(text)
    world.apply(path)
    assert world.pid("a") != before
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_restart_after_a_crash(world):
    path = world.write(SLEEPER + 'restart = "always"\n')
    world.apply(path)
    before = world.pid("a")
    world.kill(before)
    wait_for("a new process", lambda: world.container("a")["pid"] not in (None, before))
    world.nucleus("drift", world.project, "--detailed-exitcode")


def test_logs(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "echo to stdout; echo to stderr >&2; exec sleep infinity"]
""")
    world.apply(path)
    out = wait_for("both lines", lambda: (lambda text: text if "stderr" in text else "")(
        world.nucleus("logs", f"{world.project}/a").stdout))
    assert "to stdout" in out


def test_a_log_outlives_a_restart_and_goes_with_the_service(world):
    text = """
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "echo run $WHICH; exec sleep infinity"]
environment = { WHICH = "one" }
[services.j]
type = "job"
command = ["/bin/echo", "job done"]
"""
    path = world.write(text)
    said = lambda service: world.nucleus("logs", f"{world.project}/{service}").stdout
    world.apply(path)
    wait_for("the first run", lambda: "run one" in said("a"))
    world.write(text.replace('"one"', '"two"'))
    world.apply(path)
    wait_for("the second run", lambda: "run two" in said("a"))
    assert "run one" in said("a")
    assert "job done" in said("j")
    world.nucleus("destroy", world.project)
    world.nothing_left()


def test_destroy_says_what_becomes_of_the_data(world):
    path = world.write(f"""
name = "PROJECT"
[volumes.data]
volume_type = "persistent"
path = "{world.directory}/data"
[services.a]
command = ["/bin/sleep", "infinity"]
volumes = ["data:/data"]
""")
    world.apply(path)
    assert f"its data stay: {world.directory}/data" in world.nucleus("destroy", world.project, "--expect", "0" * 12, status=4).stdout
    assert f"its data go too: {world.directory}/data" in world.nucleus("destroy", world.project, "--delete-data").stdout
    assert not (world.directory / "data").exists()
