"""What a command that only looks is told by a file that comes late, and by a workload that would have it look for ever."""
import pytest
from test_egress_told import NFT, put_in_place

NETWORK = """name = "PROJECT"
[networks.internal]
subnet = "10.91.7.0/24"
[services.client]
command = ["/bin/sleep", "infinity"]
networks = ["internal"]
"""


# In the place of nucleus-nft: does something else with the table of egress rules.
BUT_OF_EGRESS = """#!/bin/sh
if grep -q nucleus_egress; then WHAT; fi
exec REAL "$@" < /proc/self/fd/0
"""


def powerful(world):
    """Whose workload may change the network that it is in."""
    (world.directory / "caps.toml").write_text('[bounding]\nkeep = ["NET_ADMIN"]\n')
    return world.write(NETWORK + f'caps_policy = "{world.directory}/caps.toml"\n')


def inside(world, *command, **options):
    return world.run("nsenter", f"--net={world.runtime}/netns/{world.project}/service.client", *command, **options)


@pytest.mark.parametrize("how", ["{{ {change}; cat {path}; }} | nucleus diff -f - --detailed-exitcode",
                                 "nucleus diff -f <({change}; cat {path}) --detailed-exitcode"], ids=["standard input", "substitution"])
def test_what_is_compared_is_what_there_was_when_the_file_came(world, how):
    path = world.write(NETWORK)
    for change in (f"nucleus apply -f {path} >&2", f"nucleus destroy {world.project} --yes >&2; nucleus apply -f {path} >&2"):
        world.run("bash", "-c", how.format(change=change, path=path))


def test_rules_that_a_workload_has_made_are_not_listed(world):
    path = powerful(world)
    world.apply(path)
    inside(world, "nft", "add table inet nucleus_egress; add chain inet nucleus_egress c")
    put_in_place(world, BUT_OF_EGRESS.replace("WHAT", "echo asked >> ASKED"))
    told = world.nucleus("diff", "-f", path).stdout
    assert "egress rules unexpected" in told and told == world.nucleus("drift", world.project).stdout
    assert not (world.directory / "asked").exists()
    world.run("umount", NFT)


def test_a_listing_without_an_end_is_not_read_for_ever(world):
    path = world.write(NETWORK + 'egress_allow = ["10.1.0.0/16"]\n')
    world.apply(path)
    put_in_place(world, BUT_OF_EGRESS.replace("WHAT", "exec yes"))
    for command in (["diff", "-f", path], ["drift", world.project]):
        assert "answer of nftables" in world.nucleus(*command, status=1, timeout=20).stderr
    assert world.run("pgrep", "-x", "yes|nucleus-nft", status=None).stdout == ""
    world.run("umount", NFT)


# prlimit(1): one process and no thread besides; root may have any number.
def test_who_may_have_no_thread_is_told_of_the_links(world):
    path = world.write('name = "PROJECT"\n[networks.internal]\nsubnet = "10.91.7.0/24"\n')
    environment = {**world.environment, "NUCLEUS_STATE_DIR": "/nonexistent/state", "NUCLEUS_RUNTIME_DIR": "/nonexistent/runtime"}
    with open(path) as file:
        done = world.run("setpriv", "--reuid", "64999", "--regid", "64999", "--clear-groups", "prlimit", "--nproc=1", "nucleus", "diff", "-f", "-",
                         status=1, stdin=file, env=environment, cwd="/")
    # The firewall it may not read.
    assert "network.internal" in done.stdout and "EPERM" in done.stderr, done
