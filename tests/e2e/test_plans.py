"""Saved plans, gates, exit codes, history and rollback, output for machines."""
import json

import pytest
from test_single import SLEEPER
from world import TREE, wait_for


TWO = """
name = "PROJECT"
[networks.n]
subnet = "10.91.31.0/24"
[services.w]
command = ["/bin/sleep", "infinity"]
networks = ["n"]
port_forwards = ["127.0.0.1:18090:80"]
[services.x]
command = ["/bin/sleep", "infinity"]
"""
RIVAL = """
name = "PROJECT-rival"
[networks.n]
subnet = "10.91.32.0/24"
[services.w]
command = ["/bin/sleep", "infinity"]
networks = ["n"]
port_forwards = ["127.0.0.1:18090:80"]
"""


def test_a_saved_plan_is_what_runs(world):
    path = world.write(SLEEPER)
    world.nucleus("diff", "-f", path, "--out", "saved.plan")
    assert "service.a" in world.nucleus("show", "saved.plan").stdout
    world.nucleus("apply", "saved.plan")
    assert world.pid("a") > 0


@pytest.mark.parametrize("what", ["the file", "what runs"])
def test_a_stale_plan_is_refused(world, what):
    path = world.write(SLEEPER)
    world.nucleus("diff", "-f", path, "--out", "saved.plan")
    if what == "the file":
        world.write(SLEEPER.replace("64M", "65M"))
    else:
        world.apply(path)
    before = world.containers("--all")
    refused = world.nucleus("apply", "saved.plan", status=4)
    assert "stale" in refused.stderr
    assert world.containers("--all") == before


def test_expect_names_the_plan(world):
    path = world.write(SLEEPER)
    digest = world.json("diff", "-f", path)["digest"]
    digest = digest if digest.startswith("sha256:") else "sha256:" + digest
    world.nucleus("apply", "-f", path, "--expect", "sha256:" + "0" * 64, status=4)
    assert world.containers() == {}
    world.nucleus("apply", "-f", path, "--expect", "sha256:0", status=64)
    world.nucleus("apply", "-f", path, "--expect", digest)


def test_gates_refuse_before_anything_is_touched(world):
    path = world.write(SLEEPER)
    world.apply(path)
    pid = world.pid("a")
    world.write(SLEEPER.replace("infinity", "1000"))
    for gate in ("restart,replace", "restart,replace,destroy,drift"):
        refused = world.apply(path, "--fail-on", gate, status=3)
        assert "service.a" in refused.stdout + refused.stderr
    assert world.pid("a") == pid
    world.write(SLEEPER[:SLEEPER.index("[services.a]")])
    world.apply(path, "--fail-on", "destroy", status=3)
    assert world.pid("a") == pid


def test_a_protected_service_stays(world):
    path = world.write(SLEEPER + "protect = true\n")
    world.apply(path)
    pid = world.pid("a")
    refused = world.nucleus("destroy", "-f", path, "--yes", status=1)
    assert "protect" in refused.stderr
    assert world.pid("a") == pid


def test_exit_codes(world):
    path = world.write(SLEEPER)
    world.nucleus("diff", "-f", path)
    world.nucleus("diff", "-f", path, "--detailed-exitcode", status=2)
    world.apply(path, "--detailed-exitcode", status=2)
    world.apply(path, "--detailed-exitcode", status=0)
    world.nucleus("aply", status=64)
    world.nucleus("apply", "--no-such-flag", status=64)
    world.nucleus("apply", "-f", path, "--parallelism", "0", status=64)
    world.nucleus("diff", "-f", "absent.toml", status=1)


def test_the_lock_is_somebodys(world):
    path = world.write(SLEEPER)
    world.apply(path)
    text = SLEEPER + '[services.slow]\ntype = "job"\ncommand = ["/bin/sleep", "10"]\n'
    world.write(text)
    with world.popen("nucleus", "apply", "-f", path) as holder:
        wait_for("the job", lambda: world.containers("--all").get(f"{world.project}/slow", {}).get("state") == "running")
        refused = world.apply(path, "--lock-timeout", "100ms", status=5)
        assert str(world.project) in refused.stderr and "held by process" in refused.stderr, refused.stderr
        world.nucleus("diff", "-f", path)  # readers never wait
        assert holder.wait(30) == 0


def test_history_and_rollback(world):
    path = world.write(SLEEPER)
    world.apply(path)
    world.write(SLEEPER.replace("infinity", "1000"))
    world.apply(path)
    assert [row["revision"] for row in world.json("history", world.project)["revisions"]] == [1, 2]
    world.nucleus("rollback", world.project, "1", "--yes")
    assert "infinity" in world.run("cat", f"/proc/{world.pid('service.a')}/cmdline").stdout
    world.write(SLEEPER)
    world.nucleus("diff", "-f", path, "--detailed-exitcode")


