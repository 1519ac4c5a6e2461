"""Distributions of stage parameters: values with bounds, as they stand in a recipe.

In YAML a number is a constant, anything else a mapping with the name of the distribution::

    length: 5
    length: {uniform: [4, 6]}
    size: {integers: [3, 21], step: 2}
    angle: {normal: [90, 10], clip: [60, 120]}
    sigma: {log_uniform: [0.1, 10]}
    radius: {choice: [3, 4, 6], weights: [1, 2, 1]}
    grey: {beta: [0.5, 0.5], range: [0, 255]}
    beta: {mixture: [{uniform: [0.5, 1]}, {uniform: [1, 4]}], weights: [1, 1]}
    scale: {reciprocal: {uniform: [1, 2]}}
    quarters: {by_copy: [{copies: 3, value: 0}, {copies: 3, value: {choice: [1, 2, 3]}}]}
"""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from blurgen.draws import Draws
from blurgen.loops.draws import apply_exp
from blurgen.loops.elementary import log

Column = NDArray[np.float64]
_PART = 1 << 15  # the attempt that decides on a mixture's part: its parts' own begin at 0
_Number = Annotated[FiniteFloat, Field(strict=True)]
_Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]


class Distribution(BaseModel, ABC):
    """What a parameter is drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
    kind: ClassVar[str]

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that can come; infinite where there is none."""

    @property
    def whole(self) -> bool:
        """Whether only whole numbers can come."""
        return False

    @abstractmethod
    def sample(self, draws: Draws, parameter: int) -> Column:
        """One value a sample, float64, shape (B,)."""


class Constant(Distribution):
    """Always the same value."""

    kind = "constant"
    constant: _Number

    @property
    def bounds(self) -> tuple[float, float]:
        """The value, twice."""
        return self.constant, self.constant

    @property
    def whole(self) -> bool:
        """Whether the value is whole."""
        return self.constant.is_integer()

    def sample(self, draws: Draws, parameter: int) -> Column:
        """The value, as often as there are samples; takes no draw."""
        return np.full(len(draws), self.constant)


def _ordered(kind: str, pair: tuple[float, float]) -> None:
    if pair[0] > pair[1]:
        raise PydanticCustomError(
            "reversed_range", "{kind} {pair}: the range is reversed", {"kind": kind, "pair": list(pair)}
        )


class Uniform(Distribution):
    """Equally likely anywhere in [low, high)."""

    kind = "uniform"
    uniform: tuple[_Number, _Number]

    @model_validator(mode="after")
    def _check(self) -> Uniform:
        _ordered(self.kind, self.uniform)
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Low and high."""
        return self.uniform

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Low + (high − low)·U."""
        low, high = self.uniform
        return np.minimum(low + (high - low) * draws.uniform(parameter), high)


class LogUniform(Distribution):
    """The logarithm equally likely anywhere between those of low and high, both positive."""

    kind = "log_uniform"
    log_uniform: tuple[_Number, _Number]

    @model_validator(mode="after")
    def _check(self) -> LogUniform:
        _ordered(self.kind, self.log_uniform)
        if self.log_uniform[0] <= 0:
            raise PydanticCustomError("not_positive", "log_uniform needs positive bounds")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Low and high."""
        return self.log_uniform

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Low·e^(U·ln(high/low)), by arithmetic that is the same on every machine."""
        low, high = self.log_uniform
        values = draws.uniform(parameter) * log(high / low)
        apply_exp(values)
        return np.minimum(low * values, high)


class Integers(Distribution):
    """Equally likely among low, low + step … high, both ends included."""

    kind = "integers"
    integers: tuple[_Whole, _Whole]
    step: Annotated[int, Field(strict=True, ge=1, le=2**53)] = 1

    @model_validator(mode="after")
    def _check(self) -> Integers:
        _ordered(self.kind, self.integers)
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Low and the greatest that steps reach."""
        low, high = self.integers
        return float(low), float(high - (high - low) % self.step)

    @property
    def whole(self) -> bool:
        """Always."""
        return True

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Low + step·⌊n·U⌋."""
        low, high = self.integers
        steps = draws.below(parameter, (high - low) // self.step + 1)
        return (low + self.step * steps).astype(np.float64)


class Normal(Distribution):
    """Normal with mean and standard deviation; with `clip`, values beyond it are moved to its ends."""

    kind = "normal"
    normal: tuple[_Number, Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]]
    clip: tuple[_Number, _Number] | None = None

    @model_validator(mode="after")
    def _check(self) -> Normal:
        if self.clip is not None:
            _ordered("clip", self.clip)
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Those of `clip`, else infinite."""
        return (-math.inf, math.inf) if self.clip is None else self.clip

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Mean + deviation·z."""
        mean, deviation = self.normal
        values = mean + deviation * draws.normal(parameter)
        return values if self.clip is None else np.clip(values, *self.clip)


