"""Checksums of a pair file: CRC-32, zlib's, so that a byte that changes anywhere is found.

Each block of rows has one for each dataset, of the rows' bytes as they are before compression. They stand in
``/crc32/blocks``, a row a block. What is not covered by those has three, in ``/crc32/file``:

0. of all bytes that belong to no contiguous dataset: what HDF5 keeps, attributes, gaps, and compressed
   chunks as they are stored;
1. of the bytes of ``/crc32/blocks``;
2. of these two numbers, by which it is known whether the others can be believed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.pairs.format import Header, Layout, Place
from blurgen.pairs.raw import read_rows
from blurgen.pairs.seal import SEAL_BYTES

_READ_BYTES = 1 << 20

Sums = NDArray[np.uint32]


def sums_of_blocks(columns: Mapping[str, NDArray[Any]], block_rows: int) -> Sums:
    """The checksums of consecutive blocks.

    Parameters
    ----------
    columns : mapping of str to ndarray
        Every dataset's rows, of equal number and C-contiguous, in the file's dtype.
    block_rows : int
        Rows of a block; the last one may have fewer.

    Returns
    -------
    ndarray
        uint32, little-endian, shape (blocks, datasets), the datasets in the order of their sorted names.
    """
    views = [columns[name].reshape(-1).view(np.uint8).data for name in sorted(columns)]
    rows = len(next(iter(columns.values())))
    sizes = [view.nbytes // rows for view in views]
    starts = range(0, rows, block_rows)
    sums = [
        [
            zlib.crc32(view[start * size : (start + block_rows) * size])
            for view, size in zip(views, sizes, strict=True)
        ]
        for start in starts
    ]
    return np.array(sums, "<u4")


def sums_of_file(file: int, header: Header, layout: Layout, blocks: Sums) -> Sums:
    """The checksums of an open file's bytes that are no rows, and of its blocks' checksums.

    Returns
    -------
    ndarray
        uint32, little-endian, shape (3,).
    """
    return joined_sums(structure_sum(file, header, layout), zlib.crc32(blocks.data))


def joined_sums(structure: int, blocks: int) -> Sums:
    """The three numbers of ``/crc32/file``, of the first two."""
    both = np.array([structure, blocks], "<u4")
    return np.append(both, np.array(zlib.crc32(both.data), "<u4"))


def structure_sum(file: int, header: Header, layout: Layout) -> int:
    """The checksum of the bytes that belong to no contiguous dataset."""
    found = 0
    for start, stop in structure_ranges(os.fstat(file).st_size, header, layout):
        for at in range(start, stop, _READ_BYTES):
            found = zlib.crc32(os.pread(file, min(_READ_BYTES, stop - at), at), found)
    return found


def structure_ranges(size: int, header: Header, layout: Layout) -> Iterator[tuple[int, int]]:
    """Where in a file of `size` bytes those bytes lie, (start, stop), ascending."""
    places = [(place, header.count) for place in layout.columns.values()]
    places += [(layout.block_sums, header.blocks), (layout.file_sums, 3)]
    extents = [_extent(place, rows) for place, rows in places if place.offset >= 0]
    at = SEAL_BYTES if layout.rows_elsewhere else 0  # the seal says what follows, these sums among it
    for start, stop in sorted(extents):
        if at < start:
            yield at, start
        at = max(at, stop)
    if at < size:
        yield at, size


def _extent(place: Place, rows: int) -> tuple[int, int]:
    return place.offset, place.offset + rows * place.row_bytes


def read_block_sums(file: int, header: Header, layout: Layout) -> Sums:
    """The table ``/crc32/blocks`` of an open file."""
    return read_rows(file, layout.block_sums, 0, header.blocks)


def read_file_sums(file: int, layout: Layout) -> Sums:
    """The numbers ``/crc32/file`` of an open file."""
    return read_rows(file, layout.file_sums, 0, 3)
