"""Noise: blurgen's stages, and the same by NumPy and OpenCV, image by image.

Everybody draws numbers of its own, so that results are not compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import needs
from benchmarks.timing import Contestant, looped
from benchmarks.work import Work
from blurgen.draws import Draws
from blurgen.stages.base import KINDS, ImageStage

_VALUES = 1 << 18
NUMPY_NORMAL = "numpy standard_normal"
NUMPY_POISSON = "numpy poisson"


def stage(work: Work, threads: int, kind: str, body: dict[str, Any]) -> Contestant:
    """A stage of blurgen, on a few images at a time."""
    images = work.images.reshape(*work.images.shape[:3], -1)
    made = KINDS[kind].from_body(body)
    assert isinstance(made, ImageStage)
    draws = Draws(1, np.arange(len(images))).stage(0)
    params = made.sample(draws)
    step = max(1, _VALUES // images[0].size)

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        for first in range(start, stop, step):
            rows = np.arange(first, min(first + step, stop))
            own = {name: column[rows] for name, column in params.items()}
            changed = made.apply(images[rows[0] : rows[-1] + 1], own, draws.rows(rows))
            out[rows[0] : rows[-1] + 1] = changed.reshape(-1, *out.shape[1:])

    return _looped(f"**blurgen, {kind}**", work, part, threads)


def numpy_normal(work: Work, threads: int, sigma: float) -> Contestant:
    """``Generator.standard_normal`` in float32, times σ, plus the image, rounded and clipped."""

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        rng = np.random.default_rng(start)
        values = np.empty(out.shape[1:], np.float32)
        for n in range(start, stop):
            rng.standard_normal(dtype=np.float32, out=values)
            values *= np.float32(sigma)
            values += work.images[n]
            values += np.float32(0.5)
            np.clip(values, 0.0, 255.0, out=values)
            out[n] = values

    return _looped(NUMPY_NORMAL, work, part, threads)


def numpy_poisson(work: Work, threads: int, gain: float) -> Contestant:
    """``Generator.poisson`` of the image's electrons, times the gain, rounded and clipped."""

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        rng = np.random.default_rng(start)
        for n in range(start, stop):
            values = rng.poisson(work.images[n] / gain) * gain
            values += 0.5
            np.clip(values, 0.0, 255.0, out=values)
            out[n] = values

    return _looped(NUMPY_POISSON, work, part, threads)


@needs("cv2", "cv2.randn")
def opencv_normal(work: Work, threads: int, sigma: float) -> Contestant:
    """``cv2.randn`` in float32, added to the image with saturation."""
    import cv2

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        values = np.empty(out.shape[1:], np.float32)
        for n in range(start, stop):
            cv2.randn(values, 0.0, sigma)
            cv2.add(work.images[n], values, out[n], None, cv2.CV_8U)

    return _looped("cv2.randn", work, part, threads)


def _looped(name: str, work: Work, part: Any, threads: int) -> Contestant:
    ways = looped(lambda: np.empty_like(work.images), part, len(work), threads, own_threads=False)
    return Contestant(name, work.images.size, ways, checked=False)
