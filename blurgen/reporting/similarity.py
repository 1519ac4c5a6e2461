"""How near blurred images are to the sharp ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.convolution import convolve
from blurgen.psf import gaussian

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_LEAST_MSE = 1e-10
_MIDDLE = np.float32(127.5)

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
    """Structural similarity of each image [1]_, as scikit-image reckons it, to 1e-5.

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
    # a difference of squares loses digits where images are bright: about mid-grey it loses few
    x, y = (images.astype(np.float32) - _MIDDLE for images in (blurred, sharp))
    height, width = x.shape[1:3]
    size = [min(_WINDOW, length - (length + 1) % 2) for length in (height, width)]
    window = gaussian((size[0], size[1]), _SIGMA)
    inside = [
        slice(length // 2, end - length // 2) for length, end in zip(size, (height, width), strict=True)
    ]

    def means(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return convolve(images, window)[:, inside[0], inside[1]]

    mean_x, mean_y = means(x), means(y)
    var_x = means(x * x) - mean_x * mean_x
    var_y = means(y * y) - mean_y * mean_y
    covariance = means(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + _MIDDLE, mean_y + _MIDDLE
    index = ((2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)) / (
        (mean_x * mean_x + mean_y * mean_y + _C1) * (var_x + var_y + _C2)
    )
    found: Scores = index.mean(axis=(1, 2, 3), dtype=np.float64)
    return found
