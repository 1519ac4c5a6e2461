"""Motion along an arc."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import paths as loops
from blurgen.psf.path import MAX_LENGTH, path_size
from blurgen.psf.sizes import checked_number


def arc_motion(length: float, angle: float, bend: float) -> NDArray[np.float64]:
    """PSF of uniform motion along an arc of a circle.

    The direction turns steadily from angle − bend/2 to angle + bend/2, so that the chord has the direction
    `angle` and the radius is length/bend. The arc is taken at points at most 1/16 pixel apart (at least
    64), spread on four pixels each by bilinear weights. The centroid is the centre of the PSF.

    Parameters
    ----------
    length : float
        Length of the arc in pixels, 0 … 1023.
    angle : float
        Direction of the chord in degrees, anticlockwise from the positive x axis, y pointing up; −1e6 … 1e6.
    bend : float
        By how many degrees the direction turns, anticlockwise, −360 … 360; 0 is a straight line.

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
    >>> arc_motion(4, 0, 0).round(3)[3]
    array([0.   , 0.125, 0.25 , 0.25 , 0.25 , 0.125, 0.   ])
    """
    length = checked_number("length", length, 0.0, MAX_LENGTH)
    size = arc_size(length)
    out = np.empty((size, size))
    loops.arc(
        np.full(1, length),
        np.full(1, checked_number("angle", angle, -1e6, 1e6)),
        np.full(1, checked_number("bend", bend, -360.0, 360.0)),
        out[None],
    )
    return out


def arc_size(length: float) -> int:
    """The odd size that holds every such PSF up to `length`."""
    return path_size(0.5 * length)


def arc_motion_batch(
    length: NDArray[np.float64], angle: NDArray[np.float64], bend: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Render a PSF for each row, (B,), centred in `size` × `size` pixels."""
    out = np.empty((length.size, size, size), np.float32)
    loops.arc(length, angle, bend, out)
    return out
