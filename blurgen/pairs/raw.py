"""Rows of contiguous datasets, read and written as plain bytes of an open file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.pairs.format import Place


def read_rows(file: int, place: Place, start: int, stop: int) -> NDArray[Any]:
    """Rows of a dataset; zeros where the file ends before."""
    rows = np.zeros((stop - start, *place.row_shape), place.dtype)
    view, at = rows.reshape(-1).view(np.uint8).data, place.offset + start * place.row_bytes
    while view and (got := os.preadv(file, [view], at)):
        view, at = view[got:], at + got
    return rows


def write_rows(file: int, place: Place, start: int, rows: NDArray[Any]) -> None:
    """Write C-contiguous rows of the dataset's dtype from row `start` on."""
    write_all(file, rows, place.offset + start * place.row_bytes)


def write_all(file: int, data: NDArray[Any], offset: int) -> None:
    """Write an array's bytes, all of them."""
    view = data.reshape(-1).view(np.uint8).data
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
