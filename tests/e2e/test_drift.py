"""What is changed behind nucleus's back is seen by `drift`, by name and apart from changes, and repaired by one `apply`; what belongs to
somebody else stays as it is."""
import os
import pathlib
import re
import sys

import pytest
from test_topology import STACK, stack
from world import controllers, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
import snapshot

# Probes come and go: two looks at the world would differ.
QUIET = STACK.replace('"300ms"', '"1h"').replace('owner = "0:0"', 'owner = "0:0"\nmode = "0750"') + 'additional_groups = ["4"]\n'

# Of others: as much like ours as it may be.
STRANGERS = """
ip link add nbstranger type bridge; ip link set nbstranger up; ip address add 10.99.1.1/24 dev nbstranger
ip link set nbstranger alias "nucleus:${PROJECT}x/network.internal"
ip link add nvstranger type veth peer name nvstranger2; ip link set nvstranger master nbstranger
ip route add 10.99.2.0/24 via 10.99.1.2
nft add table inet nucleus_stranger; nft add chain inet nucleus_stranger forward '{ type filter hook forward priority 0; }'
nft add rule inet nucleus_stranger forward tcp dport 22 accept
mkdir -p $NUCLEUS_RUNTIME_DIR/projects/${PROJECT}x/service.client; echo theirs > $NUCLEUS_RUNTIME_DIR/projects/${PROJECT}x/service.client/hosts
setsid sleep 98765 >/dev/null 2>&1 &
"""

