"""Every problem of a file in one go, each with its place; and none of them touches anything."""
import pytest

PROBLEMS = {
    "unknown key, nearest offered": ('[services.a]\ncommand = ["x"]\nmemroy = "1M"\n', "3:1", "memory"),
    "unknown table": ("[servces.a]\ncommand = [\"x\"]\n", "1:", "services"),
    "bad size": ('[services.a]\ncommand = ["x"]\nmemory = "12Q"\n', "3:", "12Q"),
    "bad duration": ('[services.a]\ncommand = ["x"]\nstop_timeout = "fast"\n', "3:", "fast"),
    "bad port": ('[services.a]\ncommand = ["x"]\nport_forwards = ["80:99999"]\n', "3:", "99999"),
    "bad network": ('[networks.n]\nsubnet = "10.0.0.1/24"\n', "2:", "10.0.0.1/24"),
    "overlapping networks": ('[networks.a]\nsubnet = "10.3.0.0/16"\n[networks.b]\nsubnet = "10.3.1.0/24"\n', "4:", "overlap"),
    "bad name": ('[services."a b"]\ncommand = ["x"]\n', "1:", "a b"),
    "unknown network": ('[services.a]\ncommand = ["x"]\nnetworks = ["n"]\n', "3:", "n"),
    "unknown volume": ('[services.a]\ncommand = ["x"]\nvolumes = ["v:/v"]\n', "3:", "v"),
    "missing dependency": ('[services.a]\ncommand = ["x"]\ndepends_on = ["b"]\n', "3:", "b"),
    "cycle": ('[services.a]\ncommand = ["x"]\ndepends_on = ["b"]\n[services.b]\ncommand = ["x"]\ndepends_on = ["a"]\n', "", "a"),
    "healthy without a check": ('[services.a]\ncommand = ["x"]\n[services.b]\ncommand = ["x"]\n'
                                'depends_on = [{ service = "a", condition = "healthy" }]\n', "5:", "health"),
    "one port twice": ('[services.a]\ncommand = ["x"]\nport_forwards = ["80:80"]\n'
                       '[services.b]\ncommand = ["x"]\nport_forwards = ["80:81"]\n', "6:", "80"),
    "absent rootfs": ('[services.a]\ncommand = ["x"]\nrootfs = "/no/such/tree"\n', "3:", "/no/such/tree"),
    "absent policy": ('[services.a]\ncommand = ["x"]\ncaps_policy = "/no/such/file"\n', "3:", "/no/such/file"),
    "shadowed /proc": ('[services.a]\ncommand = ["x"]\nvolumes = ["/tmp:/proc/x"]\n', "3:", "/proc"),
    "one destination twice": ('[services.a]\ncommand = ["x"]\nvolumes = ["/tmp:/x", "/usr:/x"]\n', "3:", "/x"),
    "no command": ("[services.a]\n", "1:", "command"),
    "wrong type": ('[services.a]\ncommand = ["x"]\nmemory = true\n', "3:", "memory"),
    "variable without a value": ('[services.a]\ncommand = ["${NO_SUCH_VARIABLE:?say which}"]\n', "2:", "say which"),
    "user out of range": ('[services.a]\ncommand = ["x"]\nuser = "4294967295"\n', "3:", "4294967295"),
    "not TOML": ("[services.a\n", "1:", ""),
}
HEAD = 'name = "PROJECT"\n'


