"""What a recipe promises for each recorded parameter: how often it takes part, and which values come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from blurgen.distributions import (
    Beta,
    ByCopy,
    Choice,
    Constant,
    Distribution,
    Integers,
    LogUniform,
    Mixture,
    Normal,
    Reciprocal,
    Uniform,
)
from blurgen.draws import MAX_SEED, Draws
from blurgen.grouping import took_part
from blurgen.recipe import Recipe
from blurgen.stages.base import Stage
from blurgen.stages.combinators import Maybe, OneOf, Shuffled

Values = NDArray[np.float64]
Cumulative = Callable[[Values], Values]

AFRESH = 20_000  # samples drawn anew where there is no formula
_PROBE = 256  # samples that tell whether a stage records a parameter as it was drawn
_NUDGE = 1e-9  # a value and its neighbours within this, relative, are one: rounding is no difference
_SURE = 1e-4  # how seldom a file that keeps its promises exceeds the bound


@dataclass(frozen=True, eq=False)
class Promise:
    """What a recipe promises for one parameter.

    Attributes
    ----------
    share : float
        Of the pairs, those that the stage takes part in.
    written : str
        The distribution, as it stands in the recipe; empty where the recipe has none.
    cumulative : callable
        Values (n,) → the probabilities, where the stage takes part, of a value that is at most each.
    drawn : int
        0 where `cumulative` is a formula; else how many samples, drawn anew, it counts.
    values : ndarray
        Some values that may come, ascending, each once.
    independent : bool
        Whether each pair's value is drawn by itself: copies of an image may share one.
    """

    share: float
    written: str
    cumulative: Cumulative
    drawn: int
    values: Values
    independent: bool


class _Told(NamedTuple):
    """What the text of a recipe says of a column."""

    share: float
    distribution: Distribution | None
    written: str


@singledispatch
def cumulative(distribution: Distribution, at: Values) -> Values | None:
    """The probability of a value that is at most `at`, by formula; None where there is none."""
    return None


@cumulative.register
def _(distribution: Constant, at: Values) -> Values:
    return _step(distribution.constant, at)


@cumulative.register
def _(distribution: Uniform, at: Values) -> Values:
    low, high = distribution.uniform
    return _step(low, at) if low == high else np.clip((at - low) / (high - low), 0.0, 1.0)


@cumulative.register
def _(distribution: LogUniform, at: Values) -> Values:
    low, high = distribution.log_uniform
    if low == high:
        return _step(low, at)
    share: Values = np.log(np.maximum(at, low) / low) / math.log(high / low)
    return np.clip(share, 0.0, 1.0)


@cumulative.register
def _(distribution: Integers, at: Values) -> Values:
    low, high = distribution.integers
    number = (high - low) // distribution.step + 1
    return np.clip((np.floor((at - low) / distribution.step) + 1.0) / number, 0.0, 1.0)


@cumulative.register
def _(distribution: Normal, at: Values) -> Values:
    mean, deviation = distribution.normal
    inside: Values = special.ndtr((at - mean) / deviation) if deviation else _step(mean, at)
    if distribution.clip is None:
        return inside
    low, high = distribution.clip
    return np.where(at < low, 0.0, np.where(at >= high, 1.0, inside))


@cumulative.register
def _(distribution: Choice, at: Values) -> Values:
    weights = distribution.weights or (1.0,) * len(distribution.choice)
    parts = [w * _step(value, at) for w, value in zip(weights, distribution.choice, strict=True)]
    total: Values = np.sum(parts, axis=0)
    return total / sum(weights)


@cumulative.register
def _(distribution: Beta, at: Values) -> Values:
    low, high = distribution.range
    if low == high:
        return _step(low, at)
    found: Values = special.betainc(*distribution.beta, np.clip((at - low) / (high - low), 0.0, 1.0))
    return found


@cumulative.register
def _(distribution: Mixture, at: Values) -> Values | None:
    weights = distribution.weights or (1.0,) * len(distribution.mixture)
    parts = [cumulative(part, at) for part in distribution.mixture]
    total = np.zeros_like(at)
    for weight, part in zip(weights, parts, strict=True):
        if part is None:
            return None
        total += weight * part
    return total / sum(weights)


@cumulative.register
def _(distribution: Reciprocal, at: Values) -> Values | None:
    # 1/v ≤ at where v ≥ 1/at; the little less takes v = 1/at in, whatever the rounding
    positive = np.where(at > 0, at, 1.0)
    beyond = cumulative(distribution.reciprocal, (1.0 / positive) * (1.0 - _NUDGE / 4))
    return None if beyond is None else np.where(at > 0, 1.0 - beyond, 0.0)


def _step(value: float, at: Values) -> Values:
    return (at >= value).astype(np.float64)


def promises(recipe: Recipe, seed: int) -> dict[str, Promise]:
    """What a recipe promises for each of its columns.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    seed : int
        Of the pair file: what has no formula is drawn anew by another one.
    """
    told = dict(_told(recipe.stages, "", 1.0))
    index = np.arange(AFRESH, dtype=np.int64)
    afresh = recipe.sample(recipe.draws(seed + 1 if seed < MAX_SEED else 0, index))
    found = {}
    for name, column in afresh.items():
        there = took_part(column)
        drawn = np.sort(column[there].astype(np.float64))
        share, distribution, written = told.get(name, _Told(float(there.mean()), None, ""))
        formula = None if distribution is None else _formula(distribution, recipe.copies)
        found[name] = Promise(
            share,
            written,
            formula or _counted(drawn),
            0 if formula else drawn.size,
            np.unique(drawn),
            recipe.copies == 1 or (formula is not None and not isinstance(distribution, ByCopy)),
        )
    return found


def gap(promise: Promise, values: NDArray[Any]) -> tuple[float, float]:
    """How far values that came are from those promised.

    Parameters
    ----------
    promise : Promise
        What was promised.
    values : ndarray
        Shape (n,), n > 0: the values of the pairs that the stage took part in.

    Returns
    -------
    float
        The greatest difference between the two cumulative shares (Kolmogorov and Smirnov's).
    float
        What it exceeds in one of 10,000 files at most, if pairs are drawn independently (the inequality of
        Dvoretzky, Kiefer and Wolfowitz, with Massart's constant).
    """
    different, counts = np.unique(values.astype(np.float64), return_counts=True)
    came = np.cumsum(counts) / values.size
    nudge = _nudges(different)
    after = promise.cumulative(different + nudge)
    before = promise.cumulative(different - nudge)
    found = max(float(np.abs(after - came).max()), float(np.abs(before - came + counts / values.size).max()))
    spread = 1.0 / values.size + (1.0 / promise.drawn if promise.drawn else 0.0)
    return found, float(np.sqrt(np.log(2.0 / _SURE) / 2.0 * spread))


def shares(promise: Promise, edges: Values) -> Values:
    """The probability of a value in each bin; a value on an edge belongs to the bin below it."""
    return np.diff(promise.cumulative(nudged(edges)))


def nudged(edges: Values) -> Values:
    """Edges moved outwards by so little that the values meant lie inside whatever the rounding."""
    moved = edges + _nudges(edges)
    moved[0] = edges[0] - _nudges(edges[:1])[0]
    return moved


def _nudges(values: Values) -> Values:
    return _NUDGE * np.maximum(np.abs(values), 1e-300)


def _formula(distribution: Distribution, copies: int) -> Cumulative | None:
    """The cumulative probability of a distribution, over all copies of an image."""
    parts, weights = [distribution], [1.0]
    if isinstance(distribution, ByCopy):
        parts = [share.value for share in distribution.by_copy]
        ends = np.cumsum([share.copies for share in distribution.by_copy])
        group = np.searchsorted(ends, np.arange(copies) % ends[-1], side="right")
        weights = (np.bincount(group, minlength=len(parts)) / copies).tolist()
    if any(cumulative(part, np.zeros(1)) is None for part in parts):
        return None

    def of(at: Values) -> Values:
        total = np.zeros_like(at)
        for part, weight in zip(parts, weights, strict=True):
            found = cumulative(part, at)
            assert found is not None
            total += weight * found
        return total

    return of


def _counted(drawn: Values) -> Cumulative:
    return lambda at: np.searchsorted(drawn, at, side="right") / max(drawn.size, 1)


def _told(stages: Sequence[Stage], prefix: str, share: float) -> Iterator[tuple[str, _Told]]:
    """What the recipe itself says of its columns; of some that stages derive it says nothing."""
    for place, stage in enumerate(stages):
        name = f"{prefix}{place}.{stage.kind}."
        match stage:
            case OneOf():
                total = sum(option.weight for option in stage.options)
                weights = tuple(option.weight for option in stage.options)
                numbers = tuple(float(number) for number in range(len(weights)))
                words = [
                    f"{number} {_kinds(option.stages)}: {option.weight / total:.3g}"
                    for number, option in enumerate(stage.options)
                ]
                yield f"{name}branch", _Told(share, Choice(choice=numbers, weights=weights), "; ".join(words))
                for number, option in enumerate(stage.options):
                    yield from _told(option.stages, f"{name}{number}.", share * option.weight / total)
            case Maybe():
                chance = stage.probability
                applied: Distribution = (
                    Choice(choice=(0.0, 1.0), weights=(1.0 - chance, chance))
                    if 0 < chance < 1
                    else Constant(constant=chance)
                )
                yield f"{name}applied", _Told(share, applied, f"probability: {chance:g}")
                yield from _told(stage.stages, name, share * chance)
            case _:
                yield from _own(stage, name, share)
                if isinstance(stage, Shuffled):
                    orders = Integers(integers=(0, math.factorial(len(stage.stages)) - 1))
                    yield f"{name}order", _Told(share, orders, "every order equally likely")
                yield from _told(getattr(stage, "stages", ()), name, share)


def _own(stage: Stage, name: str, share: float) -> Iterator[tuple[str, _Told]]:
    """The parameters of a plain stage. What it records otherwise than it draws has no formula."""
    probe = Draws(0, np.arange(_PROBE, dtype=np.int64))
    as_drawn = Stage.sample(stage, probe)
    recorded = stage.sample(probe) if type(stage).sample is not Stage.sample else as_drawn
    for parameter in stage.parameters:
        distribution = stage.distribution(parameter)
        same = np.array_equal(as_drawn[parameter], recorded[parameter])
        yield f"{name}{parameter}", _Told(share, distribution if same else None, _written(distribution))


def _written(distribution: Distribution) -> str:
    """As in a recipe, on one line."""
    if isinstance(distribution, Constant):
        return f"{distribution.constant:g}"
    fields = distribution.model_dump(exclude_defaults=True, mode="json")
    return ", ".join(f"{name}: {_plain(value)}" for name, value in fields.items())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_plain(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kinds(stages: Sequence[Stage]) -> str:
    return " + ".join(stage.kind for stage in stages)
