"""Camera shake as a path of straight steps, after Borodenko."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.draws import Draws
from blurgen.loops import jerky as loops
from blurgen.psf.path import draws_of, pixel_key
from blurgen.psf.sizes import checked_number

MOST = 801
LEAST = 5


def levi_shake(size: int, intensity: float, *, seed: int = 0, index: int = 0) -> NDArray[np.float64]:
    """PSF of a random path of straight steps (L. Borodenko's program ``motionblur``).

    With the intensity i and the diagonal D = √2·size, the path is 0.75·D·(U + i²·U′) long, its steps
    D·(1.1 − i)·Beta(1, 30), each shorter than the path. M is uniform in 0 … i·π: the first step's heading is
    uniform in −M … M; the size of the others has the triangular law on 0 … M + 0.1 with the mode i·M, and
    each changes to the other side with a probability that was drawn from Beta(2, 20). All is turned by
    0 … π and softened by a Gaussian of σ = 0.01·D.

    What the program does otherwise: it draws the path on a canvas of twice the size with Pillow, where it is
    equally bright all along, also where it crosses itself, and is cut off at the edges; it takes whole
    pixels for σ and the line's width; it resizes by Lanczos' kernel and divides by the sum. Here the
    light is as long as the path: what is passed twice is twice as bright; it is spread by bilinear weights,
    the centroid is the centre, and a path that would leave the square is scaled down to touch it.

    Parameters
    ----------
    size : int
        Size of the PSF in pixels, 5 … 801; even ones are rounded up to odd.
    intensity : float
        0 (a straight line) … 1.
    seed, index : int
        What the random numbers are made from: this is the PSF of sample `index` of a recipe whose first stage
        is ``levi_shake`` with these parameters.

    Returns
    -------
    ndarray
        float64 (size, size), sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    k = checked_whole("size", size, LEAST, MOST) | 1
    draws = draws_of(seed, index)
    sizes, intensities = np.full(1, k), np.full(1, checked_number("intensity", intensity, 0.0, 1.0))
    out = np.empty((k, k))
    columns = levi_columns(sizes, intensities, draws)
    loops.jerky_psfs(*pixel_key(draws), stacked(intensities, columns), sizes, out[None])
    return out


def levi_columns(
    sizes: NDArray[np.int64], intensity: NDArray[np.float64], draws: Draws
) -> dict[str, NDArray[np.float64]]:
    """What is drawn for a whole path: length in pixels, bend and angle in degrees, flips a probability."""
    diagonal = math.sqrt(2.0) * sizes
    return {
        "length": 0.75 * diagonal * (draws.uniform(2) + intensity * intensity * draws.uniform(3)),
        "bend": 180.0 * intensity * draws.uniform(4),
        "flips": draws.beta(5, 2.0, 20.0),
        "angle": 180.0 * draws.uniform(6),
    }


def stacked(intensity: NDArray[np.float64], columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The parameters as the loops take them, a row for each sample, angles in radians."""
    bend, angle = columns["bend"] / 180.0 * math.pi, columns["angle"] / 180.0 * math.pi
    return np.stack([intensity, columns["length"], bend, columns["flips"], angle], axis=1)


def levi_shake_batch(
    sizes: NDArray[np.int64],
    intensity: NDArray[np.float64],
    columns: Mapping[str, NDArray[Any]],
    draws: Draws,
    size: int,
) -> NDArray[np.float32]:
    """Render a PSF for each odd size, intensity and row of `levi_columns`, in `size` × `size` pixels."""
    out = np.empty((len(draws), size, size), np.float32)
    loops.jerky_psfs(*pixel_key(draws), stacked(intensity, columns), sizes, out)
    return out
