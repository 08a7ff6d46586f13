"""Topologies of an ordinary user: bridges, names and rules in namespaces of its own, behind one program in user space."""

import json
import pathlib
import re

import pytest
from internet import HERE, OTHER, THERE
from ordinary import USER, Ordinary
from userspace import processes
from world import wait_for

needs_slirp = pytest.mark.skipif(not pathlib.Path("/usr/bin/slirp4netns").exists(), reason="needs slirp4netns")
pytestmark = needs_slirp

TOPOLOGY = """name = "shop"
[defaults]
service_mode = "agent"
[networks.front]
[networks.back]
internal = true
[services.db]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "5432", "-e", "busybox", "echo", "data"]
networks = ["back"]
[services.web]
command = ["/usr/bin/busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "page"]
networks = ["front", "back"]
port_forwards = ["8080:80", "127.0.0.1:8081:80"]
depends_on = ["db"]
MORE
[services.other]
command = ["/bin/sleep", "10000"]
networks = ["front"]
"""


@pytest.fixture
def ordinary(world):
    user = Ordinary(world)
    world.run("sh", "-c", "mknod -m 0666 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun")
    yield user
    user.nucleus("destroy", "shop", status=None)


def write(*more):
    path = pathlib.Path("/mnt/data/topology.toml")
    return TOPOLOGY.replace("MORE", "\n".join(more)), path


def put(world, *more):
    text, path = write(*more)
    (world.directory / "ordinary.toml").write_text(text)
    world.run("install", "-m", "0644", world.directory / "ordinary.toml", path)
    return path


def test_a_watch_repairs_and_follows_the_file(world, ordinary):
    path = put(world)
    said = world.directory / "watch"
    with open(said, "w") as output:
        watch = world.popen("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "/mnt/nucleus", "apply", "--watch", "-f", path,
                            env=ordinary.environment, cwd="/", stdout=output, stderr=output)
    try:
        wait_for("it is watched", lambda: "watched, revision" in said.read_text() or watch.poll() is not None, 60)
        before = pids(ordinary)
        assert sorted(before) == ["shop/db", "shop/other", "shop/web"], said.read_text()
        ordinary.nucleus("stop", "shop/other", "--timeout", "0s")
        wait_for("it is started again", lambda: pids(ordinary).get("shop/other", before["shop/other"]) != before["shop/other"], 60)
        assert "state exited → running" in said.read_text()
        put(world, "[services.new]", 'command = ["/bin/sleep", "10000"]')
        wait_for("the file is followed", lambda: "shop/new" in pids(ordinary), 60)
        assert pids(ordinary)["shop/db"] == before["shop/db"], "the others go on"
        wait_for("it is through", lambda: "done, revision 3" in said.read_text(), 60)
    finally:
        world.run("pkill", "-TERM", "-f", "nucleus apply --watch", status=None)
        assert watch.wait(60) == 0, said.read_text()
    assert "what runs goes on" in said.read_text() and len(pids(ordinary)) == 4


def pids(ordinary):
    return {entry["name"]: entry["pid"] for entry in json.loads(ordinary.nucleus("ps", "--output", "json").stdout)["services"]}


def ask(run, host, port):
    return run("busybox", "timeout", "3", "busybox", "nc", "-w", "2", host, str(port), status=None).stdout


def inside(world, ordinary, service, host, port):
    pid = pids(ordinary)[f"shop/{service}"]
    return ask(lambda *command, **options: world.run("nsenter", "-t", str(pid), "--net", "--", *command, **options), host, port)


def address(world, ordinary, service, name):
    hosts = world.run("cat", f"/mnt/run/nucleus/projects/shop/service.{service}/hosts").stdout
    found = re.search(rf"(\S+)\t{name} ", hosts)
    return found.group(1) if found else None


