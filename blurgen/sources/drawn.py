"""What all sources of drawn images have in common."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import numpy as np

from blurgen.checks import checked_whole
from blurgen.draws import MAX_SEED
from blurgen.errors import InputError
from blurgen.sources.base import Source

_SPLITS = ("train", "test")


class Drawn(Source):
    """Endless images: each is a function of seed, split, options and its index alone.

    Parameters
    ----------
    seed : int
        Another seed gives other images, 0 to 2⁶⁴ − 1.
    split : {"train", "test"}
        Two sets without an image in common.
    shape : tuple of int
        ``(H, W, C)`` of every image.
    content : str
        What else the pixels depend on: versions, hashes.
    **options
        The other options, by name.
    """

    kind: ClassVar[str]
    # The Philox stream of the training images within domain 3; that of the test images is the next. The
    # stages' own streams are of domain 0.
    first_stream: ClassVar[int]

    def __init__(
        self, seed: int, split: str, shape: tuple[int, int, int], content: str, **options: Any
    ) -> None:
        if split not in _SPLITS:
            raise InputError(f"{self.kind}: split {split!r}, allowed are 'train' and 'test'")
        seed = checked_whole(f"{self.kind}: seed", seed, 0, MAX_SEED)
        self.name = self.kind
        self.options = {"split": split, "seed": seed, **options}
        self.shape = shape
        self.length = None
        said = " ".join(f"{name}={value}" for name, value in self.options.items())
        self.sha256 = hashlib.sha256(f"blurgen {self.kind} {content} {said}".encode()).hexdigest()
        self._seed = np.uint64(seed)
        self._stream = np.uint64((3 << 30) | (self.first_stream + _SPLITS.index(split)))


def checked_size(kind: str, size: object) -> int:
    """The side of square images.

    Raises
    ------
    InputError
        If it is no whole number from 16 to 4096.
    """
    return checked_whole(f"{kind}: size", size, 16, 4096)
