"""The work of the convolution races: images, and PSFs given ready."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import blurgen
from benchmarks.machine import ROOT

_SHAKE_SIZES = (19, 17, 15, 27, 13, 21, 23, 23)
_SHAKE_TAPS = (109, 114, 87, 200, 94, 136, 175, 166)


@dataclass(frozen=True)
class Batch:
    """Images `start` … `stop` − 1, and their PSFs in the smallest size that holds them all."""

    start: int
    stop: int
    psfs: NDArray[np.float32]


class Work:
    """Images, and a PSF for each.

    Parameters
    ----------
    images : ndarray
        (B, H, W) or (B, H, W, 3).
    psfs : ndarray
        float32, shape (B, k, k), k odd, each about the centre pixel.
    by_size : bool
        Whether to put them into the order of the PSFs' sizes, so that libraries that need one size for a
        batch get batches of nearly one size.

    Attributes
    ----------
    own : list of ndarray
        Each PSF cut down to its own odd height and width.
    """

    def __init__(self, images: NDArray[Any], psfs: NDArray[np.float32], *, by_size: bool = True) -> None:
        if by_size:
            order = np.argsort([max(_extent(psf)) for psf in psfs], kind="stable")
            images, psfs = images[order], psfs[order]
        self.images = np.ascontiguousarray(images)
        self.psfs = np.ascontiguousarray(psfs)
        self.own = [np.ascontiguousarray(_cut(psf, *_extent(psf))) for psf in self.psfs]

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, size: int) -> list[Batch]:
        """All of it, `size` images at a time."""
        found = []
        for start in range(0, len(self), size):
            stop = min(len(self), start + size)
            rows = max(psf.shape[0] for psf in self.own[start:stop]) // 2
            columns = max(psf.shape[1] for psf in self.own[start:stop]) // 2
            cut = np.stack([_cut(psf, rows, columns) for psf in self.psfs[start:stop]])
            found.append(Batch(start, stop, np.ascontiguousarray(cut)))
        return found


def _extent(psf: NDArray[np.float32]) -> tuple[int, int]:
    """How many rows and columns from the centre the weights reach."""
    rows, columns = np.nonzero(psf)
    return int(abs(rows - psf.shape[0] // 2).max()), int(abs(columns - psf.shape[1] // 2).max())


def _cut(psf: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    middle_row, middle_column = psf.shape[0] // 2, psf.shape[1] // 2
    return psf[
        middle_row - rows : middle_row + rows + 1, middle_column - columns : middle_column + columns + 1
    ]


def noise_images(count: int, *shape: int) -> NDArray[np.uint8]:
    """Seeded random bytes: no convolution's speed depends on what it is given."""
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def digits(count: int) -> NDArray[np.uint8]:
    """Drawn digits, (B, 28, 28)."""
    return blurgen.open_source("digits").read(0, count)[..., 0]


def motion_psfs(count: int, shortest: float, longest: float) -> NDArray[np.float32]:
    """Seeded motion PSFs, lengths uniform from `shortest` to `longest`, any angle."""
    rng = np.random.default_rng(2)
    lengths, angles = rng.uniform(shortest, longest, count), rng.uniform(0.0, 360.0, count)
    return blurgen.psf.motion_batch(lengths, angles, blurgen.psf.motion_size(longest))


def shake_psfs() -> tuple[NDArray[np.float32], str]:
    """Eight camera-shake PSFs, (8, k, k), and where they are from."""
    shared = Path(os.environ.get("BLURGEN_TEST_DATA") or ROOT.parent / "shared")
    levin = shared / "reference" / "levin2009" / "kernels.npz"
    if levin.is_file():
        return blurgen.psf.load_psfs(levin).astype(np.float32), "the eight PSFs of Levin et al. 2009"
    drawn = [
        _random_walk(*pair, seed) for seed, pair in enumerate(zip(_SHAKE_SIZES, _SHAKE_TAPS, strict=True))
    ]
    size = max(_SHAKE_SIZES)
    psfs = np.stack([blurgen.psf.embedded(psf, size) for psf in drawn])
    return psfs, "eight random walks with the sizes and numbers of taps of Levin's PSFs, which are not here"


def _random_walk(size: int, taps: int, seed: int) -> NDArray[np.float64]:
    """A PSF of exactly `taps` taps: where a point with some inertia has been."""
    rng = np.random.default_rng(seed)
    visits = np.zeros((size, size))
    place, speed = np.full(2, size / 2.0), np.zeros(2)
    while True:
        y, x = place.astype(int)
        if visits[y, x] == 0 and np.count_nonzero(visits) == taps:
            visits /= visits.sum()
            return visits
        visits[y, x] += 1.0
        speed = 0.9 * speed + 0.3 * rng.standard_normal(2)
        ahead = place + speed
        speed[(ahead < 0) | (ahead >= size)] *= -1.0
        place = np.clip(ahead, 0.0, size - 1e-6)
