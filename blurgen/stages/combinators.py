"""Stages of stages: one of several, in random order, with a probability.

Stages inside a combinator draw from streams of their own place; where one does not take part in a sample,
its parameters are NaN there, −1 for whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from blurgen.distributions import reference, tidy, weighted
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.psf import composed
from blurgen.stages.base import (
    Columns,
    ImagePair,
    Images,
    Stage,
    apply_all,
    columns_of,
    sample_all,
    stages_from,
)


def _bodies(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    return [{stage.kind: stage.body()} for stage in stages]


Stages = Annotated[
    tuple[Stage, ...],
    BeforeValidator(stages_from),
    PlainSerializer(_bodies),
    WithJsonSchema({"type": "array", "minItems": 1, "items": reference("Stage")}),
]


def _none_or_some(items: Any) -> tuple[Stage, ...]:
    return () if isinstance(items, list | tuple) and not items else stages_from(items)


AnyStages = Annotated[
    tuple[Stage, ...],
    BeforeValidator(_none_or_some),
    PlainSerializer(_bodies),
    WithJsonSchema({"type": "array", "items": reference("Stage")}),
]


def _spread(columns: Columns, rows: NDArray[np.intp], count: int) -> dict[str, NDArray[Any]]:
    """Columns for `count` samples from those of some rows; absent elsewhere."""
    out = {}
    for name, column in columns.items():
        full = np.full(count, np.nan if column.dtype.kind == "f" else -1, column.dtype)
        full[rows] = column
        out[name] = full
    return out


def _prefixed(prefix: str, columns: Columns) -> dict[str, NDArray[Any]]:
    return {f"{prefix}{name}": column for name, column in columns.items()}


def _unprefixed(prefix: str, columns: Columns, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    return {n[len(prefix) :]: column[rows] for n, column in columns.items() if n.startswith(prefix)}


_Change = Callable[[ImagePair], ImagePair]


def _on_rows(pair: ImagePair, parts: Sequence[tuple[NDArray[np.intp], _Change]]) -> ImagePair:
    """Change rows of a pair, each part its own; the other rows stay as they are.

    Sharp and blurred stay one array as long as they are equal, and sharp stays what it is where nothing
    changes it.
    """
    parts = [(rows, change) for rows, change in parts if rows.size]
    if len(parts) == 1 and parts[0][0].size == len(pair.blurred):
        return parts[0][1](pair)
    one = pair.sharp is pair.blurred
    before, after = [], []
    for rows, change in parts:
        blurred = pair.blurred[rows]
        before.append(ImagePair(blurred if one else pair.sharp[rows], blurred))
        after.append(change(before[-1]))
    if not parts:
        return pair
    blurred = _put_together(
        pair.blurred, [(rows, made.blurred) for (rows, _), made in zip(parts, after, strict=True)]
    )
    if all(made.sharp is given.sharp for given, made in zip(before, after, strict=True)):
        return ImagePair(pair.sharp, blurred)
    if one and all(made.sharp is made.blurred for made in after):
        return ImagePair(blurred, blurred)
    return ImagePair(
        _put_together(pair.sharp, [(rows, made.sharp) for (rows, _), made in zip(parts, after, strict=True)]),
        blurred,
    )


def _put_together(images: Images, parts: Sequence[tuple[NDArray[np.intp], Images]]) -> Images:
    """`images` with some rows replaced, which may have another shape if all rows are."""
    shape, kind = parts[0][1].shape[1:], parts[0][1].dtype
    out = np.empty((len(images), *shape), kind) if shape != images.shape[1:] else images.copy()
    for rows, replacement in parts:
        out[rows] = replacement
    return out


def _apply(stages: Sequence[Stage], params: Columns, draws: Draws, pair: ImagePair) -> ImagePair:
    return apply_all(stages, pair, params, draws)


def composed_psfs(stages: Sequence[Stage], params: Columns, draws: Draws) -> NDArray[np.float32]:
    """The PSFs of stages applied one after another, float32 (B, k, k)."""
    out = np.ones((len(draws), 1, 1), np.float32)
    for place, stage in enumerate(stages):
        if stage.psf_size > 1:
            out = composed(out, stage.psfs(columns_of(place, stage, params), draws.stage(place)))
    return out


def any_changes_sharp(stages: Sequence[Stage]) -> bool:
    """Whether one of the stages, or of those inside them, may change the sharp images."""
    return any(
        stage.changes_sharp or any(any_changes_sharp(order) for order in stage.orders) for stage in stages
    )


def without_one_psf(stages: Sequence[Stage]) -> str:
    """The name of a stage that blurs, but not by one PSF; empty if there is none."""
    for stage in stages:
        if not stage.one_psf:
            return stage.kind
        for order in stage.orders:
            if name := without_one_psf(order):
                return name
    return ""


def move_after_blur(stages: Sequence[Stage], blurred: bool = False) -> tuple[str, bool]:
    """The name of a stage that moves pixels after a blur, empty if none can; whether there is a blur."""
    for stage in stages:
        if blurred and stage.changes_sharp:
            return stage.kind, True
        ends = [move_after_blur(order, blurred) for order in stage.orders]
        found = [name for name, _ in ends if name]
        if found:
            return found[0], True
        blurred = blurred or any(end for _, end in ends) or (not ends and stage.psf_size > 1)
    return "", blurred


def composed_size(stages: Sequence[Stage]) -> int:
    """The odd size of `composed_psfs`."""
    return 1 + sum(stage.psf_size - 1 for stage in stages)


def _psfs_of_rows(
    stages: Sequence[Stage],
    params: Columns,
    draws: Draws,
    rows: NDArray[np.intp],
    out: NDArray[np.float32],
) -> None:
    """Replace the PSFs of some rows of `out` by those of the stages, whose own draws are given."""
    if rows.size == 0:
        return
    psfs = composed_psfs(stages, params, draws)
    margin = (out.shape[1] - psfs.shape[1]) // 2
    out[rows] = np.pad(psfs, ((0, 0), (margin, margin), (margin, margin)))


def _points(count: int, size: int) -> NDArray[np.float32]:
    out = np.zeros((count, size, size), np.float32)
    out[:, size // 2, size // 2] = 1.0
    return out


def _chained_shape(stages: Sequence[Stage], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    for stage in stages:
        shape = stage.output_shape(shape)
    return shape


def _kept_shape(kind: str, stages: Sequence[Stage], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    for stage in stages:
        if stage.output_shape(shape) != shape:
            raise InputError(
                f"stage '{kind}' needs stages that keep the images' shape, '{stage.kind}' does not"
            )
    return shape


def _times(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))


class Option(BaseModel):
    """One of the alternatives of `OneOf`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weight: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 1.0
    stages: Stages


