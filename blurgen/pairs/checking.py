"""Rows of a pair file against their checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen.errors import FileError
from blurgen.pairs.format import Header
from blurgen.pairs.sums import Sums, sums_of_blocks

_TASK_BYTES = 4 << 20  # of the rows that a thread takes at a time
_RANGES_TOLD = 5  # more would not help anyone

Blocks = NDArray[np.bool_]


def damaged_blocks(
    header: Header,
    columns: Mapping[str, Any],
    sums: Sums,
    blocks: Blocks,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Blocks]:
    """Which blocks differ from their checksums, or cannot be read at all.

    Parameters
    ----------
    header : Header
        Of the file.
    columns : mapping of str to array
        The datasets to look at.
    sums : ndarray
        The table ``/crc32/blocks``.
    blocks : ndarray
        bool, shape (blocks,): which of them to look at.
    threads : int
        How many threads.
    progress : callable, optional
        Called with (rows looked at, rows in all) now and then.

    Returns
    -------
    dict
        Dataset → bool, shape (blocks,); datasets without damage are not in it.
    """
    places = {name: place for place, name in enumerate(sorted(header.columns())) if name in columns}
    found = {name: np.zeros(header.blocks, np.bool_) for name in columns}
    total = sum(stop - start for start, stop in rows_of(blocks, header))
    done = 0

    def work(task: tuple[int, int]) -> int:
        start, stop = task
        part = slice(start // header.block_rows, -(-stop // header.block_rows))
        for name, place in places.items():
            found[name][part] = _differing(columns[name], start, stop, header.block_rows, sums[part, place])
        return stop - start

    if progress:
        progress(0, total)
    with closing(pool.stream(work, _tasks(blocks, header), threads, "blurgen-check")) as results:
        for finished in results:
            done += sum(finished)
            if progress:
                progress(done, total)
    return {name: damaged for name, damaged in found.items() if damaged.any()}


def _tasks(blocks: Blocks, header: Header) -> Iterator[tuple[int, int]]:
    """Ranges of rows, each of whole blocks."""
    height, width, channels = header.shape
    step = max(1, _TASK_BYTES // (2 * height * width * channels * header.block_rows)) * header.block_rows
    for first, last in rows_of(blocks, header):
        for start in range(first, last, step):
            yield start, min(start + step, last)


def _differing(column: Any, start: int, stop: int, block_rows: int, sums: Sums) -> Blocks:
    """Which blocks of some rows differ from their checksums."""
    try:
        rows = np.ascontiguousarray(column[start:stop])
    except FileError:  # compressed, and damaged so that it cannot be undone
        if len(sums) == 1:
            return np.ones(1, np.bool_)
        parts = [
            _differing(column, at, min(at + block_rows, stop), block_rows, sums[k : k + 1])
            for k, at in enumerate(range(start, stop, block_rows))
        ]
        return np.concatenate(parts)
    differing: Blocks = sums_of_blocks({"": rows}, block_rows)[:, 0] != sums
    return differing


def rows_of(blocks: Blocks, header: Header) -> list[tuple[int, int]]:
    """The ranges of rows (start, stop) of the blocks that are marked."""
    edges = np.flatnonzero(np.diff(blocks, prepend=False, append=False)) * header.block_rows
    return [(int(start), min(int(stop), header.count)) for start, stop in edges.reshape(-1, 2)]


def blocks_of(ranges: list[tuple[int, int]], header: Header) -> Blocks:
    """The blocks that lie in ranges of rows as a whole."""
    blocks = np.zeros(header.blocks, np.bool_)
    for start, stop in ranges:
        last = header.blocks if stop == header.count else stop // header.block_rows
        blocks[-(-start // header.block_rows) : last] = True
    return blocks


def ranges_told(ranges: Iterable[tuple[int, int]]) -> str:
    """``rows 5–7, 12``, and that there are more."""
    some = list(islice(ranges, _RANGES_TOLD + 1))
    told = ", ".join(
        f"{start}" if stop == start + 1 else f"{start}–{stop - 1}" for start, stop in some[:_RANGES_TOLD]
    )
    one = len(some) == 1 and some[0][1] == some[0][0] + 1
    return f"{'row' if one else 'rows'} {told}{', …' if len(some) > _RANGES_TOLD else ''}"
