"""What was lost, cut short or half done: the next apply puts it right, once, and says so in words that fit."""
import pathlib
import shutil

from world import NUCLEUS, wait_for


def test_a_job_that_ended_while_nobody_waited_is_not_run_again(world):
    path = world.write("""
name = "PROJECT"
[volumes.v]
path = "%s/once"
[services.once]
type = "job"
command = ["/bin/sh", "-c", "sleep 1; echo ran >> /v/log"]
volumes = ["v:/v"]
""" % world.directory)
    world.apply(path, "--timeout", "200ms", status=6)
    wait_for("the job ends", lambda: world.container("once")["state"] == "exited")
    assert [change["action"] for change in world.json("diff", "-f", path)["changes"]].count("restart") == 0
    world.apply(path)
    assert (world.directory / "once/log").read_text() == "ran\n"
    world.apply(path, "--detailed-exitcode")
    assert world.container("once")["state"] == "completed"
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


def test_a_lost_runtime_directory_leaves_no_second_copy_and_nothing_behind(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sh", "-c", "echo up; exec sleep 4242"]
""")
    def copies():
        return world.run("pgrep", "-fc", "^sleep 4242", status=None).stdout.strip()

    world.apply(path)
    world.run("rm", "-r", world.runtime / "projects" / world.project)
    world.apply(path)
    wait_for("one copy is left", lambda: copies() == "1")
    wait_for("its supervisor alone", lambda: world.run("pgrep", "-c", "nucleus-superv", status=None).stdout.strip() == "1")
    world.run("rm", "-r", world.runtime / "projects" / world.project)
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()
    assert copies() == "0"


SEEDED = """
name = "PROJECT"
[volumes.e]
volume_type = "ephemeral"
[services.seed]
type = "job"
command = ["/bin/sh", "-c", "echo seeded > /e/x"]
volumes = ["e:/e"]
[services.a]
command = ["/bin/sh", "-c", "cat /e/x && exec sleep infinity"]
volumes = ["e:/e"]
depends_on = [{ service = "seed", condition = "completed" }]
"""


def test_a_job_is_run_again_for_a_volume_that_lost_what_it_had_put_there(world):
    path = world.write(SEEDED)
    world.apply(path)
    world.run("umount", world.runtime / "projects" / world.project / "volume.e")
    plan = {change["address"]: change for change in world.json("drift", world.project)["changes"]}
    assert set(plan) == {"volume.e", "service.seed", "service.a"}, plan
    before = world.pid("a")
    world.apply(path)
    assert world.pid("a") != before
    assert "seeded" in world.nucleus("logs", f"{world.project}/a").stdout
    world.apply(path, "--detailed-exitcode")


def test_a_mode_that_is_the_default_is_asked_for_all_the_same(world):
    text = """
name = "PROJECT"
[volumes.k]
path = "%s/k"
mode = "0711"
[services.a]
command = ["/bin/sleep", "infinity"]
volumes = ["k:/k"]
""" % world.directory
    world.apply(world.write(text))
    path = world.write(text.replace("0711", "0755"))
    assert "mode 0711 → 0755" in world.nucleus("diff", "-f", path).stdout
    world.apply(path)
    assert (world.directory / "k").stat().st_mode & 0o7777 == 0o755
    (world.directory / "k").chmod(0o777)
    assert "mode 0777 → 0755" in world.nucleus("drift", world.project).stdout


def test_an_edit_is_no_change_behind_its_back(world):
    text = """
name = "PROJECT"
[volumes.p]
path = "%s/p"
[services.j]
type = "job"
command = ["/bin/sleep", "0"]
volumes = ["p:/p"]
""" % world.directory
    world.apply(world.write(text))
    owned = world.write(text.replace('/p"\n[', '/p"\nowner = "5"\n['))
    assert "drift" not in world.nucleus("diff", "-f", owned).stdout
    world.apply(owned, "--fail-on", "drift")
    service = world.write(text.replace('type = "job"\n', "").replace('"0"]', '"infinity"]').replace('/p"\n[', '/p"\nowner = "5"\n['))
    assert "drift" not in world.nucleus("diff", "-f", service).stdout
    world.apply(service, "--fail-on", "drift")


def test_what_a_failed_apply_began_is_neither_left_over_nor_drift(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
health_check = ["/bin/false"]
health_interval = "50ms"
on_unhealthy = "none"
""")
    world.apply(path, status=6)
    assert "nothing to do" in world.nucleus("drift", world.project, "--fail-on", "destroy,drift").stdout
    world.kill(world.container("a")["supervisor_pid"])
    wait_for("its end", lambda: world.nucleus("drift", world.project, "--detailed-exitcode", status=None).returncode == 2)