class OneOf(Stage):
    """Exactly one of several lists of stages, drawn by weight; records `branch`, its number.

    Parameters
    ----------
    options : list
        Each with `weight` (default 1) and `stages`. In a recipe the list stands directly behind the name.
    """

    kind = "one_of"
    options: Annotated[tuple[Option, ...], Field(min_length=1, max_length=60)]

    @classmethod
    def from_body(cls, body: Any) -> Stage:
        """From the list of options."""
        return cls.model_validate({"options": body})

    def body(self) -> Any:
        """The list of options."""
        return tidy(self.model_dump()["options"])

    @classmethod
    def body_schema(cls) -> dict[str, Any]:
        """The list's schema."""
        schema = super().body_schema()
        return {**schema["properties"]["options"], "$defs": schema["$defs"]}

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape that the options give; InputError where they do not all give the same."""
        shapes = [_chained_shape(option.stages, shape) for option in self.options]
        for number, other in enumerate(shapes):
            if other != shapes[0]:
                raise InputError(
                    f"stage 'one_of' needs options that make images of one shape: option 0 makes "
                    f"{_times(shapes[0])}, option {number} {_times(other)}"
                )
        return shapes[0]

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Column branch, and those of the options' stages, ``option.place.kind.parameter``."""
        branch = weighted(draws, 0, tuple(option.weight for option in self.options)).astype(np.int64)
        columns: dict[str, NDArray[Any]] = {"branch": branch}
        for number, option in enumerate(self.options):
            rows = np.flatnonzero(branch == number)
            own = sample_all(option.stages, draws.stage(number).rows(rows))
            columns.update(_prefixed(f"{number}.", _spread(own, rows, len(draws))))
        return columns

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """The options."""
        return [option.stages for option in self.options]

    @property
    def levels(self) -> int:
        """One more than those inside, and one for the options."""
        return 2 + max(stage.levels for option in self.options for stage in option.stages)

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """Each option on the rows that drew it."""
        parts = []
        for number, option in enumerate(self.options):
            rows = np.flatnonzero(params["branch"] == number)
            own = _unprefixed(f"{number}.", params, rows)
            own_draws = draws.stage(number).rows(rows)
            parts.append((rows, partial(_apply, option.stages, own, own_draws)))
        return _on_rows(pair, parts)

    @property
    def psf_size(self) -> int:
        """The greatest of the options'."""
        return max(composed_size(option.stages) for option in self.options)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSFs of the option that each sample drew."""
        out = _points(len(params["branch"]), self.psf_size)
        for number, option in enumerate(self.options):
            rows = np.flatnonzero(params["branch"] == number)
            own = _unprefixed(f"{number}.", params, rows)
            _psfs_of_rows(option.stages, own, draws.stage(number).rows(rows), rows, out)
        return out


class Maybe(Stage):
    """Some stages with a probability; records `applied`, 1 or 0.

    Parameters
    ----------
    probability : float
        0 … 1.
    stages : list
        The stages.
    """

    kind = "maybe"
    probability: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
    stages: Stages

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where the stages do not keep it."""
        return _kept_shape(self.kind, self.stages, shape)

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Column applied, and those of the stages."""
        applied = draws.uniform(0) < self.probability
        rows = np.flatnonzero(applied)
        own = sample_all(self.stages, draws.rows(rows))
        return {"applied": applied.astype(np.int64), **_spread(own, rows, len(draws))}

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """The stages, or none."""
        return [self.stages, ()]

    @property
    def levels(self) -> int:
        """One more than those inside."""
        return 1 + max(stage.levels for stage in self.stages)

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """The stages on the rows that drew them."""
        rows = np.flatnonzero(params["applied"] == 1)
        own = _unprefixed("", params, rows)
        return _on_rows(pair, [(rows, partial(_apply, self.stages, own, draws.rows(rows)))])

    @property
    def psf_size(self) -> int:
        """The stages' together."""
        return composed_size(self.stages)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The stages' PSFs, or single points."""
        out = _points(len(params["applied"]), self.psf_size)
        rows = np.flatnonzero(params["applied"] == 1)
        _psfs_of_rows(self.stages, _unprefixed("", params, rows), draws.rows(rows), rows, out)
        return out


