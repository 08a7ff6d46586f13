"""Runs the suites inside the guest, over as many boots as they ask for, and tells the host test by test.

A suite is a Python file with functions test_*, run in the order they are written in, for the boot they are marked with:

    def test_limit_holds(): ...                # in the first boot

    @guest.boot(2)                             # after an orderly reboot; guest.boot(2, "power loss") after the other kind,
                                               # "power loss at any moment" while what the tests before have left running runs
    def test_containers_come_back(): ...

All suites' tests of one boot run before the next boot. A test fails by an exception and skips by guest.Skip(why).
"""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
COUNT = pathlib.Path("/var/lib/test-boots")
NUCLEUS = str(HERE / "bin/nucleus")


class Skip(Exception):
    pass


def boot(number, how="reboot"):
    def mark(test):
        test.boot, test.how = number, how
        return test
    return mark


def run(*command, status=0, timeout=300, **options):
    """Runs a command; its output is in the exception if it does not end with the status (None: any)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **options)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}, not {status}\n{done.stdout[-3000:]}")
    return done.stdout


def nucleus(*arguments, **options):
    return run(NUCLEUS, *arguments, **options)


def wait_for(what, check, seconds=60):
    """What check() returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)
    return value


def minimal_rootfs(path="/opt/rootfs"):
    """A root file system of busybox, for services in production mode."""
    root = pathlib.Path(path)
    if not root.exists():
        for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "run", "data"):
            (root / name).mkdir(parents=True, exist_ok=True)
        run("cp", "/usr/bin/busybox", root / "bin/busybox")
        run(root / "bin/busybox", "--install", "-s", root / "bin")
        for link in (root / "bin").iterdir():  # made with the absolute path of this busybox
            if link.is_symlink():
                link.unlink()
                link.symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    return str(root)


def load():
    tests = []
    for path in sorted((HERE / "suite").glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        tests += [(path.stem, name, value) for name, value in vars(module).items()
                  if name.startswith("test_") and callable(value)]
    return tests


def main():
    port = os.open("/dev/vport0p1", os.O_WRONLY)

    def tell(**message):
        os.write(port, json.dumps(message).encode() + b"\n")

    this_boot = int(COUNT.read_text()) + 1 if COUNT.exists() else 1
    COUNT.write_text(str(this_boot))
    os.sync()
    tell(boot=this_boot)
    tests = load()
    for suite, name, test in tests:
        if getattr(test, "boot", 1) != this_boot:
            continue
        tell(suite=suite, test=name)
        begin, outcome, words = time.monotonic(), "passed", ""
        try:
            test()
        except Skip as why:
            outcome, words = "skipped", str(why)
        except Exception as problem:
            traceback.print_exc()
            outcome, words = "failed", f"{type(problem).__name__}: {problem}"
        tell(suite=suite, test=name, outcome=outcome, words=words, seconds=round(time.monotonic() - begin, 1))
    later = [test for _, _, test in tests if getattr(test, "boot", 1) > this_boot]
    how = min(later, key=lambda test: test.boot).how if later else "end"
    tell(next=how)  # a loss of power is the host's to make
    if how == "reboot":
        subprocess.run(["systemctl", "reboot"])


if __name__ == "__main__":
    sys.modules["guest"] = sys.modules["__main__"]
    main()
