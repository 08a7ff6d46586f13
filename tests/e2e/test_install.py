"""`cmake --install`: what lies there is whole, and works from there."""
import subprocess
import xml.etree.ElementTree as xml

import pytest
from test_single import SLEEPER
from world import NUCLEUS, TREE

BUILD = TREE / "build/release"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    if not NUCLEUS.startswith(str(BUILD)):
        pytest.skip("the nucleus under test is not the one of build/release")
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
    return prefix


def test_the_installed_program_finds_its_supervisor(world, prefix):
    world.run("chmod", "755", prefix)
    path = world.write(SLEEPER)
    world.run(prefix / "bin/nucleus", "apply", "-f", path)
    assert world.pid("a") > 0  # there is none beside it
    world.run(prefix / "bin/nucleus", "destroy", world.project)
    world.nothing_left()
    (prefix / "libexec/nucleus/nucleus-supervisor").rename(prefix / "elsewhere")
    refused = world.run(prefix / "bin/nucleus", "apply", "-f", path, status=1)
    assert "nucleus-supervisor" in refused.stderr, refused.stderr
    (prefix / "elsewhere").rename(prefix / "libexec/nucleus/nucleus-supervisor")


def test_the_installed_program_finds_its_firewall(world, prefix):
    world.run("chmod", "755", prefix)
    path = world.write("""
name = "PROJECT"
[networks.inner]
""" + SLEEPER.replace('name = "PROJECT"', "") + 'networks = ["inner"]\n')
    helper = prefix / "libexec/nucleus/nucleus-nft"
    helper.rename(prefix / "elsewhere")
    refused = world.run(prefix / "bin/nucleus", "apply", "-f", path, status=1)
    (prefix / "elsewhere").rename(helper)
    assert "nucleus-nft" in refused.stderr, refused.stderr
    world.run(prefix / "bin/nucleus", "apply", "-f", path)
    world.run(prefix / "bin/nucleus", "destroy", world.project)
    world.nothing_left()


def test_manual_and_completions_are_what_the_program_says(prefix):
    said = lambda *words: subprocess.run([prefix / "bin/nucleus", *words], check=True, stdout=subprocess.PIPE, text=True).stdout
    for file, words in {"man/man1/nucleus.1": ("manual", "man"),
                        "bash-completion/completions/nucleus": ("completion", "bash"),
                        "zsh/site-functions/_nucleus": ("completion", "zsh"),
                        "fish/vendor_completions.d/nucleus.fish": ("completion", "fish")}.items():
        assert (prefix / "share" / file).read_text() == said(*words), file


def test_the_unit_names_the_program_that_is_installed():
    text = (BUILD / "units/nucleus-topology@.service").read_text()
    containers = (BUILD / "units/nucleus-containers.service").read_text()
    assert all(line + "\n" in containers for line in ("ExecStart=/usr/local/bin/nucleus __revive", "KillMode=process", "RemainAfterExit=yes"))
    assert "@" not in text.replace("nucleus-topology@", "") and "ExecStart=/usr/local/bin/nucleus apply -f /etc/nucleus/%i.toml\n" in text
    watch = (BUILD / "units/nucleus-watch@.service").read_text()
    assert "Type=notify\n" in watch and "ExecStart=/usr/local/bin/nucleus apply --watch -f /etc/nucleus/%i.toml\n" in watch


def test_firewalld_finds_a_zone_and_a_policy_of_names_that_it_takes(prefix):
    zone, policy = (prefix / "lib/firewalld" / name for name in ("zones/nucleus.xml", "policies/nucleus-forward.xml"))
    assert xml.parse(zone).getroot().find("interface").get("name") == "nb+"
    assert xml.parse(policy).getroot().find("ingress-zone").get("name") == zone.stem != policy.stem and len(policy.stem) <= 18
