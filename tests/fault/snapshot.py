"""Everything that a reconciler can leave behind in a world, as comparable lines; and the exact difference of two of them.

A line is what a thing is and not which number it happens to have: process ids, link indexes, mount ids, rule handles, inode numbers
and times are left out, and names that follow from the project's are written as such. So two worlds in the same state have the same
snapshot, and what one has more is a leak, line by line.
"""
import collections
import json
import os
import pathlib
import re
import sqlite3
import stat

# Rows that are meant to differ: a history grows, with times, random ids and digests of the plans that were run.
GROWING_TABLES = {"revision", "journal", "boot"}
VOLATILE_COLUMNS = {"notes", "facts", "revision", "created_ms", "finished_ms", "updated_ms", "time_ms", "seen_ms", "id", "base_revision"}
SYSCTLS = ["net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "net/ipv4/conf/default/route_localnet",
           "net/ipv6/conf/all/forwarding", "kernel/core_pattern", "kernel/hostname"]
# Notes of a running process; an unused journal file of SQLite is as good as none.
IGNORED_FILES = re.compile(r"(-journal|/host\.lock|/locks/[^/]+\.lock|/log(\.1)?)$")


# What only a process of the world's network can say, in one go.
ASKED = ["ip -j -d link", "ip -j addr", "ip -j route", "nft -j list ruleset",
         *(f"cat /proc/sys/{name} 2>/dev/null || true" for name in SYSCTLS)]


class Answers:
    """The world, with what its programs say about it."""

    def __init__(self, world):
        self.world = world
        texts = world.run("sh", "-c", "set -e; " + "; printf '\\0'; ".join(ASKED)).stdout.split("\0")
        self.links, self.addresses, self.routes, self.rules = (json.loads(text or "[]") for text in texts[:4])
        self.sysctls = dict(zip(SYSCTLS, (text.strip() for text in texts[4:]), strict=True))
        self.processes = processes_of(world)


def take(world):
    """category -> Counter of lines."""
    answers = Answers(world)
    plain = plain_names(answers)
    return {name: collections.Counter(plain(line) for line in reader(answers)) for name, reader in READERS.items()}


def plain_names(answers):
    """A function that writes directory, project, and whatever is a hash of them the same for every world."""
    world = answers.world
    names = {str(world.directory): "DIRECTORY", world.project: "PROJECT"}
    names |= {link["ifname"]: link["ifalias"].replace(world.project, "PROJECT") for link in answers.links if "ifalias" in link}
    known = re.compile("|".join(re.escape(name) + r"(?![0-9a-z])" for name in sorted(names, key=len, reverse=True)))
    digest = re.compile(r"\b[0-9a-f]{64}\b|(?<=nucleus_)[0-9a-f]{10}\b|(?<=\bnv)[0-9a-f]{10}\b")
    return lambda line: digest.sub("…", known.sub(lambda match: names[match[0]], line))


def difference(before, after):
    """Lines such as "links: + veth nv12…" for what came, "-" for what went."""
    lines = []
    for category in READERS:
        old, new = before.get(category, collections.Counter()), after.get(category, collections.Counter())
        for sign, more in (("+", new - old), ("-", old - new)):
            lines += [f"{category}: {sign} {line}{f' (x{count})' if count > 1 else ''}" for line, count in sorted(more.items())]
    return lines


# ---- one reader a category ----

def inside(world, path):
    """A path of the world, seen from here."""
    return pathlib.Path(f"/proc/{world.init}/root{path}")


