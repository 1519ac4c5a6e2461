"""Noise on pixels: normal, in bands, impulses, and fewer levels.

Word j of a sample's pixels is word j mod 4 of the Philox block ⌊j/4⌋, hence a function of (seed, sample,
stage, j) alone; `blurgen.loops.normals` makes normal numbers of words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact
from blurgen.loops.normals import add_noise, normals
from blurgen.loops.vectors import LANES

CHUNK = 3072
"""How many words are made at a time; a multiple of 4 and of 3."""

_F = np.float32
_I = np.int32
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_ONE, _TWO, _THREE, _FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_COLUMNS = np.uint64(1 << 31)


@exact
def _round(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """One round of Philox; what stands above the lower 32 bits of each number does not count."""
    p0 = _M0 * (c0 & _LOW)
    p1 = _M1 * (c2 & _LOW)
    return (p1 >> _32) ^ c1 ^ k0, p1, (p0 >> _32) ^ c3 ^ k1, p0


@exact
def fill_words(
    seed: np.uint64,
    index: np.uint64,
    stream: np.uint64,
    first: np.uint64,
    step: np.uint64,
    out: NDArray[np.uint32],
) -> None:
    """Fill `out`, whose size is a multiple of 4, from the blocks of draws first, first + step, ….

    The same words as `philox.draw_block`'s. The rounds stand in a row and the indices are unsigned, else
    LLVM would not make several blocks at once.
    """
    k0, k1 = seed & _LOW, seed >> _32
    low, high = index & _LOW, index >> _32
    for i in range(np.uint64(out.size // 4)):
        c0, c1, c2, c3 = first + np.uint64(i) * step, stream, low, high
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + _W0, k1 + _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + _TWO * _W0, k1 + _TWO * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + _THREE * _W0, k1 + _THREE * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + _FOUR * _W0, k1 + _FOUR * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + np.uint64(5) * _W0, k1 + np.uint64(5) * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + np.uint64(6) * _W0, k1 + np.uint64(6) * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + np.uint64(7) * _W0, k1 + np.uint64(7) * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + np.uint64(8) * _W0, k1 + np.uint64(8) * _W1)
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + np.uint64(9) * _W0, k1 + np.uint64(9) * _W1)
        j = _FOUR * np.uint64(i)
        out[j] = np.uint32(c0 & _LOW)
        out[j + _ONE] = np.uint32(c1 & _LOW)
        out[j + _TWO] = np.uint32(c2 & _LOW)
        out[j + _THREE] = np.uint32(c3 & _LOW)


@exact
def to_normals(words: NDArray[np.uint32], out: NDArray[np.float32]) -> None:
    """Write the normal number of each word, which grows with it."""
    whole = out.size // LANES * LANES
    for at in range(0, whole, LANES):
        normals(words, at, out)
    if whole < out.size:
        last_words, last = np.zeros(LANES, np.uint32), np.empty(LANES, np.float32)
        for j in range(out.size - whole):
            last_words[j] = words[whole + j]
        normals(last_words, 0, last)
        for j in range(out.size - whole):
            out[whole + j] = last[j]


@exact
def fill_normals(
    seed: np.uint64,
    index: np.uint64,
    stream: np.uint64,
    first: np.uint64,
    words: NDArray[np.uint32],
    out: NDArray[np.float32],
) -> None:
    """Normal numbers from word 4 · `first` on; `words` is room for as many, rounded up to a multiple of 4."""
    fill_words(seed, index, stream, first, _ONE, words[: 4 * ((out.size + 3) // 4)])
    to_normals(words, out)


@exact
def add(
    source: NDArray[np.generic],
    sigma: np.float32,
    noise: NDArray[np.float32],
    half: np.float32,
    low: np.float32,
    high: np.float32,
    out: NDArray[np.generic],
) -> None:
    """Write ``source + sigma · noise + half``, clipped, and truncated where `out` holds bytes."""
    whole = source.size // LANES * LANES
    for at in range(0, whole, LANES):
        add_noise(source, at, sigma, noise, half, low, high, out)
    for j in range(whole, source.size):
        out[j] = min(max(_F(source[j]) + sigma * noise[j] + half, low), high)


@exact
def add_relative(
    source: NDArray[np.generic],
    sigma: np.float32,
    noise: NDArray[np.float32],
    half: np.float32,
    low: np.float32,
    high: np.float32,
    out: NDArray[np.generic],
) -> None:
    """Write ``source + source · sigma · noise + half``, as `add` does."""
    for j in range(source.size):
        value = _F(source[j])
        out[j] = min(max(value + value * (sigma * noise[j]) + half, low), high)


@exact
def _mix(weights: NDArray[np.float32], values: NDArray[np.float32]) -> None:
    """Multiply each three of `values` by a lower triangular matrix."""
    for p in range(values.size // 3):
        a, b, c = values[3 * p], values[3 * p + 1], values[3 * p + 2]
        values[3 * p] = weights[0, 0] * a
        values[3 * p + 1] = weights[1, 0] * a + weights[1, 1] * b
        values[3 * p + 2] = weights[2, 0] * a + weights[2, 1] * b + weights[2, 2] * c


@exact
def spread(values: NDArray[np.generic], repeat: int, out: NDArray[np.generic]) -> None:
    """Write each value `repeat` times."""
    for p in range(values.size):
        for c in range(repeat):
            out[repeat * p + c] = values[p]


@exact
def add_normals(
    images: NDArray[np.generic],
    sigma: NDArray[np.float32],
    relative: bool,
    repeat: int,
    mixing: NDArray[np.float32],
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    half: np.float32,
    low: np.float32,
    high: np.float32,
    out: NDArray[np.generic],
) -> None:
    """Write images (B, n) plus `sigma` (B,) times normal noise, `relative` to the pixels or not.

    `repeat` neighbours, the channels of a pixel, have the same noise; `mixing` (B, 3, 3), unless it is empty,
    makes three independent numbers those of a pixel's channels.
    """
    size = images.shape[1] // repeat
    words = np.empty(CHUNK, np.uint32)
    values = np.empty(CHUNK, np.float32)
    repeated = np.empty(CHUNK * repeat, np.float32)
    for i in range(images.shape[0]):
        if sigma[i] == 0.0:
            out[i] = images[i]
            continue
        for start in range(0, size, CHUNK):
            stop = min(start + CHUNK, size)
            noise = values[: stop - start]
            fill_normals(seed, np.uint64(index[i]), stream, np.uint64(start // 4), words, noise)
            if repeat > 1:
                spread(noise, repeat, repeated)
                noise = repeated
            elif mixing.size:
                _mix(mixing[i], noise)
            source, target = images[i, start * repeat : stop * repeat], out[i, start * repeat : stop * repeat]
            if relative:
                add_relative(source, sigma[i], noise, half, low, high, target)
            else:
                add(source, sigma[i], noise, half, low, high, target)


@exact
def add_bands(
    images: NDArray[np.generic],
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    half: np.float32,
    low: np.float32,
    high: np.float32,
    out: NDArray[np.generic],
) -> None:
    """Write images (B, H, W, C) plus a normal number for each row and column, of deviations (B,).

    Row y has word y, column x word x of those from block 2³¹ on.
    """
    count, height, width, channels = images.shape
    words = np.empty(4 * ((max(height, width) + 3) // 4), np.uint32)
    of_rows, of_columns = np.empty(height, np.float32), np.empty(width, np.float32)
    repeated, noise = np.empty(width * channels, np.float32), np.empty(width * channels, np.float32)
    for i in range(count):
        fill_normals(seed, np.uint64(index[i]), stream, np.uint64(0), words, of_rows)
        fill_normals(seed, np.uint64(index[i]), stream, _COLUMNS, words, of_columns)
        spread(of_columns, channels, repeated)
        for y in range(height):
            for x in range(repeated.size):
                noise[x] = rows[i] * of_rows[y] + columns[i] * repeated[x]
            source, target = images[i, y].reshape(-1), out[i, y].reshape(-1)
            add(source, _F(1.0), noise, half, low, high, target)


@exact
def _replace(
    source: NDArray[np.generic],
    words: NDArray[np.uint32],
    white: np.uint64,
    both: np.uint64,
    out: NDArray[np.generic],
) -> None:
    for j in range(words.size):
        word = np.uint64(words[j])
        value = _F(0.0) if word < both else _F(source[j])
        out[j] = _F(255.0) if word < white else value


@exact
def put_impulses(
    images: NDArray[np.generic],
    white: NDArray[np.uint64],
    both: NDArray[np.uint64],
    repeat: int,
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    out: NDArray[np.generic],
) -> None:
    """Write images (B, n) with 255 where a word is below `white` (B,), 0 where it is below `both` (B,).

    `repeat` neighbours, the channels of a pixel, have the same word.
    """
    size = images.shape[1] // repeat
    words, repeated = np.empty(CHUNK, np.uint32), np.empty(CHUNK * repeat, np.uint32)
    for i in range(images.shape[0]):
        for start in range(0, size, CHUNK):
            count = min(CHUNK, size - start)
            some = words[: 4 * ((count + 3) // 4)]
            fill_words(seed, np.uint64(index[i]), stream, np.uint64(start // 4), _ONE, some)
            drawn = some[:count]
            if repeat > 1:
                spread(drawn, repeat, repeated)
                drawn = repeated[: count * repeat]
            source, target = images[i, start * repeat :], out[i, start * repeat :]
            _replace(source, drawn, white[i], both[i], target)


@exact
def quantise(images: NDArray[np.generic], bits: NDArray[np.int64], out: NDArray[np.generic]) -> None:
    """Write images (B, n) in 2^bits levels, rounded half up; bytes by whole numbers, floats in float64."""
    table = np.empty(256, np.int64)
    whole = out.itemsize == 1
    for i in range(images.shape[0]):
        steps = (1 << bits[i]) - 1
        if whole:
            for value in range(256):
                level = (2 * value * steps + 255) // 510
                table[value] = (2 * level * 255 + steps) // (2 * steps)
            for j in range(images.shape[1]):
                out[i, j] = table[np.int64(images[i, j])]
        else:
            for j in range(images.shape[1]):
                light = min(max(float(images[i, j]), 0.0), 255.0)
                out[i, j] = _F(np.floor(light * steps / 255.0 + 0.5) * 255.0 / steps)
