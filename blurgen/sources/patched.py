"""Sources that decode large images and give them whole or cut into patches."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.sources.base import Source
from blurgen.sources.cache import ArrayCache
from blurgen.sources.per_process import PerProcess

# Bytes of decoded images kept for the next read.
_CACHE = 256 << 20
# Decoding releases the GIL; more threads than this only hold more images at once.
THREADS = min(8, os.cpu_count() or 1)

Size = int | str | Sequence[int]


class _Runtime:
    """What a process needs to read."""

    def __init__(self) -> None:
        self.cache = ArrayCache(_CACHE)
        self.pool = ThreadPoolExecutor(THREADS, "blurgen-decode")


class PatchedSource(Source):
    """Images cut from larger ones, the items, that are decoded when they are needed.

    Patches lie in rows from the upper left corner; what remains at the right and lower edge is not used. A
    subclass calls `_lay_out` and says by `_load` what an item is.
    """

    def _lay_out(
        self,
        sizes: Sequence[tuple[int, int]],
        channels: int,
        patch: tuple[int, int] | None,
        stride: tuple[int, int] | None,
    ) -> None:
        """Say how large the items are: all alike where they are not cut. Sets shape and length."""
        self._sizes = list(sizes)
        self._patch, self._stride = patch, stride or patch
        height, width = patch or self._sizes[0]
        self.shape = (height, width, channels)
        counts = [rows * columns for rows, columns in map(self._grid, self._sizes)]
        # _starts[i] is the index of the first patch of item i
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self.length = int(self._starts[-1])
        self._runtime = PerProcess(_Runtime)

    @abstractmethod
    def _load(self, item: int) -> NDArray[np.uint8]:
        """Decode an item: uint8 (n, H, W, C), n = 1 for sharp images, 2 for sharp and blurred ones."""

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches in an item."""
        if not self._patch or not self._stride:
            return 1, 1
        rows, columns = (
            (whole - part) // step + 1
            for whole, part, step in zip(size, self._patch, self._stride, strict=True)
        )
        return rows, columns

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        return self._cut_out(start, stop, 1)[0]

    def _cut_out(self, start: int, stop: int, layers: int) -> list[NDArray[np.uint8]]:
        """The first `layers` of patches `start` … `stop` − 1, each (B, H, W, C)."""
        outs = [np.empty((stop - start, *self.shape), np.uint8) for _ in range(layers)]
        if start == stop:
            return outs
        first, last = np.searchsorted(self._starts, [start, stop - 1], side="right") - 1

        def fill(item: int) -> None:
            begin = max(start, int(self._starts[item]))
            end = min(stop, int(self._starts[item + 1]))
            self._cut(item, begin, [out[begin - start : end - start] for out in outs])

        if first == last:
            fill(int(first))
        else:
            for _ in self._runtime.get().pool.map(fill, range(first, last + 1)):
                pass
        return outs

    def _cut(self, item: int, begin: int, outs: list[NDArray[np.uint8]]) -> None:
        """Write consecutive patches of one item, of which `begin` is the first."""
        images = self._runtime.get().cache.get(item, lambda: self._load(item))
        height, width, _ = self.shape
        step_down, step_right = self._stride or (0, 0)
        columns = self._grid(self._sizes[item])[1]
        for image, out in zip(images, outs, strict=False):
            for offset, target in enumerate(out, begin - int(self._starts[item])):
                row, column = divmod(offset, columns)
                top, left = row * step_down, column * step_right
                target[...] = image[top : top + height, left : left + width]


def parse_size(name: str, option: str, value: Size | None) -> tuple[int, int] | None:
    """(height, width) from an int, a pair, or text such as ``"64x48"``; None for None.

    Raises
    ------
    InputError
        If it is none of these; `name` and `option` say what was asked for.
    """
    if value is None:
        return None
    size: Sequence[object] = ()
    if isinstance(value, str):
        if match := re.fullmatch(r"([0-9]+)(?:x([0-9]+))?", value.strip()):
            size = (int(match[1]), int(match[2] or match[1]))
    elif isinstance(value, Sequence):
        size = value
    else:
        size = (value, value)
    match size:
        case [int(height), int(width)] if height > 0 and width > 0 and bool not in map(type, size):
            return height, width
    raise InputError(f"{name}: {option} {value!r}, allowed are a size such as 64, (64, 48) or '64x48'")


def patch_options(
    name: str, patch: Size | None, stride: Size | None
) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The two options, checked: a stride needs a patch, and is as large by default."""
    if stride is not None and patch is None:
        raise InputError(f"{name}: stride is given without patch")
    size = parse_size(name, "patch", patch)
    return size, parse_size(name, "stride", stride) or size


def times(size: tuple[int, int]) -> str:
    """``height×width``."""
    return f"{size[0]}×{size[1]}"
