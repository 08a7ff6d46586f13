"""The host beyond a way out with IPv6 beside it, and who asks and answers in both families."""

import subprocess

from internet import Internet

HERE6, THERE6, OTHER6 = "2001:db8::1", "2001:db8::2", "2001:db8::3"

# Answers every connection with the address it came from, of both families.
SERVER = """
import socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
print("up", flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(peer[0].removeprefix("::ffff:").encode())
    connection.close()
"""

ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])) as s:
        print(s.recv(100).decode())
except OSError:
    print("nothing")
"""


class Internet6(Internet):
    """The same with IPv6: on the wire, and a server there."""

    def __init__(self, world):
        super().__init__(world)
        world.run("sysctl", "-qw", "net.ipv6.conf.up0.accept_dad=0", "net.ipv6.conf.up0.accept_ra=1", "net.ipv6.conf.up0.disable_ipv6=0")
        world.run("ip", "address", "add", f"{HERE6}/64", "dev", "up0", "nodad")
        world.run("ip", "-6", "route", "add", "default", "via", THERE6)
        self.run("ip", "address", "add", f"{THERE6}/64", "dev", "in0", "nodad")
        world.run("ip", "-6", "route", "get", THERE6)
        self.server6 = world.popen("nsenter", "-t", str(self.pid), "--net", "--", "/usr/bin/python3", "-c", SERVER.replace("80)", "8006)"),
                                   stdout=subprocess.PIPE, text=True)
        assert self.server6.stdout.readline() == "up\n"
        self.ask(HERE6, 1)  # the neighbours know each other

    def ask(self, host, port, seconds=2):
        return self.run("/usr/bin/python3", "-c", ASK, host, port, seconds).stdout.strip()

    def close(self):
        self.world.run("pkill", "-f", "8006", status=None)
        self.server6.wait(timeout=20)
        self.server6.stdout.close()
        super().close()
