"""Convolution by Fourier transforms, for PSFs of many taps: sizes of tiles, tables, and what it costs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen.loops import fft as loops
from blurgen.loops.vectors import LANES

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
            # an even number of pairs keeps two threads busy
            cost = (pairs + (pairs % 2 if pairs > 1 else 0) + 0.5) * points * (1.0 + _GROWTH * points)
            if best is None or cost < best.cost:
                best = Plan(height, width, pairs, cost)
    assert best is not None
    return best


@lru_cache(maxsize=32)
def _tables(side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    radices = loops.factors(side)
    return radices, loops.twiddles(side, radices)


def convolve_images(
    images: NDArray[Any],
    psfs: NDArray[np.float32],
    which: NDArray[np.intp],
    borders: tuple[NDArray[np.int64], NDArray[np.int64], int],
    outside: Any,
    rounding: tuple[np.float32, np.float32, np.float32],
    out: NDArray[Any],
    threads: int,
) -> None:
    """Convolve ``images[which]`` (B, H, W, C) with their PSFs (one each, or one for all) into `out`."""
    _, height, width, channels = images.shape
    shape = (height, width, channels)
    row_of, column_of, reach = borders
    psf_shape = (psfs.shape[1], psfs.shape[2])
    size = plan(shape, psf_shape)
    down, across = _tables(size.height), _tables(size.width)

    def spectrum(psf: NDArray[np.float32], parts: int) -> NDArray[np.float32]:
        transformed = np.empty(size.height * size.width * 2, np.float32)
        columns = loops.psf_columns(psf, size.height, size.width, *down)

        def transform(groups: slice) -> None:
            bounds = (groups.start, groups.stop)
            loops.psf_rows(columns, bounds, size.height, size.width, *across, transformed)

        pool.run(transform, pool.shares(size.height // LANES, parts), parts)
        return transformed

    def convolve(n: int, transformed: NDArray[np.float32], parts: int) -> None:
        pixels, results = images[n].reshape(-1), out[n].reshape(-1)

        def work(pairs: slice) -> None:
            loops.tiles(
                pixels,
                shape,
                (pairs.start, pairs.stop),
                psf_shape,
                transformed,
                size.height,
                size.width,
                *down,
                *across,
                row_of,
                column_of,
                reach,
                outside,
                *rounding,
                results,
            )

        pool.run(work, pool.shares(size.pairs, parts), parts)

    # images side by side where there are enough, else the tiles of one
    beside, within = (threads, 1) if len(which) >= threads else (1, threads)
    shared = spectrum(psfs[0], within) if len(psfs) == 1 else None

    def one(n: int) -> None:
        convolve(n, spectrum(psfs[n], within) if shared is None else shared, within)

    pool.run(one, which.tolist(), beside)