def test_drift_of_all_projects_is_one_document(world):
    assert world.json("drift")["plans"] == []
    for name in ("x", "y"):
        world.apply(world.write(f'name = "{world.project}{name}"\n[services.a]\ncommand = ["/bin/sleep", "infinity"]\n', f"{name}.toml"))
    assert [plan["project"] for plan in world.json("drift")["plans"]] == [f"{world.project}x", f"{world.project}y"]
    for name in ("x", "y"):
        world.nucleus("destroy", world.project + name, "--yes")


def test_a_service_goes_on_until_what_its_new_run_waits_for_is_there(world):
    text = """
name = "PROJECT"
[services.migrate]
type = "job"
command = ["/bin/sh", "-c", "exit 0"]
[services.a]
command = ["/bin/sleep", "infinity"]
depends_on = [{ service = "migrate", condition = "completed", restart = true }]
"""
    world.apply(world.write(text))
    before = world.pid("a")
    world.apply(world.write(text.replace("exit 0", "exit 3")), status=None)
    assert world.pid("a") == before, "it was stopped for a migration that failed"


def test_an_interrupted_apply_says_how_it_goes_on_and_is_called_that(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
health_check = ["/bin/false"]
health_start_period = "1m"
""")
    apply = world.popen("nucleus", "apply", "-f", path, stdout=-1, stderr=-1, text=True)
    wait_for("it is started", lambda: f"{world.project}/a" in world.containers())
    world.run("pkill", "-HUP", "-x", "nucleus")
    out, _ = apply.communicate(timeout=30)
    assert apply.returncode == 130 and "goes on from here" in out, out
    assert world.json("history", world.project)["revisions"][0]["state"] == "interrupted"


def test_a_stale_plan_shows_no_values_of_the_environment(world):
    text = 'name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "infinity"]\nenvironment = { A = "one-secret" }\n'
    path = world.write(text)
    world.nucleus("diff", "-f", path, "--out", world.directory / "plan")
    world.write(text.replace("one-secret", "other-secret"))
    stale = world.nucleus("apply", world.directory / "plan", status=4)
    assert "environment changed" in stale.stderr and "secret" not in stale.stdout + stale.stderr, stale.stderr


def test_on_unhealthy_applied_live_acts_on_what_is_unhealthy_already(world):
    text = """
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
restart = "no"
health_check = ["/bin/false"]
health_interval = "50ms"
on_unhealthy = "none"
"""
    world.apply(world.write(text), status=6)
    world.apply(world.write(text.replace('"none"', '"stop"')), status=None)
    wait_for("it is stopped", lambda: world.container("a")["state"] == "exited")


def test_a_job_is_not_forgotten_where_the_apply_that_made_its_volume_anew_failed_before_it(world):
    flag = world.directory / "flag"
    flag.mkdir()
    (flag / "ok").touch()
    path = world.write(f"""
name = "PROJECT"
[volumes.t]
volume_type = "ephemeral"
[services.d]
command = ["/bin/sleep", "infinity"]
volumes = ["{flag}:/flag:ro"]
health_check = ["/usr/bin/test", "-e", "/flag/ok"]
health_interval = "50ms"
on_unhealthy = "none"
[services.j]
type = "job"
command = ["/bin/sh", "-c", "echo data > /t/made"]
volumes = ["t:/t"]
depends_on = [{{ service = "d", condition = "healthy" }}]
""")
    world.apply(path)
    place = world.runtime / "projects" / world.project / "volume.t"
    world.run("sh", "-c", f"umount -l {place}; rmdir {place}")
    (flag / "ok").unlink()
    wait_for("d is unhealthy", lambda: world.container("d")["health"] == "unhealthy")
    world.apply(path, status=6)
    (flag / "ok").touch()
    wait_for("d is healthy", lambda: world.container("d")["health"] == "healthy")
    world.apply(path)
    assert world.run("cat", place / "made").stdout == "data\n"


def test_nothing_is_stopped_for_a_volume_that_cannot_be_repaired(world):
    path = world.write(f"""
name = "PROJECT"
[volumes.k]
path = "{world.directory}/k"
[services.a]
command = ["/bin/sleep", "infinity"]
volumes = ["k:/k"]
""")
    world.apply(path)
    before = world.pid("a")
    (world.directory / "k").rename(world.directory / "moved")
    (world.directory / "k").symlink_to("moved")
    assert "symbolic link" in world.apply(path, status=1).stderr
    assert world.pid("a") == before


def test_an_ephemeral_volume_is_mounted_again_over_what_lies_in_its_place(world):
    path = world.write(SEEDED)
    world.apply(path)
    place = world.runtime / "projects" / world.project / "volume.e"
    world.run("sh", "-c", f"umount {place}; echo stray > {place}/stray")
    world.apply(path)
    assert "seeded" in world.run("cat", place / "x").stdout
    world.apply(path, "--detailed-exitcode")


def test_a_network_that_changes_its_name_lets_go_before_anybody_waits(world):
    text = """
name = "PROJECT"
[networks.n]
subnet = "10.77.0.0/24"
[services.d]
command = ["/usr/bin/python3", "-m", "http.server", "8000"]
networks = ["n"]
health_check = { tcp = 8000 }
health_interval = "50ms"
health_start_period = "20s"
[services.r]
command = ["/bin/sleep", "infinity"]
networks = ["n"]
depends_on = [{ service = "d", condition = "healthy" }]
"""
    world.apply(world.write(text))
    world.apply(world.write(text.replace("networks.n]", "networks.n2]").replace('["n"]', '["n2"]')))
    assert len(world.run("ip", "-o", "-4", "addr", "show", "to", "10.77.0.1").stdout.splitlines()) == 1


def test_a_supervisor_whose_directory_was_taken_away_leaves_its_successor_alone(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
restart = "no"
""")
    world.apply(path)
    old = world.container("a")["supervisor_pid"]
    world.run("kill", "-STOP", old)
    world.run("rm", "-r", world.runtime / "projects" / world.project)
    world.apply(path)
    new = world.pid("a")
    world.run("kill", "-CONT", old)
    wait_for("the old one ends", lambda: world.run("kill", "-0", old, status=None).returncode != 0)
    assert world.container("a")["state"] == "running" and world.pid("a") == new


