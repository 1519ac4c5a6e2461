"""YAML and JSON: plain values alone, of bounded size and depth, before any of them is built."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from blurgen.untrusted.bounds import RefusedError

MOST_CHARACTERS = 1 << 17
_MOST_NODES = 20_000
_DEEPEST = 64
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but for numbers such as 1e-3, which it takes for text; no name twice, no endless nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        self._nodes += 1
        _check(self._depth, self._nodes)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        mapping = super().construct_mapping(node, deep)  # which refuses names that cannot be
        known = set()
        for name in names:
            if name in known:
                raise yaml.constructor.ConstructorError(None, None, f"'{name}' stands twice", node.start_mark)
            known.add(name)
        return mapping


NUMBER = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")  # what YAML 1.1 takes for text
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def parse_yaml(text: str) -> Any:
    """The plain values that a YAML (or JSON) text says.

    Raises
    ------
    yaml.YAMLError
        If it is malformed, or names types of Python's.
    RefusedError
        If it is longer than 131,072 characters, or holds more than 20,000 values or 64 levels, those that
        aliases repeat counted each time.
    ValueError
        If a number or date cannot be.
    """
    _check_length(text)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _Measured().of(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def parse_json(text: str) -> Any:
    """The plain values that a JSON text says.

    Raises
    ------
    json.JSONDecodeError
        If it is malformed.
    RefusedError
        If it is larger or deeper than `parse_yaml` allows.
    """
    _check_length(text)
    _check_brackets(text)
    value = json.loads(text)
    level, nodes, depth = [value], 0, 0
    while level:
        depth, nodes = depth + 1, nodes + len(level)
        _check(depth, nodes)
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return value


class _Measured:
    """Counts nodes, and the characters of their text, as if each alias were written out."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int, int]] = {}
        self._open: set[int] = set()

    def of(self, node: Any, above: int = 0) -> tuple[int, int, int]:
        """How many nodes, levels and characters a node stands for that lies below so many others."""
        _check(above + 1, 0)
        place = id(node)
        if place in self._known:
            return self._known[place]
        if place in self._open:
            raise RefusedError("it holds itself")
        self._open.add(place)
        nodes, depth, characters = 1, 0, 0
        if isinstance(node, yaml.ScalarNode):
            characters = len(node.value)
        else:
            pairs = isinstance(node, yaml.MappingNode)
            for child in (each for pair in node.value for each in pair) if pairs else node.value:
                size = self.of(child, above + 1)
                nodes, depth, characters = nodes + size[0], max(depth, size[1]), characters + size[2]
        depth += 1
        _check(depth, nodes)
        if characters > MOST_CHARACTERS:
            raise RefusedError(f"its aliases stand for more than {MOST_CHARACTERS} characters")
        self._open.discard(place)
        self._known[place] = nodes, depth, characters
        return self._known[place]


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise RefusedError(f"it is longer than {MOST_CHARACTERS} characters")


def _check_brackets(text: str) -> None:
    """See that a JSON text does not nest deeper than a parser that calls itself stands."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        _check(depth, 0)


def _check(depth: int, nodes: int) -> None:
    if depth > _DEEPEST:
        raise RefusedError(f"it nests more than {_DEEPEST} levels deep")
    if nodes > _MOST_NODES:
        raise RefusedError(f"it holds more than {_MOST_NODES} values")
