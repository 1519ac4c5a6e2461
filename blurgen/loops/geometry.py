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


@exact
def flip(
    images: NDArray[np.uint8],
    horizontal: NDArray[np.int64],
    vertical: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Mirror images (B, H, W, C): left and right exchanged, top and bottom exchanged."""
    count, height, width, channels = images.shape
    for n in range(count):
        for y in range(height):
            row, target = images[n, height - 1 - y if vertical[n] else y], out[n, y]
            if not horizontal[n]:
                target[:] = row
            elif channels == 1:
                for x in range(width):
                    target[x, 0] = row[width - 1 - x, 0]
            else:
                for x in range(width):
                    for c in range(channels):
                        target[x, c] = row[width - 1 - x, c]


@exact
def place(
    images: NDArray[np.uint8],
    top: int,
    left: int,
    replicate: bool,
    grey: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """Write images (B, H, W, C) into the larger `out`, at (top, left).

    Around them is their outermost pixel, or the level `grey` (B,).
    """
    count, height, width, channels = images.shape
    right = left + width
    for n in range(count):
        for y in range(out.shape[1]):
            row, target = images[n, min(max(y - top, 0), height - 1)], out[n, y]
            if not replicate:
                target[:] = grey[n]
            if replicate or top <= y < top + height:
                target[left:right] = row
                if replicate:
                    for x in range(left):
                        for c in range(channels):
                            target[x, c] = row[0, c]
                    for x in range(right, out.shape[2]):
                        for c in range(channels):
                            target[x, c] = row[width - 1, c]
