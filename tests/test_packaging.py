"""What pyproject.toml, the constraints and the changelog say of each other."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement):
    return normal(re.match(r"[\w.-]+", requirement)[0])


def test_versions_without_tags():
    fallback = PROJECT["tool"]["hatch"]["version"]["fallback-version"]
    assert f'_version = "{fallback}"' in (ROOT / "blurgen/_version.py").read_text(encoding="utf-8")
    version, state = re.search(
        r"^## (\S+) – (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    ).groups()
    assert state != "unreleased" or fallback == f"{version}.dev0"


def test_oldest_versions_are_those_promised():
    promised = {named(each): each.partition(">=")[2] for each in PROJECT["project"]["dependencies"]}
    tried = {
        normal(name): re.sub(r"(\.0)+$", "", version)
        for name, version in pins("constraints-oldest.txt").items()
    }
    assert tried.items() >= {n: re.sub(r"(\.0)+$", "", version) for n, version in promised.items()}.items()


@pytest.mark.parametrize("extra", ["", *PROJECT["project"]["optional-dependencies"]])
def test_everything_asked_for_is_pinned(extra):
    project = PROJECT["project"]
    asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
    known = {normal(name) for name in pins("constraints.txt")}
    assert {named(each) for each in asked} - {"blurgen"} <= known
