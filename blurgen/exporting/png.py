"""Images as PNG: the same settings everywhere, hence the same bytes from the same Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blurgen import threads as pool

R = TypeVar("R")

LEVEL = 4  # of zlib; 6 takes twice the time for 2 to 4 % less of a photograph
_PARTS = 4  # for each thread


def encode(image: NDArray[np.uint8]) -> bytes:
    """One image (H, W, C) as PNG, gray or RGB."""
    file = io.BytesIO()
    flat = image[:, :, 0] if image.shape[2] == 1 else image
    Image.fromarray(flat).save(file, "PNG", compress_level=LEVEL)
    return file.getvalue()


def of_each(
    function: Callable[[int, bytes], R], images: NDArray[np.uint8], threads: int, start: int = 0
) -> list[R]:
    """``function(start + i, PNG of image i)`` of every image, in order, on threads: Pillow frees the GIL."""

    def work(share: slice) -> list[R]:
        return [function(start + i, encode(images[i])) for i in range(share.start, share.stop)]

    parts = 1 if threads == 1 else _PARTS * threads
    return list(chain.from_iterable(pool.run(work, pool.shares(len(images), parts), threads)))


def encode_all(images: NDArray[np.uint8], threads: int) -> list[bytes]:
    """Every image (N, H, W, C) as PNG."""
    return of_each(lambda _, data: data, images, threads)


def most_bytes(shape: tuple[int, int, int]) -> int:
    """What no PNG of an image of that shape exceeds: a byte more a row, stored blocks, chunks of 64 KiB."""
    height, width, channels = shape
    raw = height * (1 + width * channels)
    return raw + raw // 1000 + 1024
