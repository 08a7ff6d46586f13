"""What the documents say is so: links lead somewhere, commands and files exist, TOML in them parses."""
import os
import pathlib
import re
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
NUCLEUS = os.environ.get("NUCLEUS_BIN") or str(TREE / "build/release/bin/nucleus")
DOCUMENTS = sorted([*TREE.glob("*.md"), *TREE.glob("docs/**/*.md"), *TREE.glob("examples/**/*.md"), *TREE.glob("tests/**/*.md")])
tomllib = pytest.importorskip("tomllib", reason="python3 before 3.11 has no TOML parser")


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_toml_parses(path):
    for block in blocks(path, "toml"):
        tomllib.loads(block)


def test_the_readmes_topology_validates(tmp_path):
    block = blocks(TREE / "README.md", "toml")[0]
    (tmp_path / "readme.toml").write_text(block)
    subprocess.run([NUCLEUS, "validate", "-f", tmp_path / "readme.toml"], check=True)


def test_the_tables_of_the_file_format_are_those_of_the_parser():
    """When they are not: put what `nucleus manual file-format` prints in the place of the last section."""
    tables = subprocess.run([NUCLEUS, "manual", "file-format"], stdout=subprocess.PIPE, text=True, check=True).stdout
    text = (TREE / "docs/file-format.md").read_text()
    assert text[text.index("## All keys\n"):] == tables


def test_the_lists_are_those_of_the_code():
    """When they are not: put what `nucleus manual lists` prints in the place of the last section."""
    lists = subprocess.run([NUCLEUS, "manual", "lists"], stdout=subprocess.PIPE, text=True, check=True).stdout
    text = (TREE / "docs/policies.md").read_text()
    assert text[text.index("## The lists\n"):] == lists


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_links_lead_to_headings(path):
    """As GitHub names them: lower case, spaces to dashes, the rest of the punctuation away."""
    def anchors(target):
        heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", target.read_text(), flags=re.M | re.S), re.M)
        return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", text):
        assert anchor in anchors(path.parent / target if target else path), f"{target}#{anchor}"


def test_the_topologies_of_the_file_format_validate(tmp_path):
    for number, block in enumerate(blocks(TREE / "docs/file-format.md", "toml")):
        if "[[services.worker" in block:  # a part of a file
            continue
        root = tmp_path / "rootfs"
        root.mkdir(exist_ok=True)
        file = tmp_path / f"{number}.toml"
        file.write_text(re.sub(r'rootfs = ".*"', f'rootfs = "{root}"', block))
        subprocess.run([NUCLEUS, "validate", "-f", file], check=True)


def test_commands_of_the_documents_exist():
    known = subprocess.run([NUCLEUS, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for path in DOCUMENTS:
        for block in [*blocks(path, "sh"), *blocks(path, "console")]:
            for command in re.findall(r"^(?:\$ |# )?(?:sudo )?nucleus ([a-z][a-z-]*)", block, re.M):
                assert re.search(rf"\b{command}\b", known), f"{path.name}: nucleus {command}"
            for command in re.findall(r"^(?:\$ |# )?(?:sudo )?\./dev ([a-z]+)", block, re.M):
                assert f"\n  {command}" in subprocess.run([TREE / "dev", "help"], stdout=subprocess.PIPE, text=True).stdout, command
