"""Networks of one's own at the command line: ``--import`` of every command."""

import sys

import numpy as np
import pytest
from PIL import Image

from trainers import compare, deblur, evaluate, export, fit
from trainers.checkpoint import load_network
from trainers.errors import TrainerError
from trainers.models import MODELS, Network, register

COMMANDS = (fit, evaluate, deblur, compare, export)

# a dataclass looks its module up by name
MINE = """
from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from trainers.models import Network, register


@dataclass
class Sizes:
    kernel: int = 3


@register("{name}")
class Mine(Network):
    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.body = nn.Conv2d(channels, channels, Sizes().kernel, padding=1)

    def forward(self, images):
        return images + self.body(images)
"""


def forget(before):
    """As in a new process."""
    MODELS.clear()
    MODELS.update(before)
    for name in [name for name in sys.modules if name.startswith(("imported_", "ownnets"))]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def _unchanged():
    before = dict(MODELS)
    yield
    forget(before)


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE.format(name="mine"))
    return path


def test_every_command_finds_a_network_of_ones_own(tmp_path, digits, mine, capsys):
    known = dict(MODELS)
    run, exported = tmp_path / "run", tmp_path / "mine.pt2"
    Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(tmp_path / "a.png")
    short = ["--steps", "2", "--batch-size", "8", "--device", "cpu", "--threads", "1"]
    to_compare = [str(digits), "--models", "mine", "--out", str(tmp_path / "c"), "--steps", "2", "-q"]
    lines = [
        (fit, [str(digits), "--model", "mine", "--run", str(run), *short]),
        (fit, ["--run", str(run), "--resume", "--steps", "3"]),
        (evaluate, [str(run), str(digits), "--classical", "0", "--device", "cpu"]),
        (deblur, [str(run), str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--device", "cpu"]),
        (compare, [*to_compare, "--device", "cpu"]),
        (export, [str(run), "--out", str(exported)]),
    ]
    for command, line in lines:
        name = command.__name__.rpartition(".")[2]
        assert command.main(line) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"{name}: there is no network 'mine'; there are autoencoder, ")
        assert said.endswith("; for one of your own, name the file that registers it (--import)\n")
        assert command.main([*line, "--import", str(mine)]) == 0, capsys.readouterr().err
        assert MODELS["mine"].kind == "mine"
        if command is not export:
            capsys.readouterr()
        forget(known)
    assert "mine as torch.export" in capsys.readouterr().out
    assert exported.is_file()
    assert (tmp_path / "c" / "table.md").is_file()
    assert (tmp_path / "b.png").is_file()
    with pytest.raises(TrainerError, match="there is no network 'mine'"):
        load_network(run)


def test_modules_are_found_by_name_and_the_option_may_be_repeated(tmp_path, digits, mine, monkeypatch):
    package = tmp_path / "ownnets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text(MINE.format(name="deep"))
    monkeypatch.syspath_prepend(tmp_path)
    line = [str(digits), "--run", str(tmp_path / "run"), "--dry-run", "-q"]
    both = ["--import", "ownnets.deep", "--import", str(mine)]
    assert fit.main([*line, *both, "--model", "deep"]) == 0
    assert fit.main([*line, *both, "--model", "mine"]) == 0  # what is imported already stays
    assert MODELS["deep"].__module__ == "ownnets.deep"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_what_cannot_be_imported_is_said_in_one_sentence(tmp_path, monkeypatch, command, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "taken.py").write_text(MINE.format(name="nafnet"))
    (tmp_path / "syntax.py").write_text("a = 1\nb = = 2\n")
    (tmp_path / "raises.py").write_text("def half(x):\n    return x / 0\n\nhalf(1)\n")
    (tmp_path / "lacks.py").write_text("import os\nimport no_such_thing\n")
    (tmp_path / "ends.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "torchy.py").write_text("import torch\n\ntorch.zeros(2) + torch.zeros(3)\n")
    (tmp_path / "zero.py").write_bytes(b"a = 1\0\n")
    (tmp_path / "ownnets").mkdir()
    (tmp_path / "ownnets" / "__init__.py").write_text("")
    (tmp_path / "ownnets" / "bad.py").write_text("\nraise ValueError('so\\nit is')\n")
    (tmp_path / "text.txt").write_text("no Python")
    for named, message in {
        "none.py": "there is no such Python file",
        "./text.txt": "there is no such Python file",
        "ownnets/": "there is no such Python file",
        "ownnets.none": "there is no such module",
        "no_such_thing": "there is no such module",
        "text.txt": "there is no such module",
        "": "ValueError: Empty module name",
        "taken.py": f"there is a network 'nafnet' already: choose another name ({tmp_path / 'taken.py'}:16)",
        "syntax.py": f"SyntaxError: invalid syntax ({tmp_path / 'syntax.py'}:2)",
        "raises.py": f"ZeroDivisionError: division by zero ({tmp_path / 'raises.py'}:4)",
        "lacks.py": f"ModuleNotFoundError: No module named 'no_such_thing' ({tmp_path / 'lacks.py'}:2)",
        "lacks": f"ModuleNotFoundError: No module named 'no_such_thing' ({tmp_path / 'lacks.py'}:2)",
        "ends.py": f"SystemExit: 0 ({tmp_path / 'ends.py'}:1)",
        "ownnets.bad": f"ValueError: so it is ({tmp_path / 'ownnets' / 'bad.py'}:2)",
    }.items():
        assert command.main(["a", "b", "--import", named]) == 1
        said = capsys.readouterr()
        name = command.__name__.rpartition(".")[2]
        assert said.err == f"{name}: --import {named!r}: {message}\n"
        assert not said.out
    assert command.main(["a", "b", "--import", "torchy.py"]) == 1
    assert f"must match the size of tensor b (3) at non-singleton dimension 0 ({tmp_path}/torchy.py:3)" in (
        capsys.readouterr().err
    )
    assert command.main(["a", "b", "--import", "zero.py"]) == 1
    assert "null bytes" in capsys.readouterr().err


def test_a_file_that_failed_is_imported_anew(tmp_path, digits, mine):
    line = [
        str(digits),
        "--model",
        "mine",
        "--run",
        str(tmp_path / "r"),
        "--dry-run",
        "-q",
        "--import",
        str(mine),
    ]
    whole = mine.read_text()
    mine.write_text(f"{whole}\n1 / 0\n")
    assert fit.main(line) == 1
    mine.write_text(whole)
    assert fit.main(line) == 0


def test_ctrl_c_while_importing(tmp_path, capsys):
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt\n")
    assert deblur.main(["a", "b", "c", "--import", str(tmp_path / "slow.py")]) == 130
    assert capsys.readouterr().err == "deblur: interrupted\n"


def test_names_are_taken_once(tmp_path, mine, capsys):
    other = tmp_path / "other.py"
    other.write_text(MINE.format(name="mine"))
    assert export.main(["a", "--out", "b", "--import", str(mine), "--import", str(other)]) == 1
    assert f"'{other}': there is a network 'mine' already: choose another name" in capsys.readouterr().err


def test_a_definition_may_be_run_again():
    def define():
        @register("mine")
        class Mine(Network):
            pass

        return Mine

    first, last = define(), define()
    assert first is not last
    assert MODELS["mine"] is last
    with pytest.raises(TrainerError, match="there is a network 'mine' already"):

        @register("mine")
        class Other(Network):
            pass

    assert MODELS["mine"] is last
