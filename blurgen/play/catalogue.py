"""What a form for each stage shows: its fields, their units, what is allowed, how far sliders reach."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from blurgen import curves
from blurgen.distributions import Distribution, parse, tidy
from blurgen.stages import KINDS, Stage
from blurgen.stages.descriptions import description
from blurgen.stages.examples import example_bodies
from blurgen.units import unit_of

_FULL_CIRCLE = 360.0
_WIDE = 400.0  # a range that is allowed and no wider than this is shown whole
_BEYOND = 2.0  # so many times an example's greatest value a slider reaches
_FEW, _MANY = 10.0, 50.0  # how far a slider reaches where nothing tells, the second for whole numbers
_TICKS = 200  # places of a slider, about


class Control(Enum):
    """How a field is edited."""

    DISTRIBUTION = "distribution"
    NUMBER = "number"
    CHOICE = "choice"
    SWITCH = "switch"
    TEXT = "text"


@dataclass(frozen=True)
class Field:
    """A field of a stage.

    Attributes
    ----------
    name : str
        As it stands in a recipe.
    control : Control
        How it is edited.
    doc : str
        What it is, from the stage's docstring.
    unit : str
        Of its values; empty where it has none.
    low, high : float
        What is allowed.
    whole : bool
        Whether only whole numbers are.
    span : (float, float)
        From where to where a slider goes; numbers beyond can be typed.
    choices : tuple of str
        Of a choice.
    required : bool
        Whether it has no default.
    default : Any
        As it would stand in a recipe.
    """

    name: str
    control: Control
    doc: str
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    span: tuple[float, float] = (0.0, 1.0)
    choices: tuple[str, ...] = ()
    required: bool = False
    default: Any = None

    @property
    def step(self) -> float:
        """From one place of a slider to the next."""
        return slider_step(self.span, self.whole)


def slider_step(span: tuple[float, float], whole: bool = False) -> float:
    """1, 2 or 5 times a power of ten, so that a slider has some two hundred places; at least 1 if `whole`.

    Examples
    --------
    >>> slider_step((0, 50)), slider_step((0, 360)), slider_step((0, 8), whole=True)
    (0.5, 2.0, 1.0)
    """
    aim = (span[1] - span[0]) / _TICKS
    power = 10.0
    while power > aim and power > 1e-9:
        power /= 10
    step = next((round(m * power, 12) for m in (1, 2, 5, 10) if m * power >= aim), 10 * power)
    return max(1.0, step) if whole else step


@cache
def fields(kind: str) -> Mapping[str, Field]:
    """The fields of a kind of stage by name, but for those that hold stages; parameters come first.

    Parameters
    ----------
    kind : str
        One of the stages' names.
    """
    stage = KINDS[kind]
    docs = {name: _plain(described.text) for name, described in description(stage).parameters.items()}
    schema = stage.model_json_schema()
    found = [
        _field(stage, name, told, docs.get(name, ""), name in schema.get("required", ()))
        for name, told in schema.get("properties", {}).items()
        if not _holds_stages(told) and name != "options"
    ]
    found.sort(key=lambda field: field.control is not Control.DISTRIBUTION)
    return {field.name: field for field in found}


@cache
def summary(kind: str) -> str:
    """What a kind of stage does, in one sentence."""
    return _plain("".join(description(KINDS[kind]).paragraphs[:1]))


def body(kind: str) -> Any:
    """What stands behind a stage's name where it is put into a recipe: the gallery's example."""
    return example_bodies().get(kind, {"file": "psfs.npz", "which": 0})


def offered(inside: tuple[str, ...]) -> list[str]:
    """The kinds of stages that can be put into a list.

    Parameters
    ----------
    inside : tuple of str
        The kinds of the stages around the list, the outermost first.
    """
    if inside and inside[-1] in ("varying", "object_motion"):
        return []  # they hold one blur
    linear = "linear" in inside
    return sorted(
        kind
        for kind, stage in KINDS.items()
        if (kind != "resize" or "rescaled" in inside)
        and (not linear or stage.takes_floats or any(map(_holds_stages, _properties(stage))))
        and not (linear and kind in ("linear", "rescaled"))
    )


def item(kind: str, inside: tuple[str, ...]) -> dict[str, Any]:
    """A new stage for a list; one that works on linear light alone comes with `linear` around it."""
    stage = {kind: body(kind)}
    if KINDS[kind].only_floats and "linear" not in inside:
        return {"linear": {"curve": "srgb", "stages": [stage]}}
    return stage


def _properties(stage: type[Stage]) -> list[dict[str, Any]]:
    return list(stage.model_json_schema().get("properties", {}).values())


def _holds_stages(told: Mapping[str, Any]) -> bool:
    comment = "defined as Stage"
    items = told.get("items", {})
    return told.get("$comment") == comment or items.get("$comment") == comment or "Option" in str(items)


def _field(stage: type[Stage], name: str, told: Mapping[str, Any], doc: str, required: bool) -> Field:
    default = None if required else _written(stage.model_fields[name].get_default())
    called = unit_of(f"{stage.kind}.{name}")
    field = Field(name, Control.TEXT, doc, called, required=required, default=default)
    if name in stage.parameters:
        mark = stage.parameters[name]
        span = _span(mark.low, mark.high, mark.whole, *_reach(stage.kind, name, default), called)
        control = Control.DISTRIBUTION
        return replace(field, control=control, low=mark.low, high=mark.high, whole=mark.whole, span=span)
    if told.get("type") == "boolean":
        return replace(field, control=Control.SWITCH)
    if "enum" in told:
        return replace(field, control=Control.CHOICE, choices=tuple(told["enum"]))
    if told.get("type") in ("integer", "number"):
        low = float(told.get("minimum", told.get("exclusiveMinimum", 0)))
        high = float(told.get("maximum", _MANY))
        whole = told["type"] == "integer"
        span = _span(low, high, whole, *_reach(stage.kind, name, default), called)
        return replace(field, control=Control.NUMBER, low=low, high=high, whole=whole, span=span)
    return field


def _written(value: Any) -> Any:
    """A default as it stands in a recipe."""
    if isinstance(value, Distribution):
        plain = tidy(value.model_dump(exclude_defaults=True))
        return plain.get("constant", plain)
    if isinstance(value, curves.Srgb):
        return "srgb"
    return tidy(value)


def _reach(kind: str, name: str, default: Any) -> tuple[float, float]:
    """The least and greatest values of the stage's example and the field's default."""
    values = [
        number
        for value in (_in_example(kind, name), default)
        if value is not None
        for number in numbers(value)
    ]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _in_example(kind: str, name: str) -> Any:
    example = example_bodies().get(kind)
    return example.get(name) if isinstance(example, dict) else None


def numbers(value: Any) -> list[float]:
    """The bounds of a distribution as it stands in a recipe; none where it is not understood.

    Examples
    --------
    >>> numbers({"choice": [3, 4, 9]}), numbers(5), numbers("five")
    ([3.0, 9.0], [5.0, 5.0], [])
    """
    try:
        bounds = parse(value).bounds
    except (ValidationError, PydanticCustomError):
        return []
    return [bound for bound in bounds if abs(bound) != float("inf")]


def _span(
    low: float, high: float, whole: bool, least: float, most: float, told_unit: str
) -> tuple[float, float]:
    """From where to where a slider goes within what is allowed."""
    if told_unit == "°" and high - low > _WIDE:
        return (-_FULL_CIRCLE / 2 if least < 0 else 0.0), _FULL_CIRCLE / (2 if least < 0 else 1)
    if high - low <= (16 if whole else 1) or (most == 0 and high - low <= _WIDE):
        return low, high
    reach = max(abs(least), abs(most)) * _BEYOND or (_MANY if whole else _FEW)
    bottom = max(low, -_nice(reach)) if least < 0 else max(low, min(0.0, least))
    return bottom, min(high, _nice(reach))


def _nice(value: float) -> float:
    """The least of 1, 2, 3, 5, 8 times a power of ten that is not below `value`."""
    power = 1.0
    while power > value:
        power /= 10
    while 10 * power < value:
        power *= 10
    return next(round(m * power, 9) for m in (1, 2, 3, 5, 8, 10) if m * power >= value - 1e-12)


@cache
def _plain(text: str) -> str:
    """A docstring's text without its marks."""
    return re.sub(r"`+(?:blurgen\.)?([^`]*)`+", r"\1", text)
