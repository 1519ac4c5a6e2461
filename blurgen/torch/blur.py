"""Convolution on the device, by Fourier transforms in float64.

Of bytes the CPU sums whole numbers: PSFs of 28 bits after the point. Here the same numbers are transformed;
float64 holds the sums to a small part of one, so that rounding them gives the very same. The CPU's faster
ways for boxes, for separable PSFs and for large ones sum float32 instead, and those few pixels that come to
lie next to one half may differ by one level.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.convolution import border_map
from blurgen.draws import Draws
from blurgen.stages.base import Columns, PsfStage
from blurgen.stages.optics import Sinc
from blurgen.torch.forms import moved, on_device, parts, rounded

_SCALE = float(1 << 28)
_FEW_TAPS = 16  # up to so many the CPU sums whole numbers, whatever the PSF
_MOST = 1 << 25  # points that are transformed at a time


@on_device(PsfStage)
def convolved(stage: PsfStage, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images convolved with the stage's PSFs, which the CPU renders."""
    return convolve(images, stage.psfs(params, draws), stage.border)


on_device(Sinc)(convolved)


@lru_cache(maxsize=1024)
def fast_length(least: int) -> int:
    """The least length of at least `least` that has no prime factor above 7."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _cropped(psfs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The PSFs without the rows and columns about them in which all are zero; the centre stays it."""
    used = (psfs != 0.0).any(axis=0)
    middle = psfs.shape[1] // 2
    reaches = [int(abs(np.flatnonzero(used.any(axis=axis)) - middle).max(initial=0)) for axis in (1, 0)]
    rows, columns = (slice(middle - reach, middle + reach + 1) for reach in reaches)
    return psfs[:, rows, columns]


def _in_floats(psfs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the PSFs the CPU sums in floats in any case: rectangles of equal weights, negative weights."""
    taps = psfs != 0.0
    counts = taps.sum(axis=(1, 2))
    equal = np.where(taps, psfs, psfs.max(axis=(1, 2), keepdims=True)).min(axis=(1, 2)) == psfs.max(
        axis=(1, 2)
    )
    full = counts == taps.any(axis=1).sum(axis=1) * taps.any(axis=2).sum(axis=1)
    found: NDArray[np.bool_] = (equal & full & (counts > _FEW_TAPS)) | (psfs < 0.0).any(axis=(1, 2))
    return found


def _padded(images: Tensor, reach: tuple[int, int], border: str) -> Tensor:
    """The images (B, H, W, C) with what lies beyond them, as (B, C, H + 2·reach, W + 2·reach)."""
    first = images.permute(0, 3, 1, 2)
    down, across = reach
    if border == "constant":
        return torch.nn.functional.pad(first, (across, across, down, down))
    for axis, size in ((2, down), (3, across)):
        places = border_map(images.shape[axis - 1], size, border)
        first = first.index_select(axis, moved(places, images.device))
    return first


def convolve(images: Tensor, psfs: NDArray[np.float32], border: str) -> Tensor:
    """Convolve images (B, H, W, C) with a PSF each, odd (B, k, k); see `blurgen.convolve`."""
    psfs = _cropped(psfs)
    reach = (psfs.shape[1] // 2, psfs.shape[2] // 2)
    as_bytes = images.dtype == torch.uint8
    weights, in_floats = psfs.astype(np.float64), _in_floats(psfs) if as_bytes else np.zeros(0, bool)
    if as_bytes:
        whole = np.floor(weights * _SCALE + 0.5)
        weights = np.where(in_floats[:, None, None], weights, whole)
    out = torch.empty_like(images)
    size = [fast_length(images.shape[1 + axis] + 2 * reach[axis]) for axis in (0, 1)]
    for part in parts(len(images), size[0] * size[1] * images.shape[3], _MOST):
        sums = _sums(images[part], moved(weights[part], images.device), reach, size, border)
        result = _bytes(sums, in_floats[part]) if as_bytes else sums.to(torch.float32)
        out[part] = result.permute(0, 2, 3, 1)
    return out


def _sums(images: Tensor, weights: Tensor, reach: tuple[int, int], size: list[int], border: str) -> Tensor:
    """The weighted sums, float64 (B, C, H, W); `size` is that of the transforms."""
    down, across = reach
    spectra = torch.fft.rfft2(_padded(images, reach, border).to(torch.float64), s=size)
    spectra *= torch.fft.rfft2(weights, s=size)[:, None]
    # what wraps around lies in the first rows and columns
    sums: Any = torch.fft.irfft2(spectra, s=size)
    return sums[..., 2 * down : 2 * down + images.shape[1], 2 * across : 2 * across + images.shape[2]]


def _bytes(sums: Tensor, in_floats: NDArray[np.bool_]) -> Tensor:
    """Sums as bytes, rounded half up: of whole numbers exactly, others as float32."""
    if in_floats.all():
        return rounded(sums.to(torch.float32))
    exact = ((sums.round() + _SCALE / 2) / _SCALE).floor().clamp_(0, 255).to(torch.uint8)
    if not in_floats.any():
        return exact
    chosen = moved(in_floats, sums.device)[:, None, None, None]
    return torch.where(chosen, rounded(sums.to(torch.float32)), exact)
