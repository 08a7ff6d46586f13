#!/usr/bin/env python3
"""Each folder includes only what its CMake target may link (docs/architecture.md), heavy headers stay out of headers, and no source
outgrows one idea. Prints every breach as file:line and exits 1 if there is one."""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
ROOTS = ("spec", "dag", "state", "reconcile", "attest", "context", "policy", "actuators", "cli", "tests", "bench")
MOST_LINES = 500

ACTUATOR = ("spec/", "state/parts/", "actuators/sys/", "attest/", "context/")
# The first pattern that a file matches says what it may include, besides its own folder unless that is narrowed here.
RULES = [
    (r"dag/", ("dag/",)),
    (r"spec/core/", ("spec/core/",)),
    (r"spec/", ("spec/", "dag/")),
    (r"state/parts/", ("state/parts/", "spec/")),
    (r"state/", ("state/", "spec/")),
    (r"attest/", ("attest/", "actuators/sys/", "spec/core/")),
    (r"context/", ("context/", "attest/", "actuators/sys/", "spec/core/")),
    (r"policy/", ("policy/", "spec/", "state/parts/", "actuators/sys/", "actuators/security/")),
    (r"actuators/sys/", ("actuators/sys/", "spec/core/")),
    (r"actuators/supervisor/", ("actuators/supervisor/", "actuators/process/", *ACTUATOR)),
    (r"actuators/keeper/", ("actuators/keeper/", "actuators/netns/", "actuators/process/", *ACTUATOR)),
    (r"actuators/(\w+)/", (r"actuators/\1/", *ACTUATOR)),
    # Narrower for the planner's files: see planner_files().
    (r"reconcile/", ("reconcile/", "state/", "spec/", "dag/")),
    (r"(cli|tests|bench)/", tuple(root + "/" for root in ROOTS)),
]
PLANNER = ("reconcile/", "state/parts/", "spec/", "dag/")
PLANNER_HEADERS = {"reconcile/plan", "reconcile/planner", "reconcile/parallel"}  # values and an interface, whoever implements them
HEAVY = re.compile(r"^(toml\+\+/|nlohmann/json\.hpp|CLI/|spdlog/|fmt/|sqlite3\.h|iostream|regex)")
SUPERVISOR_NEVER = re.compile(r"^(toml\+\+/|nlohmann/|CLI/|spdlog/|sqlite3|iostream|fstream|sstream|regex)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def planner_files():
    """The stems of the files in the planner's target: those beside them may know the store and the actuators' interface."""
    text = (TREE / "reconcile/CMakeLists.txt").read_text()
    sources = re.search(r"nucleus_library\(planner\s+SOURCES\s+(.*?)\s+LINKS", text, re.S)[1]
    return {"reconcile/" + pathlib.Path(name).stem for name in sources.split()}


def allowed(path, planner):
    if path.rsplit(".", 1)[0] in planner:
        return PLANNER
    for pattern, prefixes in RULES:
        if match := re.match(pattern, path):
            return [match.expand(prefix) if "\\" in prefix else prefix for prefix in prefixes]
    return []


def breaches(path, text, planner):
    prefixes = allowed(path, planner)
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        yield len(lines), f"{len(lines)} lines, more than {MOST_LINES}: look for the second idea"
    for number, line in enumerate(lines, 1):
        if not (match := INCLUDE.match(line)):
            continue
        quoted, name = match[1] == '"', match[2]
        if quoted and name.split("/")[0] in ROOTS and not any(name.startswith(prefix) for prefix in prefixes):
            yield number, f"{name} is not to be included here"
        if quoted and name.split("/")[0] in ROOTS and not any((TREE / (name + suffix)).exists() for suffix in ("", ".in")):
            yield number, f"{name} is not there"
        if quoted and path.rsplit(".", 1)[0] in planner and name.startswith("reconcile/") and name.endswith(".hpp") \
                and name[:-4] not in planner | PLANNER_HEADERS:
            yield number, f"the planner does not know {name}"
        if path.endswith(".hpp") and HEAVY.match(name):
            yield number, f"{name} in a header makes every file that includes it slow to compile"
        if re.match(r"actuators/(supervisor)/(?!.*_test)", path) and SUPERVISOR_NEVER.match(name):
            yield number, f"the supervisor does without {name}"


def main():
    found, planner = 0, planner_files()
    for root in ROOTS:
        for path in sorted((TREE / root).rglob("*.[ch]pp")):
            name = str(path.relative_to(TREE))
            for line, words in breaches(name, path.read_text(), planner):
                print(f"{name}:{line}: {words}")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