IN = "nsenter --net=$PIN"
# what is done: (address, what `drift` says of it, how)
ROWS = {
    # ---- the process ----
    "workload and supervisor killed": ("service.client", "failed → running|not running", "kill -STOP $SUPERVISOR; kill -9 $PID $SUPERVISOR"),
    "supervisor killed": ("service.client", "failed → running|supervisor gone", "kill -9 $SUPERVISOR"),
    "process frozen": ("service.client", "frozen 1 → 0", "echo 1 > $CGROUP/cgroup.freeze"),
    "status removed": ("service.client", "digest missing", "rm $SERVICE/status"),
    "status made nonsense": ("service.client", "digest missing", "echo nonsense > $SERVICE/status"),
    # ---- the cgroup ----
    "cgroup removed": ("service.client", "cgroup missing|not running",
                       "kill -STOP $SUPERVISOR; kill -9 $PID $SUPERVISOR; while ! rmdir $CGROUP 2>/dev/null; do sleep 0.02; done"),
    "owner of the cgroup removed": ("service.client", "owner missing", "python3 -c 'import os, sys; os.removexattr(sys.argv[1], \"user.nucleus.owner\")' $CGROUP"),
    "process moved out of its cgroup": ("service.client", "cgroup .* → nucleus/.*/service.client", "echo $PID > $CGROUP/../../cgroup.procs"),
    "cgroup duplicated": ("service.copy", "left over", "mkdir $CGROUP/../service.copy"),
    # ---- the links ----
    "veth deleted": ("service.client", "network internal missing", "ip link delete $VETH"),
    "veth down": ("service.client", "network internal host end .*down", "ip link set $VETH down"),
    "veth out of the bridge": ("service.client", "in no bridge", "ip link set $VETH nomaster"),
    "veth in another bridge": ("service.client", "nbstranger", "ip link set $VETH master nbstranger"),
    "veth renamed": ("service.client", "renamed0", "ip link set $VETH down; ip link set $VETH name renamed0; ip link set renamed0 up"),
    "veth of another mtu": ("service.client", "mtu 1400", "ip link set $VETH mtu 1400"),
    "veth of another alias": ("service.client", "alias", "ip link set $VETH alias stranger"),
    "veth without hairpin": ("service.client", "hairpin", "ip link set $VETH type bridge_slave hairpin off"),
    "veth duplicated": ("service.client", "nvcopy", "ip link add nvcopy type veth peer name nvcopy2; ip link set nvcopy alias nucleus:$PROJECT/service.client"),
    "link inside down": ("service.client", "network internal .*down", f"{IN} ip link set eth0 down"),
    "link inside renamed": ("service.client", "network internal missing", f"{IN} ip link set eth0 down; {IN} ip link set eth0 name eth7"),
    "link inside of another mac": ("service.client", "mac 02:00", f"{IN} ip link set eth0 address 02:00:00:00:00:01"),
    "link inside of another mtu": ("service.client", "mtu 1300", f"{IN} ip link set eth0 mtu 1300"),
    "veth added inside": ("service.client", "extra0", f"{IN} ip link add extra0 type veth peer name extra1"),
    "loopback down": ("service.client", "lo down → up", f"{IN} ip link set lo down"),
    "bridge deleted": ("network.internal", "bridge missing", "ip link delete $BRIDGE"),
    "bridge down": ("network.internal", "up no → yes", "ip link set $BRIDGE down"),
    "bridge of another mtu": ("network.internal", "mtu 1400 → 1500", "ip link set $BRIDGE mtu 1400"),
    "bridge of another mac": ("network.internal", "mac", "ip link set $BRIDGE address 02:00:00:00:00:02"),
    "bridge of another alias": ("network.internal", "alias", "ip link set $BRIDGE alias stranger"),
    "bridge renamed": ("network.internal", "link .*renamed1", "ip link set $BRIDGE down; ip link set $BRIDGE name renamed1; ip link set renamed1 up"),
    "bridge duplicated": ("network.internal", "nbcopy", "ip link add nbcopy type bridge; ip link set nbcopy alias nucleus:$PROJECT/network.internal"),
    # ---- addresses and routes ----
    "address removed": ("service.client", "no address", f"{IN} ip address flush dev eth0"),
    "address changed": ("service.client", "10.91.7.99", f"{IN} ip address flush dev eth0; {IN} ip address add 10.91.7.99/24 dev eth0"),
    "address added": ("service.client", "10.91.7.98", f"{IN} ip address add 10.91.7.98/24 dev eth0"),
    "address of the bridge removed": ("network.internal", "no address", "ip address flush dev $BRIDGE"),
    "address of the bridge changed": ("network.internal", "10.91.7.254", "ip address flush dev $BRIDGE; ip address add 10.91.7.254/24 dev $BRIDGE"),
    "address of the bridge added": ("network.internal", "10.91.6.1", "ip address add 10.91.6.1/24 dev $BRIDGE"),
    "route removed": ("service.client", "default route missing", f"{IN} ip route delete default"),
    "route changed": ("service.client", "default route 10.91.7.77", f"{IN} ip route replace default via 10.91.7.77"),
    "route duplicated": ("service.client", "default route .*10.91.7.76", f"{IN} ip route add default via 10.91.7.76 metric 5"),
    "route of the kernel's name": ("service.client", "default route .*10.91.7.75", f"{IN} ip route replace default via 10.91.7.75 proto kernel"),
    "route with a type of service": ("service.client", "route 10.6.0.0/16", f"{IN} ip route add 10.6.0.0/16 tos 8 via 10.91.7.3"),
    "route of an address removed": ("service.client", "route 10.91.7.0/24 in table main missing", f"{IN} ip route delete 10.91.7.0/24"),
    "local route removed": ("service.client", "route 10.91.7.[0-9]*/32 in table local missing", f"{IN} ip route flush table local dev eth0"),
    "routes of the loopback removed": ("service.client", "route 127.0.0.0/8 in table local missing", f"{IN} ip route flush table local dev lo"),
    "routes all removed": ("service.client", "default route missing", f"{IN} ip route flush table main"),
    "route of an address in another table": ("service.client", "route 10.91.7.0/24 in table 100 unexpected", f"{IN} ip route delete 10.91.7.0/24; {IN} ip route add 10.91.7.0/24 dev eth0 table 100"),
    "route of two addresses removed": ("service.client", "route 10.91.7.0/24 in table main missing", f"{IN} ip address add 10.91.7.98/24 dev eth0; {IN} ip route delete 10.91.7.0/24"),
    "local route that is somebody's": ("service.client", "route 127.0.0.0/8 in table local missing", f"{IN} ip route delete local 127.0.0.0/8 dev lo table local; {IN} ip route add local 127.0.0.0/8 dev lo table local proto static"),
    "address with another end": ("service.client", "10.9.9.9|10.8.8", f"{IN} ip address add 10.9.9.9 peer 10.8.8.1/24 dev eth0"),
    "address given another end": ("service.client", "10.91.7.[0-9]*,peer=10.91.7.77/24", f"{IN} sh -c 'own=$(ip -4 -o address show dev eth0 | sed -E \"s/.*inet ([0-9.]+).*/\\1/\"); ip address flush dev eth0; ip address add $own peer 10.91.7.77/24 dev eth0; ip route replace default via 10.91.7.1'"),
    "route of an address that is somebody's": ("service.client", "route 10.91.7.0/24", f"{IN} ip route replace 10.91.7.0/24 dev eth0 proto static"),
    "route of an address with a metric, and no other": ("service.client", "default route missing", f"{IN} ip route flush table main; {IN} ip route add 10.91.7.0/24 dev eth0 metric 5"),
    "route of an address with several ways": ("service.client", "route 10.91.7.0/24 in table main", f"{IN} ip route delete 10.91.7.0/24; {IN} ip route add 10.91.7.0/24 nexthop dev eth0 weight 1 nexthop dev lo weight 200"),
    "route of an address by an object": ("service.client", "route 10.91.7.0/24 in table main", f"{IN} ip nexthop add id 5 dev eth0; {IN} ip route delete 10.91.7.0/24; {IN} ip route add 10.91.7.0/24 nhid 5"),
    "address whose other end is nobody": ("service.client", "10.9.9.9,peer=0.0.0.0/24", f"{IN} ip address add 10.9.9.9 peer 0.0.0.0/24 dev eth0"),
    "address of the bridge with another end": ("network.internal", "10.55.0.1,peer=10.55.0.2/32", "ip address add 10.55.0.1 peer 10.55.0.2/32 dev $BRIDGE"),
    "route of the bridge in another table": ("network.internal", "route 10.91.7.0/24 in table main missing", "ip route delete 10.91.7.0/24 dev $BRIDGE; ip route add 10.91.7.0/24 dev $BRIDGE table 100"),
    "address of the bridge without its route": ("network.internal", "route 10.91.7.0/24 in table main missing", "ip address flush dev $BRIDGE; ip address add 10.91.7.1/24 dev $BRIDGE noprefixroute"),
    "route of the bridge removed": ("network.internal", "route 10.91.7.0/24 in table main missing", "ip route delete 10.91.7.0/24 dev $BRIDGE"),
    "local route of the bridge removed": ("network.internal", "route 10.91.7.1/32 in table local missing", "ip route flush table local dev $BRIDGE"),
    "route added": ("service.client", "route 10.5.0.0/16", f"{IN} ip route add 10.5.0.0/16 via 10.91.7.3"),
    "route that leads nowhere": ("service.client", "route 10.5.0.0/16 in table main unexpected", f"{IN} ip route add blackhole 10.5.0.0/16"),
    "route that is prohibited": ("service.client", "route 10.5.0.0/16 in table main unexpected", f"{IN} ip route add prohibit 10.5.0.0/16 metric 7"),
    "route to a group": ("service.client", "route 239.0.0.0/8 in table main unexpected", f"{IN} ip route add multicast 239.0.0.0/8 dev eth0"),
    "route in a table of its own": ("service.client", "route 0.0.0.0/0 in table 7", f"{IN} ip route add default via 10.91.7.3 table 7"),
    "route in a table of a long number": ("service.client", "in table 70000", f"{IN} ip route add unreachable 10.5.0.0/16 table 70000"),
    "strange address made local": ("service.client", "route 10.5.0.1/32 in table local", f"{IN} ip route add local 10.5.0.1 dev lo proto kernel"),
    "routing rule added": ("service.client", "routing rule 100 unexpected", f"{IN} ip rule add pref 100 from 10.91.7.0/24 table 7"),
    "routing rule of the kernel's place": ("service.client", "routing rule 32766", f"{IN} ip rule add pref 32766 fwmark 1 table main"),
    "routing rule deleted": ("service.client", "routing rule 32767", f"{IN} ip rule delete pref 32767"),
    "routing rules all deleted": ("service.client", "routing rule 32766", f"{IN} ip rule flush; {IN} ip rule delete pref 0"),
    "routing rules without end": ("service.client", "12 further routing rules unexpected", f"for i in $(seq 20); do {IN} ip rule add pref $i blackhole; done"),
    # ---- settings of the kernel ----
    "forwarding off": ("topology", "ip_forward 0 → 1", "echo 0 > /proc/sys/net/ipv4/ip_forward"),
    "setting of the bridge": ("network.internal", "route_localnet 0 → 1", "echo 0 > /proc/sys/net/ipv4/conf/$BRIDGE/route_localnet"),
    "setting of the namespace": ("service.client", "ip_unprivileged_port_start 1024 → 0",
                                 f"{IN} sh -c 'echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start'"),
    "link inside that forwards": ("service.client", "ip_forward 1 → 0", f"{IN} sysctl -qw net.ipv4.conf.eth0.forwarding=1"),
    "link inside that takes redirects": ("service.client", "takes redirects", f"{IN} sysctl -qw net.ipv4.conf.eth0.accept_redirects=1"),
    "link inside with IPv6": ("service.client", "has IPv6", f"{IN} sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0"),
    # ---- the firewall ----
    "table deleted": ("topology", "nft table missing", "nft delete table inet $TABLE"),
    "table flushed": ("topology", "rule forward internal isolation missing", "nft flush table inet $TABLE"),
    "ruleset flushed": ("topology", "nft table missing", "nft flush ruleset; sh -c \"$STRANGERS_NFT\""),
    "rule deleted": ("topology", "isolation missing",
                     "nft delete rule inet $TABLE forward handle $(nft -a list chain inet $TABLE forward | sed -n 's/.*isolation.*handle //p')"),
    "rule changed": ("topology", "isolation", "nft replace rule inet $TABLE forward handle $(nft -a list chain inet $TABLE forward | "
                     "sed -n 's/.*isolation.*handle //p') oifname $BRIDGE accept comment '\"6 rule forward internal isolation\"'"),
    "rule added": ("topology", "unexpected", "nft add rule inet $TABLE forward accept"),
    "rule inserted": ("topology", "unexpected", "nft insert rule inet $TABLE forward accept"),
    "rule duplicated": ("topology", "isolation", "nft add rule inet $TABLE forward oifname $BRIDGE drop comment '\"6 rule forward internal isolation\"'"),
    "table asleep": ("topology", "table flags", "nft add table inet $TABLE '{ flags dormant ; }'"),
    "sources asleep": ("topology", "sources flags", "nft add table bridge $TABLE '{ flags dormant ; }'"),
    "sources unchecked": ("topology", "rule sources ipv4 missing", "nft delete table bridge $TABLE"),
    "sources of a port unchecked": ("topology", "sources of nv", "nft delete element bridge $TABLE ports '{' $VETH '}'"),
    "source added": ("topology", "sources of nv", "nft add element bridge $TABLE ipv4 '{' $VETH . 02:00:00:00:00:09 . 10.91.7.77 '}'"),
    "no way to the host opened": ("topology", "input", "nft insert rule inet $TABLE input accept"),
    "chain added": ("topology", "chain stranger", "nft add chain inet $TABLE stranger"),
    "chain of another policy": ("topology", "chain forward", "nft chain inet $TABLE forward '{ policy drop; }'"),
    "chain deleted": ("topology", "chain guard missing", "nft flush chain inet $TABLE guard; nft delete chain inet $TABLE guard"),
    # ---- names ----
    "hosts file changed": ("service.client", "hosts", "echo 127.0.0.1 server > $SERVICE/hosts"),
    "hosts file removed": ("service.client", "hosts", "rm $SERVICE/hosts"),
    "resolv.conf changed": ("service.client", "resolv.conf", "echo nameserver 10.0.0.1 > $SERVICE/resolv.conf"),
    "host name changed": ("service.client", "hostname", "echo stranger > $SERVICE/hostname"),
    "hosts file replaced by its like": ("service.client", "hosts is another file", "cp -a $SERVICE/hosts $SERVICE/new; mv $SERVICE/new $SERVICE/hosts"),
    "resolv.conf made a link": ("service.client", "resolv.conf: a symbolic link", "mv $SERVICE/resolv.conf $DATA/../theirs; ln -s $DATA/../theirs $SERVICE/resolv.conf"),
    "host name made a pipe": ("service.client", "hostname", "rm $SERVICE/hostname; mkfifo $SERVICE/hostname"),
    "hosts file of another owner": ("service.client", "hosts: owner 12", "chown 12 $SERVICE/hosts"),
    "hosts file for everybody": ("service.client", "hosts: mode 0666", "chmod 666 $SERVICE/hosts"),
    # ---- namespaces ----
    "pin unmounted": ("service.client", "pin", "umount -l $PIN"),
    "pin removed": ("service.client", "network namespace missing|pin", "umount -l $PIN; rm $PIN"),
    "pin of another namespace": ("service.client", "pin|network internal", "umount -l $PIN; unshare --net=$PIN true"),
    # ---- volumes ----
    "owner of a volume": ("volume.data", "uid 12 → 0", "chown 12:0 $DATA"),
    "group of a volume": ("volume.data", "gid 13 → 0", "chgrp 13 $DATA"),
    "mode of a volume": ("volume.data", "mode 0777 → 0750", "chmod 777 $DATA"),
    "volume replaced": ("service.server", "volume data is another directory than the one mounted in it", "mv $DATA $DATA.old; cp -a $DATA.old $DATA"),
    "ephemeral volume unmounted": ("volume.cache", "directory missing|type", "umount -l $CACHE"),
    "ephemeral volume of another size": ("volume.cache", "size 8388608 → 16777216", "mount -o remount,size=8M $CACHE"),
}
# With one of these the client, or whoever mounts the volume, cannot go on as it is.
RESTARTED = re.compile("kill|status|cgroup removed|process moved|pin|volume unmounted|file removed|replaced|made a")


