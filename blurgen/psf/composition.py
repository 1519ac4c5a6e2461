"""PSFs of one blur after another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def embedded(psf: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """One PSF in the middle of `size` × `size` zeros, its centre ``(h // 2, w // 2)`` on theirs."""
    out = np.zeros((size, size), np.float32)
    top, left = size // 2 - psf.shape[0] // 2, size // 2 - psf.shape[1] // 2
    out[top : top + psf.shape[0], left : left + psf.shape[1]] = psf
    return out


def composed(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """The PSFs of blurring by `first` and then by `second`, each odd (B, k, k): (B, k₁ + k₂ − 1, …)."""
    count, k, _ = first.shape
    extra = second.shape[1]
    out = np.zeros((count, k + extra - 1, k + extra - 1), np.float32)
    for i in range(extra):
        for j in range(extra):
            out[:, i : i + k, j : j + k] += first * second[:, i, j, None, None]
    return out
