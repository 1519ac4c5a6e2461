"""The stages of a recipe that may not be one yet: what stands where, as a form needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blurgen.stages import KINDS

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Branch:
    """A list of stages inside a stage, or the one blur that some hold.

    Attributes
    ----------
    path : tuple
        Of the list, or of the blur.
    title : str
        What tells it from its neighbours; empty where there is one alone.
    option : tuple
        Of an option of `one_of` its place, where its weight stands, too; else empty.
    stages : tuple of StageNode
        What stands in it.
    """

    path: Path
    title: str
    stages: tuple[StageNode, ...]
    option: Path = ()

    @property
    def single(self) -> bool:
        """Whether it is one blur, not a list."""
        return self.path[-1] == "blur"


@dataclass(frozen=True)
class StageNode:
    """A stage as it stands in a recipe.

    Attributes
    ----------
    path : tuple
        Of the item of the list: keys and numbers from the root of the recipe.
    kind : str
        Its name.
    inside : tuple of str
        The kinds of the stages around it, the outermost first.
    values : dict
        Its fields, but for those that hold stages.
    branches : tuple of Branch
        The stages inside it.
    """

    path: Path
    kind: str
    inside: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()

    @property
    def body(self) -> Path:
        """The place of what stands behind its name."""
        return (*self.path, self.kind)

    @property
    def known(self) -> bool:
        """Whether there is such a stage."""
        return self.kind in KINDS

    def walk(self) -> Iterator[StageNode]:
        """The stage and all inside it."""
        yield self
        for branch in self.branches:
            for stage in branch.stages:
                yield from stage.walk()


def outline(fields: Any) -> tuple[StageNode, ...]:
    """The stages of a recipe's plain dicts and lists."""
    stages = fields.get("stages") if isinstance(fields, dict) else None
    return _stages(stages, ("stages",), ())


def shape(stages: Sequence[StageNode]) -> tuple[Any, ...]:
    """What a form's layout depends on: equal for recipes that differ in numbers alone."""
    return tuple(
        (
            stage.kind,
            tuple((name, _form(value)) for name, value in stage.values.items()),
            tuple((branch.path, branch.option, shape(branch.stages)) for branch in stage.branches),
        )
        for stage in stages
    )


def _form(value: Any) -> Any:
    """A number's and a text's type, a list's length, a mapping's keys."""
    if isinstance(value, dict):
        return tuple((key, _form(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_form(inner) for inner in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def _stages(items: Any, path: Path, inside: tuple[str, ...]) -> tuple[StageNode, ...]:
    if not isinstance(items, list):
        return ()
    return tuple(_stage(item, (*path, place), inside) for place, item in enumerate(items))


def _stage(item: Any, path: Path, inside: tuple[str, ...]) -> StageNode:
    if isinstance(item, dict) and len(item) == 1:
        ((kind, body),) = item.items()
    else:
        kind, body = item if isinstance(item, str) else "", None
    kind = str(kind)
    branches = tuple(_branches(kind, body, (*path, kind), (*inside, kind)))
    values = body if isinstance(body, dict) else {}
    held = {part for branch in branches for part in branch.path[len(path) + 1 : len(path) + 2]}
    return StageNode(path, kind, inside, {n: value for n, value in values.items() if n not in held}, branches)


def _branches(kind: str, body: Any, path: Path, inside: tuple[str, ...]) -> Iterator[Branch]:
    """The lists of stages that a body holds: as itself, in its options, or by name."""
    if kind == "one_of" and isinstance(body, list):
        for place, option in enumerate(body):
            stages = option.get("stages") if isinstance(option, dict) else None
            own = (*path, place)
            yield Branch((*own, "stages"), f"option {place}", _stages(stages, (*own, "stages"), inside), own)
    elif kind == "shuffled" and isinstance(body, list):
        yield Branch(path, "", _stages(body, path, inside))
    elif isinstance(body, dict):
        if isinstance(body.get("stages"), list):
            yield Branch((*path, "stages"), "", _stages(body["stages"], (*path, "stages"), inside))
        if "blur" in body:
            yield Branch((*path, "blur"), "", (_stage(body["blur"], (*path, "blur"), inside),))
