"""What every source of sharp images offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import SourceError


class Source(ABC):
    """Sharp images of one shape, addressed by index.

    A source is safe to read from several threads at once, and pickles.

    Attributes
    ----------
    name : str
        What was asked for, e.g. ``"mnist"`` or ``"folder:photos"``.
    options : dict
        The options, JSON-able, that with `name` open the same source again, e.g. ``{"split": "train"}``.
    shape : tuple of int
        ``(H, W, C)`` of every image, C 1 (gray) or 3 (RGB).
    length : int or None
        How many images there are; None where images are drawn and never run out.
    sha256 : str
        Hash of the content: two sources with the same hash hold the same images in the same order.
    has_labels : bool
        Whether `labels` gives anything.
    has_blurred : bool
        Whether the blurred images come with the sharp ones.
    """

    has_labels: ClassVar[bool] = False
    has_blurred: ClassVar[bool] = False

    name: str
    options: dict[str, Any]
    shape: tuple[int, int, int]
    length: int | None
    sha256: str

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Images ``start`` to ``stop − 1``.

        Returns
        -------
        ndarray
            uint8, shape ``(stop − start, H, W, C)``, C-contiguous.

        Raises
        ------
        SourceError
            If the range does not lie inside the source, or an image cannot be read.
        """
        self._check_range(start, stop)
        return self._read(start, stop)

    def read_pairs(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Images ``start`` to ``stop − 1``, sharp and blurred: the same array twice unless `has_blurred`."""
        self._check_range(start, stop)
        return self._read_pairs(start, stop)

    def labels(self, start: int, stop: int) -> NDArray[np.int64]:
        """Labels of images ``start`` to ``stop − 1``, int64, shape ``(stop − start,)``."""
        self._check_range(start, stop)
        return self._labels(start, stop)

    @abstractmethod
    def _read(self, start: int, stop: int) -> NDArray[np.uint8]: ...

    def _read_pairs(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images = self._read(start, stop)
        return images, images

    def _labels(self, start: int, stop: int) -> NDArray[np.int64]:
        raise SourceError(f"source '{self.name}' has no labels")

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop or (self.length is not None and stop > self.length):
            held = "endless" if self.length is None else f"{self.length} images"
            raise SourceError(f"source '{self.name}': images {start} to {stop} asked for, it holds {held}")
