"""Poisson numbers, one draw position a pixel.

Pixel j has the blocks of the draws 16 · j + attempt: two uniform numbers of 53 bits for each attempt.

Rates below 10: inversion, one uniform number, by sequential search from 0. Others: the transformed
rejection method PTRS of W. Hörmann, "The transformed rejection method for generating Poisson random
variables", Insurance: Mathematics and Economics 12 (1993), whose attempts succeed with a probability of 0.75
(rate 10) and more. Sixteen failures, one pixel in 4·10⁹ at most, give the whole number nearest to the rate.
Logarithm and exponential are our own: the same numbers everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import log
from blurgen.loops.jit import exact
from blurgen.loops.noise import CHUNK, add, fill_normals, fill_words, spread
from blurgen.loops.philox import draw_block, unit

_F = np.float32
_ATTEMPTS = 16
_SMALL = 10.0
_MOST = 1e9
_HALF_UNIT = 5.551115123125783e-17  # 2⁻⁵⁴
_HALF_LOG_2PI = 0.9189385332046727


@exact
def _exp_of_minus(x: float) -> float:
    """E to the power of −x, 0 ≤ x ≤ 10, to 1 part in 10¹⁴: (e^(−x/32))³², in one straight line."""
    r = x * -0.03125
    y = 1.0 + r * 0.08333333333333333
    y = 1.0 + y * (r * 0.09090909090909091)
    y = 1.0 + y * (r * 0.1)
    y = 1.0 + y * (r * 0.1111111111111111)
    y = 1.0 + y * (r * 0.125)
    y = 1.0 + y * (r * 0.14285714285714285)
    y = 1.0 + y * (r * 0.16666666666666666)
    y = 1.0 + y * (r * 0.2)
    y = 1.0 + y * (r * 0.25)
    y = 1.0 + y * (r * 0.3333333333333333)
    y = 1.0 + y * (r * 0.5)
    y = 1.0 + y * r
    y *= y
    y *= y
    y *= y
    y *= y
    return y * y


@exact
def prepare(light: NDArray[np.generic], gain: float, out: NDArray[np.float64]) -> None:
    """Fill the columns of `out` (3, n) with what `fill_counts` needs to know of each pixel.

    They are its rate, ``light / gain``, 0 where light is negative and 10⁹ at most; e^−rate below 10 and
    PTRS's v_r from 10 on; PTRS's b.
    """
    for p in range(light.size):
        rate = min(max(float(light[p]), 0.0) / gain, _MOST)
        b = 0.931 + 2.53 * math.sqrt(rate)
        least = _exp_of_minus(min(rate, _SMALL))
        out[0, p] = rate
        out[1, p] = least if rate < _SMALL else 0.9277 - 3.6224 / (b - 2.0)
        out[2, p] = b


@exact
def _search(rate: float, least: float, u: float) -> float:
    """The least k whose cumulative probability exceeds `u`; `least` is that of 0."""
    k = 0.0
    share = least
    total = share
    while u >= total and k < 100.0:
        k += 1.0
        share *= rate / k
        total += share
    return k


@exact
def _accepted(rate: float, b: float, k: float, us: float, v: float) -> bool:
    """Whether PTRS takes `k`, where its quick test has not already."""
    if k < 0.0 or (us < 0.013 and v > us):
        return False
    a = -0.059 + 0.02483 * b
    left = (v + _HALF_UNIT) * (1.1239 + 1.1328 / (b - 3.4)) / (a / (us * us) + b)
    if k < 10.0:
        for factor in range(2, int(k) + 1):
            left *= factor
        return log(left) <= k * log(rate) - rate
    # k! by Stirling's series, to 1 part in 10¹²
    n = k + 1.0
    r = 1.0 / (n * n)
    series = 0.08333333333333333 - r * (
        0.002777777777777778 - r * (0.0007936507936507937 - r * 0.0005952380952380953)
    )
    return log(left * math.sqrt(n)) <= k * log(rate / n) + (n - rate) - _HALF_LOG_2PI - series / n


@exact
def _candidate(rate: float, b: float, u: float) -> tuple[float, float]:
    """PTRS's candidate for a uniform number in [0, 1), and how far that is from the nearer end."""
    u = (u - 0.5) + _HALF_UNIT
    us = 0.5 - abs(u)
    return float(np.floor((2.0 * (-0.059 + 0.02483 * b) / us + b) * u + rate + 0.43)), us


