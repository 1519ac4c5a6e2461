"""The recipe that is being tuned: its text is the only state; a form is a view of it.

What a form changes is put into the text by ruamel.yaml, so that comments and the order of fields stay.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from blurgen.distributions import KINDS as DISTRIBUTIONS
from blurgen.distributions import tidy
from blurgen.errors import RecipeError
from blurgen.play.checks import Problem, problems_of
from blurgen.play.outline import Path, StageNode, outline
from blurgen.recipe import Recipe, read_yaml

_WIDTH = 110  # no narrower than recipes are written, so that lines stay as they are


@dataclass(frozen=True)
class Document:
    """The text of a recipe, and what it means.

    Parameters
    ----------
    text : str
        YAML or JSON, whole or in the middle of being typed.
    """

    text: str

    @cached_property
    def _read(self) -> tuple[Any, str]:
        try:
            return read_yaml(self.text), ""
        except RecipeError as error:
            return None, str(error).removeprefix("recipe is ")

    @property
    def readable(self) -> bool:
        """Whether it is YAML with a list of stages, so that a form can show it."""
        fields, _ = self._read
        return isinstance(fields, dict) and isinstance(fields.get("stages"), list)

    @property
    def fields(self) -> dict[str, Any]:
        """The plain dicts, lists and numbers; empty where it is not readable."""
        return self._read[0] if self.readable else {}

    @property
    def name(self) -> str:
        """The recipe's name; empty where it has none."""
        name = self.fields.get("name", "")
        return name if isinstance(name, str) else ""

    @cached_property
    def stages(self) -> tuple[StageNode, ...]:
        """The stages, with those inside them; none where it is not readable."""
        return outline(self.fields)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What keeps it from being a recipe, each with the place that it concerns."""
        fields, complaint = self._read
        return (Problem((), complaint),) if complaint else problems_of(fields, self.stages)

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe; None while there are problems."""
        return None if self.problems else Recipe.from_dict(self._read[0])

    def get(self, path: Path) -> Any:
        """What stands at a place; None where nothing does."""
        value: Any = self.fields
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def put(self, values: Mapping[Path, Any]) -> Document:
        """The document with values at places."""

        def change(root: Any) -> None:
            for path, value in values.items():
                _holder(root, path)[path[-1]] = _styled(value)

        return self._changed(change)

    def remove(self, path: Path) -> Document:
        """The document without what stands at a place."""

        def change(root: Any) -> None:
            del _holder(root, path)[path[-1]]

        return self._changed(change)

    def insert(self, path: Path, value: Any) -> Document:
        """The document with a value in a list, before what stands at the place."""

        def change(root: Any) -> None:
            items = _holder(root, path)
            if not items:
                items.fa.set_block_style()  # an empty list was written as []
            items.insert(int(path[-1]), _styled(value))

        return self._changed(change)

    def move(self, path: Path, by: int) -> Document:
        """The document with an item of a list so many places further down, or up where `by` is negative."""

        def change(root: Any) -> None:
            items, place = _holder(root, path), int(path[-1])
            item = items.pop(place)
            items.insert(min(max(0, place + by), len(items)), item)

        return self._changed(change)

    def _changed(self, change: Callable[[Any], None]) -> Document:
        tool = YAML()
        tool.width = _WIDTH
        tool.preserve_quotes = True
        tool.brace_single_entry_mapping_in_flow_sequence = True
        offset = _offset(self.text)
        tool.indent(sequence=2 + offset, offset=offset)
        root = tool.load(self.text)
        change(root)
        out = io.StringIO()
        tool.dump(root, out)
        return Document(out.getvalue())


def _offset(text: str) -> int:
    """How far the first list that is written line by line is indented."""
    found = re.search(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", text, re.M)
    return max(0, len(found[2]) - len(found[1])) if found else 0


def _holder(root: Any, path: Path) -> Any:
    """What holds a place. On the way, a stage that is only named gets a body."""
    here = root
    for part, following in pairwise(path):
        inner = here[part]
        if inner is None or (isinstance(inner, str) and inner == following):
            inner = CommentedMap() if inner is None else CommentedMap({inner: CommentedMap()})
            here[part] = inner
        here = inner
    return here


def _styled(value: Any) -> Any:
    """Plain dicts and lists as they are written in recipes: distributions and plain lists on one line."""
    if isinstance(value, dict):
        mapping = CommentedMap({name: _styled(inner) for name, inner in value.items()})
        if set(value) & set(DISTRIBUTIONS) and not any(isinstance(v, dict) for v in value.values()):
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list | tuple):
        items = CommentedSeq(map(_styled, value))
        if not any(isinstance(item, dict) for item in value):
            items.fa.set_flow_style()
        return items
    if isinstance(value, str) and read_yaml(value) != value:
        return SingleQuotedScalarString(value)  # 4:2:0 would be a number
    return tidy(value)
