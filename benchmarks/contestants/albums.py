"""albumentations, which takes one image at a time and draws a PSF of its own for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import needs
from benchmarks.timing import Contestant, Way, looped
from benchmarks.work import Work

NAME = "albumentations MotionBlur†"
NOTE = (
    "† albumentations draws the PSFs itself, of {sizes} pixels: that is timed too, and its results cannot be "
    "compared. Its transform was called within Compose, by itself, and as get_params and apply without any "
    "of its checks; the best of the three counts."
)

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks the network for news


@needs("albumentations", NAME)
def motion_blur(work: Work, threads: int, sizes: tuple[int, int]) -> Contestant:
    """A loop of ``albumentations.MotionBlur``."""
    import albumentations

    own = local()  # transforms hold generators: one for each thread

    def transform() -> Any:
        if not hasattr(own, "transform"):
            own.transform = albumentations.MotionBlur(blur_limit=sizes, p=1.0)
            own.composed = albumentations.Compose([own.transform])
        return own

    def composed(image: NDArray[Any]) -> Any:
        return transform().composed(image=image)["image"]

    def direct(image: NDArray[Any]) -> Any:
        return transform().transform(image=image)["image"]

    def bare(image: NDArray[Any]) -> Any:
        blur = transform().transform
        return blur.apply(image, **blur.get_params())

    def ways(how: str, one: Callable[[NDArray[Any]], Any]) -> tuple[Way, ...]:
        def part(out: NDArray[Any], start: int, stop: int) -> None:
            for n in range(start, stop):
                out[n] = one(work.images[n])

        return looped(lambda: np.empty_like(work.images), part, len(work), threads, how=how)

    every = (*ways("Compose", composed), *ways("transform", direct), *ways("apply alone", bare))
    return Contestant(NAME, len(work), every, checked=False)
