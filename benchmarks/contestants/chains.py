"""Whole degradations: blur, noise and JPEG, as scripts write them."""

from __future__ import annotations

from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

import blurgen
from benchmarks.contestants import needs
from benchmarks.timing import Contestant, Way, looped
from benchmarks.work import Work

CV2 = "cv2 and NumPy"
ALBUMENTATIONS = "albumentations Compose"


def ours(work: Work, threads: int, recipe: blurgen.Recipe) -> Contestant:
    """``blurgen.degrade`` of all images at once, drawing and rendering its PSFs too."""

    def run() -> NDArray[Any]:
        return blurgen.degrade(work.images, recipe, threads=threads).blurred

    return Contestant("**blurgen.degrade**", len(work), (Way("one call", run),))


@needs("cv2", CV2)
def opencv(work: Work, threads: int, sigma: float, quality: int) -> Contestant:
    """filter2D with PSFs that are ready, normals of NumPy, imencode and imdecode."""
    import cv2

    kernels = [np.ascontiguousarray(psf[::-1, ::-1]) for psf in work.own]
    flags = cv2.IMREAD_UNCHANGED
    setting = [cv2.IMWRITE_JPEG_QUALITY, quality]

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        rng = np.random.default_rng(start)
        for n in range(start, stop):
            blurred = cv2.filter2D(work.images[n], -1, kernels[n], None, (-1, -1), 0, cv2.BORDER_REPLICATE)
            noise = rng.standard_normal(blurred.shape, np.float32)
            noise *= sigma
            noise += blurred
            np.rint(noise, noise)
            np.clip(noise, 0, 255, noise)
            _, code = cv2.imencode(".jpg", noise.astype(np.uint8), setting)
            out[n] = cv2.imdecode(code, flags)

    ways = looped(lambda: np.empty_like(work.images), part, len(work), threads)
    return Contestant(CV2, len(work), ways, checked=False)


@needs("albumentations", ALBUMENTATIONS)
def albumentations(
    work: Work, threads: int, sizes: tuple[int, int], sigma: float, quality: int
) -> Contestant:
    """MotionBlur, GaussNoise and ImageCompression in one Compose."""
    import albumentations as album

    own = local()  # transforms hold generators: one for each thread

    def composed(image: NDArray[Any]) -> Any:
        if not hasattr(own, "composed"):
            level = (sigma / 255, sigma / 255)
            own.composed = album.Compose(
                [
                    album.MotionBlur(blur_limit=sizes, p=1.0),
                    album.GaussNoise(std_range=level, p=1.0),
                    album.ImageCompression(quality_range=(quality, quality), p=1.0),
                ]
            )
        return own.composed(image=image)["image"]

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        for n in range(start, stop):
            out[n] = composed(work.images[n])

    ways = looped(lambda: np.empty_like(work.images), part, len(work), threads)
    return Contestant(ALBUMENTATIONS, len(work), ways, checked=False)
