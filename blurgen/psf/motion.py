"""Motion along a line, as MATLAB's ``fspecial('motion', …)`` draws it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import psf as loops
from blurgen.psf.sizes import MAX_SIZE, checked_number

MAX_LENGTH = MAX_SIZE - 2


def motion(length: float, angle: float) -> NDArray[np.float64]:
    """PSF of uniform motion along a straight line.

    With half = (length − 1)/2, a pixel at distance d from the segment of half-length `half` through the
    centre weighs max(0, 1 − d); the weights are then divided by their sum. It equals MATLAB's kernel to
    1 part in 10¹², its shape and its two oddities included: the end of the segment is taken where the
    *radius* exceeds half, and for angles between 90 and 180 degrees the support may be one column wider on
    each side than the weights need.

    Parameters
    ----------
    length : float
        Length of the motion in pixels, −1e6 … 4093; below 1 it counts as 1.
    angle : float
        Degrees, anticlockwise from the positive x axis, y pointing up; any real number up to 1e9 in size.

    Returns
    -------
    ndarray
        float64, shape (h, w), both odd; sum 1; symmetric under a half turn.

    Raises
    ------
    InputError
        If an argument is not a number, not finite, or outside its range.

    Examples
    --------
    >>> motion(3, 0).round(3)
    array([[0.333, 0.333, 0.333]])
    """
    length = max(1.0, checked_number("length", length, -1e6, MAX_LENGTH))
    angle = checked_number("angle", angle, -1e9, 1e9)
    half, c, s, rows, columns = loops.motion_line(length, angle)
    out = np.empty((2 * rows + 1, 2 * columns + 1))
    loops.motion(length, half, c, s, out)
    return out


def motion_size(length: float) -> int:
    """The odd size that holds every motion PSF up to `length`, whatever its angle."""
    return 2 * math.floor((max(1.0, length) - 1.0) / 2.0 + 1.0 + 1e-9) + 1


def motion_batch(
    length: NDArray[np.float64], angle: NDArray[np.float64], size: int, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Render a motion PSF for each (length, angle), shape (B,), centred in `size` × `size` pixels.

    `size`, odd, is at least ``motion_size(length.max())``. `out`, float32 (B, size, size), is filled and
    returned where it is given.
    """
    psfs = np.empty((length.size, size, size), np.float32) if out is None else out
    loops.motion_batch(length, angle, psfs)
    return psfs
