"""Normal numbers for several random trajectories at once; their steps lie side by side and are vectors.

The numbers of a trajectory come from the blocks of its pixel stream, four from each: its words make two pairs
by the method of G. E. P. Box and M. E. Muller (1958), the radius from the upper 31 bits of one word, the
angle from all 32 of the next, in float32. They reach up to 6.6; their error stays below 2·10⁻⁶, except where
both of a pair lie within 0.01 of zero (there it is as large as 3·10⁻⁴).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact

LANES = 16
"""How many trajectories are made at once; their values do not depend on it."""

TILE = 64
"""How many blocks of normal numbers are held at once; they do not depend on it either."""

LEAST = 1e-300
"""Instead of a divisor that may be 0."""

_F = np.float32
_LN2 = _F(math.log(2.0))
_SQRT_HALF = np.int32(0x3F3504F3)  # √½ as float32
_QUARTER = _F(math.pi / 2.0 / 2.0**30)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)

_Six = tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]


@exact
def _two_rounds(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> _Six:
    """Two of the ten rounds of `blurgen.loops.philox.block`, and the key of those that follow.

    Without a loop: so the compiler makes vectors of the loop over trajectories around it.
    """
    p0 = _M0 * c0
    p1 = _M1 * c2
    c0 = (p1 >> _32) ^ c1 ^ k0
    c1 = p1 & _LOW
    c2 = (p0 >> _32) ^ c3 ^ k1
    c3 = p0 & _LOW
    k0 = (k0 + _W0) & _LOW
    k1 = (k1 + _W1) & _LOW
    p0 = _M0 * c0
    p1 = _M1 * c2
    c0 = (p1 >> _32) ^ c1 ^ k0
    c1 = p1 & _LOW
    c2 = (p0 >> _32) ^ c3 ^ k1
    c3 = p0 & _LOW
    return c0, c1, c2, c3, (k0 + _W0) & _LOW, (k1 + _W1) & _LOW


@exact
def _log(x: np.float32) -> np.float32:
    """Natural logarithm of a positive normal float32, to 2 parts in 10⁷."""
    bits = _F(x).view(np.int32)
    exponent = (bits - _SQRT_HALF) >> np.int32(23)
    f = np.int32(bits - (exponent << np.int32(23))).view(np.float32) - _F(1.0)
    s = f / (_F(2.0) + f)
    z = s * s
    series = _F(0.6666666) + z * (_F(0.4000019) + z * (_F(0.2848990) + z * _F(0.2437157)))
    return _F(exponent) * _LN2 + s * (_F(2.0) + z * series)


@exact
def normal_pair(a: np.uint64, b: np.uint64) -> tuple[np.float32, np.float32]:
    """Two independent standard normal numbers from two 32-bit words."""
    u = (_F(np.int32(a >> np.uint64(1))) + _F(0.5)) * _F(2.0**-31)
    r = np.sqrt(max(_F(-2.0) * _log(u), _F(0.0)))
    # b counts 2³² to a turn: the nearest quarter turn, and what is left of it, −π/4 … π/4
    turned = np.int64(b)
    quarter = (turned + np.int64(1 << 29)) >> np.int64(30)
    phi = _F(np.int32(turned - (quarter << np.int64(30)))) * _QUARTER
    z = phi * phi
    s = phi + phi * z * (_F(-1.6666654611e-1) + z * (_F(8.3321608736e-3) + z * _F(-1.9515295891e-4)))
    p = _F(4.166664568298827e-2) + z * (_F(-1.388731625493765e-3) + z * _F(2.443315711809948e-5))
    c = _F(1.0) - _F(0.5) * z + z * z * p
    odd = (quarter & np.int64(1)) != np.int64(0)
    cosine = s if odd else c
    sine = c if odd else s
    # the cosine is negative in the quarters 1 and 2, the sine in 2 and 3
    cosine = -cosine if ((quarter + np.int64(1)) & np.int64(2)) != np.int64(0) else cosine
    sine = -sine if (quarter & np.int64(2)) != np.int64(0) else sine
    return r * cosine, r * sine


@exact
def _pairs(
    a: NDArray[np.uint32], b: NDArray[np.uint32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> None:
    for k in range(a.size):
        x[k], y[k] = normal_pair(np.uint64(a[k]), np.uint64(b[k]))


@exact
def fill_normals(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    first: int,
    words: NDArray[np.uint32],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out[:, j, k]`` with the four normal numbers of block `first` + j of sample ``index[k]``.

    `words`, of the same shape (4, blocks, samples), is filled with the random words.
    """
    for j in range(words.shape[1]):
        block = np.uint64(first + j)
        for k in range(index.size):
            i = np.uint64(index[k])
            state = _two_rounds(block, stream, i & _LOW, i >> _32, seed & _LOW, seed >> _32)
            state = _two_rounds(*state)
            state = _two_rounds(*state)
            state = _two_rounds(*state)
            state = _two_rounds(*state)
            words[0, j, k] = state[0]
            words[1, j, k] = state[1]
            words[2, j, k] = state[2]
            words[3, j, k] = state[3]
    flat, numbers = words.reshape(4, -1), out.reshape(4, -1)
    _pairs(flat[0], flat[1], numbers[0], numbers[1])
    _pairs(flat[2], flat[3], numbers[2], numbers[3])


@exact
def keep(tile: NDArray[np.float64], first: int, count: int, rows: NDArray[np.float64]) -> None:
    """Copy what follows the first step of a tile to the rows, from column `first` on; begin a new tile."""
    for k in range(rows.shape[0]):
        for t in range(count):
            rows[k, first + t] = tile[t + 1, k]
        tile[0, k] = tile[count, k]
