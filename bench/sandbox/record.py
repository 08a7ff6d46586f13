#!/usr/bin/env python3
"""Records what system calls a command makes until its workload is executed and has ended, for same_calls.cpp to make them again.

  bench/sandbox/record.py TAPE COMMAND [ARGUMENT...]

COMMAND is a run of nucleus, which is to succeed. By hand it has namespaces of its own, and directories in TAPE.ground, which stay: the tape names
them. Every call of every thread and process but the workload's own is recorded in the thread's order, with the memory that it reads; calls.py
says what is left out. Descriptors and processes get numbers of the tape's, for theirs differ in each run. A thread ends when somebody waits for
it, so that every wait is seen. The workload begins when nucleus waits for its end. What nucleus calls from the workload's execve(2) on until then is
answered while it is there, and may be answered otherwise when it is made again: it is loose. A call of which calls.py knows nothing ends the
recording, as does a run that fails; nothing is left of it then. Prints the counts, as JSON. Needs root, as `run` does.
"""
import contextlib, ctypes, json, os, pathlib, re, select, signal, struct, subprocess, sys
from collections import Counter

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from calls import CALLS, LEFT_OUT, numbers
from measure import directories, isolate

NAMES = numbers()
NUMBERS = {name: number for number, name in NAMES.items()}
SYSCALL, DETACH, SETOPTIONS, GETEVENTMSG, GET_SYSCALL_INFO = 24, 17, 0x4200, 0x4201, 0x420e
OPTIONS = 1 | 2 | 4 | 8 | 0x10 | 1 << 20  # PTRACE_O_TRACESYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL
EVENTS_OF_BIRTH, EVENT_EXEC = (1, 2, 3), 4
VALUE, DESCRIPTOR, DATA, SCRATCH, TEXT, PATCHED = range(6)  # kinds of an argument; same_calls.cpp has the same
TO_DESCRIPTOR, TO_DATA, TO_SCRATCH, TO_HANDLER = range(4)  # kinds of a fix in memory
NOTHING, NEW, PAIR, THREAD, PROCESS, WAITED, OWN = range(7)  # what a result is
WALL, P_PIDFD = 0x40000000, 3  # __WALL, of waitid(2)
JOIN, SAY, AWAIT, APART = 0xffff, 0xfffe, 0xfffd, 0xfffc  # in the place of a call's number
PR_SET_MM = 35
WORDS = 64  # that are waited for; same_calls.cpp has as many
LARGEST = 40960  # that a call writes; same_calls.cpp has as much
CLONE_VM, CLONE_FILES, CLONE_PIDFD, CLONE_THREAD = 0x100, 0x400, 0x1000, 0x10000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Unknown(Exception):
    """A call that cannot be made again from what is known of it."""


def ptrace(request, pid, address=0, data=0):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


class Op:
    def __init__(self, number):
        self.number, self.args, self.kinds = number, [0] * 6, [VALUE] * 6
        self.result, self.out, self.stream, self.error, self.scratch, self.loose = NOTHING, 0, 0, 0, 0, False

    def room(self, size):
        """Where the next bytes that the call writes are to be."""
        at = self.scratch
        self.scratch += (size + 15) & ~15
        if self.scratch > LARGEST:
            raise Unknown(f"{NAMES[self.number]} writes more than is kept for it")
        return at

    def bytes(self):
        kinds = bytes(self.kinds) + bytes([self.result, self.loose])
        return struct.pack("<6QHHHH", *self.args, self.number, self.error, self.out, self.stream) + kinds


class Task:
    """A thread: what it has open, its memory, and the calls it made."""

    def __init__(self, stream, files, memory, process, clear=0):
        self.stream, self.files, self.memory, self.process, self.clear = stream, files, memory, process, clear
        self.ops, self.entered, self.making, self.guard = [], None, None, None


