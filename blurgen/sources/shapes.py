"""Shapes that cover one another like dead leaves: images with the statistics of natural ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.loops import shapes as loops
from blurgen.sources.drawn import Drawn, checked_size

# To change once the same (seed, split, index) gives another image.
_VERSION = 1

_CHANNELS = {"rgb": 3, "gray": 1}


@lru_cache(maxsize=1)
def _grains() -> NDArray[np.float32]:
    grains = np.empty((loops.TEXTURE, loops.TEXTURE), np.float32)
    loops.texture(np.uint64(0), grains)
    return grains


class Shapes(Drawn):
    """Endless images of discs, ellipses and polygons that cover one another.

    The dead leaves model [1]_: shapes are thrown at random on the plane, one over the other, with
    radii r from 1 pixel to half the image, of density r⁻³. Such images have the statistics of natural ones
    that matter for restoration, edges between regions of all sizes and a power spectrum near 1/f², and
    networks trained on them restore photographs [2]_. The colours of an image come from a palette of its own;
    many shapes are lighter at one end, or a little rough.

    Parameters
    ----------
    seed : int
        Another seed gives other images, 0 to 2⁶⁴ − 1.
    split : {"train", "test"}
        Two sets without an image in common.
    size : int
        Width and height of an image in pixels, 16 to 4096.
    mode : {"rgb", "gray"}
        Colour, or the luminance alone of the same leaves.

    Raises
    ------
    InputError
        If an argument is not allowed.

    References
    ----------
    .. [1] A. B. Lee, D. Mumford, J. Huang, "Occlusion models for natural images: a statistical study of a
       scale-invariant dead leaves model", International Journal of Computer Vision 41, 2001.
    .. [2] R. Achddou, Y. Gousseau, S. Ladjal, "Synthetic images as a regularity prior for image restoration
       neural networks", SSVM 2021.

    Examples
    --------
    >>> Shapes(size=32).read(1000, 1008).shape
    (8, 32, 32, 3)
    """

    kind = "shapes"
    first_stream = 7

    def __init__(self, seed: int = 0, split: str = "train", size: int = 256, mode: str = "rgb") -> None:
        if mode not in _CHANNELS:
            raise InputError(f"shapes: mode {mode!r}, allowed are 'rgb' and 'gray'")
        side = checked_size("shapes", size)
        super().__init__(seed, split, (side, side, _CHANNELS[mode]), str(_VERSION), size=side, mode=mode)

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        images = np.empty((stop - start, *self.shape), np.uint8)
        loops.draw(self._seed, self._stream, np.uint64(start), _grains(), images)
        return images
