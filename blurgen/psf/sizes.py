"""Checks of sizes that the families share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

from blurgen.errors import InputError

MAX_SIZE = 4095


def checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) from an int or a pair.

    Raises
    ------
    InputError
        If either is not a whole number from 1 to 4095.
    """
    pair = (size, size) if isinstance(size, Integral) else size
    whole = isinstance(pair, Sequence) and all(isinstance(n, Integral) and 1 <= n <= MAX_SIZE for n in pair)
    if not (whole and isinstance(pair, Sequence) and len(pair) == 2):
        raise InputError(
            f"PSF size {size!r}: a whole number from 1 to {MAX_SIZE}, or (rows, columns), is needed"
        )
    return int(pair[0]), int(pair[1])


def checked_number(name: str, value: float, low: float, high: float) -> float:
    """`value` as a float.

    Raises
    ------
    InputError
        If it is not a number from `low` to `high`.
    """
    number = float(value) if isinstance(value, Real) else math.nan
    if not (math.isfinite(number) and low <= number <= high):
        raise InputError(f"{name} {value!r}: a number from {low:g} to {high:g} is needed")
    return number
