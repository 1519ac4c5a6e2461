"""Defocus by apertures other than a round one with a sharp edge."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.loops import optics as loops
from blurgen.psf.disk import MAX_RADIUS, disk_size
from blurgen.psf.sizes import MAX_SIZE, checked_number

LEAST_EDGE = 0.25
MAX_BLADES = 16


def polygon(radius: float, blades: int, rotation: float = 0.0) -> NDArray[np.float64]:
    """PSF of a defocused lens whose aperture is a regular polygon: each pixel weighs the area it covers.

    The area is an exact integral. The polygon's centre is the middle of the centre pixel, the size
    ``2·ceil(radius − ½) + 1``.

    Parameters
    ----------
    radius : float
        From the centre to the corners, in pixels, 0 … 2046; up to ½ gives a single pixel.
    blades : int
        Number of edges, 3 … 16.
    rotation : float
        Where the first corner lies: degrees, anticlockwise from the positive x axis, y pointing up.

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
    >>> polygon(1.5, 4).round(3)
    array([[0.028, 0.167, 0.028],
           [0.167, 0.222, 0.167],
           [0.028, 0.167, 0.028]])
    """
    radius = checked_number("radius", radius, 0.0, MAX_RADIUS)
    blades = checked_whole("blades", blades, 3, MAX_BLADES)
    rotation = checked_number("rotation", rotation, -1e6, 1e6)
    size = disk_size(radius)
    out = np.empty((1, size, size))
    loops.polygons(np.array([radius]), np.array([blades]), np.array([rotation]), out)
    psf: NDArray[np.float64] = out[0]
    return psf


def polygon_batch(
    radii: NDArray[np.float64], blades: NDArray[np.int64], rotations: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Render a polygon for each (radius, blades, rotation), shape (B,), centred in `size` × `size` pixels."""
    psfs = np.empty((radii.size, size, size), np.float32)
    loops.polygons(radii, blades, rotations, psfs)
    return psfs


def soft_disk(radius: float, edge: float) -> NDArray[np.float64]:
    """PSF of a disc whose edge falls off like a Gaussian's integral.

    ½·erfc((r − radius)/(√2·edge)) at the pixels' centres, r being the distance from the middle, up to
    r = radius + 4·edge; divided by the sum.

    Parameters
    ----------
    radius : float
        Where the edge is half as bright as the plateau, in pixels, 0 … 1000.
    edge : float
        Standard deviation of the Gaussian across the edge, in pixels, 0.25 … 100. A sharper edge needs the
        areas that `disk` weighs pixels by.

    Returns
    -------
    ndarray
        float64, square, of size ``2·ceil(radius + 4·edge) + 1``, sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> soft_disk(1, 0.25).round(3)[2]
    array([0.   , 0.156, 0.313, 0.156, 0.   ])
    """
    radius = checked_number("radius", radius, 0.0, 1000.0)
    edge = checked_number("edge", edge, LEAST_EDGE, 100.0)
    size = soft_disk_size(radius, edge)
    out = np.empty((1, size, size))
    loops.soft_disks(np.array([radius]), np.array([edge]), out)
    psf: NDArray[np.float64] = out[0]
    return psf


def soft_disk_size(radius: float, edge: float) -> int:
    """The odd size that holds a disc of `radius` with that `edge`."""
    return 2 * math.ceil(radius + 4.0 * edge) + 1


def soft_disk_batch(radii: NDArray[np.float64], edges: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Render a soft disc for each (radius, edge), shape (B,), centred in `size` × `size` pixels."""
    psfs = np.empty((radii.size, size, size), np.float32)
    loops.soft_disks(radii, edges, psfs)
    return psfs


def imagenet_c_disk(radius: float, alias_blur: float) -> NDArray[np.float64]:
    """PSF of ImageNet-C's "defocus blur" [1]_: the pixels whose centres a disc holds, smoothed a little.

    The smoothing is a Gaussian of 3 × 3 taps, of 5 × 5 for radii beyond 8. It is mirrored at the ends of the
    grid that the disc is drawn on, ±8 pixels or, beyond 8, ±⌊radius⌋, as in the original, whose weights this
    function divides by their sum: they come to 1.013 for radius 8 and 1.011 for radius 10, otherwise to 1.
    The published (radius, alias_blur) are (3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5).

    Parameters
    ----------
    radius : float
        Radius in pixels, 0 … 2046.
    alias_blur : float
        Standard deviation of the smoothing in pixels, 0.05 … 100.

    Returns
    -------
    ndarray
        float64, square, of odd size, sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    References
    ----------
    .. [1] D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common corruptions and
       perturbations", ICLR 2019.

    Examples
    --------
    >>> imagenet_c_disk(1, 0.1).round(3)[1:4, 1:4]
    array([[0. , 0.2, 0. ],
           [0.2, 0.2, 0.2],
           [0. , 0.2, 0. ]])
    """
    radius = checked_number("radius", radius, 0.0, MAX_SIZE // 2 - 1)
    alias_blur = checked_number("alias_blur", alias_blur, 0.05, 100.0)
    size = imagenet_c_disk_size(radius)
    out = np.empty((1, size, size))
    loops.smoothed_disks(np.array([radius]), np.array([alias_blur]), out)
    psf: NDArray[np.float64] = out[0]
    return psf


def imagenet_c_disk_size(radius: float) -> int:
    """The odd size that holds ImageNet-C's disc of `radius`, and of any smaller one."""
    whole = math.floor(radius)
    return 2 * (whole if radius > 8.0 else min(8, whole + 1)) + 1


def imagenet_c_disk_batch(
    radii: NDArray[np.float64], alias_blurs: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Render ImageNet-C's disc for each (radius, alias_blur), shape (B,), in `size` × `size` pixels."""
    psfs = np.empty((radii.size, size, size), np.float32)
    loops.smoothed_disks(radii, alias_blurs, psfs)
    return psfs
