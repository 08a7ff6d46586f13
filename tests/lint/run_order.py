#!/usr/bin/env python3
"""Whether the order in which the linker lays out what a run executes is one of this program: tests/lint/run_order.py ORDER NM PROGRAM.

A name of the list that the program does not have lies with the rest, and nothing else tells. Fails where more than a tenth of them are such."""
import pathlib
import re
import subprocess
import sys

LEAST = 0.9


def main():
    order, nm, program = sys.argv[1:]
    listed = set(re.findall(r"\(\.text\.(_Z[^)]*)\)", pathlib.Path(order).read_text()))
    symbols = subprocess.run([nm, program], capture_output=True, text=True, check=True).stdout.splitlines()
    missing = sorted(listed - {line.split()[-1] for line in symbols})
    print(f"{order}: {len(listed)} functions, {len(missing)} of them not in {program}", *missing, sep="\n  ")
    if not listed or len(missing) > (1 - LEAST) * len(listed):
        print("write it anew: bench/sandbox/order.py BUILD_DIRECTORY")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
