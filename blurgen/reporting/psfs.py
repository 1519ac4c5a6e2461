"""What can be told of a file's PSFs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.known_psfs import known_psfs
from blurgen.pairs import PairFile
from blurgen.psf.composition import trimmed
from blurgen.reporting.sampling import Rows, drawn_rows

_MOST = 1_000  # PSFs that are looked at
_MOST_BYTES = 64_000_000
_LEAST = 1e-3  # of the greatest weight: what is less does not count as support

Psfs = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PsfFindings:
    """Of some PSFs of a file.

    Attributes
    ----------
    rows : ndarray
        int64: of which pairs.
    psfs : ndarray
        float32, shape (n, k, k), k odd and the least that holds all of them.
    mean : ndarray
        float64, shape (k, k).
    centroids : ndarray
        float64, shape (n, 2): how far right and down of the middle pixel the centroid lies, in pixels.
    support : ndarray
        int64, shape (n,): the longer side, in pixels, of the rectangle about all weights of at least a
        thousandth of the greatest.
    stored : bool
        Whether the file holds them; else they were made again from what was drawn.
    """

    rows: Rows
    psfs: Psfs
    mean: NDArray[np.float64]
    centroids: NDArray[np.float64]
    support: NDArray[np.int64]
    stored: bool


def psf_findings(pairs: PairFile, seed: int) -> PsfFindings | None:
    """Look at some PSFs; None where no one PSF describes the blur, or the file of given ones is not here."""
    try:
        size = pairs.header.psf_size or pairs.recipe.psf_size
    except InputError:
        return None
    rows = drawn_rows(len(pairs), max(1, min(_MOST, _MOST_BYTES // (4 * size * size))), seed)
    psfs, _ = known_psfs(pairs, rows)
    if psfs is None:
        return None
    psfs = trimmed(psfs)
    reach = psfs.shape[1] // 2
    places = np.arange(-reach, reach + 1)
    weights = psfs.astype(np.float64)
    light = weights.sum(axis=(1, 2))
    right, down = (weights.sum(axis=axis) @ places / light for axis in (1, 2))
    return PsfFindings(
        rows,
        psfs,
        weights.mean(axis=0),
        np.stack([right, down], axis=1),
        _support(psfs),
        bool(pairs.header.psf_size),
    )


def _support(psfs: Psfs) -> NDArray[np.int64]:
    counts = psfs >= _LEAST * psfs.max(axis=(1, 2), keepdims=True)
    sides = [_extent(counts.any(axis=axis)) for axis in (1, 2)]
    return np.maximum(*sides)


def _extent(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """From the first to the last true place of each row."""
    length = there.shape[1]
    extent: NDArray[np.int64] = length - there[:, ::-1].argmax(axis=1) - there.argmax(axis=1)
    return extent