def surroundings(world):
    """What the rows call things, as variables of a shell."""
    links = world.links()
    pid = world.pid("client")
    base = world.runtime / "projects" / world.project
    return {"PROJECT": world.project, "PID": str(pid), "SUPERVISOR": world.run("ps", "-o", "ppid=", "-p", pid).stdout.strip(),
            "BRIDGE": links[f"nucleus:{world.project}/network.internal"], "VETH": links[f"nucleus:{world.project}/service.client"],
            "PIN": f"{world.runtime}/netns/{world.project}/service.client", "SERVICE": f"{base}/service.client", "TABLE": f"nucleus_{world.tables()[0][8:]}",
            "CGROUP": str(next(path for path in world.cgroups() if path.name == "service.client")),
            "DATA": f"{world.directory}/volumes/data", "CACHE": f"{base}/volume.cache",
            "STRANGERS_NFT": "\n".join(line for line in STRANGERS.splitlines() if line.startswith("nft"))}


def shell(world, text, names):
    world.run("sh", "-ec", text, env={**world.environment, **names})


def steady(world):
    """What there is, once it stays like that."""
    def same_twice():
        first = snapshot.take(world)
        return first if first == snapshot.take(world) else None
    return wait_for("the world to be at rest", same_twice)


@pytest.mark.parametrize("row", ROWS)
def test_drift_is_told_by_name_and_repaired(world, row):
    where, words, how = ROWS[row]
    path = stack(world, QUIET)
    world.apply(path)
    names = surroundings(world)
    shell(world, STRANGERS, names)
    server, client = world.pid("server"), world.pid("client")
    before = steady(world)
    shell(world, how, names)

    seen = wait_for("drift", lambda: (lambda out: out if where in out else None)(world.nucleus("drift", world.project, status=None).stdout))
    lines = seen[seen.index(where):]
    assert re.search(words, lines), seen
    world.nucleus("drift", world.project, "--detailed-exitcode", status=2)
    looked_at_early = world.nucleus("diff", "-f", path).stdout
    refused = world.apply(path, "--fail-on", "drift,destroy", status=3)
    assert where in refused.stderr and looked_at_early == refused.stdout

    world.apply(path)
    world.nucleus("drift", world.project, "--detailed-exitcode")
    world.nucleus("diff", "-f", path, "--detailed-exitcode")
    assert snapshot.difference(before, steady(world)) == []
    assert world.run("curl", "-sf", "http://127.0.0.1:18000/job").stdout == "filled\n"
    if not RESTARTED.search(row):
        assert (server, client) == (world.pid("server"), world.pid("client")), "restarted without need"


