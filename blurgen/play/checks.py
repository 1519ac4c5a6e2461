"""What keeps a document from being a recipe, each complaint at the place that it concerns.

A recipe tells its first mistake. Here each stage is asked for itself, the innermost first, so that a form can
show the mistakes of all stages at once, beside their fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from blurgen.errors import RecipeError
from blurgen.play.outline import Branch, Path, StageNode
from blurgen.recipe import Recipe
from blurgen.stages import KINDS
from blurgen.stages.base import one_sentence, stage_from, stages_from


@dataclass(frozen=True)
class Problem:
    """A complaint.

    Attributes
    ----------
    path : tuple
        The place that it concerns: a field, a stage, a list of stages, or, empty, the recipe.
    text : str
        One sentence.
    """

    path: Path
    text: str


def problems_of(fields: Any, stages: Sequence[StageNode]) -> tuple[Problem, ...]:
    """All that is wrong with a recipe's plain dicts and lists, whose stages are given, too."""
    found = [problem for stage in stages for problem in _of_stage(stage, fields)]
    if found:
        return tuple(found)
    try:
        Recipe.from_dict(fields)
    except RecipeError as error:
        return (_located(_without_name(str(error), fields), stages),)
    return ()


def located(message: str, name: str, stages: Sequence[StageNode]) -> Problem:
    """The place that an error of a recipe concerns, from its sentence.

    Parameters
    ----------
    message : str
        Of an error that a recipe's work raised, ``recipe 'NAME', stage 2: …``.
    name : str
        The recipe's name.
    stages : sequence of StageNode
        The recipe's stages.
    """
    return _located(_without_name(message, {"name": name}), stages)


def _of_stage(stage: StageNode, fields: Any) -> Iterator[Problem]:
    inner = [problem for branch in stage.branches for problem in _of_branch(branch, fields)]
    yield from inner
    if inner:
        return
    item = _at(fields, stage.path)
    if not stage.known:
        try:
            stage_from(item)
        except PydanticCustomError as error:
            yield Problem(stage.path, error.message().lstrip(": "))
        return
    body = item[stage.kind] if isinstance(item, dict) else None
    try:
        KINDS[stage.kind].from_body(body)
    except ValidationError as error:
        yield _of_body(stage, one_sentence(error, KINDS[stage.kind]), stage.values)


def _of_branch(branch: Branch, fields: Any) -> Iterator[Problem]:
    inner = [problem for stage in branch.stages for problem in _of_stage(stage, fields)]
    yield from inner
    if not inner and not branch.single:
        try:
            stages_from(_at(fields, branch.path))
        except PydanticCustomError as error:
            yield Problem(branch.path, error.message())


def _of_body(stage: StageNode, text: str, values: Mapping[str, Any]) -> Problem:
    """The complaint of one stage, at its field where it begins with one: ``length: 0: 0 is outside …``."""
    name, colon, rest = text.partition(": ")
    if colon and (field := name.split(".")[0]) in KINDS[stage.kind].model_fields:
        # beside the field its value is seen
        return Problem((*stage.body, field), rest.removeprefix(f"{values.get(field)!r}: "))
    return _located(text, [inner for branch in stage.branches for inner in branch.stages], stage.path)


def _located(text: str, stages: Sequence[StageNode], around: Path = ()) -> Problem:
    """A complaint of a list of stages: at the stage that it names by number or kind, or around all."""
    if numbered := re.match(r"stage (\d+)(?: \(\w+\))?: (.*)", text, re.S):
        return Problem(stages[int(numbered[1])].path, numbered[2])
    if quoted := re.match(r"'(\w+)' ", text):
        every = [inner for stage in stages for inner in stage.walk()]
        found = next((stage for stage in every if stage.kind == quoted[1]), None)
        if found is not None:
            return Problem(found.path, text)
    name, colon, rest = text.partition(": ")
    if not around and colon and name in Recipe.model_fields:
        return Problem((name,), rest)
    return Problem(around, text)


def _without_name(message: str, fields: Any) -> str:
    """A recipe's complaint without the words that name the recipe."""
    name = str(fields.get("name", "")) if isinstance(fields, dict) else ""
    text = message.removeprefix("recipe").removeprefix(f" '{name}'" if name else "")
    return text.removeprefix(",").removeprefix(":").strip()


def _at(fields: Any, path: Path) -> Any:
    for part in path:
        fields = fields[part]
    return fields