def _one_each(weights: tuple[float, ...] | None, count: int) -> None:
    if weights is not None and len(weights) != count:
        raise PydanticCustomError(
            "weights", "{w} weights for {c} values; one each is needed", {"w": len(weights), "c": count}
        )


class Choice(Distribution):
    """One of several values, equally likely or by weight."""

    kind = "choice"
    choice: Annotated[tuple[_Number, ...], Field(min_length=1)]
    weights: tuple[Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)], ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Choice:
        _one_each(self.weights, len(self.choice))
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest of the values."""
        return min(self.choice), max(self.choice)

    @property
    def whole(self) -> bool:
        """Whether all values are whole."""
        return all(value.is_integer() for value in self.choice)

    def sample(self, draws: Draws, parameter: int) -> Column:
        """The value whose share of [0, 1) the uniform number falls into."""
        values = np.array(self.choice)
        if self.weights is None:
            return values[draws.below(parameter, len(values))]
        return values[weighted(draws, parameter, self.weights)]


def weighted(draws: Draws, parameter: int, weights: tuple[float, ...], attempt: int = 0) -> NDArray[np.intp]:
    """The index of one of `weights` a sample, each as likely as it is heavy."""
    edges = np.cumsum(weights)
    chosen = np.searchsorted(edges, draws.uniform(parameter, attempt) * edges[-1], side="right")
    last: NDArray[np.intp] = np.minimum(chosen, len(weights) - 1)
    return last


class Beta(Distribution):
    """Beta(α, β), stretched to `range`."""

    kind = "beta"
    beta: tuple[
        Annotated[float, Field(strict=True, ge=0.01, le=1e6, allow_inf_nan=False)],
        Annotated[float, Field(strict=True, ge=0.01, le=1e6, allow_inf_nan=False)],
    ]
    range: tuple[_Number, _Number] = (0.0, 1.0)

    @model_validator(mode="after")
    def _check(self) -> Beta:
        _ordered("range", self.range)
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of `range`."""
        return self.range

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Low + (high − low)·B."""
        low, high = self.range
        return np.clip(low + (high - low) * draws.beta(parameter, *self.beta), low, high)


class Mixture(Distribution):
    """One of several distributions, equally likely or by weight, and a value of it."""

    kind = "mixture"
    mixture: Annotated[tuple[AnyDistribution, ...], Field(min_length=1)]
    weights: tuple[Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)], ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Mixture:
        _one_each(self.weights, len(self.mixture))
        if any(isinstance(part, Mixture | ByCopy) for part in self.mixture):
            raise PydanticCustomError("mixture", "a mixture holds neither mixtures nor by_copy")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Those of all parts together."""
        lows, highs = zip(*(part.bounds for part in self.mixture), strict=True)
        return min(lows), max(highs)

    @property
    def whole(self) -> bool:
        """Whether all parts' values are whole."""
        return all(part.whole for part in self.mixture)

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Each sample from the part whose share of [0, 1) a number of its own falls into."""
        weights = self.weights or (1.0,) * len(self.mixture)
        chosen = weighted(draws, parameter, weights, _PART)
        out = np.empty(len(draws))
        for number, part in enumerate(self.mixture):
            rows = np.flatnonzero(chosen == number)
            out[rows] = part.sample(draws.rows(rows), parameter)
        return out


class Reciprocal(Distribution):
    """1 over a value of another distribution, which is positive."""

    kind = "reciprocal"
    reciprocal: AnyDistribution

    @model_validator(mode="after")
    def _check(self) -> Reciprocal:
        if self.reciprocal.bounds[0] <= 0:
            raise PydanticCustomError("not_positive", "reciprocal needs a positive distribution")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The reciprocals of the other's, exchanged."""
        low, high = self.reciprocal.bounds
        return 1.0 / high, 1.0 / low

    @property
    def whole(self) -> bool:
        """Whether it is always 1."""
        return self.bounds == (1.0, 1.0)

    def sample(self, draws: Draws, parameter: int) -> Column:
        """1 / value."""
        return 1.0 / self.reciprocal.sample(draws, parameter)