def test_a_stranger_with_the_same_pid_is_not_signalled(world):
    """The container's process is gone, and its number is somebody else's."""
    path = stack(world, QUIET)
    world.apply(path)
    names = surroundings(world)
    stranger = world.run("sh", "-c", """kill -STOP $SUPERVISOR; kill -9 $PID $SUPERVISOR
        while kill -0 $PID 2>/dev/null; do sleep 0.01; done
        for attempt in 1 2 3 4 5 6 7 8 9 10; do
          echo $((PID - 1)) > /proc/sys/kernel/ns_last_pid
          setsid sleep 54321 >/dev/null 2>&1 & [ $! = $PID ] && exit 0
          kill $!
        done
        exit 1""", env={**world.environment, **names}, status=None)
    assert stranger.returncode == 0, "could not have the number"
    seen = world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout
    assert "service.client" in seen, seen
    world.apply(path)
    assert world.run("cat", f"/proc/{names['PID']}/cmdline").stdout == "sleep\x0054321\x00"
    world.nucleus("destroy", world.project, "--yes")
    assert world.run("cat", f"/proc/{names['PID']}/cmdline").stdout == "sleep\x0054321\x00"


def test_what_a_workload_may_make_of_its_own_is_no_drift(world):
    path = stack(world, QUIET)
    world.apply(path)
    names = surroundings(world)
    shell(world, f"{IN} ip link add tunnel type bridge; {IN} ip link set tunnel up; {IN} ip address add 10.8.0.2/24 dev tunnel; "
                 f"{IN} ip route add 10.9.0.0/16 via 10.8.0.1; {IN} ip address add 10.7.7.7/32 dev lo", names)
    world.nucleus("drift", world.project, "--detailed-exitcode")
    world.apply(path, "--replace", "service.client")
    world.nucleus("drift", world.project, "--detailed-exitcode")


