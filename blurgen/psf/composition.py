"""The room about a PSF, and PSFs of one blur after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def embedded(psf: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """One PSF in the middle of `size` × `size` zeros, its centre ``(h // 2, w // 2)`` on theirs."""
    out = np.zeros((size, size), np.float32)
    top, left = size // 2 - psf.shape[0] // 2, size // 2 - psf.shape[1] // 2
    out[top : top + psf.shape[0], left : left + psf.shape[1]] = psf
    return out


def trimmed(
    psfs: NDArray[np.floating[Any]], *, above: float = 0.0, border: int = 0, least: int = 0
) -> NDArray[Any]:
    """The smallest centred square that holds all of some PSFs: recipes leave room for their largest.

    Parameters
    ----------
    psfs : ndarray
        Shape (n, k, k), k odd.
    above : float
        What part of its PSF's greatest weight a weight must exceed to count.
    border : int
        Pixels that are left about what counts, as far as there are any.
    least : int
        Pixels to each side of the centre that are left in any case, as far as there are any.

    Returns
    -------
    ndarray
        Shape (n, j, j), j odd: a view.
    """
    centre = psfs.shape[1] // 2
    weights = np.abs(psfs)
    counts = (weights > above * weights.max(axis=(1, 2), keepdims=True)).any(axis=0)
    reach = max(int(np.abs(places - centre).max(initial=0)) for places in np.nonzero(counts))
    reach = min(max(reach + border, least), centre)
    return psfs[:, centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]


def composed(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """The PSFs of blurring by `first` and then by `second`, each odd (B, k, k): (B, k₁ + k₂ − 1, …)."""
    count, k, _ = first.shape
    extra = second.shape[1]
    out = np.zeros((count, k + extra - 1, k + extra - 1), np.float32)
    for i in range(extra):
        for j in range(extra):
            out[:, i : i + k, j : j + k] += first * second[:, i, j, None, None]
    return out
