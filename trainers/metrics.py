"""How near restored images are to the sharp ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
_LEAST_MSE = 1e-10


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log₁₀(1 / MSE), the peak being 1.

    Parameters
    ----------
    restored, sharp : Tensor
        Float, shape (B, C, H, W), black 0, white 1.

    Returns
    -------
    Tensor
        Shape (B,), dB. An MSE below 10⁻¹⁰ counts as that, so that equal images have 100 dB and means stay
        finite.
    """
    errors = (restored.float() - sharp.float()).square().flatten(1).mean(1)
    return -10 * torch.log10(errors.clamp_min(_LEAST_MSE))


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Structural similarity of each image [1]_.

    Means, variances and the covariance are taken with an 11×11 Gaussian window of σ = 1.5 wherever it lies
    wholly inside the image; K₁ = 0.01, K₂ = 0.03; the index is averaged over places and channels. The same as
    scikit-image's ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1)``. For images smaller than 11 pixels the window is the largest odd one that fits.

    Parameters
    ----------
    restored, sharp : Tensor
        Float, shape (B, C, H, W), black 0, white 1.

    Returns
    -------
    Tensor
        Shape (B,).

    References
    ----------
    .. [1] Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to
       structural similarity", IEEE Transactions on Image Processing 13, 2004.
    """
    restored, sharp = restored.float(), sharp.float()
    batch, _, height, width = restored.shape
    columns, rows = (_gaussian(length, restored) for length in (height, width))

    def means(images: Tensor) -> Tensor:
        # each channel by itself, as an image of one
        flat = images.reshape(-1, 1, height, width)
        return F.conv2d(F.conv2d(flat, columns[None, None, :, None]), rows[None, None, None, :])

    # a difference of squares loses digits where images are bright: measured from each one's mean it loses few
    middle_x, middle_y = (images.mean((2, 3), keepdim=True) for images in (restored, sharp))
    x, y = restored - middle_x, sharp - middle_y
    mean_x, mean_y = means(x), means(y)
    var_x = means(x * x) - mean_x * mean_x
    var_y = means(y * y) - mean_y * mean_y
    covariance = means(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + middle_x.reshape(-1, 1, 1, 1), mean_y + middle_y.reshape(-1, 1, 1, 1)
    c1, c2 = _K1**2, _K2**2
    index = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2)
    )
    return index.reshape(batch, -1).mean(1)


def _gaussian(length: int, like: Tensor) -> Tensor:
    size = min(_WINDOW, length - (length + 1) % 2)
    places = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-0.5 * (places / _SIGMA).square())
    return (weights / weights.sum()).to(like)
