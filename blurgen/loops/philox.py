"""The counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers", SC11).

A block of four 32-bit words is a pure function of a 128-bit counter and a 64-bit key. Words are held in
uint64, so that the same code runs compiled and as plain Python.
"""

from __future__ import annotations

import numpy as np

from blurgen.loops.jit import exact

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


@exact
def block(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Four 32-bit words from counter ``(c0, c1, c2, c3)`` and key ``(k0, k1)``."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0 = (p1 >> _32) ^ c1 ^ k0
        c1 = p1 & _LOW
        c2 = (p0 >> _32) ^ c3 ^ k1
        c3 = p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@exact
def draw_block(
    seed: np.uint64, index: np.uint64, stream: np.uint64, draw: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The block of one draw: counter (draw, stream, index low, index high), key (seed low, seed high)."""
    return block(draw, stream, index & _LOW, index >> _32, seed & _LOW, seed >> _32)


@exact
def unit(high: np.uint64, low: np.uint64) -> float:
    """A float64 in [0, 1) with 53 bits, from two 32-bit words."""
    return float((high << np.uint64(21)) | (low >> np.uint64(11))) * 1.1102230246251565e-16
