"""Pixels moved about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact


@exact
def turn(images: NDArray[np.uint8], quarters: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Write those of `images` (B, H, W, C) that turn, anticlockwise; square ones where `quarters` is odd."""
    count, height, width, channels = images.shape
    pixels, turned = images.reshape(images.size), out.reshape(out.size)
    row = width * channels
    size = height * row
    for n in range(count):
        # the pixel that comes first, and how far it is to those that follow below and to the right
        first, below, right = 0, row, channels
        if quarters[n] == 1:
            first, below, right = row - channels, -channels, row
        elif quarters[n] == 2:
            first, below, right = size - channels, -row, -channels
        elif quarters[n] == 3:
            first, below, right = size - row, channels, -row
        else:
            continue
        to = n * size
        for y in range(height):
            at = n * size + first + y * below
            if channels == 1:
                for x in range(width):
                    turned[to + x] = pixels[at + x * right]
            else:
                for x in range(width):
                    for c in range(channels):
                        turned[to + x * channels + c] = pixels[at + x * right + c]
            to += row
