"""What is changed behind nucleus's back is seen by `drift`, shown apart from changes, and repaired by `apply`."""
import pytest
from test_topology import stack
from world import wait_for


def kill(world):
    pid = world.pid("client")
    supervisor = world.run("ps", "-o", "ppid=", "-p", pid).stdout.strip()
    world.run("kill", "-9", supervisor, pid)
    wait_for("its end", lambda: not world.run("ps", "-p", pid, "-o", "pid=", status=None).stdout.strip())
    return "service.client"


def delete_veth(world):
    link = next(name for alias, name in world.links().items() if "service.client" in alias)
    world.run("ip", "link", "delete", link)
    return "service.client"


def flush_table(world):
    for table in world.tables():
        world.run("nft", "flush", "table", "inet", table)
    return "topology"


def delete_table(world):
    for table in world.tables():
        world.run("nft", "delete", "table", "inet", table)
    return "topology"


def hosts_file(world):
    hosts = f"{world.runtime}/projects/{world.project}/service.client/hosts"
    world.run("sh", "-c", f"echo 127.0.0.1 server > {hosts}")
    return "service.client"


def bridge_down(world):
    link = next(name for alias, name in world.links().items() if "network.internal" in alias)
    world.run("ip", "link", "set", link, "down")
    return "network.internal"


def bridge_address(world):
    link = next(name for alias, name in world.links().items() if "network.internal" in alias)
    world.run("ip", "addr", "flush", "dev", link)
    return "network.internal"


@pytest.mark.parametrize("damage", [kill, delete_veth, flush_table, delete_table, hosts_file, bridge_down, bridge_address],
                         ids=lambda damage: damage.__name__)
def test_drift_is_seen_and_repaired(world, damage):
    path = stack(world)
    world.apply(path)
    server = world.pid("server")
    where = damage(world)
    seen = world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout
    assert where in seen and "drift" in seen, seen
    refused = world.apply(path, "--fail-on", "drift", status=3)
    assert "drift" in refused.stdout + refused.stderr
    world.apply(path)
    world.nucleus("drift", world.project, "--detailed-exitcode")
    assert world.pid("server") == server
    assert world.run("curl", "-sf", "http://127.0.0.1:18000/job").stdout == "filled\n"
    pid = world.pid("client")
    world.run("nsenter", "-t", pid, "--net", "--mount", "--", "/usr/bin/python3", "-c",
              "import urllib.request; urllib.request.urlopen('http://server:8000/job', timeout=5).read()")


def test_a_lost_observed_db_costs_no_restart(world):
    path = stack(world)
    world.apply(path)
    pids = world.pids()
    assert len(pids) == 2
    world.run("rm", f"{world.runtime}/observed.db")
    world.apply(path)
    assert world.pids() == pids
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()


def test_a_killed_apply_is_finished_by_the_next(world):
    path = stack(world)
    with world.popen("timeout", "-s", "KILL", "0.15", "nucleus", "apply", "-f", path) as process:
        process.wait()
    world.apply(path)
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    world.nucleus("destroy", "-f", path, "--yes")
    world.nothing_left()
