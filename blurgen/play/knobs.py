"""The sliders of a field: which numbers of its value they move, and how the value changes its kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import yaml

from blurgen.distributions import KINDS as DISTRIBUTIONS
from blurgen.distributions import tidy
from blurgen.play.catalogue import Control, Field, numbers, slider_step
from blurgen.play.outline import Path

OFFERED: Final = {
    "constant": "fixed",
    "uniform": "uniform",
    "log_uniform": "log-uniform",
    "integers": "integers",
    "normal": "normal",
    "choice": "choice",
    "beta": "beta",
}
_LEAST_LOG = 1e-3  # of a slider's reach, where a logarithm begins
_LOG_TICKS = 200


@dataclass(frozen=True)
class Knob:
    """One slider, with a thumb for each number that it moves.

    Attributes
    ----------
    label : str
        What it moves; empty where it is the value itself.
    places : tuple of tuple
        Of each number, within the field's value.
    span : (float, float)
        From where to where it goes.
    step : float
        From one place to the next.
    log : bool
        Whether equal ways are equal ratios.
    """

    label: str
    places: tuple[Path, ...]
    span: tuple[float, float]
    step: float
    log: bool = False

    @property
    def slider(self) -> tuple[float, float, float]:
        """Least, greatest and step of the slider itself, which is in decades where it is logarithmic."""
        if not self.log:
            return (*self.span, self.step)
        low, high = (math.log10(end) for end in self.span)
        return low, high, (high - low) / _LOG_TICKS

    def to_slider(self, value: float) -> float:
        """Where the thumb of a number stands."""
        low, high, _ = self.slider
        place = math.log10(max(value, 1e-12)) if self.log else float(value)
        return min(max(place, low), high)

    def to_value(self, place: float) -> float | int:
        """The number of a thumb's place, with no more digits than the slider tells apart."""
        if self.log:
            value = float(f"{10**place:.3g}")
        else:
            value = round(round(place / self.step) * self.step, 10)
            value = min(max(value, self.span[0]), self.span[1])
        plain: float | int = tidy(value)
        return plain


def kind_of(value: Any) -> str:
    """The distribution of a value as it stands in a recipe; empty where it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "constant"
    if isinstance(value, dict):
        named = [name for name in value if name in DISTRIBUTIONS]
        if len(named) == 1:
            return str(named[0])
    return ""


def knobs(field: Field, value: Any) -> tuple[Knob, ...]:
    """The sliders that a field's value has; none where it is edited as text.

    Parameters
    ----------
    field : Field
        The field.
    value : Any
        Its value as it stands in the recipe.
    """
    if field.control not in (Control.DISTRIBUTION, Control.NUMBER):
        return ()
    made = _knobs(field, value)
    # what is no number, of a mistake or a text in the middle of being typed, has no slider
    return made if all(_is_number(at(value, place)) for knob in made for place in knob.places) else ()


def _knobs(field: Field, value: Any) -> tuple[Knob, ...]:
    span, step = _widened(field, value), field.step
    match kind_of(value):
        case "constant":
            place: Path = ("constant",) if isinstance(value, dict) else ()
            made = [Knob("", (place,), span, step)]
        case "uniform":
            made = [Knob("", (("uniform", 0), ("uniform", 1)), span, step)]
        case "log_uniform":
            low = max(span[0], field.low, span[1] * _LEAST_LOG, 1e-9)
            low = min([low, *(number for number in numbers(value) if number > 0)])
            made = [Knob("", (("log_uniform", 0), ("log_uniform", 1)), (low, span[1]), step, log=True)]
        case "integers":
            whole = (math.floor(span[0]), math.ceil(span[1]))
            made = [Knob("", (("integers", 0), ("integers", 1)), whole, max(1.0, round(step)))]
            if "step" in value:
                made.append(Knob("step", (("step",),), (1, 10), 1))
        case "normal":
            width = (span[1] - span[0]) / 2
            made = [
                Knob("mean", (("normal", 0),), span, step),
                Knob("deviation", (("normal", 1),), (0.0, width), slider_step((0.0, width))),
            ]
            if value.get("clip"):
                made.append(Knob("clip", (("clip", 0), ("clip", 1)), span, step))
        case "beta":
            made = [Knob(name, (("beta", end),), (0.1, 10.0), 0.1, log=True) for end, name in enumerate("αβ")]
            if "range" in value:
                made.append(Knob("range", (("range", 0), ("range", 1)), span, step))
        case _:
            made = []
    return tuple(made)


def _widened(field: Field, value: Any) -> tuple[float, float]:
    """The field's reach, and as much further as its value goes."""
    ends = numbers(value)
    return min([field.span[0], *ends]), max([field.span[1], *ends])


def at(value: Any, place: Path) -> Any:
    """What stands at a place within a value; None where nothing does."""
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def converted(value: Any, kind: str, field: Field) -> Any:
    """A value of another distribution over about the same range.

    Parameters
    ----------
    value : Any
        As it stands in a recipe.
    kind : str
        One of `OFFERED`.
    field : Field
        The field, for its limits.
    """
    low, high = _range(value, field)
    whole = field.whole or kind == "integers"
    middle = _within(field, (low + high) / 2, whole)
    if kind == "constant":
        return middle
    if low == high:  # a fixed number opens to a tenth of the slider on each side
        reach = (field.span[1] - field.span[0]) / 10
        low, high = max(field.low, low - reach), min(field.high, high + reach)
    low, high = (_within(field, end, whole) for end in (low, high))
    match kind:
        case "log_uniform":
            least = max(field.low, field.span[1] * _LEAST_LOG)
            return {kind: [max(low, tidy(least)), max(high, tidy(least))]}
        case "normal":
            deviation = _rounded((high - low) / 4, slider_step((0, max(high - low, 1e-9))))
            return {kind: [middle, deviation], "clip": [low, high]}
        case "choice":
            return {kind: [low, high]}
        case "beta":
            return {kind: [1, 1], "range": [low, high]}
    return {kind: [low, high]}


def _range(value: Any, field: Field) -> tuple[float, float]:
    """The least and greatest number that a value can be; the slider's where that is not known."""
    ends = numbers(value)
    if kind_of(value) == "normal" and not ends:
        mean, deviation = value["normal"]
        ends = [mean - 2 * deviation, mean + 2 * deviation]
    if len(ends) < 2:
        return field.span
    return max(field.low, ends[0]), min(field.high, ends[1])


def _within(field: Field, value: float, whole: bool) -> float | int:
    """A value on a place of the slider, as far as that is allowed."""
    step = 1.0 if whole else field.step
    low, high = (math.ceil(field.low), math.floor(field.high)) if whole else (field.low, field.high)
    plain: float | int = tidy(float(min(max(_rounded(value, step), low), high)))
    return plain


def _rounded(value: float, step: float) -> float | int:
    plain: float | int = tidy(round(round(value / step) * step, 10))
    return plain


def written(value: Any) -> str:
    """A value on one line, as a text field shows it."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def told(field: Field, value: Any) -> str:
    """A value in a few words: what it is, or from where to where it goes.

    Examples
    --------
    >>> from blurgen.play.catalogue import fields
    >>> told(fields("motion")["length"], {"uniform": [3, 21]})
    '3 … 21 px'
    """
    ends = numbers(value)
    if not ends:
        return written(value)
    shown = f"{ends[0]:g}" if ends[0] == ends[1] else f"{ends[0]:g} … {ends[1]:g}"
    return f"{shown}{'' if field.unit == '°' else ' '}{field.unit}".rstrip()
