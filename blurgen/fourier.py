"""Convolution by Fourier transforms, for large dense PSFs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def convolve_one(
    image: NDArray[Any],
    psf: NDArray[np.float32],
    row_of: NDArray[np.int64],
    column_of: NDArray[np.int64],
    outside: float,
    out: NDArray[np.float32],
) -> None:
    """Convolve one image (H, W, C) with a PSF; `out` float32 (H, W, C) receives the unrounded sums."""
    import scipy.fft

    height, width, channels = image.shape
    rows, columns = psf.shape
    size = [scipy.fft.next_fast_len(n, real=True) for n in (height + rows - 1, width + columns - 1)]
    transformed = scipy.fft.rfft2(psf, size)
    padded = np.empty((row_of.size, column_of.size), np.float32)
    for c in range(channels):
        padded[...] = image[np.ix_(row_of, column_of)][..., c]
        padded[row_of < 0] = outside
        padded[:, column_of < 0] = outside
        sums = scipy.fft.irfft2(scipy.fft.rfft2(padded, size) * transformed, size)
        out[..., c] = sums[rows - 1 : rows - 1 + height, columns - 1 : columns - 1 + width]