def permutation(rank: int, count: int) -> list[int]:
    """The permutation of ``range(count)`` that stands at `rank` in lexicographic order."""
    left = list(range(count))
    order = []
    for remaining in range(count, 0, -1):
        place, rank = divmod(rank, math.factorial(remaining - 1))
        order.append(left.pop(place))
    return order


def kept_in_order(order: list[int], chosen: Sequence[int]) -> list[int]:
    """`order` with the chosen numbers exchanged among their places so that they stand as in `chosen`."""
    left = iter(chosen)
    return [next(left) if number in chosen else number for number in order]


class Shuffled(Stage):
    """Stages in random order, every order equally likely; records `order`, its lexicographic rank.

    Parameters
    ----------
    stages : list
        2 … 12 stages. In a recipe the list stands directly behind the name.
    in_order : list of int
        Stages, by their number, that exchange their places wherever they would not stand in this order; the
        list of stages then stands behind ``stages``.
    """

    kind = "shuffled"
    stages: Annotated[Stages, Field(min_length=2, max_length=12)]
    in_order: tuple[Annotated[int, Field(strict=True, ge=0)], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Shuffled:
        if len(set(self.in_order)) < len(self.in_order) or max(self.in_order, default=0) >= len(self.stages):
            raise PydanticCustomError(
                "in_order",
                "different numbers of stages, 0 … {last}, are needed",
                {"last": len(self.stages) - 1},
            )
        return self

    @classmethod
    def from_body(cls, body: Any) -> Stage:
        """From the list of stages, or a mapping that says more."""
        return cls.model_validate(body if isinstance(body, dict) else {"stages": body})

    def body(self) -> Any:
        """The list of stages, or a mapping where more is said."""
        stages = _bodies(self.stages)
        return {"stages": stages, "in_order": list(self.in_order)} if self.in_order else stages

    @classmethod
    def body_schema(cls) -> dict[str, Any]:
        """The schema of the list, and of the mapping."""
        stages = {"type": "array", "minItems": 2, "maxItems": 12, "items": reference("Stage")}
        places = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        mapping = {
            "type": "object",
            "properties": {"stages": stages, "in_order": places},
            "required": ["stages"],
            "additionalProperties": False,
        }
        return {"anyOf": [stages, mapping]}

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where the stages do not keep it."""
        return _kept_shape(self.kind, self.stages, shape)

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Column order, and those of the stages."""
        order = draws.below(0, math.factorial(len(self.stages)))
        return {"order": order, **sample_all(self.stages, draws)}

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """Every pair of stages stands in either order in one of two."""
        return [self.stages, self.stages[::-1]]

    @property
    def levels(self) -> int:
        """One more than those inside."""
        return 1 + max(stage.levels for stage in self.stages)

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """The stages in each sample's own order."""
        parts = []
        for rank in np.unique(params["order"]):
            rows = np.flatnonzero(params["order"] == rank)
            own = _unprefixed("", params, rows)
            order = kept_in_order(permutation(int(rank), len(self.stages)), self.in_order)
            parts.append((rows, partial(self._apply_in, order, own, draws.rows(rows))))
        return _on_rows(pair, parts)

    def _apply_in(self, order: list[int], params: Columns, draws: Draws, pair: ImagePair) -> ImagePair:
        for place in order:
            stage = self.stages[place]
            pair = stage.apply_pair(pair, columns_of(place, stage, params), draws.stage(place))
        return pair

    @property
    def psf_size(self) -> int:
        """The stages' together."""
        return composed_size(self.stages)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The stages' PSFs, composed; their order does not matter."""
        return composed_psfs(self.stages, params, draws)
