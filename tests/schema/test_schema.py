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


# Files that the parser takes, so the schema must.
VALID = [
    'pids = "${PIDS:-5}"', 'protect = "${YES:-true}"', 'restart = "${RESTART:-no}"', "memory = 1073741824", 'memory = "1.5GiB"',
    'stop_timeout = "1m30s"', "stop_timeout = 1.5", "cpus = 0.5", 'cpus = "2"', 'env = ["A=1"]', "environment = { A = 1, B = true }",
    "labels = { team = 1 }", "user = 70", 'user = "70:audio"', 'additional_groups = [5, "audio"]', 'stop_signal = "RTMIN+3"', "stop_signal = 15",
    'io_limits = [{ device = "8:0", read_bps = "1M", write_iops = 5 }]', 'io_limit = ["8:0 rbps=1M"]', 'volumes = ["v:/a:ro,noexec"]',
    'tmpfs = ["/run:64M", "/b"]', 'health_cmd = "true"', 'health_check = ["true"]', 'health_check = { tcp = 80 }',
    'health_check = { http = 80, path = "/x" }', 'networks = ["n"]\nport_forwards = ["1-2:3-4/udp", "127.0.0.1:80:80"]', 'name = "a"',
    'depends_on = ["b", { service = "j", condition = "completed", restart = true }]', 'dns = ["10.0.0.1"]', 'network = "none"',
    'runtime = "native"', "detach = true", "tty = true", "secrets = []", 'type = "job"', 'swap = "0"', 'nat_backend = "auto"']

# Wrong by themselves, so both say so.
INVALID = [
    "memroy = 1", 'pids = "many"', "pids = 0", "protect = 1", 'restart = "sometimes"', "memory = -1", 'memory = "1Q"', 'stop_timeout = "5x"',
    "cpus = 0", "environment = { A = 1.5 }", "user = -1", 'io_limits = [{ devise = "8:0" }]', 'volumes = ["v"]', 'volumes = ["v:/a:rx"]',
    'tmpfs = ["run"]', "health_check = 7", "health_check = { udp = 80 }", 'networks = ["n"]\nport_forwards = ["80"]',
    'depends_on = [{ service = "b", condition = "well" }]', 'dns = ["localhost"]', 'runtime = "docker"', 'command = "x"', "command = []",
    'egress_allow = ["everywhere"]', "egress_tcp_ports = [0]", 'egress_domains = [""]', 'workdir = "x"', 'seccomp_profile_sha256 = "12"', "tty = 1"]


def topology(keys):
    command = "" if "command" in keys else 'command = ["x"]\n'
    return (f'name = "s"\n[networks.n]\n[volumes.v]\npath = "/srv/v"\n[services.a]\nservice_mode = "agent"\n{command}{keys}\n'
            '[services.b]\nservice_mode = "agent"\ncommand = ["x"]\n'
            '[services.j]\nservice_mode = "agent"\ntype = "job"\ncommand = ["x"]\n')


def parser_takes(text, tmp_path):
    (tmp_path / "s.toml").write_text(text)
    return subprocess.run([NUCLEUS, "validate", "-f", tmp_path / "s.toml"], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("keys", VALID)
def test_parser_and_schema_take(validator, tmp_path, keys):
    assert parser_takes(topology(keys), tmp_path)
    validator.validate(tomllib.loads(topology(keys)))


@pytest.mark.parametrize("keys", INVALID)
def test_parser_and_schema_refuse(validator, tmp_path, keys):
    assert not parser_takes(topology(keys), tmp_path)
    assert list(validator.iter_errors(tomllib.loads(topology(keys))))


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