def test_on_failure_rollback(world):
    path = world.write(SLEEPER)
    world.apply(path)
    world.write(SLEEPER.replace('["/bin/sleep", "infinity"]', '["/bin/false"]\nrestart = "no"'))
    failed = world.apply(path, "--on-failure", "rollback", status=None)
    assert failed.returncode in (1, 6)
    world.write(SLEEPER)
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    assert world.pid("a") > 0


def test_target_and_exclude(world):
    path = world.write(SLEEPER + '[services.b]\ncommand = ["/bin/sleep", "infinity"]\n')
    world.apply(path, "--target", "service.a")
    assert set(world.containers()) == {f"{world.project}/a"}
    world.apply(path, "--exclude", "service.a")
    assert len(world.containers()) == 2


def test_json_is_one_document_and_jsonl_one_event_a_line(world):
    path = world.write(SLEEPER)
    assert world.json("diff", "-f", path)["format_version"]
    lines = world.nucleus("apply", "-f", path, "--output", "jsonl").stdout.splitlines()
    assert len(lines) > 1 and all(isinstance(json.loads(line), dict) for line in lines)
    for form, sign in (("dot", "digraph"), ("mermaid", "graph"), ("json", "{")):
        assert sign in world.nucleus("graph", "-f", path, "--output", form).stdout


def test_a_plan_is_the_same_from_any_order_of_the_file(world):
    a = '[services.a]\ncommand = ["/bin/sleep", "1"]\n'
    b = '[services.b]\ncommand = ["/bin/sleep", "2"]\n'
    digests = set()
    for text in (a + b, b + a):
        path = world.write('name = "PROJECT"\n' + text)
        digests.add(world.json("diff", "-f", path)["digest"])
    assert len(digests) == 1


def test_stdin_and_a_directory_are_files_too(world):
    (world.directory / "many").mkdir()
    text = world.write(SLEEPER).read_text()
    (world.directory / "many/a.toml").write_text(text)
    (world.directory / "many/b.toml").write_text('[services.b]\ncommand = ["/bin/true"]\ntype = "job"\n')
    assert "service.b" in world.nucleus("diff", "-f", world.directory / "many").stdout
    with open(world.directory / "many/a.toml") as stdin:
        assert "service.a" in world.nucleus("diff", "-f", "-", stdin=stdin).stdout


@pytest.mark.parametrize("text, readable", [(SLEEPER, True), (TWO, False)], ids=["all that it needs", "but not the firewall"])
def test_diff_needs_no_root_where_it_may_read(world, text, readable):
    path = world.write(text)
    # Below pytest's directory nobody else may look: the file comes by standard input, and nothing was applied yet.
    environment = {**world.environment, "NUCLEUS_STATE_DIR": "/nonexistent/state", "NUCLEUS_RUNTIME_DIR": "/nonexistent/runtime"}
    with open(path) as file:
        done = world.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "nucleus", "diff", "-f", "-",
                         status=0 if readable else 1, stdin=file, env=environment, cwd="/")
    assert any(line.split()[:3] in (["+", "service.a", "create"], ["+", "service.x", "create"]) for line in done.stdout.splitlines()), done
    # What may not be read is said, and is no success.
    assert ("EPERM" in done.stderr) != readable, done


def test_the_example_validates(world):
    (world.directory / "rootfs").mkdir()
    world.environment["SHOP_ROOTFS"] = str(world.directory / "rootfs")
    world.nucleus("validate", "-f", TREE / "examples/shop/shop.toml")


def test_a_part_that_is_destroyed_gives_back_no_port_of_the_rest(world):
    path = world.write(TWO)
    rival = world.write(RIVAL, "rival.toml")
    world.apply(path)
    world.nucleus("destroy", world.project, "--target", "service.x", "--yes")
    assert "18090" in world.apply(rival, status=1).stderr
    world.nucleus("destroy", world.project, "--yes")
    world.apply(rival)
    world.nucleus("destroy", world.project + "-rival", "--yes")


def test_a_port_that_is_moved_is_held_until_it_has_moved(world):
    path = world.write(TWO)
    rival = world.write(RIVAL, "rival.toml")
    world.apply(path)
    world.write(TWO.replace("18090", "18091").replace('[services.x]\ncommand = ["/bin/sleep", "infinity"]', '[services.x]\ncommand = ["/bin/sleep", "9"]'))
    world.apply(path, "--target", "service.x")
    assert "18090" in world.apply(rival, status=1).stderr
    world.apply(path)
    world.apply(rival)
    world.nucleus("destroy", world.project + "-rival", "--yes")


def test_a_rollback_after_a_partial_destroy_goes_back_to_what_was_there(world):
    path = world.write(TWO)
    world.apply(path)
    pid = world.pid("w")
    world.nucleus("destroy", world.project, "--target", "service.x", "--yes")
    world.write(TWO.replace('[services.x]\ncommand = ["/bin/sleep", "infinity"]', '[services.x]\ncommand = ["/bin/false"]\nrestart = "no"'))
    failed = world.apply(path, "--on-failure", "rollback", "--output", "json", status=None)
    document = json.loads(failed.stdout)
    assert failed.returncode in (1, 6) and document["rollback"]["result"] == "applied", document
    assert world.pid("w") == pid
    assert set(world.containers()) == {f"{world.project}/w"}


