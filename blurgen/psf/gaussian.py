"""Gaussians: MATLAB's ``fspecial('gaussian', …)`` and OpenCV's choice of σ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import psf as loops
from blurgen.psf.sizes import checked_number, checked_size

_EPS = np.finfo(np.float64).eps


def gaussian(size: int | tuple[int, int], sigma: float) -> NDArray[np.float64]:
    """Gaussian PSF on a given grid, as MATLAB's ``fspecial('gaussian', size, sigma)``.

    exp(−(x² + y²)/2σ²) at the pixels of the centred grid (half a pixel off in even sizes), weights below
    2⁻⁵² of the largest set to 0, divided by their sum.

    Parameters
    ----------
    size : int or tuple of int
        Size, or (rows, columns), in pixels.
    sigma : float
        Standard deviation σ in pixels, 0.01 … 1000.

    Returns
    -------
    ndarray
        float64, shape (rows, columns), sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> gaussian(3, 0.5).round(4)
    array([[0.0113, 0.0838, 0.0113],
           [0.0838, 0.6193, 0.0838],
           [0.0113, 0.0838, 0.0113]])
    """
    rows, columns = checked_size(size)
    sigma = checked_number("sigma", sigma, 0.01, 1000.0)
    down, across = np.empty(rows), np.empty(columns)
    loops.gaussian_profile(sigma, down)
    loops.gaussian_profile(sigma, across)
    psf = np.multiply.outer(down, across)
    psf[psf < _EPS * psf.max()] = 0.0
    psf /= psf.sum()
    return psf


def opencv_sigma(size: int) -> float:
    """The σ that OpenCV's ``GaussianBlur`` takes for an odd `size` where it is given none.

    0.3·((size − 1)/2 − 1) + 0.8. For sizes up to 7 OpenCV has fixed taps of its own, which `gaussian_batch`
    uses where σ is 0.
    """
    return 0.3 * ((size - 1) * 0.5 - 1.0) + 0.8


# what OpenCV takes for bytes where σ is not given
_OPENCV_TAPS = {
    1: (1.0,),
    3: (0.25, 0.5, 0.25),
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
}


def gaussian_batch(sizes: NDArray[np.int64], sigmas: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Render a Gaussian for each (size, σ), shape (B,), centred in `size` × `size` pixels.

    The sizes are odd; where σ is 0 the taps are OpenCV's for that size.
    """
    psfs = np.zeros((sizes.size, size, size), np.float32)
    given = np.where(sigmas > 0.0, sigmas, 0.3 * ((sizes - 1) * 0.5 - 1.0) + 0.8)
    loops.gaussian_batch(sizes, given, psfs)
    for own, taps in _OPENCV_TAPS.items():
        if own > size:
            continue
        start = (size - own) // 2
        inner = slice(start, start + own)
        psfs[(sigmas == 0.0) & (sizes == own), inner, inner] = np.multiply.outer(taps, taps)
    return psfs
