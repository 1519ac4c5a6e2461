"""OpenCV: image by image, on threads of its own or with the images shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import needs
from benchmarks.timing import Contestant, looped
from benchmarks.work import Work


@needs("cv2", "cv2.filter2D")
def filter2d(work: Work, threads: int) -> Contestant:
    """A loop of ``cv2.filter2D``, each PSF in its own size, turned by 180° beforehand."""
    import cv2

    kernels = [np.ascontiguousarray(psf[::-1, ::-1]) for psf in work.own]
    border = cv2.BORDER_REPLICATE

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        for n in range(start, stop):
            cv2.filter2D(work.images[n], -1, kernels[n], out[n], (-1, -1), 0, border)

    return Contestant("cv2.filter2D", len(work), looped(_room(work), part, len(work), threads))


@needs("cv2", "cv2.GaussianBlur")
def gaussian_blur(work: Work, threads: int, size: int, sigma: float) -> Contestant:
    """A loop of ``cv2.GaussianBlur``, whose weights for bytes have 8 bits."""
    import cv2

    border = cv2.BORDER_REPLICATE

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        for n in range(start, stop):
            cv2.GaussianBlur(work.images[n], (size, size), sigma, out[n], sigma, border)

    ways = looped(_room(work), part, len(work), threads)
    coarse = 2.0 if work.images.dtype == np.uint8 else 0.0
    return Contestant("cv2.GaussianBlur", len(work), ways, tolerance=coarse)


@needs("cv2", "cv2.blur")
def box_blur(work: Work, threads: int, size: int) -> Contestant:
    """A loop of ``cv2.blur``."""
    import cv2

    border = cv2.BORDER_REPLICATE

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        for n in range(start, stop):
            cv2.blur(work.images[n], (size, size), out[n], (-1, -1), border)

    return Contestant("cv2.blur", len(work), looped(_room(work), part, len(work), threads))


def _room(work: Work) -> Callable[[], NDArray[Any]]:
    return lambda: np.empty_like(work.images)
