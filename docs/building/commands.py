"""The page of the commands, made of what `--help` prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from blurgen.cli import app as blurgen_app
from trainers import compare, curves, deblur, evaluate, export, fit

TRAINERS = (fit, evaluate, curves, deblur, compare, export)
_HEAD = """\
# The command line

What `--help` prints, of every command. Exit codes are 0; 1 for an error, which is told in one sentence;
2 for wrong usage; 130 after Ctrl-C.
"""


def found() -> dict[str, Any]:
    """Every command by what one types to call it."""
    group = typer.main.get_command(blurgen_app)
    named = {f"blurgen {name}": command for name, command in group.commands.items()}  # type: ignore[attr-defined]
    for module in TRAINERS:
        named[f"python -m {module.__name__}"] = typer.main.get_command(module.app)
    return named


def write(path: Path) -> None:
    """Write the page, in Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(
        [_HEAD, *(part for name, command in found().items() for part in _section(name, command))]
    )
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # Sphinx reads again what changed
        path.write_text(text, encoding="utf-8")


def _section(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"## `{name}`\n"
    yield f"{_escaped(command.help or '')}\n"
    yield "```text\n" + " ".join([name, *command.collect_usage_pieces(context)]) + "\n```\n"
    if command.epilog:
        yield "```\n" + command.epilog.removeprefix("Example: ") + "\n```\n"
    for kind, title in (("argument", "argument"), ("option", "option")):
        rows = [
            each.get_help_record(context)
            for each in command.get_params(context)
            if each.param_type_name == kind
        ]
        rows = [row for row in rows if row]
        if rows:
            yield f"| {title} | |\n| --- | --- |"
            yield (
                "\n".join(f"| `{names}` | {_escaped(' '.join(text.split()))} |" for names, text in rows)
                + "\n"
            )


def _escaped(text: str) -> str:
    """Plain text as Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_|<>[]#" else letter for letter in text)
