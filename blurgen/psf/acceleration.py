"""Motion along a line whose speed changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import paths as loops
from blurgen.psf.path import MAX_LENGTH, path_size
from blurgen.psf.sizes import checked_number

MOST = 1000.0


def accelerated_motion(length: float, angle: float, acceleration: float) -> NDArray[np.float64]:
    """PSF of uniformly accelerated motion along a straight line.

    The speed changes steadily from v₀ to v₁ = acceleration·v₀; a place of the line is as bright as the time
    spent there is long, 1/v. The line is cut into pieces of at most 1/16 pixel (at least 64), the light of
    each, an exact integral, put at its centroid and spread on four pixels by bilinear weights. The centroid
    is the centre of the PSF.

    Parameters
    ----------
    length : float
        Length of the motion in pixels, 0 … 1023.
    angle : float
        Direction in degrees, anticlockwise from the positive x axis, y pointing up; −1e6 … 1e6.
    acceleration : float
        Speed at the end over that at the start, 0 … 1000; 1 is uniform motion.

    Returns
    -------
    ndarray
        float64, square, of odd size, sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> accelerated_motion(3, 0, 0).round(3)[3]
    array([0.   , 0.089, 0.208, 0.319, 0.385, 0.   , 0.   ])
    """
    length = checked_number("length", length, 0.0, MAX_LENGTH)
    size = acceleration_size(length)
    out = np.empty((size, size))
    loops.accelerated(
        np.full(1, length),
        np.full(1, checked_number("angle", angle, -1e6, 1e6)),
        np.full(1, checked_number("acceleration", acceleration, 0.0, MOST)),
        out[None],
    )
    return out


def acceleration_size(length: float) -> int:
    """The odd size that holds every such PSF up to `length`."""
    # at rest at one end, the centroid is a third of the way from there
    return path_size(2.0 / 3.0 * length)


def accelerated_motion_batch(
    length: NDArray[np.float64], angle: NDArray[np.float64], acceleration: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Render a PSF for each row, (B,), centred in `size` × `size` pixels."""
    out = np.empty((length.size, size, size), np.float32)
    loops.accelerated(length, angle, acceleration, out)
    return out
