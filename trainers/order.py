"""In which order the rows of a file are taken.

Rows are counted from 0 to the end of a file in *passes*; each pass takes every row once, but for the few that
fill no batch. A pass shuffles *blocks* of neighbouring rows, gathers some hundred blocks into a *window*, and
shuffles the rows in it; a file of up to 2 GiB is one window. So a file larger than memory is read in long
pieces, never row by row, and the order depends on the file's size and the seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen.draws import Draws
from trainers.cuts import derived_seed

_WHOLE_BYTES = 2 << 30  # up to so many are kept in memory, and shuffled all together
_WINDOW_BYTES = 512 << 20
_BLOCK_BYTES = 2 << 20

Index = NDArray[np.int64]


class Window(NamedTuple):
    """Rows that are in memory together.

    Attributes
    ----------
    places : ndarray
        Which of the feeder's rows, as they are read: blocks of neighbours.
    order : ndarray
        Indices into `places`, as they are used.
    """

    places: Index
    order: Index


@dataclass(frozen=True)
class Plan:
    """In which order `count` rows are taken in each pass.

    Attributes
    ----------
    count : int
        How many rows there are.
    block_rows, window_rows : int
        Rows of a block, and of a window; a window of `count` rows or more holds everything.
    shuffle : bool
        Whether they are shuffled at all.
    seed : int
        For the shuffling.
    """

    count: int
    block_rows: int
    window_rows: int
    shuffle: bool
    seed: int

    @classmethod
    def for_bytes(cls, count: int, row_bytes: int, shuffle: bool, seed: int) -> Plan:
        """The plan for rows of so many bytes."""
        whole = count * row_bytes <= _WHOLE_BYTES
        block = max(1, _BLOCK_BYTES // row_bytes)
        window = count if whole else max(1, _WINDOW_BYTES // row_bytes // block) * block
        return cls(count, block, window, shuffle, seed)

    @property
    def whole(self) -> bool:
        """Whether one window holds everything."""
        return self.window_rows >= self.count

    def windows(self, number: int) -> list[Window]:
        """The windows of a pass."""
        if self.whole:
            return [self._window(number, np.arange(self.count, dtype=np.int64))]
        starts = np.arange(0, self.count, self.block_rows, dtype=np.int64)
        if self.shuffle:
            starts = starts[self._shuffled("blocks", number, starts)]
        blocks = self.window_rows // self.block_rows
        windows = []
        for i in range(0, len(starts), blocks):
            ranges = [
                np.arange(start, min(start + self.block_rows, self.count)) for start in starts[i : i + blocks]
            ]
            windows.append(self._window(number, np.concatenate(ranges)))
        return windows

    def _window(self, number: int, places: Index) -> Window:
        used = self._shuffled("rows", number, places) if self.shuffle else np.arange(len(places))
        return Window(places, used)

    def _shuffled(self, what: str, number: int, items: Index) -> Index:
        keys = Draws(derived_seed(self.seed, what, number), items).uniform(0)
        return np.argsort(keys, kind="stable")
