"""Pairs in groups that are alike in one recorded parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_MOST_BINS, _LEAST_BINS = 8, 2
_BIN_PAIRS = 16  # that each bin should have, so that its mean says something
_MOST_VALUES = 10  # up to so many different values are a group each


class Group(NamedTuple):
    """Pairs that are alike in one parameter.

    Attributes
    ----------
    label : str
        The value, the range of values, or that the stage took no part.
    place : float
        The middle of the values; NaN where the stage took no part.
    rows : ndarray
        int64: which of the column's entries.
    """

    label: str
    place: float
    rows: NDArray[np.int64]


def took_part(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which samples a parameter's stage took part in: not NaN; of whole numbers, not −1.

    Examples
    --------
    >>> took_part(np.array([3, -1, 0]))
    array([ True, False,  True])
    """
    there: NDArray[np.bool_] = column != -1 if column.dtype.kind in "iu" else ~np.isnan(column)
    return there


def groups(column: NDArray[Any]) -> list[Group]:
    """Pairs by the values of one parameter: by each value where those are few, else in equally large ranges.

    Parameters
    ----------
    column : ndarray
        Shape (N,): floats, NaN where the stage took no part, or whole numbers, −1 there.

    Returns
    -------
    list of Group
        In rising order, those without the stage last; none where only one value was drawn.
    """
    values = np.asarray(column)
    present = np.flatnonzero(took_part(values)).astype(np.int64)
    drawn = values[present]
    different = np.unique(drawn)
    if len(different) < 2:
        return []
    if len(different) <= _MOST_VALUES:
        found = [Group(f"{v:.4g}", float(v), present[drawn == v]) for v in different]
    else:
        count = min(_MOST_BINS, max(_LEAST_BINS, len(drawn) // _BIN_PAIRS))
        edges = np.unique(np.quantile(drawn, np.linspace(0, 1, count + 1)))
        found = []
        bins = np.searchsorted(edges[1:-1], drawn, side="right")
        for number in np.unique(bins):
            some = drawn[bins == number]
            label = f"{some.min():.4g} … {some.max():.4g}" if some.min() < some.max() else f"{some[0]:.4g}"
            found.append(Group(label, float(np.median(some)), present[bins == number]))
    if len(present) < len(values):
        absent = np.setdiff1d(np.arange(len(values), dtype=np.int64), present)
        found.append(Group("without", float("nan"), absent))
    return found


def all_groups(params: Mapping[str, NDArray[Any]]) -> dict[str, list[Group]]:
    """The groups by each parameter that tells pairs apart."""
    found = {name: groups(column) for name, column in params.items()}
    return {name: some for name, some in found.items() if some}
