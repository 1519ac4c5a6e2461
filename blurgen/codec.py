"""What storing an image costs it: JPEG there and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blurgen import threads as pool
from blurgen.convolution import checked_images
from blurgen.errors import InputError
from blurgen.loops import jpeg as loops

Subsampling = Literal["4:2:0", "4:2:2", "4:4:4"]

_SHARED: dict[str, tuple[int, int]] = {"4:2:0": (2, 2), "4:2:2": (2, 1), "4:4:4": (1, 1)}
_PARTS = 4  # for each thread


def jpeg(
    images: NDArray[np.uint8],
    quality: ArrayLike,
    subsampling: Subsampling = "4:2:0",
    *,
    threads: int | None = 1,
) -> NDArray[np.uint8]:
    """Images as they come back from a JPEG file.

    Byte for byte what libjpeg-turbo makes of them with the settings in common use (baseline, the integer
    transform "islow", "fancy" upsampling), through ``cv2.imencode`` and ``cv2.imdecode`` or through Pillow,
    at any quality and size. Entropy coding loses nothing and is left out. Colours are converted, chroma is
    averaged, blocks of 8 × 8 are transformed [1]_ and divided by the standard's tables [2]_, scaled to the
    quality as libjpeg does; all of it is rounded and undone in libjpeg's own whole-number arithmetic.

    Parameters
    ----------
    images : ndarray
        uint8, shape (B, H, W) or (B, H, W, C) with C 1 or 3 (RGB).
    quality : int or array_like of int
        1 … 100, one for all images or one for each, shape (B,).
    subsampling : str
        ``4:2:0`` (chroma at half the width and height, the default of OpenCV and Pillow), ``4:2:2`` (at half
        the width) or ``4:4:4``; of no effect on gray images.
    threads : int or None
        How many threads work; None takes all usable processors. The result does not depend on it.

    Returns
    -------
    ndarray
        uint8, of the images' shape.

    Raises
    ------
    InputError
        If an argument has a shape, dtype or value other than the above.

    Notes
    -----
    Decoded values are clipped to 0 … 255, as by libjpeg-turbo's SIMD code. libjpeg's plain C code instead
    wraps values that are out of range by more than 384, which only blocks made for the purpose reach, at very
    low quality.

    References
    ----------
    .. [1] C. Loeffler, A. Ligtenberg, G. Moschytz, "Practical fast 1-D DCT algorithms with 11
       multiplications", ICASSP 1989.
    .. [2] ITU-T Recommendation T.81, Annex K.
    """
    batch = checked_images(images, (np.uint8,))
    qualities = _checked_qualities(quality, len(batch))
    if subsampling not in get_args(Subsampling):
        raise InputError(f"subsampling {subsampling!r}: allowed are {', '.join(get_args(Subsampling))}")
    count = pool.checked(threads)
    return jpeg_checked(batch, qualities, subsampling, count).reshape(images.shape)


def jpeg_checked(
    images: NDArray[np.uint8], qualities: NDArray[np.int64], subsampling: Subsampling, threads: int = 1
) -> NDArray[np.uint8]:
    """The same of arrays known to be right: images (B, H, W, C), qualities (B,)."""
    count, height, width, channels = images.shape
    out = np.empty(images.shape, np.uint8)
    across, down = _SHARED[subsampling] if channels == 3 else (1, 1)
    flat = np.ascontiguousarray(images).reshape(-1)
    flat.flags.writeable = False  # the loops are compiled for one kind of array
    arguments = (flat, height, width, _tables(), qualities)

    def work(part: tuple[slice, slice]) -> None:
        ends = (part[0].start, part[0].stop, part[1].start, part[1].stop, out.reshape(-1))
        if channels == 1:
            loops.gray(*arguments, *ends)
        else:
            loops.colour(*arguments, across, down, *ends)

    units = -(-height // (8 * down))
    pool.run(work, _parts(count, units, threads), threads)
    return out


def _parts(count: int, units: int, threads: int) -> list[tuple[slice, slice]]:
    """Cut the work into (images, rows of units): whole images where there are enough for all threads."""
    # more parts than threads: who is done early takes another
    parts = 1 if threads == 1 else _PARTS * threads
    if threads == 1 or count >= threads:
        return [(share, slice(0, units)) for share in pool.shares(count, parts)]
    return [(slice(n, n + 1), rows) for n in range(count) for rows in pool.shares(units, -(-parts // count))]


@lru_cache
def _tables() -> NDArray[np.uint16]:
    return loops.tables()


def _checked_qualities(quality: ArrayLike, count: int) -> NDArray[np.int64]:
    given = np.asarray(quality)
    if given.shape not in ((), (count,)):
        raise InputError(
            f"quality has the shape {given.shape} for {count} images; one, or one for each, is needed"
        )
    wrong = np.ones(given.shape, bool) if given.dtype.kind not in "iu" else (given < 1) | (given > 100)
    if wrong.any():
        first = given[wrong].ravel()[0]
        raise InputError(f"quality {first}: a whole number from 1 to 100 is needed")
    return np.broadcast_to(given.astype(np.int64), (count,)).copy()