def test_what_the_file_changes_is_no_drift(world):
    """What a workload is given is compared with what it was started with."""
    path = stack(world, QUIET)
    world.apply(path)
    names = surroundings(world)
    path.write_text(path.read_text().replace("[services.client]", '[services.client]\nhostname = "other"\nmemlock = "32K"'))
    told = world.nucleus("diff", "-f", path, "--fail-on", "drift").stdout
    assert "hostname set to other" in told and "drift" not in told
    # What somebody has changed besides is.
    shell(world, "nsenter -t $PID --uts hostname stranger", names)
    told = world.nucleus("diff", "-f", path, "--fail-on", "drift", status=3).stdout
    assert "hostname set to other" in told and "drift: not confined as it was: host name stranger" in told
    world.apply(path)
    world.nucleus("drift", world.project, "--detailed-exitcode")
    path.write_text(path.read_text().replace("32K", "16K"))
    world.apply(path, "--fail-on", "drift")


def test_where_a_workload_has_a_tunnel_its_rules_are_its_own(world):
    path = stack(world, QUIET)
    world.apply(path)
    names = surroundings(world)
    shell(world, f"{IN} ip link add tunnel type bridge; {IN} ip link set tunnel up; {IN} ip address add 10.8.0.2/24 dev tunnel; "
                 f"{IN} ip route add default via 10.8.0.1 table 7; {IN} ip rule add not fwmark 7 table 7", names)
    world.nucleus("drift", world.project, "--detailed-exitcode")
    world.run("sh", "-c", f"{IN} ip link delete tunnel", env={**world.environment, **names})
    assert "routing rule" in world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout


