"""Hosts made of network namespaces, and who of them and of a world's containers reaches whom."""

import concurrent.futures
import json
import os
import socket

from world import wait_for

# Runs on a host or in a container: answers whoever asks at one of its ports with its name and the address that it sees, and asks others for
# whoever tells it to, over a socket in a directory. SHARED/NAME PORT...; a port is tcp:ADDRESS:PORT or udp:ADDRESS:PORT, an address of IPv6 is
# in no brackets.
PROGRAM = r"""
import fcntl, json, os, socket, struct, sys, threading, time
place, *ports = sys.argv[1:]
name = os.path.basename(place)

def answer_tcp(connection, peer):
    try:
        connection.settimeout(20)
        connection.recv(1)  # who asks begins and ends it: a pasta of Debian 12 loses what comes otherwise
        connection.sendall(f"{name} {peer[0]}".encode())
        connection.recv(1)
    except OSError:
        pass
    connection.close()

def serve_tcp(server):
    while True:
        threading.Thread(target=answer_tcp, args=server.accept(), daemon=True).start()

def serve_udp(server):
    while True:
        try:
            data, peer = server.recvfrom(2048)
            server.sendto(f"{name} {peer[0]}".encode(), peer)
        except OSError:
            pass

def opened(kind, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)

def ask(kind, address, port, seconds):
    end = time.monotonic() + seconds
    with opened(kind, address) as s:
        while time.monotonic() < end:
            try:
                s.settimeout(seconds if kind == "tcp" else 0.3)
                s.connect((address, port))
                s.send(b"?")
                return s.recv(2048).decode()
            except TimeoutError:
                continue
            except OSError:
                return ""
    return ""

def addresses():
    found = []
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        for _, link in socket.if_nameindex():
            try:
                found.append(socket.inet_ntoa(fcntl.ioctl(s, 0x8915, struct.pack("256s", link.encode()))[20:24]))  # SIOCGIFADDR
            except OSError:
                pass
    try:
        for line in open("/proc/net/if_inet6"):
            digits, _, _, scope, *_ = line.split()
            if scope != "20":  # of one link
                found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)))
    except FileNotFoundError:
        pass
    return found

def many(questions, seconds):
    answers = [""] * len(questions)
    def one(i):
        answers[i] = ask(*questions[i], seconds)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(questions))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return answers

for text in ports:
    kind, address = text.split(":", 1)
    address, port = address.rsplit(":", 1)
    server = opened(kind, address)
    if ":" in address:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(port)))
    if kind == "tcp":
        server.listen(100)
    threading.Thread(target=serve_tcp if kind == "tcp" else serve_udp, args=(server,), daemon=True).start()
control = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(place))
control.bind(name)
control.listen(10)
while True:
    caller, _ = control.accept()
    with caller, caller.makefile("rw") as file:
        question = json.loads(file.readline())
        print(json.dumps(addresses() if question is None else many(*question)), file=file, flush=True)
"""


class Speaker:
    """The program above, wherever it runs."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name

    def tell(self, question):
        descriptor = os.open(self.directory, os.O_PATH)  # the path may be longer than an address of a socket can be
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(f"/proc/self/fd/{descriptor}/{self.name}")
                with s.makefile("rw") as file:
                    print(json.dumps(question), file=file, flush=True)
                    return json.loads(file.readline())
        finally:
            os.close(descriptor)

    def addresses(self, family=0):
        """Of both families, or of one."""
        return [address for address in self.tell(None) if not family or (":" in address) == (family == 6)]

    def ask(self, questions, seconds=1.0):
        """(protocol, address, port)... -> what was answered, "" where nothing was."""
        return self.tell([questions, seconds])

    def wait(self):
        wait_for(f"{self.name} to be there", lambda: (self.directory / self.name).exists())
        wait_for(f"{self.name} to listen", self._listens)
        return self

    def _listens(self):
        try:
            return bool(self.addresses())
        except (ConnectionError, FileNotFoundError):
            return False


class Host(Speaker):
    """A network namespace of a world, gone with it."""

    def __init__(self, world, directory, name, *ports):
        super().__init__(directory, name)
        self.world = world
        self.process = world.popen("unshare", "--net", "/usr/bin/python3", "-c", PROGRAM, directory / name, *ports)
        wait_for(f"{name} to be there", lambda: (directory / name).exists())
        self.pid = world.numbered(self.process)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, **options):
        return self.world.run("nsenter", "-t", str(self.pid), "--net", "--", *command, **options)

    def close(self):
        self.process.kill()
        self.process.wait()


def matrix(speakers, targets):
    """Who reaches what: {row: {column: cell}}, all at once. speakers: row -> Speaker; targets: column -> (protocol, address, port, name of
    who answers there). A cell is "-" where nothing answers, "o" where one is seen under an address of one's own, "x" under another, and "!"
    where somebody else answers."""
    with concurrent.futures.ThreadPoolExecutor(len(speakers)) as pool:
        return dict(zip(speakers, pool.map(lambda speaker: row(speaker, targets), speakers.values()), strict=True))


def row(speaker, targets, seconds=1.0):
    own = speaker.addresses() + ["127.0.0.1", "::1"]
    answers = speaker.ask([target[:3] for target in targets.values()], seconds)
    return {column: cell(answer, target[3], own) for (column, target), answer in zip(targets.items(), answers, strict=True)}


def cell(answer, name, own):
    if not answer:
        return "-"
    who, seen = answer.split()
    return "!" if who != name else "o" if seen in own else "x"


def parse(table):
    """The same, as it is written down in blocks: a line of columns, then a line a row."""
    rows = {}
    for block in table.strip().split("\n\n"):
        head, *lines = [line.split() for line in block.splitlines()]
        for row, *cells in lines:
            rows.setdefault(row, {}).update(zip(head, cells, strict=True))
    return rows


def write(rows, blocks):
    """As it is to be read by parse(); blocks: lists of columns."""
    width = max(map(len, rows))
    def line(name, cells, columns):
        return " ".join([name.ljust(width), *(cell.ljust(len(column)) for cell, column in zip(cells, columns, strict=True))]).rstrip()
    return "\n\n".join("\n".join([line("", columns, columns), *(line(row, [cells[column] for column in columns], columns) for row, cells in rows.items())])
                       for columns in blocks)