class Share(BaseModel):
    """Some consecutive copies of a source image, which share one value."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    copies: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    value: AnyDistribution


class ByCopy(Distribution):
    """The copies of each source image, cut into groups; each group draws one value for all its copies.

    With more copies than the groups count, the groups begin again.
    """

    kind = "by_copy"
    by_copy: Annotated[tuple[Share, ...], Field(min_length=1)]

    @property
    def bounds(self) -> tuple[float, float]:
        """Those of all groups together."""
        lows, highs = zip(*(share.value.bounds for share in self.by_copy), strict=True)
        return min(lows), max(highs)

    @property
    def whole(self) -> bool:
        """Whether all groups' values are whole."""
        return all(share.value.whole for share in self.by_copy)

    def sample(self, draws: Draws, parameter: int) -> Column:
        """Each sample has the value drawn at the index of the first sample of its group."""
        total = sum(share.copies for share in self.by_copy)
        copy = draws.index % draws.copies % total
        out = np.empty(len(draws))
        first = 0
        for share in self.by_copy:
            rows = np.flatnonzero((copy >= first) & (copy < first + share.copies))
            group = draws.at(draws.index[rows] - (copy[rows] - first))
            out[rows] = share.value.sample(group, parameter)
            first += share.copies
        return out


KINDS: dict[str, type[Distribution]] = {
    d.kind: d
    for d in (Constant, Uniform, Integers, Normal, LogUniform, Choice, Beta, Mixture, Reciprocal, ByCopy)
}


def parse(value: Any) -> Distribution:
    """A distribution from a number or a mapping, as in YAML."""
    if isinstance(value, Distribution):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return Constant(constant=float(value))
        except OverflowError:
            raise PydanticCustomError("distribution", "no number that fits") from None
    if not isinstance(value, dict):
        raise PydanticCustomError(
            "distribution",
            "no number and no distribution ({kinds})",
            {"kinds": ", ".join(KINDS)},
        )
    named = [key for key in value if key in KINDS]
    if len(named) != 1:
        guess = [m for key in value for m in difflib.get_close_matches(str(key), KINDS, 1)]
        hint = f"; did you mean {guess[0]}?" if guess and not named else ""
        raise PydanticCustomError(
            "distribution",
            "names {number} distributions; one of {kinds} is needed{hint}",
            {"number": len(named) or "none of the", "kinds": ", ".join(KINDS), "hint": hint},
        )
    return KINDS[named[0]].model_validate(value)


class _AsWritten:
    """How pydantic reads, writes and describes a distribution: as it stands in YAML."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse, serialization=core_schema.plain_serializer_function_ser_schema(cls._plain)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return reference("Distribution")

    @staticmethod
    def _plain(value: Distribution) -> Any:
        if isinstance(value, Constant):
            return tidy(value.constant)
        return tidy(value.model_dump(exclude_defaults=True))


def tidy(value: Any) -> Any:
    """The same plain value with whole floats as ints, as a person writes them."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: tidy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(inner) for inner in value]
    return value


def reference(name: str) -> JsonSchemaValue:
    """Stand for a definition that pydantic does not make; `resolved` turns it into a reference."""
    return {"$comment": f"defined as {name}"}


def resolved(schema: Any) -> Any:
    """A JSON Schema with the placeholders of `reference` made references."""
    if isinstance(schema, list):
        return [resolved(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    comment = schema.get("$comment", "")
    if isinstance(comment, str) and comment.startswith("defined as "):
        return {"$ref": f"#/$defs/{comment.removeprefix('defined as ')}"}
    return {key: resolved(inner) for key, inner in schema.items()}


AnyDistribution = Annotated[Distribution, _AsWritten]
Mixture.model_rebuild()
Reciprocal.model_rebuild()
Share.model_rebuild()
ByCopy.model_rebuild()


class Between:
    """Annotation of a stage's field: the distribution's values lie in [low, high]; `whole` if integers."""

    def __init__(self, low: float, high: float, *, whole: bool = False) -> None:
        self.low, self.high, self.whole = low, high, whole

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, value: Distribution) -> Distribution:
        """Refuse a distribution that can leave the bounds."""
        low, high = value.bounds
        if low < self.low or high > self.high:
            reached = f"{low:g}" if low == high else f"{low:g} … {high:g}"
            raise PydanticCustomError(
                "bounds",
                "{reached} is outside the allowed {allowed}",
                {"reached": reached, "allowed": f"{self.low:g} … {self.high:g}"},
            )
        if self.whole and not value.whole:
            raise PydanticCustomError(
                "whole", "only whole numbers are allowed (a number, integers, or choice of whole numbers)"
            )
        return value


def json_schema() -> JsonSchemaValue:
    """The definitions, for a JSON Schema, of a distribution and of each kind."""
    models = {}
    for kind in KINDS.values():
        schema = kind.model_json_schema(ref_template="#/$defs/{model}")
        models.update(schema.pop("$defs", {}))
        models[kind.__name__] = schema
    choices = [{"type": "number"}, *({"$ref": f"#/$defs/{kind.__name__}"} for kind in KINDS.values())]
    models["Distribution"] = {"anyOf": choices}
    return models