def mounts(answers):
    for line in pathlib.Path(f"/proc/{answers.world.init}/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        _, _, _, root, point, options, *_ = fields.split()
        kind, source, _ = rest.split(" ", 2)
        yield f"{point} {kind} {re.sub(r'net:.[0-9]+.', 'net', root)} {options}"


def links(answers):
    for link in answers.links:
        kind = link.get("linkinfo", {}).get("info_kind", "-")
        flags = ",".join(sorted(set(link["flags"]) & {"UP", "NOARP", "PROMISC"}))
        port = link.get("linkinfo", {}).get("info_slave_data", {})
        yield " ".join([link["ifname"], kind, link.get("ifalias", "-"), str(link.get("master", "-")), str(link["mtu"]), flags,
                        "hairpin" if port.get("hairpin") else "-"])
    for link in answers.addresses:
        for address in link["addr_info"]:
            if address.get("scope") != "link":
                yield f"{link['ifname']} has {address['local']}/{address['prefixlen']}"
    for route in answers.routes:
        yield f"route {route['dst']} via {route.get('gateway', '-')} dev {route['dev']}"


def processes_of(world):
    """Host process ids of the world's pid namespace, but for its first process."""
    wanted = os.readlink(f"/proc/{world.init}/ns/pid_for_children")
    namespaces, found = {wanted}, []
    # Containers have pid namespaces of their own below: a process belongs to the world if an ancestor does.
    parents = {}
    for path in pathlib.Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                status = (path / "status").read_text()
                parents[int(path.name)] = (int(re.search(r"^PPid:\s*(\d+)", status, re.M)[1]), os.readlink(path / "ns/pid"))
            except (OSError, TypeError):
                continue  # it has just ended
    for pid, (_, namespace) in parents.items():
        if pid == world.init:
            continue
        ancestor = pid
        while ancestor in parents:
            if parents[ancestor][1] in namespaces or ancestor == world.init:
                found.append(pid)
                break
            ancestor = parents[ancestor][0]
    return found


def command_of(pid):
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    if words[0].endswith(b"nucleus-supervisor"):
        words = words[:2]  # the numbers of its descriptors say nothing
    return " ".join(word.decode(errors="replace") for word in words if word) or pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def processes(answers):
    for pid in answers.processes:
        try:
            if command_of(pid).startswith("strace "):
                continue  # the injector's, on its way out
            state = re.search(r"^State:\s*(\S)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]
            yield command_of(pid) + (" (zombie)" if state == "Z" else "")
        except (OSError, TypeError):
            continue


def open_files(answers):
    for pid in answers.processes:
        try:
            command = command_of(pid)
            if command.startswith("strace "):
                continue
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                file = re.sub(r":.[0-9]+.$", "", os.readlink(fd))
                yield f"{command}: {re.sub('^/proc/[0-9]+/', '/proc/PID/', file)}"  # the mounts that a supervisor watches
        except OSError:
            continue


def network_namespaces(answers):
    init = answers.world.init
    own = os.readlink(f"/proc/{init}/ns/net")
    held = {}
    for pid in answers.processes:
        try:
            held.setdefault(os.readlink(f"/proc/{pid}/ns/net"), "of a process")
        except OSError:
            continue
    for line in pathlib.Path(f"/proc/{init}/mountinfo").read_text().splitlines():
        if match := re.search(r" (net:\[\d+\]) (\S+) .* - nsfs ", line):
            held[match[1]] = "pinned at " + match[2]
    held.pop(own, None)
    yield from held.values()


def firewall(answers):
    aliases = {link["ifname"]: link["ifalias"] for link in answers.links if "ifalias" in link}

    def named(element):
        """By what links are for: what they are called is a hash."""
        return re.sub(r"\bnv[0-9a-f]{10}\b", lambda name: aliases.get(name[0], "nv"), json.dumps(element))

    def plain(value):
        if isinstance(value, dict):
            value = {key: sorted(inner, key=named) if key == "elem" else inner for key, inner in value.items()}  # hashed
            return {key: plain(inner) for key, inner in value.items() if key not in ("handle", "packets", "bytes", "index")}
        return [plain(inner) for inner in value] if isinstance(value, list) else value
    for entry in answers.rules["nftables"]:
        if "metainfo" not in entry:
            yield json.dumps(plain(entry), sort_keys=True)


def sysctls(answers):
    for name, value in answers.sysctls.items():
        yield f"{name} {value}"


def cgroups(answers):
    world = answers.world
    by_hand = [path for path in world.cgroups("_") if world.project in path.name]  # of everybody's: names are the world's
    for path in world.cgroups() + by_hand:
        if path.name == "probe":
            continue  # of a health check: it comes and goes
        tags = {name: os.getxattr(path, name).decode(errors="replace") for name in os.listxattr(path)}
        tags = {name: "…" if re.search(r"\.(id|digest)$", name) else value for name, value in tags.items()}
        limits = {file.name: file.read_text().strip() for file in sorted(path.glob("*.max")) if file.name in ("memory.max", "pids.max", "cpu.max")}
        yield f"{path.name if path.name == world.project else path.parent.name + '/' + path.name} {tags} {limits}"


def units(answers):
    if pathlib.Path("/run/systemd/system").is_dir():
        for line in answers.world.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "nucleus-*").stdout.splitlines():
            yield " ".join(line.split()[:4])


def files(answers):
    world = answers.world
    for base in (world.runtime, world.state):
        top = inside(world, base)
        for path in sorted(top.rglob("*")) if top.is_dir() else []:
            name = "/" + str(path.relative_to(top))
            if IGNORED_FILES.search(name):
                continue
            info = path.lstat()
            yield f"{base.name}{name} {stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid}"


def rows(answers):
    world = answers.world
    for base, name in ((world.state, "applied.db"), (world.runtime, "observed.db")):
        path = inside(world, base / name)
        if not path.exists():
            continue
        database = sqlite3.connect(":memory:")  # SQLite itself does not find its way through /proc/PID/root
        database.deserialize(path.read_bytes())
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        for table in sorted(set(tables) - GROWING_TABLES):
            cursor = database.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                yield name + " " + table + " " + json.dumps({column: value for column, value in zip(columns, row) if column not in VOLATILE_COLUMNS},
                                                            sort_keys=True, default=str)
        database.close()


READERS = {"mounts": mounts, "links": links, "network namespaces": network_namespaces, "firewall": firewall, "sysctls": sysctls,
           "cgroups": cgroups, "processes": processes, "open files": open_files, "units": units, "files": files, "rows": rows}
