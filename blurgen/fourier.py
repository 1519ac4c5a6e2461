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


class FourierEngine:
    """Convolves images (B, H, W, C) with their PSFs (one each, or one for all) into `out`.

    Parameters
    ----------
    images, psfs, out : ndarray
        As the loops take them.
    borders : tuple
        Which row and which column stands where, and the reach.
    outside : scalar
        The value beyond a constant border.
    rounding : tuple of float32
        What is added, and the limits.
    """

    def __init__(
        self,
        images: NDArray[Any],
        psfs: NDArray[np.float32],
        borders: tuple[NDArray[np.int64], NDArray[np.int64], int],
        outside: Any,
        rounding: tuple[np.float32, np.float32, np.float32],
        out: NDArray[Any],
    ) -> None:
        self._images, self._psfs, self._out = images, psfs, out
        self._borders, self._outside, self._rounding = borders, outside, rounding
        self._shape = (images.shape[1], images.shape[2], images.shape[3])
        self._psf_shape = (psfs.shape[1], psfs.shape[2])
        self._plan = plan(self._shape, self._psf_shape)
        self._tables = _tables(self._plan.height), _tables(self._plan.width)
        self._shared: NDArray[np.float32] | None = None

    def prepare(self, threads: int) -> None:
        """Transform the PSF, where it is one for all images."""
        if len(self._psfs) == 1:
            self._shared = self._spectrum(self._psfs[0], threads)

    def convolve(self, n: int, threads: int) -> None:
        """Convolve one image, its tiles shared among threads."""
        spectrum = self._spectrum(self._psfs[n], threads) if self._shared is None else self._shared
        row_of, column_of, reach = self._borders
        down, across = self._tables
        pixels, results = self._images[n].reshape(-1), self._out[n].reshape(-1)

        def work(pairs: slice) -> None:
            loops.tiles(
                pixels,
                self._shape,
                (pairs.start, pairs.stop),
                self._psf_shape,
                spectrum,
                self._plan.height,
                self._plan.width,
                *down,
                *across,
                row_of,
                column_of,
                reach,
                self._outside,
                *self._rounding,
                results,
            )

        pool.run(work, pool.shares(self._plan.pairs, threads), threads)

    def _spectrum(self, psf: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
        height, width = self._plan.height, self._plan.width
        down, across = self._tables
        transformed = np.empty(height * width * 2, np.float32)
        columns = loops.psf_columns(psf, height, width, *down)

        def work(groups: slice) -> None:
            loops.psf_rows(columns, (groups.start, groups.stop), height, width, *across, transformed)

        pool.run(work, pool.shares(height // LANES, threads), threads)
        return transformed
