"""What the docstrings of stages say, taken apart: for the gallery's pages, and for forms."""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

from blurgen.stages.base import Stage

_PARAMETERS = re.compile(r"^Parameters\n-+\n(.*?)(?=\n\n\S|\Z)", re.S | re.M)
_ENTRY = re.compile(r"^(\S[^\n]*?) : ([^\n]*)\n((?:[ ]+[^\n]*\n?)+)", re.M)


class Described(NamedTuple):
    """What a docstring says of a parameter.

    Attributes
    ----------
    takes : str
        Its type, in words.
    text : str
        What it is, on one line.
    """

    takes: str
    text: str


class Description(NamedTuple):
    """A stage's docstring.

    Attributes
    ----------
    paragraphs : list of str
        What it does, each on one line; the first is one sentence.
    parameters : dict
        Name → what is said of it, in order.
    """

    paragraphs: list[str]
    parameters: dict[str, Described]


def description(stage: type[Stage]) -> Description:
    """Take the docstring of a stage apart."""
    doc = inspect.getdoc(stage) or ""
    section = _PARAMETERS.search(doc)
    parameters = {
        name.strip(): Described(entry[2].strip(), " ".join(entry[3].split()))
        for entry in _ENTRY.finditer(section[1] if section else "")
        for name in entry[1].split(",")
    }
    text = doc.replace(section[0], "") if section else doc
    return Description([" ".join(part.split()) for part in text.split("\n\n") if part.strip()], parameters)
