"""Sources whose images lie in memory, and the hash that identifies images wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.sources.base import Source


def content_sha256(shape: tuple[int, int, int, int], chunks: Iterable[NDArray[np.uint8]]) -> str:
    """Hash of images: the same images in the same order give the same, whatever file they came from.

    Parameters
    ----------
    shape : tuple of int
        ``(N, H, W, C)`` of all images together.
    chunks : iterable of ndarray
        The images in order, uint8, cut anywhere along the first axis.

    Returns
    -------
    str
        SHA-256 in hexadecimal of the line ``"N H W C"`` followed by the pixels.
    """
    digest = hashlib.sha256(f"{' '.join(map(str, shape))}\n".encode())
    for chunk in chunks:
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


class MemorySource(Source):
    """Images that lie in memory.

    Parameters
    ----------
    name : str
        What was asked for.
    options : dict
        The options that with `name` open the same source again.
    images : ndarray
        uint8, shape ``(N, H, W, C)``.
    """

    def __init__(self, name: str, options: dict[str, Any], images: NDArray[np.uint8]) -> None:
        count, height, width, channels = images.shape
        self.name = name
        self.options = options
        self.shape = (height, width, channels)
        self.length = count
        self.sha256 = content_sha256((count, height, width, channels), [images])
        self._images = images

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        # A copy: what a caller does to its images must not change the source.
        return self._images[start:stop].copy()


class LabelledMemorySource(MemorySource):
    """Images that lie in memory, with a label each.

    Parameters
    ----------
    name, options, images
        As of `MemorySource`.
    labels : ndarray
        Whole numbers, shape ``(N,)``.
    """

    has_labels = True

    def __init__(
        self, name: str, options: dict[str, Any], images: NDArray[np.uint8], labels: NDArray[np.uint8]
    ) -> None:
        super().__init__(name, options, images)
        self._label = labels

    def _labels(self, start: int, stop: int) -> NDArray[np.int64]:
        return self._label[start:stop].astype(np.int64)
