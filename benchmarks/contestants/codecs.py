"""JPEG there and back: image by image through OpenCV and Pillow, which encode and decode, and blurgen."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

import blurgen
from benchmarks.machine import installed
from benchmarks.timing import Contestant, Way, looped

Pixels = NDArray[np.uint8]


def ours(images: Pixels, quality: int, threads: int) -> Contestant:
    """``blurgen.jpeg`` of all images at once."""

    def run() -> Pixels:
        return blurgen.jpeg(images, quality, threads=threads)

    return Contestant("**blurgen.jpeg**", len(images), (Way("one call", run),))


def opencv(images: Pixels, quality: int, threads: int) -> Contestant:
    """A loop of ``cv2.imencode`` and ``cv2.imdecode``; the colours stand in OpenCV's order beforehand."""
    name = "cv2.imencode, imdecode"
    if not installed("cv2"):
        return Contestant(name, len(images), (), missing="not installed")
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    own_order = np.ascontiguousarray(_reversed(images))

    def part(out: Any, start: int, stop: int) -> None:
        own_out = _reversed(out)
        for n in range(start, stop):
            encoded = cv2.imencode(".jpg", own_order[n], settings)[1]
            decoded: Any = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
            own_out[n] = decoded

    def room() -> Pixels:
        return _reversed(np.empty_like(own_order))

    ways = looped(room, part, len(images), threads, own_threads=False)
    return Contestant(name, len(images), ways)


def pillow(images: Pixels, quality: int, threads: int) -> Contestant:
    """A loop of ``Image.save`` and ``Image.open``."""
    from PIL import Image

    def part(out: Any, start: int, stop: int) -> None:
        for n in range(start, stop):
            file = io.BytesIO()
            Image.fromarray(images[n]).save(file, "JPEG", quality=quality)
            out[n] = Image.open(file)

    ways = looped(lambda: np.empty_like(images), part, len(images), threads, own_threads=False)
    return Contestant("Pillow save, open", len(images), ways)


def _reversed(images: Pixels) -> Pixels:
    """The colours in reverse, where there are any."""
    return images[..., ::-1] if images.ndim == 4 else images
