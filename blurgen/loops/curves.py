"""Between bytes and linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import power
from blurgen.loops.jit import exact

CELL_BITS = 14  # a cell of the coarse table: floats that agree but for so many of their last bits


@exact
def srgb_light(encoded: float) -> float:
    """Linear light of an sRGB value, both 0 … 1 (IEC 61966-2-1)."""
    if encoded <= 0.04045:
        return encoded / 12.92
    return power((encoded + 0.055) / 1.055, 2.4)


@exact
def fill_srgb_light(encoded: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Linear light of sRGB values."""
    for i in range(encoded.size):
        out[i] = srgb_light(encoded[i])


@exact
def fill_powers(values: NDArray[np.float64], exponent: float, out: NDArray[np.float64]) -> None:
    """Non-negative values to the power of a positive `exponent`."""
    for i in range(values.size):
        out[i] = power(values[i], exponent) if values[i] > 0.0 else 0.0


@exact
def to_light(images: NDArray[np.uint8], light: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Look up the light of each byte; images (n,)."""
    for i in range(images.size):
        out[i] = light[images[i]]


@exact
def to_bytes(
    bits: NDArray[np.int32],
    edges: NDArray[np.int32],
    cells: NDArray[np.uint8],
    lowest: np.int32,
    white: np.int32,
    steps: int,
    out: NDArray[np.uint8],
) -> None:
    """The byte of each amount of light; `bits` (n,) are those of a float32, which sort as the floats do.

    `edges` holds the bits of the least light that is more than byte b, the last one out of reach; `cells` the
    byte of the least light in each cell, from that of `lowest` on; at most `steps` edges lie in one cell.
    """
    first = lowest >> np.int32(CELL_BITS)
    if steps > 1:
        for i in range(bits.size):
            value = min(max(bits[i], lowest), white)
            byte = np.int32(cells[(value >> np.int32(CELL_BITS)) - first])
            while value >= edges[byte]:
                byte += np.int32(1)
            out[i] = np.uint8(byte)
        return
    for i in range(bits.size):
        value = min(max(bits[i], lowest), white)
        byte = np.int32(cells[(value >> np.int32(CELL_BITS)) - first])
        out[i] = np.uint8(byte + np.int32(value >= edges[byte]))
