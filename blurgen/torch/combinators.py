"""Stages of stages on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.stages.base import Columns, Stage, columns_of
from blurgen.stages.combinators import Maybe, OneOf, Shuffled, kept_in_order, permutation
from blurgen.torch.forms import DevicePair, apply_all, apply_stage, moved, on_device_pairs

_Change = Callable[[DevicePair], DevicePair]


def _own(params: Columns, rows: NDArray[np.intp], prefix: str = "") -> dict[str, NDArray[Any]]:
    """The columns of some rows, of those whose name begins with `prefix`, under the rest of it."""
    return {n[len(prefix) :]: column[rows] for n, column in params.items() if n.startswith(prefix)}


def _on_rows(pair: DevicePair, parts: Sequence[tuple[NDArray[np.intp], _Change]]) -> DevicePair:
    """Change rows of a pair, each part its own; the other rows stay as they are."""
    parts = [(rows, change) for rows, change in parts if rows.size]
    if not parts:
        return pair
    if len(parts) == 1 and parts[0][0].size == len(pair.blurred):
        return parts[0][1](pair)
    one = pair.sharp is pair.blurred
    changed: list[tuple[Tensor, DevicePair, DevicePair]] = []
    for rows, change in parts:
        places = moved(rows, pair.blurred.device)
        blurred = pair.blurred[places]
        given = DevicePair(blurred if one else pair.sharp[places], blurred)
        changed.append((places, given, change(given)))
    blurred = _put_together(pair.blurred, [(places, made.blurred) for places, _, made in changed])
    if all(made.sharp is given.sharp for _, given, made in changed):
        return DevicePair(pair.sharp, blurred)
    if one and all(made.sharp is made.blurred for _, _, made in changed):
        return DevicePair(blurred, blurred)
    return DevicePair(
        _put_together(pair.sharp, [(places, made.sharp) for places, _, made in changed]), blurred
    )


def _put_together(images: Tensor, parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """`images` with some rows replaced, which may have another shape if all rows are."""
    shape = parts[0][1].shape[1:]
    out = images.clone() if shape == images.shape[1:] else images.new_empty((len(images), *shape))
    for places, replacement in parts:
        out[places] = replacement
    return out


@on_device_pairs(OneOf)
def one_of(stage: OneOf, pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
    """Each option on the rows that drew it."""
    parts = []
    for number, option in enumerate(stage.options):
        rows = np.flatnonzero(params["branch"] == number)
        own, own_draws = _own(params, rows, f"{number}."), draws.stage(number).rows(rows)
        parts.append((rows, partial(apply_all, option.stages, params=own, draws=own_draws)))
    return _on_rows(pair, parts)


@on_device_pairs(Maybe)
def maybe(stage: Maybe, pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
    """The stages on the rows that drew them."""
    rows = np.flatnonzero(params["applied"] == 1)
    change = partial(apply_all, stage.stages, params=_own(params, rows), draws=draws.rows(rows))
    return _on_rows(pair, [(rows, change)])


def _apply_in(
    order: list[int], stages: Sequence[Stage], params: Columns, draws: Draws, pair: DevicePair
) -> DevicePair:
    for place in order:
        stage = stages[place]
        pair = apply_stage(stage, pair, columns_of(place, stage, params), draws.stage(place))
    return pair


@on_device_pairs(Shuffled)
def shuffled(stage: Shuffled, pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
    """The stages in each sample's own order."""
    parts = []
    for rank in np.unique(params["order"]):
        rows = np.flatnonzero(params["order"] == rank)
        order = kept_in_order(permutation(int(rank), len(stage.stages)), stage.in_order)
        own = _own(params, rows)
        parts.append((rows, partial(_apply_in, order, stage.stages, own, draws.rows(rows))))
    return _on_rows(pair, parts)
