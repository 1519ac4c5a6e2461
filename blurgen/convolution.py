"""Convolution of images with PSFs: checks, borders, and the choice of an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blurgen import fourier
from blurgen import threads as pool
from blurgen.errors import InputError
from blurgen.loops import convolve as loops

Border = Literal["replicate", "reflect", "mirror", "wrap", "constant"]

_FFT_COST = 130.0  # of one point of a tile, in taps of the tap engine
_PARTS = 4  # for each thread
_LONGEST_PSF = 1 << 20
_MOST_TAPS = 500.0  # beyond, the integer sums of the tap engine could overflow


def convolve(
    images: NDArray[Any],
    psfs: ArrayLike,
    border: Border | Literal["nearest"] = "replicate",
    *,
    outside: float = 0.0,
    threads: int | None = 1,
) -> NDArray[Any]:
    """Convolve images with point spread functions.

    ``out[y, x] = Σ psf[i, j] · image[y − (i − h // 2), x − (j − w // 2)]``: a true convolution, so that
    the PSF is what one bright point becomes. The centre of an h × w PSF is its pixel ``(h // 2, w // 2)``,
    in even sizes the one right of and below the middle, as in ``scipy.ndimage.convolve``.

    Parameters
    ----------
    images : ndarray
        uint8 or float32, shape (B, H, W) or (B, H, W, C) with C 1 or 3.
    psfs : array_like
        One PSF for all images, shape (h, w), or one for each, shape (B, h, w); finite, non-negative, of
        sum 1 to 1 part in 1,000. Any size up to 2²⁰ a side, larger than the image included.
    border : str
        What lies beyond the image, in the terms of ``scipy.ndimage``: ``replicate`` or ``nearest``
        (a a a | a b c), ``reflect`` (b a | a b c), ``mirror`` (c b | a b c), ``wrap`` (b c | a b c),
        ``constant``.
    outside : float
        The value beyond the border where that is ``constant``; for bytes whole, 0 … 255.
    threads : int or None
        How many threads work; None takes all usable processors. The result does not depend on it.

    Returns
    -------
    ndarray
        Of the images' shape and dtype. Sums are accumulated in float32, to 1 part in 10⁴ of full scale;
        bytes are clipped and rounded half up.

    Raises
    ------
    InputError
        If an argument has a shape, dtype or value other than the above.
    """
    batch = checked_images(images, (np.uint8, np.float32))
    kernels, counts = checked_psfs(psfs, len(batch))
    row_border = checked_border(border)
    number = isinstance(outside, int | float | np.number) and np.isfinite(outside)
    if not number or (batch.dtype == np.uint8 and outside not in range(256)):
        allowed = "a whole number from 0 to 255" if batch.dtype == np.uint8 else "a finite number"
        raise InputError(f"outside {outside!r}: {allowed} is needed")
    count = pool.checked(threads)
    return _convolve(batch, kernels, counts, row_border, outside, count).reshape(images.shape)


def convolve_checked(
    images: NDArray[Any], psfs: NDArray[np.float32], border: str, outside: float = 0.0, threads: int = 1
) -> NDArray[Any]:
    """Convolve arrays known to be right: images (B, H, W, C), PSFs (1 or B, h, w)."""
    _, _, counts = _surveyed(psfs)
    return _convolve(images, psfs, counts, border, outside, threads)


def _convolve(
    images: NDArray[Any],
    psfs: NDArray[np.float32],
    counts: NDArray[np.int64],
    border: str,
    outside: float,
    threads: int,
) -> NDArray[Any]:
    _, height, width, _ = images.shape
    out = np.empty(images.shape, images.dtype)
    reach = max(psfs.shape[1:])
    row_of = border_map(height, reach, border)
    column_of = border_map(width, reach, border)
    as_bytes = images.dtype == np.uint8
    add, low, high = (0.5, 0.0, 255.0) if as_bytes else (0.0, -np.inf, np.inf)
    borders = (row_of, column_of, reach)
    beyond = images.dtype.type(outside)
    rounding = (np.float32(outside), np.float32(add), np.float32(low), np.float32(high))

    shape = images.shape[1:]
    fft_cost = min(_FFT_COST * fourier.plan(shape, psfs.shape[1:]).cost / np.prod(shape), _MOST_TAPS)
    engines = np.empty(len(psfs), np.int64)
    extents = np.empty((len(psfs), 4), np.int64)
    down = np.zeros((len(psfs), psfs.shape[1]), np.float32)
    across = np.zeros((len(psfs), psfs.shape[2]), np.float32)
    loops.classify(psfs, counts, fft_cost, engines, extents, down, across)
    engine_of = np.broadcast_to(engines, len(images))

    def work(part: tuple[NDArray[np.intp], tuple[int, int]]) -> None:
        which, rows = part
        for engine in np.unique(engine_of[which]):
            chosen = which[engine_of[which] == engine]
            if engine == loops.TAPS and as_bytes:
                loops.taps_of_bytes(images, psfs, chosen, rows, *borders, beyond, out)
            elif engine == loops.TAPS:
                loops.taps_of_floats(images, psfs, chosen, rows, *borders, beyond, out)
            elif engine == loops.SEPARABLE:
                loops.separable(images, down, across, chosen, rows, *borders, *rounding, out)
            elif engine == loops.BOX:
                loops.boxes(images, extents, chosen, rows, *borders, *rounding, out)

    direct, by_fft = np.flatnonzero(engine_of != loops.FFT), np.flatnonzero(engine_of == loops.FFT)
    tasks: list[Callable[[], None]] = []
    if by_fft.size:
        fft = fourier.FourierEngine(images, psfs, borders, beyond, rounding[1:], out)
        fft.prepare(threads)
        if len(by_fft) >= threads:
            tasks += [partial(fft.convolve, int(n), 1) for n in by_fft]
        else:  # too few to keep all threads busy: the threads share each
            for n in by_fft:
                fft.convolve(int(n), threads)
    tasks += [partial(work, part) for part in _parts(direct, height, threads)]
    pool.run(_call, tasks, threads)
    return out


def _call(task: Callable[[], None]) -> None:
    task()


def _parts(
    which: NDArray[np.intp], height: int, threads: int
) -> list[tuple[NDArray[np.intp], tuple[int, int]]]:
    """Cut the work into (images, rows): whole images where there are enough for all threads."""
    if threads == 1 or len(which) >= threads or height < 2 * loops.ROWS:
        # more parts than threads: who is done early takes another
        parts = 1 if threads == 1 else _PARTS * threads
        return [(which[share], (0, height)) for share in pool.shares(len(which), parts)]
    blocks = -(-height // loops.ROWS)
    bands = [
        (share.start * loops.ROWS, min(height, share.stop * loops.ROWS))
        for share in pool.shares(blocks, -(-threads // max(1, len(which))))
    ]
    return [(which[n : n + 1], band) for n in range(len(which)) for band in bands]


def border_map(size: int, reach: int, border: str) -> NDArray[np.int64]:
    """Which pixel of `size` stands at each of the positions −reach … size + reach − 1; −1 for none."""
    at = np.arange(-reach, size + reach)
    if border == "constant":
        return np.where((at >= 0) & (at < size), at, -1)
    if border == "replicate":
        return np.clip(at, 0, size - 1)
    if border == "wrap":
        return at % size
    period = 2 * size if border == "reflect" else max(1, 2 * size - 2)
    folded = at % period
    other = period - 1 - folded if border == "reflect" else period - folded
    return np.where(folded < size, folded, other)


def checked_border(border: str) -> str:
    """The border's one name, or an InputError that says which there are."""
    if border == "nearest":
        return "replicate"
    if border not in get_args(Border):
        raise InputError(f"border {border!r}: allowed are {', '.join(get_args(Border))} and nearest")
    return border


def checked_images(images: NDArray[Any], dtypes: tuple[type, ...]) -> NDArray[Any]:
    """The images as a C-contiguous (B, H, W, C), or an InputError that says what they are instead."""
    if not isinstance(images, np.ndarray):
        raise InputError(f"images are a {type(images).__name__}; a NumPy array is needed")
    if images.dtype not in dtypes:
        allowed = " or ".join(np.dtype(d).name for d in dtypes)
        raise InputError(f"images are {images.dtype}; {allowed} is needed")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise InputError(
            f"images have the shape {images.shape}; (B, H, W), or (B, H, W, C) with C 1 or 3, is needed"
        )
    if images.size == 0:
        raise InputError(f"images have the shape {images.shape}: there are no pixels")
    if images.dtype != np.uint8:
        finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
        if not finite.all():
            raise InputError(f"image {int(np.argmin(finite))} holds NaN or infinite values")
    batch = images if images.ndim == 4 else images[..., None]
    return np.ascontiguousarray(batch)


def _surveyed(psfs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Sum, number of negative and number of non-zero weights of each PSF."""
    sums = np.empty(len(psfs))
    negatives, counts = np.empty(len(psfs), np.int64), np.empty(len(psfs), np.int64)
    loops.survey(psfs.reshape(len(psfs), -1), sums, negatives, counts)
    return sums, negatives, counts


def checked_psfs(psfs: ArrayLike, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The PSFs as float32 (1 or `count`, h, w), and how many weights of each are not zero.

    Raises
    ------
    InputError
        That says what is wrong with which.
    """
    given = np.asarray(psfs)
    if given.ndim not in (2, 3) or given.size == 0 or given.dtype.kind not in "fiu":
        raise InputError(
            f"PSFs are {given.dtype} of shape {given.shape}; numbers of shape (h, w) or (B, h, w) are needed"
        )
    stack = given[None] if given.ndim == 2 else given
    if max(stack.shape[1:]) > _LONGEST_PSF:
        raise InputError(
            f"PSFs are of shape {stack.shape[1:]}; up to {_LONGEST_PSF} pixels a side are allowed"
        )
    if len(stack) not in (1, count):
        raise InputError(f"there are {len(stack)} PSFs for {count} images; one, or one for each, is needed")
    with np.errstate(over="ignore"):
        weights = np.ascontiguousarray(stack, np.float32)
    sums, negatives, counts = _surveyed(weights)
    for wrong, what in (
        (~np.isfinite(sums), "holds NaN or infinite values"),
        (negatives > 0, "holds negative values"),
    ):
        if wrong.any():
            raise InputError(f"PSF {int(np.argmax(wrong))} {what}")
    wrong = abs(sums - 1) > 1e-3
    if wrong.any():
        n = int(np.argmax(wrong))
        raise InputError(f"PSF {n} sums to {sums[n]:.6g}; a PSF sums to 1 (divide it by its sum)")
    return weights, counts
