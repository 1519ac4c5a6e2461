"""The uniform disc of a defocused lens, as MATLAB's ``fspecial('disk', …)``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import psf as loops
from blurgen.psf.sizes import MAX_SIZE, checked_number

MAX_RADIUS = MAX_SIZE // 2 - 1


def disk(radius: float) -> NDArray[np.float64]:
    """PSF of a disc: each pixel weighs the area of it that the disc covers.

    The area is an exact integral, not a count of samples. The disc's centre is the middle of the centre
    pixel, the size ``2·ceil(radius − ½) + 1``.

    Parameters
    ----------
    radius : float
        Radius in pixels, 0 … 2046; 0 gives a single pixel.

    Returns
    -------
    ndarray
        float64, square, of odd size, sum 1.

    Raises
    ------
    InputError
        If `radius` is out of range.

    Examples
    --------
    >>> disk(1).round(3)
    array([[0.025, 0.145, 0.025],
           [0.145, 0.318, 0.145],
           [0.025, 0.145, 0.025]])
    """
    radius = checked_number("radius", radius, 0.0, MAX_RADIUS)
    size = disk_size(radius)
    out = np.ones((size, size))
    if size > 1:
        loops.disk(radius, out)
    out /= out.sum()
    return out


def disk_size(radius: float) -> int:
    """The odd size that holds a disc of `radius`."""
    return 2 * max(0, math.ceil(radius - 0.5)) + 1


def disk_batch(radii: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Render a disc for each radius, shape (B,), centred in `size` × `size` pixels."""
    psfs = np.zeros((radii.size, size, size), np.float32)
    loops.disk_batch(radii, psfs)
    return psfs
