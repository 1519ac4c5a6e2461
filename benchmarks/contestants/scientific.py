"""SciPy: image by image, transforms on ``workers`` threads or with the images shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from benchmarks.timing import Contestant, Way, in_parts, looped
from benchmarks.work import Work

Image = NDArray[Any]
Convolution = Callable[[Image, NDArray[np.float32], int], Image]


def rounded(values: Image) -> Image:
    """Floats to bytes, half up, in place where that can be."""
    values += 0.5
    np.clip(values, 0.0, 255.0, out=values)
    return values.astype(np.uint8)


def ndimage_convolve(work: Work, threads: int) -> Contestant:
    """A loop of ``scipy.ndimage.convolve``."""
    colours = work.images.ndim == 4

    def one(image: Image, psf: NDArray[np.float32], _: int) -> Image:
        weights = psf[..., None] if colours else psf
        return ndimage.convolve(image, weights, output=np.float32, mode="nearest")

    return _looped("scipy.ndimage.convolve", work, threads, one, own_threads=False)


def fftconvolve(work: Work, threads: int) -> Contestant:
    """A loop of ``scipy.signal.fftconvolve`` on images padded by NumPy."""

    def one(image: Image, psf: NDArray[np.float32], workers: int) -> Image:
        weights = psf if image.ndim == 2 else psf[..., None]
        with fft.set_workers(workers):
            return signal.fftconvolve(_padded(image, psf), weights, mode="valid", axes=(0, 1))

    return _looped("scipy.signal.fftconvolve", work, threads, one)


def scipy_fft(work: Work, threads: int) -> Contestant:
    """A loop of ``scipy.fft.rfft2`` and back, in float32, at the next fast size."""

    def one(image: Image, psf: NDArray[np.float32], workers: int) -> Image:
        padded = _padded(image, psf)
        size = [fft.next_fast_len(n, real=True) for n in padded.shape[:2]]
        weights = psf if image.ndim == 2 else psf[..., None]
        spectrum = fft.rfft2(padded, size, axes=(0, 1), workers=workers)
        spectrum *= fft.rfft2(weights, size, axes=(0, 1), workers=workers)
        whole = fft.irfft2(spectrum, size, axes=(0, 1), overwrite_x=True, workers=workers)
        top, left = psf.shape[0] - 1, psf.shape[1] - 1
        result: Image = whole[top : top + image.shape[0], left : left + image.shape[1]]
        return result

    return _looped("scipy.fft", work, threads, one)


def gaussian_filter(work: Work, threads: int, size: int, sigma: float) -> Contestant:
    """A loop of ``scipy.ndimage.gaussian_filter``."""

    def one(image: Image, _psf: NDArray[np.float32], _: int) -> Image:
        made: Image = ndimage.gaussian_filter(
            image, sigma, mode="nearest", output=np.float32, radius=size // 2, axes=(0, 1)
        )
        return made

    return _looped("scipy.ndimage.gaussian_filter", work, threads, one, own_threads=False)


def uniform_filter(work: Work, threads: int, size: int) -> Contestant:
    """A loop of ``scipy.ndimage.uniform_filter``."""

    def one(image: Image, _psf: NDArray[np.float32], _: int) -> Image:
        made: Image = ndimage.uniform_filter(image, size, mode="nearest", output=np.float32, axes=(0, 1))
        return made

    return _looped("scipy.ndimage.uniform_filter", work, threads, one, own_threads=False)


def _padded(image: Image, psf: NDArray[np.float32]) -> Image:
    rows, columns = psf.shape[0] // 2, psf.shape[1] // 2
    sides = ((rows, rows), (columns, columns), (0, 0))[: image.ndim]
    return np.pad(image, sides, mode="edge").astype(np.float32)


def _looped(name: str, work: Work, threads: int, one: Convolution, *, own_threads: bool = True) -> Contestant:
    as_bytes = work.images.dtype == np.uint8

    def stretch(out: Image, start: int, stop: int, workers: int) -> None:
        for n in range(start, stop):
            made = one(work.images[n], work.own[n], workers)
            out[n] = rounded(made) if as_bytes else made

    def room() -> Image:
        return np.empty_like(work.images)

    def inside() -> Image:
        out = room()
        stretch(out, 0, len(work), threads)
        return out

    def shared() -> Image:
        out = room()
        in_parts(lambda start, stop: stretch(out, start, stop, 1), len(work), threads)
        return out

    if threads > 1 and own_threads:
        ways = [Way("loop, workers", inside)]
        if len(work) > 1:
            ways.append(Way("loop, images shared among threads", shared))
        return Contestant(name, len(work), tuple(ways))

    def part(out: Image, start: int, stop: int) -> None:
        stretch(out, start, stop, 1)

    return Contestant(name, len(work), looped(room, part, len(work), threads, own_threads=False))