STARTER = "nucleus-supervisor .* start$"  # the program of an apply that makes supervisors


def test_who_is_stopped_stays_so_and_holds_up_no_apply(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/sleep", "infinity"]
[services.s]
command = ["/bin/sh", "-c", "sleep 4"]
type = "job"
""")
    applying = world.popen(NUCLEUS, "apply", "-f", path)
    wait_for("both run", lambda: [row["state"] for row in world.containers().values()] == ["running"] * 2)
    starter = world.run("pgrep", "-f", STARTER).stdout.strip()
    supervisor = str(world.container("a")["supervisor_pid"])
    world.run("kill", "-STOP", starter, supervisor)
    assert applying.wait(timeout=20) == 0
    assert world.run("pgrep", "-f", STARTER, status=1).stdout == ""
    assert world.run("ps", "-o", "stat=", "-p", supervisor).stdout.startswith("T"), "its end has let go of others"
    world.run("kill", "-CONT", supervisor)


def test_a_supervisor_that_cannot_be_executed_is_named(world):
    programs = world.directory / "bin"
    programs.mkdir()
    for program in pathlib.Path(NUCLEUS).parent.glob("nucleus*"):
        shutil.copy(program, programs)
    (programs / "nucleus-supervisor").write_text("nonsense")
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sleep", "infinity"]\n')
    refused = world.run(programs / "nucleus", "apply", "-f", path, status=1).stderr
    assert f"{programs}/nucleus-supervisor could not be executed" in refused, refused
