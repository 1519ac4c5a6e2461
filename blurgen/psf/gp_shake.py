"""Camera shake as a Gaussian process."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.draws import Draws
from blurgen.loops import matern as loops
from blurgen.psf.path import MOST_STEPS, draws_of, pixel_key
from blurgen.psf.sizes import checked_number

STEPS = 1000
MOST = 801
CORRELATION = (0.01, 100.0)
DEVIATION = (0.0, 10.0)


def gp_shake(
    size: int = 31,
    *,
    correlation: float = 0.3,
    deviation: float = 0.25,
    steps: int = STEPS,
    seed: int = 0,
    index: int = 0,
) -> NDArray[np.float64]:
    """PSF of a trajectory whose coordinates are Gaussian processes in time.

    x and y are independent and stationary; with ``a = √5·|t − s|/l`` their covariance is
    σ²·(1 + a + a²/3)·e⁻ᵃ (Matérn, ν = 5/2), on `steps` equidistant points of [0, 1]. So deepinv draws
    its motion PSFs [1]_, from fewer points, each counted in one pixel. Here the points are those of the
    process in its Markov form, which has that covariance exactly, and are spread by bilinear weights. The
    centroid is the centre of the PSF; the rare path that would leave the square is scaled down to touch it.

    Parameters
    ----------
    size : int
        Size of the PSF in pixels, 1 … 801; even ones are rounded up to odd.
    correlation : float
        Length l over which the motion is similar, 0.01 … 100, as a part of the exposure.
    deviation : float
        Standard deviation σ of each coordinate, 0 … 10, in half widths of the PSF.
    steps : int
        Number of points, 2 … 20000.
    seed, index : int
        What the random numbers are made from: this is the PSF of sample `index` of a recipe whose first stage
        is ``gp_shake`` with these parameters.

    Returns
    -------
    ndarray
        float64 (size, size), sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    References
    ----------
    .. [1] J. Tachella et al., "DeepInverse: a Python package for solving imaging inverse problems with deep
       learning", 2025; the model is of M. Schuler et al., "Learning to deblur", 2015.
    """
    k = checked_whole("size", size, 1, MOST) | 1
    out = np.empty((k, k))
    loops.gaussian_process_psfs(
        *pixel_key(draws_of(seed, index)),
        np.full(1, checked_number("correlation", correlation, *CORRELATION)),
        np.full(1, checked_number("deviation", deviation, *DEVIATION)),
        np.full(1, k),
        checked_whole("steps", steps, 2, MOST_STEPS),
        out[None],
    )
    return out


def gp_shake_batch(
    sizes: NDArray[np.int64],
    correlation: NDArray[np.float64],
    deviation: NDArray[np.float64],
    draws: Draws,
    size: int,
    steps: int = STEPS,
) -> NDArray[np.float32]:
    """Render a PSF for each odd size, correlation and deviation, (B,), centred in `size` × `size` pixels."""
    out = np.empty((len(draws), size, size), np.float32)
    loops.gaussian_process_psfs(*pixel_key(draws), correlation, deviation, sizes, steps, out)
    return out
