"""Convolution by Fourier transforms, for PSFs of many taps: sizes of tiles, tables, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import fft as loops

# a side is a multiple of the vectors' 16 lanes, with no prime factor but 2 and 3
_SIDES = sorted(16 * 2**a * 3**b for a in range(17) for b in range(2))
_GROWTH = 1.2e-6  # how much more a point costs for each point of its tile: large tiles leave the caches


class Plan(NamedTuple):
    """The size of the tiles, how many pairs of them an image takes, and the cost in points."""

    height: int
    width: int
    pairs: int
    cost: float


@lru_cache(maxsize=256)
def plan(shape: tuple[int, int, int], psf_shape: tuple[int, int]) -> Plan:
    """The cheapest tiles for an image (H, W, C) and a PSF (h, w)."""
    best = None
    for height in _SIDES:
        for width in _SIDES:
            rows, columns = height - psf_shape[0] + 1, width - psf_shape[1] + 1
            if rows < 1 or columns < 1:
                continue
            pairs = -(-(-(-shape[0] // rows) * -(-shape[1] // columns) * shape[2]) // 2)
            points = height * width
            cost = (pairs + 0.5) * points * (1.0 + _GROWTH * points)
            if best is None or cost < best.cost:
                best = Plan(height, width, pairs, cost)
    assert best is not None
    return best


@lru_cache(maxsize=32)
def _tables(side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    radices = loops.factors(side)
    return radices, loops.twiddles(side, radices)


def convolve_one(
    image: NDArray[Any],
    psf: NDArray[np.float32],
    borders: tuple[NDArray[np.int64], NDArray[np.int64], int],
    outside: Any,
    rounding: tuple[np.float32, np.float32, np.float32],
    out: NDArray[Any],
    run: Callable[[Callable[[tuple[int, int]], None], int], None],
) -> None:
    """Convolve one image (H, W, C) with one PSF.

    ``run(work, count)`` calls ``work((first, last))`` on ranges that cover ``range(count)``, on as many
    threads as it likes.
    """
    shape = (image.shape[0], image.shape[1], image.shape[2])
    size = plan(shape, (psf.shape[0], psf.shape[1]))
    tables = (*_tables(size.height), *_tables(size.width))
    transformed = np.empty(size.height * size.width * 2, np.float32)
    loops.spectrum(psf, size.height, size.width, *tables, transformed)
    pixels, results = image.reshape(-1), out.reshape(-1)

    def work(pairs: tuple[int, int]) -> None:
        loops.tiles(
            pixels,
            shape,
            pairs,
            psf.shape,
            transformed,
            size.height,
            size.width,
            *tables,
            *borders,
            outside,
            *rounding,
            results,
        )

    run(work, size.pairs)
