"""The box: MATLAB's ``fspecial('average', …)``, OpenCV's ``blur``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.psf.sizes import checked_size


def box(size: int | tuple[int, int]) -> NDArray[np.float64]:
    """Box PSF: equal weights over `size` pixels, an int or (rows, columns).

    Returns
    -------
    ndarray
        float64, shape (rows, columns), sum 1.

    Raises
    ------
    InputError
        If `size` is not of whole numbers from 1 to 4095.

    Examples
    --------
    >>> box((1, 2))
    array([[0.5, 0.5]])
    """
    rows, columns = checked_size(size)
    return np.full((rows, columns), 1.0 / (rows * columns))
