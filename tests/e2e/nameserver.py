"""A name server of the tests' own, beside what a world's way out leads to. What it says is in a file, and may change."""

import json

from internet import OTHER

# Answers questions for A records from a table {name: [seconds, [address, ...]]}; what is not there does not exist.
SERVER = """
import json, pathlib, socket, struct, sys
zone = pathlib.Path(sys.argv[2])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("up", flush=True)
while True:
    question, peer = server.recvfrom(4096)
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    asked = question[12:at + 5]
    seconds, addresses = json.loads(zone.read_text()).get(".".join(labels).lower(), (0, None))
    answer = question[:2] + struct.pack(">HHHHH", 0x8180 if addresses is not None else 0x8183, 1, len(addresses or ()), 0, 0) + asked
    for address in addresses or ():
        answer += b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, seconds, 4) + socket.inet_aton(address)
    server.sendto(answer, peer)
"""


class NameServer:
    address = OTHER

    def __init__(self, internet, **names):
        self.internet = internet
        self.zone = internet.world.directory / "zone.json"
        self.say(**names)
        self.process = internet.world.popen("nsenter", "-t", str(internet.pid), "--net", "--", "/usr/bin/python3", "-c", SERVER, self.address, self.zone,
                                            stdout=-1, text=True)
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