@pytest.mark.parametrize("text, place, words", PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_has_its_place(world, text, place, words):
    path = world.directory / "bad.toml"
    # One line before the text, and agent mode so that only the problem in question is one.
    default = '\n[defaults]\nservice_mode = "agent"\n'
    path.write_text(f'name = "{world.project}"\n' + text + default)
    refused = world.nucleus("validate", "-f", path, status=1)
    line, _, column = place.partition(":")
    if line:
        assert f"bad.toml:{int(line) + 1}:{column}" in refused.stderr, refused.stderr
    assert words in refused.stderr, refused.stderr


def test_all_of_them_at_once(world):
    path = world.directory / "bad.toml"
    path.write_text(HEAD + '[services.a]\nmemroy = "1M"\ncpus = "many"\n[services.b]\ncommand = ["x"]\ndepends_on = ["zzz"]\n')
    refused = world.nucleus("validate", "-f", path, status=1).stderr
    assert all(word in refused for word in ("memroy", "cpus", "zzz", "command")), refused


def test_production_asks_for_rootfs_and_memory(world):
    path = world.directory / "bad.toml"
    path.write_text('name = "p"\n[services.a]\ncommand = ["x"]\n')
    refused = world.nucleus("validate", "-f", path, status=1).stderr
    assert "rootfs" in refused and "memory" in refused


def test_apply_of_a_bad_file_touches_nothing(world):
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/true"]\n[services.b]\n')
    world.apply(path, status=1)
    world.nothing_left()


def test_the_nearest_command_and_flag_are_offered(world):
    assert "apply" in world.nucleus("aply", status=64).stderr
    assert "--detailed-exitcode" in world.nucleus("diff", "--detailed-exitcod", status=64).stderr


def test_a_service_that_ends_at_once_is_no_success(world):
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/true"]\nrestart = "no"\n')
    refused = world.apply(path, status=6)
    assert 'type = "job"' in refused.stderr, refused.stderr


def test_what_a_failed_first_apply_has_begun_is_listed_with_its_log(world):
    path = world.write('name = "PROJECT"\n[services.a]\ncommand = ["/bin/sh", "-c", "echo hello there; exec sleep infinity"]\n'
                       'health_check = ["/bin/false"]\nhealth_interval = "100ms"\nhealth_retries = 1\non_unhealthy = "none"\n')
    refused = world.apply(path, status=6)
    assert "hello there" in refused.stderr
    assert world.container("a")["state"] == "running"
    assert "hello there" in world.nucleus("logs", "a").stdout
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()


def test_the_words_of_an_earlier_run_are_not_taken_for_those_of_this(world):
    text = 'name = "PROJECT"\n[services.j]\ntype = "job"\ncommand = ["/bin/sh", "-c", "{}"]\n'
    path = world.write(text.format("echo of the past"))
    world.apply(path)
    world.write(text.format("sleep 20"))
    refused = world.apply(path, "--timeout", "1s", status=6)
    assert "not within 1s (--timeout)" in refused.stderr and "of the past" not in refused.stderr, refused.stderr


def test_a_file_where_a_volume_was_is_drift_and_keeps_nothing_from_being_destroyed(world):
    path = world.write(f'name = "PROJECT"\n[volumes.v]\npath = "{world.directory}/v"\n[services.a]\n'
                       'command = ["/bin/sleep", "infinity"]\nvolumes = ["v:/v"]\n')
    world.apply(path)
    (world.directory / "v").rmdir()
    (world.directory / "v").write_text("in the way")
    assert "no directory" in world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout
    assert "move it away" in world.apply(path, status=1).stderr
    world.nucleus("destroy", world.project, "--yes")
    world.nothing_left()
    assert (world.directory / "v").read_text() == "in the way"


def test_a_bad_item_of_a_list_hides_nothing_of_the_others(world):
    path = world.write("""
name = "PROJECT"
[services.a]
command = ["/bin/true"]
networks = ["n"]
volumes = ["/tmp:/proc", "/tmp:/a", "/var:/a", "/var:/a/../b", "/nonexistent:/z", "vol:/q"]
port_forwards = ["8080:80", "garbage"]
[services.b]
command = ["/bin/true"]
networks = ["n"]
port_forwards = ["8080:80"]
[networks.n]
""")
    refused = world.nucleus("validate", "-f", path, status=1).stderr
    for words in ("/proc", "/a/../b", "/nonexistent", "vol", "garbage", "8080", "'/a'"):
        assert words in refused, f"{words}\n{refused}"
