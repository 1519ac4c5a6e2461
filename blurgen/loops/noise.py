"""Noise, one draw position a pixel.

A pixel's normal number is made from one 32-bit word of Philox by inverting the normal distribution
function: with p = (word + ½)/2³², x = 2p − 1, z = √2·erf⁻¹(x), erf⁻¹ by the single-precision polynomials of
M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2010). The error of z stays below 3·10⁻⁶
up to |z| = 5.5, below 2.5·10⁻³ up to 6.34, the largest that 32 bits give. The logarithm in it is our own:
only IEEE operations, hence the same everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact
from blurgen.loops.philox import draw_block

_F = np.float32
_HALF = np.uint64(1 << 31)
_ALL = np.uint64((1 << 32) - 1)
_SQRT2 = _F(math.sqrt(2.0))
_LN2 = _F(math.log(2.0))
_MANTISSA = np.int32((1 << 23) - 1)
_THREE_QUARTERS = np.int32(0x3F400000)


@exact
def _log(x: np.float32) -> np.float32:
    """Natural logarithm of a positive normal float32, to 2 parts in 10⁷."""
    bits = np.float32(x).view(np.int32)
    exponent = (bits - _THREE_QUARTERS) >> np.int32(23)
    m = np.int32(bits - (exponent << np.int32(23))).view(np.float32)  # 0.75 … 1.5
    f = m - _F(1.0)
    s = f / (_F(2.0) + f)
    z = s * s
    series = _F(0.6666666) + z * (_F(0.4000019) + z * (_F(0.2848990) + z * _F(0.2437157)))
    return _F(exponent) * _LN2 + s * (_F(2.0) + z * series)


@exact
def normal(word: np.uint64) -> np.float32:
    """A standard normal number from 32 random bits."""
    below = min(word, _ALL - word)
    p = (_F(below) + _F(0.5)) * _F(2.3283064365386963e-10)
    x = _F(1.0) - _F(2.0) * p
    w = -_log(_F(4.0) * p * (_F(1.0) - p))
    # both branches, so that the loop stays one straight line
    a = w - _F(2.5)
    c = _F(3.43273939e-07) + _F(2.81022636e-08) * a
    c = _F(-3.5233877e-06) + c * a
    c = _F(-4.39150654e-06) + c * a
    c = _F(0.00021858087) + c * a
    c = _F(-0.00125372503) + c * a
    c = _F(-0.00417768164) + c * a
    c = _F(0.246640727) + c * a
    c = _F(1.50140941) + c * a
    b = np.sqrt(max(w, _F(0.0))) - _F(3.0)
    t = _F(0.000100950558) + _F(-0.000200214257) * b
    t = _F(0.00134934322) + t * b
    t = _F(-0.00367342844) + t * b
    t = _F(0.00573950773) + t * b
    t = _F(-0.0076224613) + t * b
    t = _F(0.00943887047) + t * b
    t = _F(1.00167406) + t * b
    t = _F(2.83297682) + t * b
    z = _SQRT2 * x * (c if w < _F(5.0) else t)
    return z if word >= _HALF else -z


@exact
def add_normal(
    images: NDArray[np.uint8],
    sigma: NDArray[np.float32],
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    out: NDArray[np.uint8],
) -> None:
    """Write images (B, n) plus `sigma` (B,) times normal noise, rounded half up and clipped, to `out`."""
    size = images.shape[1]
    words = np.empty(size + 4, np.uint64)
    for i in range(images.shape[0]):
        if sigma[i] == 0.0:
            out[i] = images[i]
            continue
        for block in range((size + 3) // 4):
            a, b, c, d = draw_block(seed, np.uint64(index[i]), stream, np.uint64(block))
            words[4 * block] = a
            words[4 * block + 1] = b
            words[4 * block + 2] = c
            words[4 * block + 3] = d
        source, target = images[i], out[i]
        for j in range(size):
            value = _F(source[j]) + sigma[i] * normal(words[j]) + _F(0.5)
            target[j] = np.uint8(np.int32(min(max(value, _F(0.0)), _F(255.0))))
