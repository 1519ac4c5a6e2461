"""Motion along a line, with a swing across it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import paths as loops
from blurgen.psf.path import path_size
from blurgen.psf.sizes import checked_number

MAX_LENGTH = 255.0
MAX_RADIUS = 100.0
MAX_FREQUENCY = 4.0


def nonlinear_motion(length: float, angle: float, radius: float, frequency: float) -> NDArray[np.float64]:
    """PSF of uniform motion along a line with the swing r·(sin f·i + cos f·i) across it.

    The place at time i, 0 … length, is (i, r·(sin f·i + cos f·i)), turned by `angle`. The expression is that
    of the licence-plate project's "nonlinear" point spread function; what it had i stand for, and its
    numbers, are not known. Here it is the way along the line in pixels. The path is taken at 64 or more equal
    times, at most 1/16 pixel apart, each point spread on four pixels by bilinear weights. The centroid is the
    centre of the PSF.

    Parameters
    ----------
    length : float
        Length of the line in pixels, 0 … 255.
    angle : float
        Its direction in degrees, anticlockwise from the positive x axis, y pointing up; −1e6 … 1e6.
    radius : float
        Strength r in pixels, 0 … 100: the swing reaches √2·r to both sides.
    frequency : float
        Frequency f in radians a pixel, 0 … 4.

    Returns
    -------
    ndarray
        float64, square, of odd size, sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    length = checked_number("length", length, 0.0, MAX_LENGTH)
    radius = checked_number("radius", radius, 0.0, MAX_RADIUS)
    frequency = checked_number("frequency", frequency, 0.0, MAX_FREQUENCY)
    size = nonlinear_size(length, radius, frequency)
    out = np.empty((size, size))
    loops.swinging(
        np.full(1, length),
        np.full(1, checked_number("angle", angle, -1e6, 1e6)),
        np.full(1, radius),
        np.full(1, frequency),
        out[None],
    )
    return out


def nonlinear_size(length: float, radius: float, frequency: float) -> int:
    """The odd size that holds every such PSF up to these values."""
    swing = math.sqrt(2.0) * radius
    # from the centroid: no more than both swings, and no more than half of what the slope allows
    across = min(2.0 * swing, 0.5 * swing * frequency * length)
    return path_size(math.sqrt(0.25 * length * length + across * across))


def nonlinear_motion_batch(
    length: NDArray[np.float64],
    angle: NDArray[np.float64],
    radius: NDArray[np.float64],
    frequency: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    """Render a PSF for each row, (B,), centred in `size` × `size` pixels."""
    out = np.empty((length.size, size, size), np.float32)
    loops.swinging(length, angle, radius, frequency, out)
    return out