def test_services_meet_are_published_and_reach_out(world, internet, ordinary):
    path = put(world)
    ordinary.nucleus("apply", "-f", path)
    for where, host, port, reached in [(world.run, HERE, 8080, True), (internet.run, HERE, 8080, True), (world.run, "127.0.0.1", 8081, True),
                                       (internet.run, HERE, 8081, False)]:
        assert (ask(where, host, port) == "page\n") == reached, (host, port)
    db = address(world, ordinary, "web", "db")
    assert inside(world, ordinary, "web", db, 5432) == "data\n"
    assert address(world, ordinary, "other", "db") is None and inside(world, ordinary, "other", db, 5432) == ""
    assert inside(world, ordinary, "web", THERE, 80) == f"{HERE}\n"
    assert inside(world, ordinary, "db", THERE, 80) == ""
    assert "nothing to do" in ordinary.nucleus("diff", "-f", path).stdout.lower()
    assert "nothing to do" in ordinary.nucleus("apply", "-f", path).stdout.lower()
    assert world.links() == {} and world.tables() == []  # nothing of it is the machine's
    ordinary.nucleus("destroy", "shop")
    assert processes(world, "nucleus") == processes(world, "slirp4netns") == []
    assert world.run("find", "/mnt/run/nucleus/projects", "/mnt/run/nucleus/machine", "-type", "f", status=None).stdout == ""


def test_ports_and_rules_change_live(world, internet, ordinary):
    ordinary.nucleus("apply", "-f", put(world))
    before = pids(ordinary)
    path = put(world, f'egress_allow = ["{OTHER}/32"]')
    path_text = (world.directory / "ordinary.toml").read_text().replace('"8080:80"', '"8085:80"')
    (world.directory / "ordinary.toml").write_text(path_text)
    world.run("install", "-m", "0644", world.directory / "ordinary.toml", path)
    ordinary.nucleus("apply", "-f", path)
    assert ask(world.run, HERE, 8080) == "" and ask(world.run, HERE, 8085) == ask(world.run, "127.0.0.1", 8081) == "page\n"
    assert inside(world, ordinary, "web", THERE, 80) == "" and inside(world, ordinary, "web", OTHER, 80) == f"{HERE}\n"
    assert pids(ordinary) == before
    assert "nothing to do" in ordinary.nucleus("diff", "-f", path).stdout.lower()


def test_its_program_is_started_again(world, internet, ordinary):
    path = put(world)
    ordinary.nucleus("apply", "-f", path)
    before = pids(ordinary)
    world.kill(*processes(world, "slirp4netns"))
    wait_for("the port to answer", lambda: ask(world.run, HERE, 8080) == "page\n")
    # Whoever keeps it: the next apply makes everything anew.
    world.kill(*processes(world, "nucleus-network"))
    wait_for("the end of its program", lambda: processes(world, "slirp4netns") == [])
    ordinary.nucleus("apply", "-f", path)
    assert ask(world.run, HERE, 8080) == "page\n" and inside(world, ordinary, "web", address(world, ordinary, "web", "db"), 5432) == "data\n"
    assert set(pids(ordinary)) == set(before)


def test_a_way_out_that_is_gone_for_good_is_drift_and_repaired(world, internet, ordinary):
    path = put(world)
    ordinary.nucleus("apply", "-f", path)
    before = pids(ordinary)
    where = ["nsenter", "-t", processes(world, "nucleus-network")[0], "--mount", "--"]  # it has mounts of its own
    world.run(*where, "mount", "--bind", "/bin/false", "/usr/bin/slirp4netns")
    world.kill(*processes(world, "slirp4netns"))
    for command in (["diff", "-f", path], ["drift", "shop"]):
        wait_for("drift", lambda: re.search("way out: .*slirp4netns.* → up", ordinary.nucleus(*command, status=None).stdout))  # noqa: B023
    failed = ordinary.nucleus("apply", "-f", path, status=1)
    assert "slirp4netns" in failed.stderr, failed.stderr
    world.run(*where, "umount", "/usr/bin/slirp4netns")
    ordinary.nucleus("apply", "-f", path)
    assert ask(world.run, HERE, 8080) == "page\n" and inside(world, ordinary, "web", THERE, 80) == f"{HERE}\n"
    assert pids(ordinary) == before
    assert "nothing to do" in ordinary.nucleus("diff", "-f", path).stdout.lower()
    assert "nothing to do" in ordinary.nucleus("diff", "-f", path).stdout.lower()


