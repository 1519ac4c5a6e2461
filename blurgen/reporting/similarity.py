"""How near blurred images are to the sharp ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_LEAST_MSE = 1e-10

Images = NDArray[np.uint8]
Scores = NDArray[np.float64]


def psnr(blurred: Images, sharp: Images) -> Scores:
    """Peak signal-to-noise ratio of each image, 10 log₁₀(255² / MSE).

    Parameters
    ----------
    blurred, sharp : ndarray
        uint8, shape (B, H, W, C).

    Returns
    -------
    ndarray
        float64, shape (B,), dB; 100 where the images are equal.
    """
    difference = blurred.astype(np.int32) - sharp
    errors = np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64) / 255.0**2
    found: Scores = -10.0 * np.log10(np.maximum(errors, _LEAST_MSE))
    return found


def ssim(blurred: Images, sharp: Images) -> Scores:
    """Structural similarity of each image [1]_, as scikit-image reckons it.

    The same as its ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=255)``: an 11×11 Gaussian window wherever it lies wholly inside the image, the mean over places
    and channels. For images smaller than 11 pixels the window is the largest odd one that fits.

    Parameters
    ----------
    blurred, sharp : ndarray
        uint8, shape (B, H, W, C).

    Returns
    -------
    ndarray
        float64, shape (B,).

    References
    ----------
    .. [1] Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to
       structural similarity", IEEE Transactions on Image Processing 13, 2004.
    """
    x, y = blurred.astype(np.float64), sharp.astype(np.float64)
    mean_x, mean_y = _means(x), _means(y)
    var_x = _means(x * x) - mean_x * mean_x
    var_y = _means(y * y) - mean_y * mean_y
    covariance = _means(x * y) - mean_x * mean_y
    index = ((2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)) / (
        (mean_x * mean_x + mean_y * mean_y + _C1) * (var_x + var_y + _C2)
    )
    found: Scores = index.mean(axis=(1, 2, 3))
    return found


def _means(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """The windows' means, where the window lies inside."""
    for axis in (1, 2):
        length = images.shape[axis]
        size = min(_WINDOW, length - (length + 1) % 2)
        reach = size // 2
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SIGMA) ** 2)
        filtered = correlate1d(images, weights / weights.sum(), axis=axis)
        images = filtered.take(range(reach, length - reach), axis=axis)
    return images
