"""A name server of the tests' own, beside what a world's way out leads to, or on the world itself. What it says is in a file, and may change."""

import json
import subprocess

from internet import HERE, OTHER

# Answers questions for A and AAAA records from a table {name: [seconds, [address, ...]]}; what is not there does not exist. What begins with "long" is told
# by TCP only, which is there on the world itself.
SERVER = """
import json, pathlib, socket, struct, sys, threading
zone, by_tcp = pathlib.Path(sys.argv[2]), sys.argv[3] == "tcp"

def answer(question, whole):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    asked, kind = question[12:at + 5], question[at + 2]
    seconds, addresses = json.loads(zone.read_text()).get(".".join(labels).lower(), (0, None))
    flags = 0x8180 if addresses is not None else 0x8183
    if labels[0].startswith("long") and not whole:
        flags, addresses = 0x8380, []
    if addresses is not None:
        addresses = [address for address in addresses if (":" in address) == (kind == 28)]
    said = question[:2] + struct.pack(">HHHHH", flags, 1, len(addresses or ()), 0, 0) + asked
    for address in addresses or ():
        data = socket.inet_pton(socket.AF_INET6 if kind == 28 else socket.AF_INET, address)
        said += b"\\xc0\\x0c" + struct.pack(">HHIH", kind, 1, seconds, len(data)) + data
    return said

def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            size, = struct.unpack(">H", stream.read(2))
            said = answer(stream.read(size), True)
            connection.sendall(struct.pack(">H", len(said)) + said)

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
if by_tcp:
    threading.Thread(target=serve, args=(socket.create_server((sys.argv[1], 53)),), daemon=True).start()
print("up", flush=True)
while True:
    question, peer = server.recvfrom(4096)
    server.sendto(answer(question, False), peer)
"""


class NameServer:
    def __init__(self, internet, address=OTHER, **names):
        self.internet, self.address = internet, address
        self.zone = internet.world.directory / "zone.json"
        self.say(**names)
        place = [] if address == HERE else ["nsenter", "-t", str(internet.pid), "--net", "--"]
        self.process = internet.world.popen(*place, "/usr/bin/python3", "-c", SERVER, address, self.zone, "tcp" if address == HERE else "udp",
                                            stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"

    def say(self, seconds=1, **names):
        """name=[address, ...], each below `example`."""
        whole = self.zone.with_suffix(".new")
        whole.write_text(json.dumps({f"{name}.example": [seconds, addresses] for name, addresses in names.items()}))
        whole.rename(self.zone)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
