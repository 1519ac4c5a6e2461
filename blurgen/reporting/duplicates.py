"""Sharp images that are nearly the same.

Two images are near-duplicates where their gray values correlate by at least `LEAST`; brightness and contrast
do not count. None is missed: the distance of two standardised images, √(2 − 2r), is never less than that of
their means over a coarse grid, so that only pairs whose coarse means are near need be compared by pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 0.99
_SIDE = 16  # of the coarse grid
_BLOCK = 512  # images that are compared with all others at a time
_BLOCK_BYTES = 8 << 20  # of images that are read at a time
_ROUNDING = 1e-4  # of a squared distance, in float32
_FLAT = 1.0  # grey levels: images of a smaller deviation say nothing
_MOST = 200_000  # pairs that are compared pixel by pixel


@dataclass(frozen=True, eq=False)
class Duplicates:
    """What a search found.

    Attributes
    ----------
    rows : ndarray
        int64, shape (D, 2): the rows of near-duplicates, the lower first, the most alike pairs first.
    correlation : ndarray
        float64, shape (D,): of each pair.
    images : int
        How many images were compared with one another.
    flat : int
        How many others were left out, since they have next to no contrast.
    whole : bool
        Whether every source image of the file was looked at.
    stopped : bool
        Whether so many are alike that the search ended early.
    """

    rows: NDArray[np.int64]
    correlation: NDArray[np.float64]
    images: int
    flat: int
    whole: bool
    stopped: bool

    @property
    def involved(self) -> int:
        """How many images have a near-duplicate."""
        return int(np.unique(self.rows).size)


def near_duplicates(images: NDArray[np.uint8], rows: NDArray[np.int64], *, whole: bool) -> Duplicates:
    """Search among the images `rows` of a file.

    Parameters
    ----------
    images : ndarray
        uint8, shape (N, H, W, C): the file's, mapped; a block of rows is read at a time.
    rows : ndarray
        int64, ascending: which of them.
    whole : bool
        Passed on.
    """
    coarse, mean, deviation = _fingerprints(images, rows)
    kept = np.flatnonzero(deviation >= _FLAT)
    flat = rows.size - kept.size
    rows, coarse, mean, deviation = rows[kept], coarse[kept], mean[kept], deviation[kept]
    pairs, stopped = _candidates(coarse)
    correlation = np.empty(len(pairs))
    block = _rows_of_a_block(images)
    for start in range(0, len(pairs), block):
        part = pairs[start : start + block]
        one, two = (_gray(images, rows[part[:, side]]) - mean[part[:, side], None, None] for side in (0, 1))
        products = (one * two).mean(axis=(1, 2))
        correlation[start : start + block] = products / (deviation[part[:, 0]] * deviation[part[:, 1]])
    near = correlation >= LEAST
    order = np.argsort(-correlation[near], kind="stable")
    return Duplicates(
        rows[pairs[near]][order], correlation[near][order], int(kept.size), int(flat), whole, stopped
    )


def _rows_of_a_block(images: NDArray[np.uint8]) -> int:
    return max(1, _BLOCK_BYTES // int(np.prod(images.shape[1:])))


def _gray(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The means of the channels, float32, shape (n, H, W)."""
    different, inverse = np.unique(rows, return_inverse=True)
    gray: NDArray[np.float32] = np.asarray(images[different]).mean(axis=3, dtype=np.float32)
    return gray[inverse]


def _fingerprints(
    images: NDArray[np.uint8], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Of each image its standardised means over a coarse grid, its mean and its deviation."""
    height, width = images.shape[1:3]
    down, across = _areas(height), _areas(width)
    # so scaled, the distance of two rows is the root of the mean square over the grid
    coarse = np.empty((rows.size, len(down) * len(across)), np.float32)
    mean, deviation = np.empty(rows.size, np.float32), np.empty(rows.size, np.float32)
    block = _rows_of_a_block(images)
    for start in range(0, rows.size, block):
        part = slice(start, start + block)
        gray = _gray(images, rows[part])
        mean[part] = gray.mean(axis=(1, 2))
        gray -= mean[part, None, None]
        deviation[part] = np.sqrt(np.square(gray).mean(axis=(1, 2)))
        gray /= np.maximum(deviation[part, None, None], 1e-6)
        coarse[part] = (down @ gray @ across.T).reshape(len(gray), -1)
    return coarse / np.float32(np.sqrt(coarse.shape[1])), mean, deviation


def _areas(length: int) -> NDArray[np.float32]:
    """The weights that take means over equal parts of a length, float32, shape (parts, length)."""
    parts = min(_SIDE, length)
    edges = np.linspace(0, length, parts + 1)[:, None]
    pixels = np.arange(length)
    covered = np.clip(edges[1:] - pixels, 0, 1) - np.clip(edges[:-1] - pixels, 0, 1)
    weights: NDArray[np.float32] = (covered * parts / length).astype(np.float32)
    return weights


def _candidates(coarse: NDArray[np.float32]) -> tuple[NDArray[np.int64], bool]:
    """The pairs whose coarse means are near enough, shape (n, 2); whether there were too many of them."""
    squares = np.square(coarse).sum(axis=1)
    limit = 2.0 - 2.0 * LEAST + _ROUNDING
    found: list[NDArray[np.int64]] = []
    number = 0
    for start in range(0, len(coarse), _BLOCK):
        part = coarse[start : start + _BLOCK]
        distance = squares[start : start + _BLOCK, None] + squares[start:] - 2.0 * (part @ coarse[start:].T)
        near = np.argwhere(np.triu(distance <= limit, 1)) + start
        found.append(near)
        number += len(near)
        if number > _MOST:
            break
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    return pairs[:_MOST], number > _MOST