@exact
def _retry(
    rate: float, vr: float, b: float, seed: np.uint64, index: np.uint64, stream: np.uint64, draw: int
) -> float:
    """A Poisson number from the second attempt on."""
    for attempt in range(1, _ATTEMPTS):
        w0, w1, w2, w3 = draw_block(seed, index, stream, np.uint64(draw + attempt))
        k, us = _candidate(rate, b, unit(w0, w1))
        v = unit(w2, w3)
        if (us >= 0.07 and v <= vr) or _accepted(rate, b, k, us, v):
            return k
    return float(np.floor(rate + 0.5))


@exact
def fill_counts(
    known: NDArray[np.float64],
    words: NDArray[np.uint32],
    seed: np.uint64,
    index: np.uint64,
    stream: np.uint64,
    first: int,
    out: NDArray[np.float32],
) -> None:
    """Poisson numbers for the pixels from `first` on, of each of which `prepare` has `known` (3, n).

    `words` is room for four a pixel.
    """
    fill_words(seed, index, stream, np.uint64(_ATTEMPTS * first), np.uint64(_ATTEMPTS), words[: 4 * out.size])
    for p in range(out.size):
        rate, limit, b = known[0, p], known[1, p], known[2, p]
        u = unit(np.uint64(words[4 * p]), np.uint64(words[4 * p + 1]))
        if rate < _SMALL:
            out[p] = _search(rate, limit, u)
            continue
        v = unit(np.uint64(words[4 * p + 2]), np.uint64(words[4 * p + 3]))
        k, us = _candidate(rate, b, u)
        if (us < 0.07 or v > limit) and not _accepted(rate, b, k, us, v):
            k = _retry(rate, limit, b, seed, index, stream, _ATTEMPTS * (first + p))
        out[p] = k


@exact
def add_counts(
    images: NDArray[np.generic],
    light: NDArray[np.generic],
    gain: NDArray[np.float64],
    scale: NDArray[np.float32],
    full_well: NDArray[np.float32],
    read_noise: NDArray[np.float32],
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    count_stream: np.uint64,
    half: np.float32,
    low: np.float32,
    high: np.float32,
    out: NDArray[np.generic],
) -> None:
    """Write images (B, n) with the noise of counted electrons.

    Each value x of `light` (B, m), as many pixels or as many values as images have, gives P = Poisson(x/gain)
    electrons, at most `full_well`; the noise scale · (gain · P − x) + gain · read_noise · N is added to the
    n/m values of `images` that belong to it. Negative values count as none. `gain` and those after it: (B,).
    """
    size = light.shape[1]
    repeat = images.shape[1] // max(size, 1)
    words = np.empty(4 * CHUNK, np.uint32)
    values, normals = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    repeated, raised = np.empty(CHUNK * repeat, np.float32), np.empty(CHUNK * repeat, np.float32)
    known = np.empty((3, CHUNK))
    whole = light.itemsize == 1
    levels, of_levels = np.arange(256 if whole else 0), np.empty((3, 256))
    last = 0.0
    for i in range(images.shape[0]):
        if whole and gain[i] != last:
            prepare(levels, gain[i], of_levels)
            last = gain[i]
        own, unit_gain = np.uint64(index[i]), _F(gain[i])
        for start in range(0, size, CHUNK):
            stop = min(start + CHUNK, size)
            noise = values[: stop - start]
            if whole:
                for p in range(noise.size):
                    level = np.int64(light[i, start + p])
                    for m in range(3):
                        known[m, p] = of_levels[m, level]
            else:
                prepare(light[i, start:stop], gain[i], known)
            fill_counts(known, words, seed, own, count_stream, start, noise)
            for p in range(noise.size):
                x = max(_F(light[i, start + p]), _F(0.0))
                noise[p] = scale[i] * (unit_gain * min(noise[p], full_well[i]) - x)
            if read_noise[i] > 0.0:
                read = normals[: stop - start]
                fill_normals(seed, own, stream, np.uint64(start // 4), words, read)
                for p in range(noise.size):
                    noise[p] += unit_gain * (read_noise[i] * read[p])
            if repeat > 1:
                spread(noise, repeat, repeated)
                noise = repeated
            source, target = images[i, start * repeat : stop * repeat], out[i, start * repeat : stop * repeat]
            for j in range(source.size):
                raised[j] = max(_F(source[j]), _F(0.0))
            add(raised[: source.size], _F(1.0), noise, half, low, high, target)
