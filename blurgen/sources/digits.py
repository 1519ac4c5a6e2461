"""Digits drawn as people write them: images like MNIST's that need no download and never run out."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.loops import strokes
from blurgen.sources.base import Source

# To change once the same (seed, split, index) gives another image.
_VERSION = 1

# Philox streams of domain 3; the stages' own streams are of domain 0.
_STREAMS = {"train": (3 << 30) | 1, "test": (3 << 30) | 2}

# The ways in which people write each digit, with how often. A way is a list of points "x,y" that the pen
# passes, y downwards and the digit 100 high; "!" marks a corner, "|" lifts the pen.
_WAYS: tuple[tuple[tuple[int, str], ...], ...] = (
    (
        (4, "50,8 28,0 8,22 2,52 10,84 32,100 56,84 64,50 56,18 38,2 24,6"),
        (3, "30,0 12,16 4,50 10,84 28,100 46,86 52,50 44,16 28,0"),
        (2, "30,6 12,24 4,54 14,88 36,100 58,84 66,46 56,12 34,0 18,12"),
    ),
    (
        (6, "32,0 31,50 30,100"),
        (3, "21,29 36,0! 35,50 35,100"),
        (1, "20,28 35,0! 34,100 | 16,100 53,99"),
    ),
    (
        (4, "4,24 14,6 34,0 54,10 56,32 42,58 22,82 2,99! 32,97 66,98"),
        (3, "4,20 18,3 38,0 56,14 54,38 38,66 18,92 6,96 4,84 16,78 34,90 52,99 70,92"),
        (2, "8,16 26,2 48,6 52,28 38,58 20,80 2,98! 20,90 40,94 66,90"),
        (1, "2,12 26,2 53,5 46,32 26,62 3,98! 34,97 66,96"),
    ),
    (
        (4, "6,12 26,0 48,7 52,26 40,42 22,47! 46,52 60,70 52,90 28,100 4,90"),
        (2, "6,3 30,2 56,2! 40,22 24,40! 48,46 60,68 50,92 26,100 4,90"),
        (3, "8,10 30,0 50,12 46,32 28,46 24,50 34,49 56,60 56,84 34,99 6,92"),
    ),
    (
        (4, "10,2 7,28 4,54! 34,56 66,52 | 52,8 50,50 46,100"),
        (3, "48,0 26,30 2,64! 34,65 68,64 | 48,0 47,50 46,100"),
        (2, "8,4 4,30 14,48 34,50 56,40 | 58,0 54,46 50,100"),
        (2, "36,0 20,30 2,62! 34,62 66,58 | 48,30 46,64 42,100"),
    ),
    (
        (3, "62,2 40,3 16,4! 12,42! 34,37 56,50 58,76 38,97 4,93"),
        (4, "16,6 12,44! 36,38 58,54 56,82 32,99 2,92 | 15,5 38,4 64,0"),
        (2, "60,2 38,3 17,6! 16,38 42,44 56,68 40,97 4,95"),
    ),
    (
        (4, "43,0 21,20 6,50 6,82 24,99 46,92 52,71 38,55 18,58 6,75"),
        (3, "38,0 16,36 4,70 14,95 36,99 52,82 44,62 24,60 8,76"),
        (2, "46,5 34,0 15,18 4,54 12,90 32,100 51,85 49,62 31,51 10,68"),
    ),
    (
        (5, "0,6 30,4 62,2! 42,44 27,100"),
        (2, "0,6 30,4 62,2! 42,44 27,100 | 16,50 36,49 58,46"),
        (2, "2,22 4,5! 34,4 62,3! 42,46 29,100"),
        (2, "-4,10 18,3 50,2 57,14 42,50 30,100"),
    ),
    (
        (5, "50,12 30,0 10,14 16,36 36,50 54,70 48,94 26,100 8,88 10,68 30,50 50,32 54,12 42,2"),
        (3, "32,0 14,8 12,30 30,46 48,32 48,10 32,0 | 30,46 10,60 8,86 30,100 54,88 52,62 30,46"),
        (2, "54,4 34,2 14,12 18,34 40,52 54,72 44,96 20,98 8,82 18,62 42,42 62,10"),
        (2, "30,50 12,36 10,12 30,0 50,10 48,34 30,50 10,68 10,92 30,100 52,92 52,68 30,50"),
    ),
    (
        (4, "52,14 32,0 10,14 6,38 22,50 42,42 53,14! 51,54 48,100"),
        (3, "52,14 32,0 10,14 6,38 22,50 42,42 53,14! 54,56 46,90 28,100 8,92"),
        (2, "48,22 28,2 8,16 6,40 24,50 42,34 50,6 | 52,2 48,50 46,100"),
        (2, "50,20 34,2 12,12 6,36 22,50 44,36 52,12! 42,54 28,100"),
    ),
)


def _tables() -> tuple[
    NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]
]:
    """`_WAYS` as the arrays that `strokes.draw` asks for."""
    variants, limits, begins = [0], [], [0]
    points: list[tuple[float, float]] = []
    kinds: list[int] = []
    for ways in _WAYS:
        variants.append(variants[-1] + len(ways))
        shares = np.cumsum([share for share, _ in ways])
        limits += list(shares / shares[-1])
        for _, way in ways:
            path: list[tuple[float, float]] = []
            for stroke in way.split("|"):
                for word in stroke.split():
                    x, y = word.rstrip("!").split(",")
                    path.append((float(x), float(y)))
                    kinds.append(strokes.CORNER if word.endswith("!") else strokes.SMOOTH)
                kinds[-1] = strokes.LAST
            middle = (max(x for x, _ in path) + min(x for x, _ in path)) / 2
            points += [((x - middle) / 100, (y - 50) / 100) for x, y in path]
            begins.append(len(points))
    return np.array(variants), np.array(limits), np.array(begins), np.array(points), np.array(kinds)


_TABLES = _tables()


class Digits(Source):
    """Endless handwritten-looking digits, 28 × 28, white on black, placed as in MNIST.

    Image ``i`` is a function of seed, split and ``i`` alone, and so is its label, which is each of 0 to 9
    equally often.

    Parameters
    ----------
    seed : int
        Another seed gives other digits, 0 to 2⁶⁴ − 1.
    split : {"train", "test"}
        Two sets without an image in common.

    Examples
    --------
    >>> digits = Digits()
    >>> digits.read(1000, 1032).shape
    (32, 28, 28, 1)
    """

    has_labels = True

    def __init__(self, seed: int = 0, split: str = "train") -> None:
        if split not in _STREAMS:
            raise InputError(f"digits: split {split!r}, allowed are 'train' and 'test'")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise InputError(f"digits: seed {seed!r}, allowed are whole numbers from 0 to 2⁶⁴ − 1")
        self.name = "digits"
        self.options = {"split": split, "seed": int(seed)}
        self.shape = (strokes.SIDE, strokes.SIDE, 1)
        self.length = None
        content = f"blurgen digits {_VERSION} {split} {seed}"
        self.sha256 = hashlib.sha256(content.encode()).hexdigest()
        self._seed = np.uint64(seed)
        self._stream = np.uint64(_STREAMS[split])

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        images = np.zeros((stop - start, *self.shape), np.uint8)
        strokes.draw(self._seed, self._stream, np.uint64(start), *_TABLES, images[..., 0])
        return images

    def _labels(self, start: int, stop: int) -> NDArray[np.int64]:
        labels = np.empty(stop - start, np.int64)
        strokes.labels(self._seed, self._stream, np.uint64(start), labels)
        return labels
