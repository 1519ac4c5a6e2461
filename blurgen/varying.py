"""Convolution by PSFs that differ from place to place."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blurgen.convolution import Border, checked_border, checked_images, checked_psfs, convolve_checked
from blurgen.errors import InputError
from blurgen.loops import varying as loops


def convolve_varying(
    images: NDArray[Any], psfs: ArrayLike, border: Border | Literal["nearest"] = "replicate"
) -> NDArray[Any]:
    r"""Convolve images with a grid of PSFs, interpolated between the cells' centres.

    ``out[y, x] = Σ_rc w_r(y) · w_c(x) · (image ∗ psf_rc)[y, x]``, the sum of windowed convolutions of Nagy
    and O'Leary [1]_: the PSF that gathers a pixel's light is the bilinear interpolation of those of the four
    cells around it. An image of H rows is cut into R equal bands, whose centres lie at
    ``y_r = (r + ½)·H/R − ½``; w_r falls linearly from 1 at y_r to 0 at y_(r−1) and y_(r+1), and stays 1
    before the first centre and behind the last. Columns alike. The windows sum to 1 everywhere, so that
    equal PSFs are an ordinary convolution.

    Parameters
    ----------
    images : ndarray
        uint8 or float32, shape (B, H, W) or (B, H, W, C) with C 1 or 3.
    psfs : array_like
        One grid of R × S cells for all images, shape (R, S, h, w), or one for each, (B, R, S, h, w); each
        PSF finite, non-negative, of sum 1 to 1 part in 1,000.
    border : str
        See `blurgen.convolve`; beyond ``constant`` there is 0.

    Returns
    -------
    ndarray
        Of the images' shape and dtype; bytes are clipped and rounded half up, once, after the sum.

    Raises
    ------
    InputError
        If an argument has a shape, dtype or value other than the above.

    References
    ----------
    .. [1] J. Nagy, D. O'Leary, "Restoring images degraded by spatially variant blur", SIAM J. Sci. Comput. 19
       (1998), 1063–1082.
    """
    batch = checked_images(images, (np.uint8, np.float32))
    given = np.asarray(psfs)
    grids = given[None] if given.ndim == 4 else given
    if grids.ndim != 5 or grids.size == 0 or len(grids) not in (1, len(batch)):
        raise InputError(
            f"PSFs have the shape {given.shape}; (R, S, h, w) or ({len(batch)}, R, S, h, w) is needed"
        )
    cells = grids.reshape(-1, *grids.shape[3:])
    kernels, _ = checked_psfs(cells, len(cells))
    return convolve_varying_checked(batch, kernels.reshape(grids.shape), checked_border(border)).reshape(
        images.shape
    )


def convolve_varying_checked(images: NDArray[Any], psfs: NDArray[np.float32], border: str) -> NDArray[Any]:
    """Convolve arrays known to be right: images (B, H, W, C), PSFs (1 or B, R, S, h, w)."""
    _, rows, columns, *size = psfs.shape
    _, height, width, _ = images.shape
    down, across = windows(height, rows), windows(width, columns)
    # beyond its window a cell needs as many pixels as a PSF reaches; the border is that of the whole image
    margin = max(size) // 2
    sums = np.zeros(images.shape, np.float32)
    for r in range(rows):
        top, bottom = _extent(down[r], margin, border)
        for c in range(columns):
            left, right = _extent(across[c], margin, border)
            if bottom == top or right == left:
                continue
            part = images[:, top:bottom, left:right].astype(np.float32, order="C")
            blurred = convolve_checked(part, np.ascontiguousarray(psfs[:, r, c]), border)
            loops.add_window(blurred, top, left, down[r], across[c], sums)
    out = np.empty_like(images)
    loops.finish(sums, *rounding(images), out)
    return out


def windows(size: int, count: int) -> NDArray[np.float32]:
    """The weights of `count` bands at each of `size` rows or columns, float32 (count, size)."""
    places = (np.arange(size) + 0.5) * (count / size) - 0.5
    places = np.clip(places, 0.0, count - 1.0)
    hats: NDArray[np.float32] = np.maximum(0.0, 1.0 - abs(places - np.arange(count)[:, None])).astype(
        np.float32
    )
    return hats


def rounding(images: NDArray[Any]) -> tuple[np.float32, np.float32, np.float32]:
    """What is added to a result before it is clipped, and to what: bytes are rounded half up."""
    if images.dtype == np.uint8:
        return np.float32(0.5), np.float32(0.0), np.float32(255.0)
    return np.float32(0.0), np.float32(-np.inf), np.float32(np.inf)


def _extent(window: NDArray[np.float32], margin: int, border: str) -> tuple[int, int]:
    """The rows that the window's convolution needs, first and one past the last."""
    within = np.flatnonzero(window)
    if within.size == 0:
        return 0, 0
    if border == "wrap":
        return 0, window.size
    return max(0, int(within[0]) - margin), min(window.size, int(within[-1]) + 1 + margin)
