"""A world for one test: its own mounts, processes, network and directories, so that nothing of the machine is touched and nothing
of one test reaches another. cgroups are the exception, they are the machine's: names of projects and containers are
unique, leftovers are found."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
NUCLEUS = os.environ.get("NUCLEUS_BIN") or str(TREE / "build/release/bin/nucleus")
ENTER = ["--mount", "--pid", "--net", "--ipc", "--uts"]

# The world's first process: it only has to be there, and to reap what is orphaned.
INIT = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()"


def cgroup_root():
    """Where cgroup2 is mounted on this machine."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return pathlib.Path(fields.split()[4])
    return None


def controllers():
    root = cgroup_root()
    return (root / "cgroup.controllers").read_text().split() if root else []


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid):
    return [found for child in children(pid) for found in (child, *descendants(child))]


def waits(pid):
    """What a process is and which call of the kernel holds it up (proc_pid_stack(5)), thread by thread."""
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        threads = [f"  {task.name}: " + " < ".join(re.findall(r"\] (\w+)", (task / "stack").read_text())[:5])
                   for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir())]
    except OSError as error:
        return f"{pid}: {error}"
    return "\n".join([f"{pid} {words}", *threads])


def kill_all(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Started(subprocess.Popen):
    def kill(self):
        """What it has started, which would hold the pipes open. nsenter then ends of itself: a world does not end before its processes were
        reaped, and whom nsenter leaves behind only the machine's init would reap."""
        if self.poll() is None and (started := descendants(self.pid)):
            kill_all(started)
            self.send_signal(signal.SIGCONT)  # nsenter stops with its child
        else:
            super().kill()

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


class World:
    count = 0

    def __init__(self, directory):
        World.count += 1
        self.project = f"t{os.getpid()}n{World.count}"
        self.directory = directory
        self.runtime, self.state = directory / "runtime", directory / "state"
        self.runtime.mkdir()
        self.environment = {**os.environ, "NUCLEUS_STATE_DIR": str(self.state), "NUCLEUS_RUNTIME_DIR": str(self.runtime),
                            "PATH": f"{pathlib.Path(NUCLEUS).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                            "LC_ALL": "C.UTF-8"}
        for name in ("LISTEN_FDS", "INVOCATION_ID"):
            self.environment.pop(name, None)
        self.shell = subprocess.Popen(
            ["unshare", *ENTER, "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
             "/usr/bin/python3", "-c", INIT], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)  # it complains when its child is killed
        assert self.shell.stdout.readline() == b"up\n"
        self.init = int(pathlib.Path(f"/proc/{self.shell.pid}/task/{self.shell.pid}/children").read_text())
        # On tmpfs, as /run is: gone with the world. With a lock of its own machine: whoever holds that keeps no other world.
        own, machines = self.directory / "machine.lock", "/run/nucleus-machine.lock"
        self.run("sh", "-c", f"mount -t tmpfs -o mode=0755 runtime {self.runtime} && touch {own} {machines} && "
                             f"chmod 0600 {own} {machines} && mount --bind {own} {machines}")
        self.run("ip", "link", "set", "lo", "up")

    def close(self):
        os.kill(self.init, signal.SIGKILL)
        self.shell.wait()
        self.shell.stdout.close()
        leftovers = self.cgroups()
        for path in reversed(leftovers):
            for _ in range(50):  # the last process of a cgroup may still be on its way out
                try:
                    path.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)
        return leftovers

    # ---- commands ----

    def popen(self, *command, **options):
        """In a `with` whose block fails it is killed: nobody would end it any more, and it would be waited for."""
        return Started(["nsenter", "-t", str(self.init), *ENTER, f"--wdns={options.pop('cwd', self.directory)}", "--", *map(str, command)],
                                **{"env": self.environment, "stdin": subprocess.DEVNULL, **options})

    def run(self, *command, status=0, timeout=60, **options):
        """Runs a command in the world. status None: any will do."""
        with self.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                late = sorted({*descendants(self.init), *descendants(process.pid)})
                waited_for = "\n".join(map(waits, late))
                kill_all(late)
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"not within {timeout} s: {command}\n{out}\n{err}\n{waited_for}") from None
        done = subprocess.CompletedProcess(command, process.returncode, out, err)
        assert status is None or done.returncode == status, \
            f"{' '.join(map(str, command))}: exit status {done.returncode}, not {status}\n{out}\n{err}"
        return done

    def kill(self, *pids):
        """Until they are gone: whoever is asked next sees what that leaves."""
        numbers = [str(pid).strip() for pid in pids]
        self.run("sh", "-c", f"kill -KILL {' '.join(numbers)} 2>/dev/null; while ps -o stat= -p {','.join(numbers)} | grep -qv ^Z; do sleep 0.01; done; true")

    def numbered(self, process):
        """The process behind a popen() as the world numbers it: nsenter and unshare execute, and do not fork, but for the pid namespace."""
        status = pathlib.Path(f"/proc/{(children(process.pid) or [process.pid])[0]}/status").read_text()
        return int(status.split("NSpid:")[1].split("\n")[0].split()[-1])

    def nucleus(self, *arguments, status=0, **options):
        return self.run(NUCLEUS, *arguments, status=status, **options)

    def json(self, *arguments, status=0):
        return json.loads(self.nucleus(*arguments, "--output", "json", status=status).stdout)

    # ---- the file ----

    def write(self, text, name="topology.toml"):
        """Writes a file of desired state; PROJECT in it is this world's project. Services are in agent mode unless it says."""
        text = text.replace("PROJECT", self.project)
        if "[container]" not in text and "[defaults]" not in text and "service_mode" not in text:
            head, bracket, rest = text.partition("[")
            text = f'{head}[defaults]\nservice_mode = "agent"\n{bracket}{rest}'
        path = self.directory / name
        path.write_text(text)
        return path

    def apply(self, path, *arguments, status=0):
        return self.nucleus("apply", "-f", path, *arguments, status=status)

    # ---- what there is ----

    def name(self, word):
        """For a container: control groups are the machine's, and names are this world's."""
        return self.project + word

    def containers(self, *arguments):
        """What `ps` says, by "PROJECT/NAME"."""
        return {entry["name"]: entry for entry in self.json("ps", *arguments)["services"]}

    def container(self, service, project=None):
        return self.containers("--all")[f"{project or self.project}/{service.removeprefix('service.')}"]

    def pid(self, service, project=None):
        """The workload's process, as the world numbers it."""
        return int(self.container(service, project)["pid"])

    def pids(self):
        return {name: entry["pid"] for name, entry in self.containers().items()}

    def inside(self, service, *command, **options):
        """Runs a command of the machine in the service's namespaces but its pid namespace."""
        return self.run("nsenter", "-t", self.pid(service), "--net", "--", *command, **options)

    def links(self):
        """alias -> name of the links that carry one."""
        links = json.loads(self.run("ip", "-j", "-d", "link", "show").stdout)
        return {link["ifalias"]: link["ifname"] for link in links if "ifalias" in link}

    def tables(self):
        return re.findall(r"^table inet (nucleus_\S+)", self.run("nft", "list", "tables").stdout, re.M)

    def source_tables(self):
        return re.findall(r"^table bridge (nucleus_\S+)", self.run("nft", "list", "tables").stdout, re.M)

    def cgroups(self, project=None):
        """The cgroups of the project, parents first."""
        root = cgroup_root()
        if root is None:
            return []
        for _ in range(10):
            try:
                found = [path for path in root.glob("**/nucleus/" + (project or self.project)) if path.is_dir()]
                return [path for top in found for path in [top, *(p for p in sorted(top.rglob("*")) if p.is_dir())]]
            except FileNotFoundError:  # one has just gone
                continue
        return []

    def processes(self):
        """Command lines of every process of the world but its first."""
        out = self.run("ps", "-e", "-o", "pid=,ppid=,args=").stdout
        return [line for line in out.splitlines()
                if line.split()[0] != "1" and "ps -e -o" not in line and "nsenter" not in line]

    def leftovers(self):
        """Everything of ours that is still in the kernel: nothing, after `destroy`."""
        mounts = [line for line in self.run("cat", "/proc/self/mountinfo").stdout.splitlines()
                  if str(self.runtime) + "/" in line]
        # The runtime directory is on a tmpfs that only the world sees.
        files = self.run("find", self.runtime / "projects", "-type", "f", status=None).stdout.split()
        return {"links": self.links(), "tables": self.tables() + self.source_tables(), "cgroups": self.cgroups(), "files": files,
                "processes": [p for p in self.processes() if "nucleus" in p or "sleep" in p], "mounts": mounts}

    def nothing_left(self):
        left = {kind: found for kind, found in self.leftovers().items() if found}
        assert not left, left


def wait_for(what, check, seconds=20):
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value