def with_ports(world, path, ports):
    text = re.sub(r"port_forwards = .*", f"port_forwards = {ports}", (world.directory / "ordinary.toml").read_text())
    (world.directory / "ordinary.toml").write_text(text)
    world.run("install", "-m", "0644", world.directory / "ordinary.toml", path)


def revisions(ordinary):
    return [row["state"] for row in json.loads(ordinary.nucleus("history", "shop", "-o", "json").stdout)["revisions"]]


def ports(ordinary):
    return {row["name"]: row["ports"] for row in json.loads(ordinary.nucleus("ps", "-o", "json").stdout)["services"]}


def published(ordinary):
    return json.loads(ordinary.nucleus("inspect", "network", "shop/front", "-o", "json").stdout)["published"]


@pytest.mark.parametrize("more", [[], ["--output", "json"]])
def test_a_port_that_cannot_be_had_is_told(world, internet, ordinary, more):
    path = put(world)
    for wanted, word in [('["8080:80", "127.0.0.1:8080:81"]', "clashes with"), ('["80:80"]', "publish port 80:80/tcp")]:
        with_ports(world, path, wanted)
        failed = ordinary.nucleus("apply", "-f", path, *more, status=1)
        assert word in failed.stderr, failed.stderr
    assert revisions(ordinary)[-1] == "failed"
    if more:
        document = json.loads(failed.stdout)
        assert document["result"] == "failed" and word in document["failed"][0]["message"], failed.stdout
    ordinary.nucleus("apply", "-f", path, status=1)
    assert ports(ordinary)["shop/web"] == [] and published(ordinary) == []
    with_ports(world, path, '["8080:80"]')
    ordinary.nucleus("apply", "-f", path)
    assert revisions(ordinary)[-1] == "applied" and ask(world.run, HERE, 8080) == "page\n"
    with_ports(world, path, '["8080:80", "127.0.0.1:80:80"]')
    ordinary.nucleus("apply", "-f", path, status=1)
    # Those that are published are listed, and no others.
    assert ask(world.run, HERE, 8080) == "page\n" and ports(ordinary)["shop/web"] == ["8080:80/tcp"]
    assert published(ordinary) == [{"service": "web", "port": "8080:80/tcp"}]


def test_ports_that_cannot_be_had_are_taken_back(world, internet, ordinary):
    path = put(world)
    ordinary.nucleus("apply", "-f", path)
    before = pids(ordinary)
    with_ports(world, path, '["80:80"]')
    failed = ordinary.nucleus("apply", "-f", path, "--on-failure", "rollback", "--output", "json", status=1)
    document = json.loads(failed.stdout)
    assert document["result"] == "failed" and document["rollback"]["result"] == "applied", failed.stdout
    assert revisions(ordinary) == ["applied", "failed", "applied"]
    assert ports(ordinary)["shop/web"] == ["8080:80/tcp", "127.0.0.1:8081:80/tcp"]
    assert ask(world.run, HERE, 8080) == "page\n" and pids(ordinary) == before


def test_without_networks_nothing_is_needed(world, ordinary):
    (world.directory / "ordinary.toml").write_text('name = "shop"\n[defaults]\nservice_mode = "agent"\n[services.a]\ncommand = ["/bin/sleep", "1000"]\n')
    path = pathlib.Path("/mnt/data/topology.toml")
    world.run("install", "-m", "0644", world.directory / "ordinary.toml", path)
    ordinary.nucleus("apply", "-f", path)
    assert list(pids(ordinary)) == ["shop/a"]
    assert "nothing to do" in ordinary.nucleus("diff", "-f", path).stdout.lower()
    ordinary.nucleus("destroy", "shop")
    assert processes(world, "nucleus") == []