def test_resources_know_the_revision_they_are_of(world):
    path = world.write(SLEEPER)
    world.apply(path)
    world.nucleus("destroy", world.project, "--yes")
    world.apply(path)
    newest = world.json("history", world.project)["revisions"][-1]["revision"]
    shown = world.json("show", world.project)
    assert newest == 3 and all(resource["revision"] == newest for resource in shown["resources"]), shown


def test_a_rollback_takes_mounted_files_as_they_are_now(world):
    (world.directory / "conf").write_text("one")
    text = SLEEPER + 'volumes = ["./conf:/conf:ro"]\n'
    path = world.write(text)
    world.apply(path)
    (world.directory / "conf").write_text("two")
    world.write(text.replace("infinity", "1000"))
    world.apply(path)
    back = world.nucleus("rollback", world.project, "1", "--yes")
    assert "conf is another than in that revision" in back.stderr
    assert "infinity" in world.run("cat", f"/proc/{world.pid('service.a')}/cmdline").stdout


def test_a_restart_that_is_left_out_is_said(world):
    text = SLEEPER + '[services.b]\ncommand = ["/bin/sleep", "infinity"]\ndepends_on = [{ service = "a", restart = true }]\n'
    path = world.write(text)
    world.apply(path)
    world.write(text.replace('["/bin/sleep", "infinity"]', '["/bin/sleep", "1000"]', 1))
    pid = world.pid("b")
    assert "service.b: not restarted with service.a" in world.apply(path, "--target", "service.a").stdout
    assert world.pid("b") == pid


def test_a_file_may_be_what_a_command_writes(world):
    path = world.write(SLEEPER)
    world.run("bash", "-c", f"nucleus apply -f <(cat {path})")
    assert list(world.containers()) == [f"{world.project}/a"]
    world.run("sh", "-c", f"nucleus diff -f - --detailed-exitcode < {path}")


def test_a_fifo_that_nobody_writes_to_is_refused(world):
    world.run("mkfifo", "pipe.toml")
    assert "not a regular file" in world.nucleus("diff", "-f", "pipe.toml", status=1).stderr


def test_destroy_asks_for_nothing_that_the_file_points_at(world):
    (world.directory / "env").write_text("A=1\n")
    path = world.write(SLEEPER + 'env_file = "env"\n')
    world.apply(path)
    (world.directory / "env").unlink()
    world.nucleus("diff", "-f", path, status=1)
    world.nucleus("drift", "-f", path, "--detailed-exitcode")
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_a_clash_with_another_project_has_its_line(world):
    text = 'name = "PROJECT"\n[networks.n]\nsubnet = "10.91.40.0/24"\n[services.a]\ncommand = ["/bin/sleep", "infinity"]\nnetworks = ["n"]\n'
    world.apply(world.write(text))
    other = world.write(text.replace("PROJECT", world.project + "b"), "other.toml")
    refused = world.apply(other, status=1).stderr
    assert f"{world.project}/" in refused and "other.toml:5:1" in refused, refused


def test_a_going_back_that_fails_is_told_beside_what_failed(world):
    """What it would go back to needs a directory that is not there any more."""
    data = world.directory / "data"
    data.mkdir()
    before = SLEEPER + f'volumes = ["{data}:/data"]\n'
    path = world.write(before)
    world.apply(path)
    data.rmdir()
    world.write(SLEEPER.replace('["/bin/sleep", "infinity"]', '["/bin/false"]\nrestart = "no"'))
    failed = world.apply(path, "--on-failure", "rollback", "--output", "json", status=None)
    document = json.loads(failed.stdout)
    assert failed.returncode in (1, 6) and document["result"] in ("failed", "unhealthy"), document
    assert document["rollback"]["result"] == "failed" and str(data) in document["rollback"]["failed"][0]["message"], document
    failed = world.apply(path, "--on-failure", "rollback", status=None)
    assert "going back to the revision before" in failed.stderr and str(data) in failed.stderr, failed.stderr
    assert "failed" in [row["state"] for row in world.json("history", world.project)["revisions"]]
    data.mkdir()
    world.write(before)
    world.apply(path)
    assert world.pid("a") > 0


def test_an_apply_that_changed_nothing_leaves_no_lock_of_a_project_that_is_not_there(world):
    file = world.write('name = "PROJECT"\n[services.a]\ncommand = ["sleep", "100000"]\n')
    world.nucleus("diff", "-f", file, "--out", "saved.plan")
    world.write('name = "PROJECT"\n[services.a]\ncommand = ["sleep", "100001"]\n')
    assert "stale" in world.nucleus("apply", "saved.plan", status=4).stderr
    assert world.run("ls", world.runtime / "locks").stdout == ""
