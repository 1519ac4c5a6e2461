"""Whole blocks of rows, written to their places with their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.pairs.format import Header, Layout
from blurgen.pairs.raw import write_rows
from blurgen.pairs.sums import sums_of_blocks


def checked_blocks(
    header: Header, layout: Layout, start: int, columns: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Rows from `start` on as they are stored: every dataset by its name, C-contiguous.

    Raises
    ------
    InputError
        If they are no whole blocks, or a dataset has another shape.
    """
    rows, block = len(columns["sharp"]), header.block_rows
    if start % block or (rows % block and start + rows != header.count):
        raise InputError(f"rows {start} to {start + rows - 1} are no whole blocks of {block}")
    arrays = {}
    for name, place in layout.columns.items():
        data = np.ascontiguousarray(columns[name], place.dtype)
        if data.shape != (rows, *place.row_shape):
            expected = (rows, *place.row_shape)
            raise InputError(f"column '{name}' has the shape {data.shape}, {expected} is needed")
        arrays[name] = data
    return arrays


def write_blocks(
    file: int, header: Header, layout: Layout, start: int, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write such rows, but for those in compressed chunks, and the checksums of all of them."""
    # first, while the rows are in the processor's cache
    sums = sums_of_blocks(arrays, header.block_rows)
    write_rows(file, layout.block_sums, start // header.block_rows, sums)
    for name, data in arrays.items():
        if name not in header.in_chunks:
            write_rows(file, layout.columns[name], start, data)