def test_a_container_in_the_background_lives_there_too(world, ordinary):
    alone = world.name("alone")
    identity = ordinary.nucleus("run", "-d", "--name", alone, "--network", "bridge", "--", "sleep", "1000").stdout.strip()
    listed = json.loads(ordinary.nucleus("ps", "-o", "json").stdout)["services"]
    assert [(row["name"], row["id"], row["state"]) for row in listed] == [(alone, identity, "running")]
    assert "is running" in ordinary.nucleus("rm", alone, status=1).stderr
    ordinary.nucleus("rm", "-f", alone)
    ordinary.nucleus("run", "-d", "--rm", "--name", world.name("short"), "--", "true")
    wait_for("it to go", lambda: not json.loads(ordinary.nucleus("ps", "--all", "-o", "json").stdout)["services"])
    assert ordinary.world.run("find", "/mnt/run", "-name", "service.*").stdout == ""


def test_what_acts_on_containers_enters_where_they_are(world, internet, ordinary):
    ordinary.nucleus("apply", "-f", put(world))
    before = pids(ordinary)
    said = ordinary.nucleus("exec", "web", "--", "sh", "-c", "hostname; id -u; tr '\\0' ' ' < /proc/1/cmdline; exit 6", status=6).stdout
    assert said.splitlines()[:2] == ["web", "0"] and "5432" not in said and "-p 80" in said
    assert ordinary.nucleus("attach", "shop/db", "--", "hostname").stdout == "db\n"
    world.run("install", "-o", "33", "-g", "33", "-m", "0600", "/etc/hostname", "/mnt/run/file")
    ordinary.nucleus("cp", "/mnt/run/file", "web:/tmp/in")
    ordinary.nucleus("cp", "web:/tmp/in", "/mnt/run/out")
    assert world.run("cat", "/mnt/run/out").stdout == world.run("cat", "/etc/hostname").stdout
    assert world.run("stat", "-c", "%u %a", "/mnt/run/out").stdout == "33 600\n"
    ordinary.nucleus("kill", "web", "db", "--signal", "KILL")
    wait_for("both were started again", lambda: {"shop/web", "shop/db"} <= pids(ordinary).keys() and
             all(pids(ordinary)[f"shop/{name}"] not in (None, before[f"shop/{name}"]) for name in ("web", "db")))
    assert ordinary.nucleus("stop", "web", "other", "--timeout", "1s").stdout.split() == ["shop/web", "shop/other"]
    assert set(ordinary.nucleus("wait", "web", "other").stdout.split()) <= {"137", "143"}
    assert ordinary.nucleus("exec", "web", "--", "true", status=125).stdout == ""
    assert ordinary.nucleus("exec", "db", "--", "hostname").stdout == "db\n"


def test_health_is_probed(world, internet, ordinary):
    health = ('[services.probed]\ncommand = ["/bin/sleep", "10000"]\nnetwork = "none"\nhealth_interval = "200ms"\nhealth_retries = 1\non_unhealthy = "restart"\n'
              'health_check = ["/bin/sh", "-c", "echo x >> /tmp/n; test ! -e /tmp/bad"]\n')
    path = put(world, health)
    ordinary.nucleus("apply", "-f", path)

    def row():
        return {one["name"]: one for one in json.loads(ordinary.nucleus("ps", "--all", "--output", "json").stdout)["services"]}["shop/probed"]

    assert row()["health"] == "healthy"
    wait_for("again and again", lambda: len(ordinary.nucleus("exec", "probed", "--", "cat", "/tmp/n").stdout.split()) > 3)
    ordinary.nucleus("exec", "probed", "--", "touch", "/tmp/bad")
    wait_for("it was started again", lambda: row()["restarts"] >= 1 and row()["state"] == "running")