def test_rules_and_tables_are_the_affair_of_who_may_have_capabilities(world):
    (world.directory / "caps.toml").write_text('[bounding]\nkeep = ["NET_ADMIN"]\n')
    path = world.write(f"""name = "PROJECT"
[networks.internal]
[services.proxy]
command = ["/bin/sleep", "1000"]
networks = ["internal"]
caps_policy = "{world.directory}/caps.toml"
""")
    world.apply(path)
    inside = f"nsenter --net={world.runtime}/netns/{world.project}/service.proxy"
    shell(world, f"{inside} ip rule add fwmark 1 lookup 100; {inside} ip route add local 0.0.0.0/0 dev lo table 100", {})
    world.nucleus("drift", world.project, "--detailed-exitcode")
    shell(world, f"{inside} ip route add default via 10.1.1.1 dev eth0 onlink metric 7", {})
    assert "default route" in world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout
    world.apply(path)
    assert "lookup 100" in world.run("sh", "-c", f"{inside} ip rule").stdout
    world.nucleus("drift", world.project, "--detailed-exitcode")


def test_a_cgroup_that_is_somebody_elses_is_shown_and_left(world):
    path = stack(world, QUIET)
    world.apply(path)
    cgroup = next(path for path in world.cgroups() if path.name == "service.client")
    own = os.getxattr(cgroup, "user.nucleus.owner")
    os.setxattr(cgroup, "user.nucleus.owner", b"stranger")
    assert "drift  owner " in world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout
    assert "belongs to stranger" in world.apply(path, status=1).stderr
    os.setxattr(cgroup, "user.nucleus.owner", own)
    world.apply(path, "--detailed-exitcode", status=0)


def test_what_stands_in_the_way_of_a_volume_is_shown_and_left(world):
    path = stack(world, QUIET)
    world.apply(path)
    data = world.directory / "volumes/data"
    world.run("sh", "-c", f"mv {data} {data}.old; echo precious > {data}")
    assert "volume.data" in world.nucleus("drift", world.project, "--detailed-exitcode", status=2).stdout
    refused = world.apply(path, status=1).stderr
    assert str(data) in refused and "directory" in refused, refused
    assert data.read_text() == "precious\n"


@pytest.mark.skipif("memory" in controllers(), reason="the guest's part: limit_drift.py")
def test_a_limit_that_cannot_be_held_is_no_drift(world):
    path = stack(world, QUIET.replace('[services.client]', '[services.client]\nmemory = "64M"'))
    assert "no cgroup2 controller" in world.apply(path).stdout
    world.nucleus("drift", world.project, "--detailed-exitcode")


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
