"""Random trajectories themselves."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.loops import jerky, matern, shake
from blurgen.psf.camera_shake import PUBLISHED, shake_columns
from blurgen.psf.camera_shake import STEPS as SHAKE_STEPS
from blurgen.psf.camera_shake import stacked as stacked_shake
from blurgen.psf.gp_shake import CORRELATION, DEVIATION
from blurgen.psf.gp_shake import MOST as GP_MOST
from blurgen.psf.gp_shake import STEPS as GP_STEPS
from blurgen.psf.levi_shake import LEAST, MOST, levi_columns, stacked
from blurgen.psf.path import MOST_STEPS, draws_of, pixel_key
from blurgen.psf.sizes import checked_number


def trajectory(
    kind: str = "boracchi-foi",
    *,
    steps: int | None = None,
    seed: int = 0,
    index: int = 0,
    **parameters: float,
) -> NDArray[np.float64]:
    """The path that a camera-shake PSF is the exposure of.

    Parameters
    ----------
    kind : str
        ``boracchi-foi``, with the parameters of `camera_shake` but for the exposure: the whole trajectory,
        from (0, 0); ``gp``, with those of `gp_shake`, about (0, 0); ``levi``, with those of `levi_shake`,
        from the end of the first step, whose beginning is (0, 0). None is scaled to fit into a size.
    steps : int, optional
        Number N of points, equidistant in time, 2 … 20000; by default 2000, 1000, 1000.
    seed, index : int
        What the random numbers are made from.
    **parameters : float
        See above.

    Returns
    -------
    ndarray
        float64 (N, 2): x to the right, y down, in pixels; not centred.

    Raises
    ------
    InputError
        If there is no such kind or parameter, one is missing, or an argument is out of range.

    Examples
    --------
    >>> trajectory(length=60, anxiety=0, angle=0, steps=4)
    array([[ 0.,  0.],
           [20.,  0.],
           [40.,  0.],
           [60.,  0.]])
    """
    if kind not in _KINDS:
        raise InputError(f"trajectory kind {kind!r}: one of {', '.join(_KINDS)} is needed")
    make, default, allowed, needed = _KINDS[kind]
    for name in parameters:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, 1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            raise InputError(f"trajectory '{kind}' has no '{name}'{hint}; it has {', '.join(allowed)}")
    missing = [name for name in needed if name not in parameters]
    if missing:
        raise InputError(f"trajectory '{kind}' needs '{missing[0]}'")
    points = checked_whole("steps", default if steps is None else steps, 2, MOST_STEPS)
    return make(points, draws_of(seed, index), parameters)


def _hand_held(steps: int, draws: Draws, given: dict[str, Any]) -> NDArray[np.float64]:
    x, y = np.empty((1, steps)), np.empty((1, steps))
    columns = shake_columns(given, draws)
    shake.hand_held(*pixel_key(draws), stacked_shake(columns), x, y)
    return np.stack([x[0], y[0]], axis=1)


def _gaussian_process(steps: int, draws: Draws, given: dict[str, Any]) -> NDArray[np.float64]:
    size = checked_whole("size", given.get("size", 31), 1, GP_MOST) | 1
    correlation = checked_number("correlation", given.get("correlation", 0.3), *CORRELATION)
    deviation = checked_number("deviation", given.get("deviation", 0.25), *DEVIATION)
    x, y = np.empty((1, steps)), np.empty((1, steps))
    matern.gaussian_process(*pixel_key(draws), np.full(1, correlation), x, y)
    return np.stack([x[0], y[0]], axis=1) * (deviation * size / 2.0)


def _jerky(steps: int, draws: Draws, given: dict[str, Any]) -> NDArray[np.float64]:
    size = np.full(1, checked_whole("size", given["size"], LEAST, MOST) | 1)
    intensity = np.full(1, checked_number("intensity", given["intensity"], 0.0, 1.0))
    columns = levi_columns(size, intensity, draws)
    x, y = np.empty(jerky.MOST_CORNERS), np.empty(jerky.MOST_CORNERS)
    seed, index, stream = pixel_key(draws)
    row = stacked(intensity, columns)[0]
    count = jerky.jerky(seed, np.uint64(index[0]), stream, row, float(size[0]), x, y)
    out = np.empty((steps, 2))
    jerky.evenly(x, y, count, out)
    return out


_Maker = Callable[[int, Draws, dict[str, Any]], NDArray[np.float64]]
# the function, its number of points, the parameters it has, and those that must be given
_KINDS: dict[str, tuple[_Maker, int, tuple[str, ...], tuple[str, ...]]] = {
    "boracchi-foi": (
        _hand_held,
        SHAKE_STEPS,
        tuple(name for name in PUBLISHED if name != "exposure"),
        (),
    ),
    "gp": (_gaussian_process, GP_STEPS, ("size", "correlation", "deviation"), ()),
    "levi": (_jerky, 1000, ("size", "intensity"), ("size", "intensity")),
}
