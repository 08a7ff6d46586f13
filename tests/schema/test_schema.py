"""`nucleus schema` holds for every example, by a validator that is not ours, and catches what the parser catches."""
import json
import os
import pathlib
import subprocess
import sys

import jsonschema
import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
NUCLEUS = os.environ.get("NUCLEUS_BIN") or str(TREE / "build/release/bin/nucleus")
EXAMPLES = sorted(path for path in TREE.glob("examples/**/*.toml") if "rootfs" not in path.parts)
tomllib = pytest.importorskip("tomllib", reason="python3 before 3.11 has no TOML parser")


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(subprocess.run([NUCLEUS, "schema"], stdout=subprocess.PIPE, check=True).stdout)
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema)


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(TREE)))
def test_examples_are_valid(validator, path):
    validator.validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("text", [
    'name = 1', 'unknown = 1', '[services.a]\nmemroy = "1M"', '[services.a]\ncommand = 7', '[services.a]\ntype = "task"',
    '[networks.n]\nsubnet = 12', '[volumes.v]\nvolume_type = "eternal"', '[services.a]\nrestart = "sometimes"',
    '[services.a]\ndepends_on = [{ servce = "b" }]'])
def test_wrong_files_are_not(validator, text):
    document = {"name": "x", **tomllib.loads(text)}
    assert list(validator.iter_errors(document)), text


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
