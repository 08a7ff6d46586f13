"""The tool that looks for what adds up: a few cycles of it, and that it would say so."""
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "fault"), str(HERE.parent / "e2e")]


@pytest.mark.parametrize("subject", [[], ["--containers"]])
def test_a_few_cycles_leave_nothing(subject):
    done = subprocess.run(["/usr/bin/python3", HERE / "run", *subject, "--cycles", "3", "--every", "2"], capture_output=True, text=True)
    assert done.returncode == 0 and "3 cycles, 0 problems" in done.stdout, done.stdout + done.stderr


def test_what_adds_up_is_told(tmp_path):
    """A program in the place of nucleus that leaves a file behind each time."""
    import os
    from world import NUCLEUS
    leaky = tmp_path / "nucleus"
    leaky.write_text(f'#!/bin/sh\nmkdir -p "$NUCLEUS_RUNTIME_DIR/left"; mktemp "$NUCLEUS_RUNTIME_DIR/left/XXXXXX" >/dev/null\nexec {NUCLEUS} "$@"\n')
    leaky.chmod(0o755)
    done = subprocess.run(["/usr/bin/python3", HERE / "run", "--cycles", "2", "--every", "1"], capture_output=True, text=True,
                          env={**os.environ, "NUCLEUS_BIN": str(leaky)})
    assert done.returncode == 1 and "files: +" in done.stdout, done.stdout + done.stderr
