#!/usr/bin/env python3
"""Writes in what order the linker is to lay out what `nucleus run` executes, so that a start touches few pages of a large program.

  bench/sandbox/order.py BUILD_DIRECTORY [SCRIPT]

Links the program of a build once more with a map of it, steps through `run -- /bin/true` instruction by instruction, in all of its threads and
processes, and writes the sections that were executed, first things first, as a linker script that is inserted before the rest of the text: by
default cli/run_order.ld, which the build uses. A section that has another name meanwhile lies with the rest: nothing depends on the list but time.
The run has namespaces and directories of its own. Needs root, x86-64, and a minute.
"""
import bisect, os, pathlib, re, signal, subprocess, sys, tempfile

sys.dont_write_bytecode = True
from record import DETACH, EVENT_EXEC, OPTIONS, SETOPTIONS, WALL, libc, ptrace
from measure import directories, isolate

SINGLESTEP, PEEKUSER, RIP = 9, 3, 16 * 8  # of struct user_regs_struct
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def link(build, program, table):
    commands = subprocess.run(["ninja", "-C", build, "-t", "commands", "bin/nucleus"], capture_output=True, text=True, check=True).stdout
    command = commands.splitlines()[-1].removeprefix(": && ").removesuffix(" && :").replace("-o bin/nucleus ", f"-o {program} -Wl,-Map={table} ")
    subprocess.run(command, shell=True, cwd=build, check=True)


def sections(table):
    """[(address, size, pattern)] of what the linker has put into the text."""
    found, name = [], None
    for line in table.read_text(errors="replace").partition("Linker script and memory map")[2].splitlines():
        if alone := re.match(r" (\.text\S*)$", line):  # the rest is on the next line
            name = alone[1]
            continue
        if (row := re.match(r" (\.text\S*)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", line)) and (row[1] or name):
            address, size, file = int(row[2], 16), int(row[3], 16), pathlib.PurePath(row[4])
            if address and size:
                member = re.match(r"(.+)\((.+)\)$", file.name)
                place = f"{member[1]}:{member[2]}" if member else f"{file.parent.name}/{file.name}"
                section = row[1] or name
                found.append((address, size, f"*({section})" if section.startswith(".text._Z") else f"*{place}({section})"))
        name = None
    return sorted(found)


def base(pid, program):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        return min(int(line.split("-")[0], 16) for line in maps if line.endswith(f"{program}\n"))


def step(program, table):
    """The patterns of the sections that are executed, in the order of their first instruction."""
    pid = os.fork()
    if pid == 0:
        libc.ptrace(0, 0, None, None)
        os.execv(program, [str(program), "run", "--", "/bin/true"])
    os.waitpid(pid, 0)
    begin = base(pid, program)
    ptrace(SETOPTIONS, pid, 0, OPTIONS)
    starts, seen, order, who, status = [row[0] for row in table], set(), [], pid, 0
    while True:
        caught, event = status >> 8 & 0xff, status >> 16
        if event == EVENT_EXEC:
            ptrace(DETACH, who)
        else:
            address = libc.ptrace(PEEKUSER, who, RIP, None) - begin
            if address not in seen:
                seen.add(address)
                i = bisect.bisect(starts, address) - 1
                if i >= 0 and address < table[i][0] + table[i][1] and table[i][2] not in order:
                    order.append(table[i][2])
            ptrace(SINGLESTEP, who, 0, caught if not event and caught not in (0, signal.SIGTRAP, signal.SIGSTOP) else 0)
        while True:
            who, status = os.waitpid(-1, WALL)
            if os.WIFSTOPPED(status):
                break
            if who == pid:
                if status:
                    sys.exit(f"order: {program} has failed: status {status}")
                return order


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    isolate(pathlib.Path(sys.argv[1]) / "bin/nucleus")
    script = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else ROOT / "cli/run_order.ld")
    with tempfile.TemporaryDirectory() as directory:
        directories(pathlib.Path(directory))
        program, table = pathlib.Path(directory) / "nucleus", pathlib.Path(directory) / "map"
        link(sys.argv[1], program, table)
        order = step(program, sections(table))
    lines = ["/* What `nucleus run` executes, first things first; bench/sandbox/order.py writes it. */", "SECTIONS", "{", "  .text.run :", "  {",
             *(f"    {pattern}" for pattern in order), "  }", "}", "INSERT BEFORE .text;"]
    script.write_text("\n".join(lines) + "\n")
    print(f"{script}: {len(order)} sections")


if __name__ == "__main__":
    main()
