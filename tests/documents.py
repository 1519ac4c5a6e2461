"""What tests read in Markdown and docstrings: blocks of code, the marks above them, commands.

A mark is an HTML comment on the line above a block:

- ``<!-- not run: REASON -->``: the block is skipped;
- ``<!-- needs MODULE -->``: the block runs where that module is installed;
- ``<!-- run -->`` or ``<!-- run with 6000=60 -->``: the block's commands are run, with words replaced;
  others are only parsed.
"""

import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import typer.main

from blurgen import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/explanations/*.md"),
        *ROOT.glob("docs/project/*.md"),
        *ROOT.glob("docs/reference/*.md"),
        ROOT / "examples" / "README.md",
    )
)
_BLOCK = re.compile(r"^(?:<!-- ([^\n]*?) -->\n)?```([^\n]*)\n(.*?)^```$", re.M | re.S)
_HEADING = re.compile(r"^#+ (.+)$", re.M)


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    section: str
    line: int
    mark: str
    language: str
    code: str
    output: str | None  # what the page says that it prints: a plain block straight below

    def marked(self, word):
        """What follows `word` in the mark; None if it is another mark."""
        return self.mark.removeprefix(word).lstrip(": ") if re.match(rf"{word}\b", self.mark) else None


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """The blocks of a page, in their order."""
    whole = text(page)
    found = list(_BLOCK.finditer(whole))
    made = []
    for number, each in enumerate(found):
        before = _HEADING.findall(re.sub(_BLOCK, "", whole[: each.start()]))
        following = found[number + 1] if number + 1 < len(found) else None
        told = (
            following
            and not following[1]
            and not following[2]
            and not whole[each.end() : following.start()].strip()
        )
        made.append(
            Block(
                before[-1] if before else "",
                whole.count("\n", 0, each.start()) + 1,
                each[1] or "",
                each[2],
                each[3],
                following[3] if told else None,
            )
        )
    return made


def shell_words(line):
    """A line of a shell as words, without its comment; a # within a word is none."""
    return shlex.split(re.sub(r"\s# .*", "", line))


def commands(text):
    """The commands of a text, each as a module with a `main` and its arguments."""
    for line in re.sub(r"\\\n *", "", text).splitlines():
        words = shell_words(line) if re.match(" *(blurgen|python|torchrun) ", line) else []
        words = words[: words.index(">")] if ">" in words else words
        if words[:1] == ["blurgen"]:
            yield cli, words[1:]
        elif "-m" in words and words[words.index("-m") + 1].startswith("trainers."):
            place = words.index("-m") + 1
            yield importlib.import_module(words[place]), words[place + 1 :]


def parsed(program, arguments):
    """The options that a command reads from its arguments."""
    command = typer.main.get_command(program.app)
    if program is cli:
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command.make_context(command.name, list(arguments)).params
