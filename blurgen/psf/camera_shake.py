"""The shake of a hand-held camera, after Boracchi and Foi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.distributions import Choice, Constant, Distribution, Uniform
from blurgen.draws import Draws
from blurgen.loops import shake as loops
from blurgen.psf.path import MAX_LENGTH, MOST_STEPS, draws_of, path_size, pixel_key
from blurgen.psf.sizes import checked_number

STEPS = 2000
PUBLISHED: dict[str, Distribution] = {
    "centripetal": Uniform(uniform=(0.0, 0.7)),
    "impulses": Uniform(uniform=(0.0, 0.2)),
    "gaussian": Uniform(uniform=(0.0, 10.0)),
    "anxiety": Choice(choice=(0.01, 0.009, 0.008, 0.007, 0.005, 0.003)),
    "angle": Uniform(uniform=(0.0, 360.0)),
    "length": Constant(constant=60.0),
    "exposure": Choice(choice=(0.1, 0.5, 1.0)),
}
"""What each parameter of a trajectory is drawn from, in the order of the draws."""

RANGES = {
    "centripetal": (0.0, 100.0),
    "impulses": (0.0, 100.0),
    "gaussian": (0.0, 1000.0),
    "anxiety": (0.0, 1.0),
    "angle": (-1e6, 1e6),
    "length": (0.0, MAX_LENGTH),
    "exposure": (0.001, 1.0),
}


def camera_shake(
    *,
    centripetal: float | None = None,
    impulses: float | None = None,
    gaussian: float | None = None,
    anxiety: float | None = None,
    angle: float | None = None,
    length: float = 60.0,
    exposure: float | None = None,
    steps: int = STEPS,
    seed: int = 0,
    index: int = 0,
) -> NDArray[np.float64]:
    """PSF of a random trajectory of a hand-held camera (Boracchi & Foi 2012 [1]_).

    A point moves on a plane, x(0) = 0, in steps of the length d = length/(steps − 1). Before each, its
    velocity v gets the impulse 2v·e^{i(π + U − ½)} with probability ``impulses·anxiety``, and then
    ``anxiety·(gaussian·(n₁ + i·n₂) − centripetal·x)·d``; then it is brought back to the length d. n₁, n₂ are
    normal, U is uniform in [0, 1); the velocity begins with the length ``anxiety`` (d, if that is 0), as in
    the authors' program. The exposure is the first part of the way; a last step that is only partly in it
    counts partly. The path is moved so that its centroid is the centre of the PSF, and spread on the pixels
    by bilinear weights. The PSF is as large as any path of that length may need, so that none is cut off.

    A parameter that is not given is drawn from (seed, index) with the published law: this is the PSF of
    sample `index` of a recipe whose first stage is ``camera_shake``.

    Parameters
    ----------
    centripetal : float, optional
        Pull to the start, 0 … 100; drawn from 0 … 0.7.
    impulses : float, optional
        Impulsive shakes: their probability in a step over `anxiety`, 0 … 100; drawn from 0 … 0.2.
    gaussian : float, optional
        Strength of the random walk, 0 … 1000; drawn from 0 … 10.
    anxiety : float, optional
        Scale of all three, 0 … 1; one of 0.01, 0.009, 0.008, 0.007, 0.005, 0.003.
    angle : float, optional
        First direction in degrees, clockwise from the x axis; drawn from 0 … 360.
    length : float
        Length of the whole trajectory in pixels, 0 … 1023.
    exposure : float, optional
        The part of it that is exposed, 0.001 … 1; one of 0.1, 0.5, 1.
    steps : int
        Number of points of the whole trajectory, 2 … 20000.
    seed, index : int
        What the random numbers are made from.

    Returns
    -------
    ndarray
        float64 (k, k), k odd, sum 1: 63 pixels for 60 wholly exposed ones.

    Raises
    ------
    InputError
        If an argument is out of range.

    References
    ----------
    .. [1] G. Boracchi, A. Foi, "Modeling the performance of image restoration from motion blur", IEEE
       Transactions on Image Processing 21 (8), 2012.

    Examples
    --------
    >>> camera_shake(length=4, anxiety=0, angle=0, exposure=1).round(2)[3]
    array([0.  , 0.13, 0.25, 0.25, 0.25, 0.13, 0.  ])
    """
    given = {
        "centripetal": centripetal,
        "impulses": impulses,
        "gaussian": gaussian,
        "anxiety": anxiety,
        "angle": angle,
        "length": length,
        "exposure": exposure,
    }
    draws = draws_of(seed, index)
    columns = shake_columns(given, draws)
    steps = checked_whole("steps", steps, 2, MOST_STEPS)
    size = shake_size(float(columns["length"][0]), float(columns["exposure"][0]), steps)
    out = np.empty((size, size))
    _fill(columns, np.full(1, -1.0), draws, steps, out[None])
    return out


def shake_columns(given: Mapping[str, float | None], draws: Draws) -> dict[str, NDArray[np.float64]]:
    """The parameters as columns of one sample: those given, and the others drawn."""
    columns = {}
    for place, (name, law) in enumerate(PUBLISHED.items()):
        value = given.get(name)
        if value is not None:
            columns[name] = np.full(1, checked_number(name, value, *RANGES[name]))
        else:
            columns[name] = law.sample(draws, place)
    return columns


def shake_size(length: float, exposure: float, steps: int) -> int:
    """The odd size that holds the PSF of every trajectory up to `length` and `exposure`."""
    # no path is farther from its centroid than half its length, but for half a step where the last one, which
    # counts partly, pulls less than a whole one
    return path_size(min(length, 0.5 * length * (exposure * steps + 1.0) / (steps - 1.0)))


def camera_shake_batch(
    columns: Mapping[str, NDArray[Any]], draws: Draws, size: int, steps: int = STEPS
) -> NDArray[np.float32]:
    """Render a PSF for each row of the columns, the parameters of `camera_shake`, in `size` × `size` pixels.

    `size`, odd, is at least that of `shake_size` for the greatest length and exposure.
    """
    out = np.empty((len(draws), size, size), np.float32)
    _fill(columns, np.full(len(draws), -1.0), draws, steps, out)
    return out


def random_walk_batch(
    columns: Mapping[str, NDArray[Any]], draws: Draws, size: int, steps: int = STEPS
) -> NDArray[np.float32]:
    """Render walks: trajectories 60 pixels long, scaled to fit into a square of column `size` pixels.

    The PSFs are centred in `size` × `size` pixels, `size` odd and no less than any of the column.
    """
    out = np.empty((len(draws), size, size), np.float32)
    whole = {"length": np.full(len(draws), 60.0), "exposure": np.ones(len(draws))}
    _fill({**columns, **whole}, (columns["size"] - 1.0) / 2.0, draws, steps, out)
    return out


def _fill(
    columns: Mapping[str, NDArray[Any]],
    reach: NDArray[np.float64],
    draws: Draws,
    steps: int,
    out: NDArray[Any],
) -> None:
    loops.hand_held_psfs(*pixel_key(draws), stacked(columns), columns["exposure"], reach, steps, out)


def stacked(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The parameters as the loops take them, a row for each, angles as they are."""
    names = ("centripetal", "impulses", "gaussian", "anxiety", "angle", "length")
    return np.stack([columns[name] for name in names])
