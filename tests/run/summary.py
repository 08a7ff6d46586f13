#!/usr/bin/env python3
"""Adds up what the test sections left behind.

  summary.py record DIRECTORY STATUS SECONDS   a section has ended: if it failed and no test of it says so, that is a failed test
  summary.py print RESULTS                     every failed and skipped test, a line per section, and the sum as the last line

RESULTS holds a directory per section with JUnit files in it: those of GoogleTest and pytest count test by test. ctest.xml counts
binary by binary, and only for what the binaries' own files do not say: a crash, a time-out, a test that is no GoogleTest.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


LINES_OF_A_FAILURE = 20


def said(element):
    """Why, by line."""
    words = element.get("message") or element.text or ""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    # GoogleTest puts file and line first.
    told = [number for number, line in enumerate(lines) if not line.rsplit(":", 1)[-1].isdigit()]
    return lines[told[0] if told else 0:] or ["no reason given"]


def cases(path):
    """(name, outcome, why by line) of every test in a JUnit file."""
    for case in xml.parse(path).getroot().iter("testcase"):
        outcome, words = PASSED, [""]
        for kind, tags in ((SKIPPED, ("skipped",)), (FAILED, ("failure", "error"))):
            for element in case:
                if element.tag in tags:
                    outcome, words = kind, said(element)
        if case.get("status") == "notrun" and outcome == PASSED:  # a disabled test
            outcome, words = SKIPPED, ["disabled"]
        if outcome == SKIPPED and case.get("result") == "suppressed":
            words = ["disabled"]
        name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
        yield name, outcome, words


def section(directory):
    """Every test of a section."""
    found = []
    binaries = {}
    for path in sorted(directory.glob("*.xml")):
        if path.name == "ctest.xml":
            continue
        try:
            of_file = list(cases(path))
        except xml.ParseError as error:
            of_file = [(path.name, FAILED, [f"does not read back: {error}"])]
        binaries[path.stem] = any(outcome == FAILED for _, outcome, _ in of_file)
        found += [(f"{path.stem}: {name}" if path.stem != "pytest" else name, outcome, words) for name, outcome, words in of_file]
    ctest = directory / "ctest.xml"
    if ctest.exists():
        for name, outcome, words in cases(ctest):
            binary = name.split(".")[-1]
            if binary not in binaries or (outcome == FAILED and not binaries[binary]):
                found.append((binary, outcome, words))
    return found


def record(directory, status, seconds):
    directory = pathlib.Path(directory)
    (directory / "seconds").write_text(seconds + "\n")
    tests = section(directory)
    if tests and (int(status) == 0 or any(outcome == FAILED for _, outcome, _ in tests)):
        return 0
    suite = xml.Element("testsuite", name=directory.name)
    case = xml.SubElement(suite, "testcase", name=directory.name, time=seconds)
    if int(status) != 0:
        xml.SubElement(case, "failure", message=f"exit status {status}; see above")
    xml.ElementTree(suite).write(directory / "section.xml")
    return 0


def show(results):
    total = {PASSED: 0, FAILED: 0, SKIPPED: 0}
    lines = []
    # In the order in which they ended.
    for directory in sorted(pathlib.Path(results).iterdir(), key=lambda path: path.stat().st_mtime):
        count = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        for name, outcome, words in section(directory):
            count[outcome] += 1
            total[outcome] += 1
            if outcome != PASSED:
                first, *further = words
                print(f"{outcome.upper():8}{directory.name}: {name}: {first}")
                if outcome == FAILED:
                    print("".join(f"        {line}\n" for line in further[:LINES_OF_A_FAILURE]), end="")
        seconds = directory / "seconds"
        lines.append(f"{directory.name:10}{seconds.read_text().strip() if seconds.exists() else '?':>6} s"
                     f"{count[PASSED]:6} passed{count[FAILED]:4} failed{count[SKIPPED]:4} skipped")
    print("\n".join(lines))
    print(", ".join(f"{total[outcome]} {outcome}" for outcome in (PASSED, FAILED, SKIPPED)))
    return 1 if total[FAILED] or not total[PASSED] else 0


if __name__ == "__main__":
    sys.exit({"record": record, "print": show}[sys.argv[1]](*sys.argv[2:]))