class Tape:
    def __init__(self):
        self.data, self.known, self.descriptors, self.streams, self.pids = bytearray(8), {}, 3, [], {}

    def put(self, content):
        content = bytes(content)
        if content not in self.known:
            self.data += bytes(-len(self.data) % 8)
            self.known[content] = len(self.data)
            self.data += content
        return self.known[content]

    def descriptor(self):
        self.descriptors += 1
        return self.descriptors - 1

    def patched(self, op, content, fixes):
        head = struct.pack("<4I", len(content), op.room(len(content)), len(fixes), 0)
        return self.put(head + b"".join(struct.pack("<IHHQ", *fix) for fix in fixes) + content)

    def save(self, path):
        ops = [op for stream in self.streams for op in stream.ops]
        first = [0]
        for stream in self.streams:
            first.append(first[-1] + len(stream.ops))
        head = struct.pack("<4I", len(self.streams), len(ops), self.descriptors, len(self.data)) + struct.pack(f"<{len(first)}I", *first)
        head += bytes(-len(head) % 64)
        with open(path, "wb") as file:
            file.write(head + b"".join(op.bytes() for op in ops) + self.data)


class Recorder:
    def __init__(self):
        self.tape, self.tasks, self.waiting, self.held, self.early = Tape(), {}, {}, {}, set()
        self.workload, self.pidfd, self.executes, self.begun = None, None, False, False  # executes: it has called execve(2)
        self.launcher, self.made = None, []  # the first process, and the directories that it made
        self.guards, self.guard_files = set(), set()  # who waits beside the run: processes, and descriptors of the run that are about them
        self.kept, self.left = Counter(), Counter()
        self.words_at = {}  # numbers of what is waited for, by process and address

    # Memory of who called.

    def read(self, task, address, size):
        return os.pread(task.memory, size, address)

    def string(self, task, address):
        found = b""
        while b"\0" not in found:  # a page at a time: the next need not be there
            found += self.read(task, address + len(found), 4096 - (address + len(found)) % 4096)
        return found[:found.index(b"\0") + 1]

    def words(self, task, address, count):
        return struct.unpack(f"<{count}Q", self.read(task, address, 8 * count))

    # Arguments.

    def path(self, task, op, text):
        """One that names a process or a descriptor is put together anew."""
        holes = [(match.start(1), match.end(1), b"P", self.tape.pids[int(match[1])])
                 for match in re.finditer(rb"^/proc/(\d+)(?=[/\0])", text) if int(match[1]) in self.tape.pids]
        holes += [(match.start(1), match.end(1), b"F", task.files[int(match[1])])
                  for match in re.finditer(rb"^/proc/(?:self|thread-self|\d+)/fd/(\d+)\0", text) if int(match[1]) in task.files]
        if not holes:
            return DATA, self.tape.put(text)
        made, at = b"", 0
        for begin, end, kind, number in holes:
            made, at = made + text[at:begin] + b"\1" + kind + struct.pack("<H", number), end
        return TEXT, self.tape.put(struct.pack("<I", op.room(len(text) + 16)) + made + text[at:])

    def argument(self, task, op, letter, args, i):
        value, kind, number = args[i], letter[0], int(letter[1:] or 0)
        if kind == "f":
            descriptor = value & 0xffffffff
            return (DESCRIPTOR, task.files[descriptor]) if descriptor in task.files else (VALUE, value)
        if kind == "v" or value == 0:
            return VALUE, value
        if kind == "p":
            return self.path(task, op, self.string(task, value))
        if kind == "s":
            return DATA, self.tape.put(self.string(task, value))
        if kind in "ib":
            return DATA, self.tape.put(self.read(task, value, number if kind == "i" else args[number]))
        if kind in "oO":
            return SCRATCH, op.room(number if kind == "o" else args[number])
        if kind == "r":  # landlock_path_beneath_attr
            content = self.read(task, value, 12)
            return PATCHED, self.tape.patched(op, content, [(8, TO_DESCRIPTOR, task.files[struct.unpack("<i", content[8:])[0]], 0)])
        raise Unknown(letter)

    def spec(self, name, task, op, args):
        """The letters of a call, of some only once it is known what they ask for."""
        if name == "fcntl":
            if args[1] in (0, 1030):  # F_DUPFD, F_DUPFD_CLOEXEC
                return "f v v > F"
            return "f v i32" if args[1] in (5, 6, 7, 36, 37, 38) else "f v v" if args[1] < 5 or args[1] > 1024 else None
        if name == "ioctl":
            known = {0x5401: "f v o64", 0x8914: "f v i40", 0x8010b70a: "f v o16"}  # TCGETS, SIOCSIFFLAGS, NS_MNT_GET_INFO
            return "f v v > F" if args[1] & 0xfffffff0 == 0xff00 else known.get(args[1])  # a namespace of a PIDFD
        if name == "prctl":
            return "v i16" if args[0] == 15 else "v v v v v" if args[0] in (1, 3, 4, 7, 8, 23, 24, 27, 28, 36, 38, 39, 47) else None
        if name == "landlock_create_ruleset":
            return "b1 v v > F" if args[0] else "v v v"
        if name == "waitid":
            return "v f o128 v o144" if args[0] == 3 else "v v o128 v o144"
        return CALLS.get(name)

    def special(self, name, task, op, args):
        """Of calls with pointers in what they point to. False: it is none."""
        if name == "poll":
            content = self.read(task, args[0], 8 * args[1])
            opened = [(8 * i, struct.unpack_from("<i", content, 8 * i)[0]) for i in range(args[1])]
            fixes = [(at, TO_DESCRIPTOR, task.files[descriptor], 0) for at, descriptor in opened if descriptor >= 0]
            op.args[0], op.kinds[0], op.args[1:3] = self.tape.patched(op, content, fixes), PATCHED, args[1:3]
        elif name == "seccomp" and args[0] == 1 and not args[1] & 8:
            count, = struct.unpack("<H", self.read(task, args[2], 2))
            program = self.tape.put(self.read(task, self.words(task, args[2] + 8, 1)[0], 8 * count))
            content = struct.pack("<QQ", count, 0)
            op.args[:3], op.kinds[2] = [args[0], args[1], self.tape.patched(op, content, [(8, TO_DATA, 0, program)])], PATCHED
        elif name == "seccomp" and args[0] == 2:
            op.args[:3], op.kinds[2] = [args[0], args[1], self.tape.put(self.read(task, args[2], 4))], DATA
        elif name == "rt_sigaction":
            op.args[0], op.args[3] = args[0], args[3]
            if args[1]:
                content = self.read(task, args[1], 32)
                handled = struct.unpack("<Q", content[:8])[0] > 1
                op.args[1], op.kinds[1] = self.tape.patched(op, content, [(0, TO_HANDLER, 0, 0)] if handled else []), PATCHED
            if args[2]:
                op.args[2], op.kinds[2] = op.room(32), SCRATCH
        elif name == "execve":
            op.kinds[0], op.args[0] = self.path(task, op, self.string(task, args[0]))
            for i in (1, 2):
                fixes, at = [], args[i]
                while pointer := self.words(task, at, 1)[0]:
                    fixes.append((at - args[i], TO_DATA, 0, self.tape.put(self.string(task, pointer))))
                    at += 8
                op.args[i], op.kinds[i] = self.tape.patched(op, bytes(at + 8 - args[i]), fixes), PATCHED
        elif name == "setgroups":
            op.args[0] = args[0]
            if args[0]:
                op.args[1], op.kinds[1] = self.tape.put(self.read(task, args[1], 4 * args[0])), DATA
        elif name == "socketpair":
            op.args[:4], op.kinds[3], op.result = [*args[:3], op.room(8)], SCRATCH, PAIR
        elif name == "clone3":
            self.birth(task, op, args)
        else:
            return False
        return True

    def is_of_guard(self, task, name, args):
        """Whether it is about who waits beside the run, to kill what outlives it: guard.hpp. No floor needs one."""
        which = 1 if name == "waitid" and args[0] == P_PIDFD else 0
        if name not in ("close", "waitid", "pidfd_send_signal") or (task.process, args[which]) not in self.guard_files:
            return False
        if name == "close":
            self.guard_files.discard((task.process, args[0]))
        return True

    def made_guard(self, task, result):
        name, args = task.guard
        if result >= 0:
            number = result if name == "pidfd_open" else struct.unpack("<i", self.read(task, args[2], 4))[0]
            self.guard_files.add((task.process, number))

    def birth(self, task, op, args):
        given = self.words(task, args[0], args[1] // 8)
        task.clone = given = [*given, *[0] * (11 - len(given))]
        if given[8] or given[0] & CLONE_THREAD and not given[0] & CLONE_FILES:
            raise Unknown("clone3 of such a thread")
        if given[0] & CLONE_THREAD:
            op.args[0], op.result = given[0], THREAD
            return
        op.result, op.args[1], fixes = PROCESS, args[1], []
        content = bytearray(struct.pack("<11Q", *given)[:args[1]])
        if given[0] & CLONE_PIDFD:
            struct.pack_into("<Q", content, 8, 0)
            op.out, op.args[2] = self.tape.descriptor(), op.room(16)
            fixes.append((8, TO_SCRATCH, 0, op.args[2]))
        if given[10]:
            fixes.append((80, TO_DESCRIPTOR | 8, task.files[given[10]], 0))  # of eight bytes
        op.args[0], op.kinds[0] = self.tape.patched(op, bytes(content), fixes), PATCHED

    # What a task does.

    def enter(self, pid, task, number, args):
        name = NAMES[number]
        task.entered = None
        if name == "futex":
            self.waits(pid, task, args)
        task.guard = (name, args) if name in ("pidfd_open", "clone") else None
        if name in LEFT_OUT or name == "prctl" and args[0] == PR_SET_MM or task.guard or self.is_of_guard(task, name, args):
            self.left[name] += 1
            return
        if name == "sched_setaffinity" and args[0] in self.tape.pids:
            apart = self.keeps_apart(task, args)
            if apart:
                op = Op(APART)
                op.stream = self.tape.pids[args[0]]
                task.ops.append(op)
            (self.kept if apart else self.left)[name] += 1
            return
        if name == "exit_group" or name == "poll" and args[2] & 0xffffffff == 0xffffffff:
            self.begin()
        op = Op(number)
        op.loose = self.executes and not self.begun
        if not self.special(name, task, op, args):
            letters = self.spec(name, task, op, args)
            if letters is None:
                raise Unknown(f"{name}({', '.join(hex(word) for word in args)})")
            arguments, _, result = letters.partition(">")
            for i, letter in enumerate(arguments.split()):
                op.kinds[i], op.args[i] = self.argument(task, op, letter, args, i)
            op.result = {"": NOTHING, "F": NEW, "P": OWN}[result.strip()]
        task.ops.append(op)
        task.entered = (op, args)
        self.kept[name] += 1
        if name == "close":
            task.files.pop(args[0], None)
        task.making = self.directory(pid, name, args) if name in ("mkdir", "mkdirat") and task.process == self.launcher else None
        if name == "execve":
            self.executes = True
        if name in ("execve", "exit_group"):
            self.release(None)

    def directory(self, pid, name, args):
        """Its place, of one that is about to be made."""
        at, path = (args[0], args[1]) if name == "mkdirat" else (None, args[0])
        path = os.fsdecode(self.string(self.tasks[pid], path)[:-1])
        return path if at is None or path.startswith("/") or at >> 31 else os.path.join(os.readlink(f"/proc/{pid}/fd/{at}"), path)

    def leave(self, task, result, failed):
        op, args = task.entered
        task.entered = None
        name = NAMES[op.number]
        if failed:
            op.error = -result
            op.result = NOTHING
            self.executes = self.executes and name != "execve"
            return
        if task.making:
            self.made.append(task.making)
        if op.result == NEW:
            op.out = task.files[result] = self.tape.descriptor()
        elif op.result == PAIR:
            op.out, _ = self.tape.descriptor(), self.tape.descriptor()
            for i, descriptor in enumerate(struct.unpack("<2i", self.read(task, args[3], 8))):
                task.files[descriptor] = op.out + i
        elif op.result == OWN:
            op.result = OWN if self.tape.pids.get(result) == task.stream else NOTHING
        elif op.result == PROCESS and op.out:
            task.files[struct.unpack("<i", self.read(task, task.clone[1], 4))[0]] = op.out
        elif name == "waitid" and args[2]:
            told = self.read(task, args[2], 28)
            if struct.unpack_from("<i", told, 16)[0]:
                op.result, op.out, op.stream = WAITED, struct.unpack_from("<i", told, 24)[0], struct.unpack_from("<i", told, 8)[0]

    def waits(self, pid, task, args):
        """Waits are told: for a thread's end, and for what another one says by waking who waits at an address."""
        what = args[1] & 0x7f
        if what in (1, 10):  # FUTEX_WAKE, FUTEX_WAKE_BITSET
            task.ops.append(self.word(SAY, task, args[0]))
        if what not in (0, 9):  # FUTEX_WAIT, FUTEX_WAIT_BITSET
            return
        for other in self.tasks.values():
            if other.clear == args[0] and other.process == task.process:
                op = Op(JOIN)
                op.stream = other.stream
                task.ops.append(op)
                self.waiting[args[0]] = pid
                self.release(args[0])
                return
        wait = self.word(AWAIT, task, args[0])
        if not task.ops or (task.ops[-1].number, task.ops[-1].out) != (AWAIT, wait.out):  # not one that goes on
            task.ops.append(wait)

    def keeps_apart(self, task, args):
        """Whether a thread is to run on another processor than ours; that it may run on any is for one that is late."""
        mask = int.from_bytes(self.read(task, args[2], args[1]), "little")
        return any(not mask >> processor & 1 for processor in os.sched_getaffinity(0))

    def word(self, what, task, address):
        op = Op(what)
        op.out = self.words_at.setdefault((task.process, address), len(self.words_at))
        return op

    def drop_unheard(self):
        """What nobody waits for need not be said. What nobody says may only be waited for at the end, by who stands still until all ends."""
        told = {what: {op.out for stream in self.tape.streams for op in stream.ops if op.number == what} for what in (SAY, AWAIT)}
        for stream in self.tape.streams:
            stream.ops = [op for op in stream.ops if op.number != SAY or op.out in told[AWAIT]]
            while stream.ops and NAMES.get(stream.ops[-1].number) in ("exit", "rt_sigprocmask") and any(
                    op.number == AWAIT and op.out not in told[SAY] for op in stream.ops):  # it has looked by itself, and ended
                stream.ops.pop()
            if any(op.number == AWAIT and op.out not in told[SAY] for op in stream.ops[:-1]):
                raise Unknown("a wait for what nobody has said: try again")
        if len(self.words_at) > WORDS:
            raise Unknown("more words than are kept")

    def release(self, address):
        """Lets threads end: the one that is waited for, or all."""
        for clear in list(self.held):
            if address in (None, clear):
                ptrace(SYSCALL, self.held.pop(clear))

    def begin(self):
        """Lets go of the workload, also of one whose first stop is still to come."""
        self.begun = True
        if self.workload:
            ptrace(DETACH, self.workload)
            del self.tasks[self.workload]
            self.workload = None

    def born(self, pid, task):
        child, = struct.unpack("<Q", self.message(pid))
        if task.guard:
            self.guards.add(child)
            if child in self.early:
                self.let_go(child)
            return
        given, op = task.clone, task.entered[0]
        op.stream = len(self.tape.streams)
        is_thread = given[0] & CLONE_THREAD
        memory = task.memory if given[0] & CLONE_VM else os.open(f"/proc/{child}/mem", os.O_RDONLY)
        new = Task(op.stream, task.files if is_thread else dict(task.files), memory, task.process if is_thread else child,
                   given[2] if is_thread else 0)
        self.tasks[child] = new
        self.tape.streams.append(new)
        self.tape.pids[child] = op.stream
        if child in self.early:
            self.early.discard(child)
            ptrace(SYSCALL, child)

    def let_go(self, guard):
        self.early.discard(guard)
        ptrace(DETACH, guard)

    def message(self, pid):
        message = ctypes.create_string_buffer(8)
        ptrace(GETEVENTMSG, pid, 0, ctypes.addressof(message))
        return message.raw

    def stopped(self, pid, status):
        """At a stop of a known task. True: it may go on."""
        task, stop = self.tasks[pid], status >> 8
        if stop == signal.SIGTRAP | 0x80:
            info = ctypes.create_string_buffer(128)
            ptrace(GET_SYSCALL_INFO, pid, len(info), ctypes.addressof(info))
            if info.raw[0] == 1:
                number, *args = struct.unpack_from("<7Q", info.raw, 24)
                self.enter(pid, task, number, args)
                if NAMES[number] == "exit" and task.clear and self.waiting.get(task.clear) is None:
                    self.held[task.clear] = pid
                    return False
            elif info.raw[0] == 2 and task.guard:
                self.made_guard(task, struct.unpack_from("<q", info.raw, 24)[0])
            elif info.raw[0] == 2 and task.entered:
                self.leave(task, *struct.unpack_from("<q?", info.raw, 24))
        elif stop >> 8 in EVENTS_OF_BIRTH:
            self.born(pid, task)
        elif stop >> 8 == EVENT_EXEC:
            self.workload, self.pidfd = pid, os.pidfd_open(pid)
            if self.begun:
                self.begin()
            return False
        return True

    def run(self, command):
        try:
            self.follow(command)
        except BaseException:
            self.end()
            raise
        finally:
            for opened in {stream.memory for stream in self.tape.streams} | ({self.pidfd} - {None}):
                os.close(opened)

    def follow(self, command):
        self.launcher = pid = os.fork()
        if pid == 0:
            try:
                libc.ptrace(0, 0, None, None)
                os.execv(command[0], command)
            finally:
                os._exit(127)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            raise Unknown(f"{command[0]} cannot be executed")
        main = Task(0, {0: 0, 1: 1, 2: 2}, os.open(f"/proc/{pid}/mem", os.O_RDONLY), pid)
        self.tasks[pid], self.tape.pids[pid] = main, 0
        self.tape.streams.append(main)
        ptrace(SETOPTIONS, pid, 0, OPTIONS)
        ptrace(SYSCALL, pid)
        ended = self.until_all_ended(pid)
        if ended != 0:
            raise Unknown(f"{command[0]} has failed: status {ended}")
        if not any(op.loose for stream in self.tape.streams for op in stream.ops):
            raise Unknown("nothing was called between the workload's execve and the wait for its end: try again")

    def until_all_ended(self, first):
        """The status of the first process."""
        while self.tasks:
            who, status = os.waitpid(-1, WALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self.tasks.pop(who, None)
                if who == first:
                    ended = status
            elif who in self.guards:
                self.let_go(who)
            elif who not in self.tasks:
                self.early.add(who)  # born, and not yet told by who made it
            elif self.stopped(who, status):
                caught = os.WSTOPSIG(status)
                passed = caught if status >> 16 == 0 and caught not in (signal.SIGTRAP, signal.SIGTRAP | 0x80, signal.SIGSTOP) else 0
                ptrace(SYSCALL, who, 0, passed)
        return ended

    def end(self):
        """Ends what a failed recording has left, and takes away what it made."""
        for pid in {task.process for task in self.tasks.values()} | self.early:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                who, status = os.waitpid(-1, WALL)
                if os.WIFSTOPPED(status):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(who, signal.SIGKILL)
        if self.pidfd is not None:  # it may be the child of another by now
            select.select([self.pidfd], [], [])
        take_away(self.made)


def take_away(directories):
    """With the files in them; what others use meanwhile stays."""
    for path in reversed(directories):
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(path)):
                if not entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(OSError):  # a control group's go with it
                        os.unlink(entry.path)
            os.rmdir(path)


def record(tape, command):
    """Counts of the calls that were recorded and of those left out, by name."""
    recorder = Recorder()
    recorder.run([str(word) for word in command])
    recorder.drop_unheard()
    recorder.tape.save(tape)
    return recorder.kept, recorder.left


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    tape, command = sys.argv[1], sys.argv[2:]
    isolate(pathlib.Path(command[0]))
    directories(pathlib.Path(f"{tape}.ground").resolve())
    subprocess.run(command, check=False)  # what the first run finds missing
    try:
        counts = record(tape, command)
    except Unknown as unknown:
        sys.exit(f"record: {unknown}")
    json.dump(dict(zip(("recorded", "left out"), counts)), sys.stderr)


if __name__ == "__main__":
    main()
