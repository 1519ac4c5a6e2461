"""The thick line of the licence-plate project."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.loops import paths as loops
from blurgen.psf.sizes import checked_number

MOST = 801


def thick_line(size: int, angle: float) -> NDArray[np.float64]:
    """PSF of a bar as long as the PSF and a quarter as wide, turned about the centre.

    In a square of size × size the rows from size//2 − size//8 to size//2 + size//8, both included, are 1, the
    others 0; it is turned, each pixel being found in it by bilinear interpolation, with 0 outside, and
    divided by its sum. The project has ``cv2.warpAffine`` turn it, which may round places to 1/32 pixel. An
    even size is rounded up to odd, as there.

    Parameters
    ----------
    size : int
        Size in pixels, 1 … 801.
    angle : float
        Degrees, anticlockwise from the positive x axis, y pointing up; −1e6 … 1e6.

    Returns
    -------
    ndarray
        float64 (size, size), sum 1, symmetric under a half turn.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> (thick_line(5, 0) * 5).round(2)[2]
    array([1., 1., 1., 1., 1.])
    """
    k = checked_whole("size", size, 1, MOST) | 1
    out = np.zeros((k, k))
    loops.thick_line(np.full(1, k), np.full(1, checked_number("angle", angle, -1e6, 1e6)), out[None])
    return out


def thick_line_batch(sizes: NDArray[np.int64], angle: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Render a PSF for each odd size and angle, (B,), centred in `size` × `size` pixels."""
    out = np.zeros((sizes.size, size, size), np.float32)
    loops.thick_line(sizes, angle, out)
    return out
