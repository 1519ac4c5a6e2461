"""PyTorch and what stands on it: batches of several sizes and layouts, the best of which counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import needs
from benchmarks.timing import Contestant, Way, looped
from benchmarks.work import Batch, Work

Convolution = Callable[[Any, Any], Any]  # float images (B, C, H, W), PSFs (B, h, w) → (B, C, H, W)


@needs("torch", "torch conv2d")
def conv2d(work: Work, threads: int, sizes: Sequence[int]) -> Contestant:
    """``torch.nn.functional.conv2d``, each image a group of its own."""
    ways = _ways(work, threads, sizes, "channels first", _grouped, turned=True)
    if work.images.ndim == 4:
        ways += _ways(work, threads, sizes, "colours as batch", _colours_as_batch, turned=True)
    else:
        ways += _ways(work, threads, sizes, "channels last", _grouped_channels_last, turned=True)
    return Contestant("torch conv2d", len(work), ways)


@needs("torch", "torch.fft")
def torch_fft(work: Work, threads: int, sizes: Sequence[int]) -> Contestant:
    """``torch.fft.rfft2`` and back, at the next fast size."""
    return Contestant("torch.fft", len(work), _ways(work, threads, sizes, "", _transformed))


@needs("kornia.filters", "kornia filter2d")
def kornia_filter2d(work: Work, threads: int, sizes: Sequence[int]) -> Contestant:
    """``kornia.filters.filter2d``; the PSFs are turned by 180° beforehand."""
    import kornia

    def one(images: Any, psfs: Any) -> Any:
        return kornia.filters.filter2d(images, psfs, border_type="replicate")

    return Contestant("kornia filter2d", len(work), _ways(work, threads, sizes, "", one, turned=True))


@needs("deepinv.physics.functional", "deepinv conv2d")
def deepinv_conv2d(work: Work, threads: int, sizes: Sequence[int]) -> Contestant:
    """``deepinv.physics.functional.conv2d``."""
    functional = import_module("deepinv.physics.functional")

    def one(images: Any, psfs: Any) -> Any:
        return functional.conv2d(images, psfs[:, None], padding="replicate")

    return Contestant("deepinv conv2d", len(work), _ways(work, threads, sizes, "", one))


@needs("kornia.filters", "kornia gaussian_blur2d")
def kornia_gaussian(work: Work, threads: int, size: int, sigma: float, sizes: Sequence[int]) -> Contestant:
    """``kornia.filters.gaussian_blur2d``."""
    import kornia

    def one(images: Any, _psfs: Any) -> Any:
        return kornia.filters.gaussian_blur2d(images, (size, size), (sigma, sigma), "replicate")

    return Contestant("kornia gaussian_blur2d", len(work), _ways(work, threads, sizes, "", one))


@needs("kornia.filters", "kornia box_blur")
def kornia_box(work: Work, threads: int, size: int, sizes: Sequence[int]) -> Contestant:
    """``kornia.filters.box_blur``, separable."""
    import kornia

    def one(images: Any, _psfs: Any) -> Any:
        return kornia.filters.box_blur(images, (size, size), "replicate", separable=True)

    return Contestant("kornia box_blur", len(work), _ways(work, threads, sizes, "", one))


def _grouped(images: Any, psfs: Any) -> Any:
    from torch.nn import functional

    count, channels, height, _ = images.shape
    weights = psfs[:, None].repeat_interleave(channels, 0)
    padded = _padded(images, psfs).reshape(1, count * channels, height + psfs.shape[1] - 1, -1)
    return functional.conv2d(padded, weights, groups=count * channels).view(images.shape)


def _grouped_channels_last(images: Any, psfs: Any) -> Any:
    import torch
    from torch.nn import functional

    padded = _padded(images, psfs).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return functional.conv2d(padded, psfs[:, None], groups=len(images)).transpose(0, 1)


def _colours_as_batch(images: Any, psfs: Any) -> Any:
    from torch.nn import functional

    padded = _padded(images, psfs).transpose(0, 1).contiguous()
    return functional.conv2d(padded, psfs[:, None], groups=len(images)).transpose(0, 1)


def _transformed(images: Any, psfs: Any) -> Any:
    import torch
    from scipy import fft

    padded = _padded(images, psfs)
    size = tuple(fft.next_fast_len(n, real=True) for n in padded.shape[2:])
    spectrum = torch.fft.rfft2(padded, size)
    spectrum *= torch.fft.rfft2(psfs, size)[:, None]
    top, left = psfs.shape[1] - 1, psfs.shape[2] - 1
    whole = torch.fft.irfft2(spectrum, size)
    return whole[:, :, top : top + images.shape[2], left : left + images.shape[3]]


def _padded(images: Any, psfs: Any) -> Any:
    from torch.nn import functional

    rows, columns = psfs.shape[1] // 2, psfs.shape[2] // 2
    return functional.pad(images, (columns, columns, rows, rows), mode="replicate")


def _ways(
    work: Work,
    threads: int,
    sizes: Sequence[int],
    how: str,
    convolve: Convolution,
    *,
    turned: bool = False,
) -> tuple[Way, ...]:
    ways: tuple[Way, ...] = ()
    for size in sorted({min(size, len(work)) for size in sizes}):
        words = ", ".join(filter(None, [f"batches of {size}", how]))
        ways += _batched(work, threads, work.batches(size), words, convolve, turned)
    return ways


def _batched(
    work: Work, threads: int, batches: list[Batch], how: str, convolve: Convolution, turned: bool
) -> tuple[Way, ...]:
    import torch

    as_bytes = work.images.dtype == np.uint8
    kernels = [
        torch.from_numpy(np.ascontiguousarray(batch.psfs[:, ::-1, ::-1] if turned else batch.psfs))
        for batch in batches
    ]
    # (B, H, W, C) seen as (B, C, H, W), as it comes from a file
    whole = torch.from_numpy(work.images if work.images.ndim == 4 else work.images[..., None])
    whole = whole.permute(0, 3, 1, 2)

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        target = torch.from_numpy(out if out.ndim == 4 else out[..., None]).permute(0, 3, 1, 2)
        with torch.inference_mode():
            for batch, psfs in zip(batches[start:stop], kernels[start:stop], strict=True):
                images = whole[batch.start : batch.stop].to(
                    torch.float32, memory_format=torch.contiguous_format
                )
                made = convolve(images, psfs)
                if as_bytes:
                    # the addition makes a new array; truncating it rounds half up
                    made = (made + 0.5).clamp_(0.0, 255.0)
                target[batch.start : batch.stop].copy_(made)

    return looped(lambda: np.empty_like(work.images), part, len(batches), threads, how=how)
