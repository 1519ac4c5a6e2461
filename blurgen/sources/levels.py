"""How the numbers of an array become grey levels 0 to 255.

========================  =====================================================================
dtype                     meaning
========================  =====================================================================
uint8                     grey levels, as they are
bool                      0 and 255
float, all in [0, 1]      black to white: times 255, rounded half up
float or integer, whole   grey levels, if all lie in [0, 255] (MATLAB keeps grey levels as double)
uint16                    refused: 16 bits say too little about where white lies
========================  =====================================================================

An array of floats that are all 0 or 1 holds black and white, not the two darkest levels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import SourceError


def check_dtype(dtype: np.dtype[Any], what: str) -> None:
    """Refuse a dtype that cannot hold grey levels.

    Parameters
    ----------
    dtype : dtype
        Of the array.
    what : str
        Names the array in messages.

    Raises
    ------
    SourceError
        For uint16, complex numbers, text, records and Python objects.
    """
    if dtype.kind == "u" and dtype.itemsize == 2:
        raise SourceError(
            f"{what} holds uint16: store it as uint8 (for the full 16-bit range, x >> 8) or, divided by its "
            "white level, as floats in [0, 1]"
        )
    if dtype.kind not in "buif":
        raise SourceError(f"{what} holds {dtype}; allowed are uint8, bool, and floats in [0, 1] or [0, 255]")


def find_white(dtype: np.dtype[Any], chunks: Iterable[NDArray[Any]], what: str) -> int:
    """Find what one unit of an array means, looking at every value where the dtype leaves it open.

    Parameters
    ----------
    dtype : dtype
        Of the array; `check_dtype` allows it.
    chunks : iterable of ndarray
        The array in order, cut along its first axis, which counts images.
    what : str
        Names the array in messages.

    Returns
    -------
    int
        The grey level of 1: 255 where values run from 0 to 1, else 1.

    Raises
    ------
    SourceError
        If a value is NaN or infinite (the first such image is named), or the range is neither
        [0, 1] nor whole numbers in [0, 255].
    """
    if dtype == np.uint8:
        return 1
    if dtype.kind == "b":
        return 255
    low, high, whole, first = np.inf, -np.inf, True, 0
    for chunk in chunks:
        if dtype.kind == "f":
            finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
            if not finite.all():
                raise SourceError(
                    f"{what} holds NaN or infinity, first in image {first + int(finite.argmin())}"
                )
            whole = whole and bool((chunk == np.floor(chunk)).all())
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
        first += len(chunk)
    if dtype.kind == "f" and low >= 0 and high <= 1:
        return 255
    if low >= 0 and high <= 255 and whole:
        return 1
    fraction = "" if whole else ", not all whole"
    raise SourceError(
        f"{what} holds {dtype} values from {low:.9g} to {high:.9g}{fraction}; allowed are floats in [0, 1] "
        "and whole numbers in [0, 255]"
    )


def to_bytes(values: NDArray[Any], white: int) -> NDArray[np.uint8]:
    """Turn values into grey levels.

    Parameters
    ----------
    values : ndarray
        Any shape, within the range that `find_white` checked.
    white : int
        What `find_white` gave.

    Returns
    -------
    ndarray
        uint8, the shape of `values`, C-contiguous; half levels are rounded up.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    levels = np.floor(values.astype(np.float64) * white + 0.5)
    return np.ascontiguousarray(levels.astype(np.uint8))
