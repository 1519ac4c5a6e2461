"""The steps of the plates recipe's main branch, as a plain script does them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import needs
from benchmarks.timing import Contestant, looped
from benchmarks.work import Work

NAME = "cv2 and NumPy loop"


@needs("cv2", NAME)
def opencv(work: Work, threads: int) -> Contestant:
    """Perspective, Gaussian, thick motion line, brightness, pixelate, CLAHE on Lab: 88 % of the recipe."""
    import cv2

    _, height, width, _ = work.images.shape

    def view(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        grey = int(255 * rng.beta(0.5, 0.5))
        pov, magnitude = 0.5 - rng.beta(0.5, 0.5), rng.uniform(0.8, 1)
        tangent = math.tan(pov * math.atan(height / width) / 2)
        down = abs(width * tangent)
        moved = [down, 0, down, 0] if tangent > 0 else [0, down, 0, down]
        across = (moved[0] + moved[3]) / 3
        before = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        after = np.array(
            [
                [across, moved[0]],
                [width - across, moved[1]],
                [width - across, height - moved[2]],
                [across, height - moved[3]],
            ],
            np.float32,
        )
        matrix = cv2.getPerspectiveTransform(before, after)
        border = (grey, grey, grey)
        turned = cv2.warpPerspective(image, matrix, (width, height), borderValue=border)
        factor = 0.5 + magnitude / 2
        small = cv2.resize(turned, (int(width * factor), int(height * factor)))
        out = np.full_like(image, grey)
        top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
        out[top : top + small.shape[0], left : left + small.shape[1]] = small
        return out

    def blurred(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        size = int(rng.integers(3, 8)) | 1
        sigma = float(rng.integers(1, 6))
        image = cv2.GaussianBlur(image, (size, size), sigma)
        size = int(rng.integers(11, 26)) | 1
        line = np.zeros((size, size), np.float32)
        line[size // 2 - size // 8 : size // 2 + size // 8 + 1] = 1
        turn = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), rng.uniform(0, 360), 1)
        line = cv2.warpAffine(line, turn, (size, size))
        image = cv2.filter2D(image, -1, line / line.sum())
        shift = int(rng.integers(0, 14))
        image = cv2.add(image, (shift,) * 3) if rng.random() < 0.5 else cv2.subtract(image, (shift,) * 3)
        block = int(rng.integers(4, 8))
        image = cv2.resize(cv2.resize(image, (width // block, height // block)), (width, height))
        tiles = int(rng.integers(1, 21))
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        lab[..., 0] = cv2.createCLAHE(3.0, (tiles, tiles)).apply(lab[..., 0])
        out: NDArray[Any] = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        return out

    def part(out: NDArray[Any], start: int, stop: int) -> None:
        rng = np.random.default_rng(start)
        for n in range(start, stop):
            sharp = view(work.images[n], rng)
            out[n] = blurred(sharp, rng)

    ways = looped(lambda: np.empty_like(work.images), part, len(work), threads)
    return Contestant(NAME, len(work), ways, checked=False)
