"""The motion blur of ImageNet-C."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import paths as loops
from blurgen.psf.sizes import checked_number

MAX_RADIUS = 200.0
SIGMAS = (0.1, 1000.0)


def imagenet_c_motion(radius: float, sigma: float, angle: float) -> NDArray[np.float64]:
    """PSF of ImageNet-C's motion blur (Hendrycks & Dietterich 2019), ImageMagick's ``-motion-blur``.

    Weights exp(−i²/2σ²), i = 0 … 2·⌈radius⌉, over their sum, at the pixels −⌈i·cos θ − ½⌉ to the right and
    −⌈i·sin θ − ½⌉ down: half a Gaussian that begins at the centre and trails to the left for θ = 0. Unlike
    other PSFs it is **not** centred on its centroid: the blur moves the image by about 0.8·σ, as in the
    benchmark whose name it bears.

    Parameters
    ----------
    radius : float
        0 … 200 pixels; the tail is up to twice as long.
    sigma : float
        σ in pixels, 0.1 … 1000.
    angle : float
        θ in degrees, −1e6 … 1e6; ImageNet-C takes −45 … 45.

    Returns
    -------
    ndarray
        float64 (4·⌈radius⌉ + 1)², sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> imagenet_c_motion(1, 1, 0).round(2)[2]
    array([0.08, 0.35, 0.57, 0.  , 0.  ])
    """
    radius = checked_number("radius", radius, 0.0, MAX_RADIUS)
    size = imagenet_c_size(radius)
    out = np.zeros((size, size))
    loops.one_sided(
        np.full(1, radius),
        np.full(1, checked_number("sigma", sigma, *SIGMAS)),
        np.full(1, checked_number("angle", angle, -1e6, 1e6)),
        out[None],
    )
    return out


def imagenet_c_size(radius: float) -> int:
    """The odd size that holds every such PSF up to `radius`."""
    return 4 * math.ceil(radius) + 1


def imagenet_c_motion_batch(
    radius: NDArray[np.float64], sigma: NDArray[np.float64], angle: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Render a PSF for each row, (B,), its beginning on the centre of `size` × `size` pixels."""
    out = np.zeros((radius.size, size, size), np.float32)
    loops.one_sided(radius, sigma, angle, out)
    return out
