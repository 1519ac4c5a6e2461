"""Filters that are no convolution: median, bilateral, some pixels replaced.

The median's border repeats the outermost pixels, the bilateral filter's mirrors the image about them
(c b | a b c), as OpenCV's do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp
from blurgen.loops.jit import exact
from blurgen.loops.noise import CHUNK, fill_words

Bytes = NDArray[np.uint8]

_F = np.float32
_U8 = np.uint8
_BAND = 4096  # values of a band, so that it stays in the L1 cache
# a tile's lines lie a fixed number of values apart, so that LLVM sees that they do not overlap
_LINE = 1024
_TILE = _LINE - 12  # four more pixels of three channels stand behind it


@exact
def _low(a: np.uint8, b: np.uint8) -> np.uint8:
    return a if a < b else b


@exact
def _high(a: np.uint8, b: np.uint8) -> np.uint8:
    return b if a < b else a


@exact
def _middle(a: np.uint8, b: np.uint8, c: np.uint8) -> np.uint8:
    return _high(_low(a, b), _low(_high(a, b), c))


@exact
def _sorted5(
    a: np.uint8, b: np.uint8, c: np.uint8, d: np.uint8, e: np.uint8
) -> tuple[np.uint8, np.uint8, np.uint8, np.uint8, np.uint8]:
    """Five values in ascending order, by nine exchanges."""
    a, d = _low(a, d), _high(a, d)
    b, e = _low(b, e), _high(b, e)
    a, c = _low(a, c), _high(a, c)
    b, d = _low(b, d), _high(b, d)
    a, b = _low(a, b), _high(a, b)
    c, e = _low(c, e), _high(c, e)
    b, c = _low(b, c), _high(b, c)
    d, e = _low(d, e), _high(d, e)
    c, d = _low(c, d), _high(c, d)
    return a, b, c, d, e


@exact
def _middle13(
    a: np.uint8,
    b: np.uint8,
    c: np.uint8,
    d: np.uint8,
    e: np.uint8,
    f: np.uint8,
    g: np.uint8,
    h: np.uint8,
    i: np.uint8,
    j: np.uint8,
    k: np.uint8,
    m: np.uint8,
    n: np.uint8,
) -> np.uint8:
    """The median of what `_median5` leaves, row by row; it relies on the order that is known of these.

    That it holds for the 252 patterns of zeros and ones sorted along rows and columns proves it.
    """
    f = _high(c, f)
    b, m = _low(b, m), _high(b, m)
    m, n = _low(m, n), _high(m, n)
    d = _low(d, n)
    j = _high(a, j)
    k = _low(k, m)
    h = _low(h, k)
    i = _high(d, i)
    g, i = _low(g, i), _high(g, i)
    g = _high(b, g)
    e, f = _low(e, f), _high(e, f)
    g, j = _low(g, j), _high(g, j)
    g = _high(e, g)
    f = _low(f, i)
    f, g = _low(f, g), _high(f, g)
    h = _high(f, h)
    h = _low(h, j)
    return _low(g, h)


@exact
def _copy(values: Bytes, to: Bytes) -> None:
    for j in range(to.size):
        to[j] = values[j]


@exact
def _pad(image: Bytes, reach: int, padded: Bytes) -> None:
    """The image (H, W, C) with `reach` more pixels on every side, each row's pixels interleaved."""
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    inner = reach * channels
    for y in range(padded.shape[0]):
        row, source = padded[y], rows[min(max(y - reach, 0), height - 1)]
        _copy(source, row[inner : inner + source.size])
        for j in range(inner):
            row[j] = source[j % channels]
            row[inner + source.size + j] = source[source.size - channels + j % channels]


@exact
def _gather(padded: Bytes, y: int, rows: int, start: int, count: int, tile: Bytes) -> None:
    """Part of `rows` rows below each other, from value `start` on, into the lines of a tile."""
    for r in range(rows):
        _copy(padded[y + r, start : start + count], tile[r * _LINE : r * _LINE + count])


@exact
def _shift(tile: Bytes, line: int, shifts: int, channels: int, count: int, to: Bytes) -> None:
    """One line of a tile, and the same from 1, 2, … pixels to the right, into the lines of another."""
    for k in range(shifts):
        start = line * _LINE + k * channels
        _copy(tile[start : start + count], to[k * _LINE : k * _LINE + count])


@exact
def _median3(padded: Bytes, channels: int, out: Bytes) -> None:
    """Medians of 3 × 3: columns are sorted once; of their lowest the highest, and so on, are merged."""
    height, width = out.shape
    columns, line = np.empty(3 * _LINE, np.uint8), np.empty(3 * _LINE, np.uint8)
    merged = np.empty(3 * _LINE, np.uint8)
    for start in range(0, width, _TILE):
        count = min(_TILE, width - start)
        for y in range(height):
            _gather(padded, y, 3, start, count + 2 * channels, columns)
            for j in range(count + 2 * channels):
                a, b, c = columns[j], columns[j + _LINE], columns[j + 2 * _LINE]
                columns[j] = _low(_low(a, b), c)
                columns[j + _LINE] = _middle(a, b, c)
                columns[j + 2 * _LINE] = _high(_high(a, b), c)
            _shift(columns, 0, 3, channels, count, line)
            for j in range(count):
                merged[j] = _high(_high(line[j], line[j + _LINE]), line[j + 2 * _LINE])
            _shift(columns, 1, 3, channels, count, line)
            for j in range(count):
                merged[j + _LINE] = _middle(line[j], line[j + _LINE], line[j + 2 * _LINE])
            _shift(columns, 2, 3, channels, count, line)
            for j in range(count):
                merged[j + 2 * _LINE] = _low(_low(line[j], line[j + _LINE]), line[j + 2 * _LINE])
            target = out[y, start : start + count]
            for j in range(count):
                target[j] = _middle(merged[j], merged[j + _LINE], merged[j + 2 * _LINE])


@exact
def _sort5(tile: Bytes, count: int) -> None:
    """Sort the first five lines of a tile, value by value."""
    for j in range(count):
        a, b, c, d, e = _sorted5(
            tile[j], tile[j + _LINE], tile[j + 2 * _LINE], tile[j + 3 * _LINE], tile[j + 4 * _LINE]
        )
        tile[j] = a
        tile[j + _LINE] = b
        tile[j + 2 * _LINE] = c
        tile[j + 3 * _LINE] = d
        tile[j + 4 * _LINE] = e


@exact
def _median5(padded: Bytes, channels: int, out: Bytes) -> None:
    """Medians of 5 × 5: columns are sorted once, then rows of five of them.

    In the square sorted both ways, at least (i + 1)·(j + 1) of the 25 are no greater than value (i, j), and
    at least (5 − i)·(5 − j) no less: where either is above 13 it need not be looked at. 13 are left, and
    the median is theirs.
    """
    height, width = out.shape
    columns, line = np.empty(5 * _LINE, np.uint8), np.empty(5 * _LINE, np.uint8)
    left = np.empty(13 * _LINE, np.uint8)
    for start in range(0, width, _TILE):
        count = min(_TILE, width - start)
        for y in range(height):
            _gather(padded, y, 5, start, count + 4 * channels, columns)
            _sort5(columns, count + 4 * channels)
            at = 0
            for i in range(5):
                _shift(columns, i, 5, channels, count, line)
                _sort5(line, count)
                first, last = max(0, 3 - i), min(4, 5 - i)
                taken = (last - first + 1) * _LINE
                _copy(line[first * _LINE : first * _LINE + taken], left[at : at + taken])
                at += taken
            target = out[y, start : start + count]
            for j in range(count):
                target[j] = _middle13(
                    left[j],
                    left[j + _LINE],
                    left[j + 2 * _LINE],
                    left[j + 3 * _LINE],
                    left[j + 4 * _LINE],
                    left[j + 5 * _LINE],
                    left[j + 6 * _LINE],
                    left[j + 7 * _LINE],
                    left[j + 8 * _LINE],
                    left[j + 9 * _LINE],
                    left[j + 10 * _LINE],
                    left[j + 11 * _LINE],
                    left[j + 12 * _LINE],
                )


@exact
def _add_reached(row: Bytes, level: np.uint8, count: Bytes) -> None:
    for j in range(count.size):
        count[j] += _U8(row[j] >= level)


@exact
def _take_reached(row: Bytes, level: np.uint8, count: Bytes) -> None:
    for j in range(count.size):
        count[j] -= _U8(row[j] >= level)


@exact
def _add_both(left: Bytes, right: Bytes, count: Bytes) -> None:
    for j in range(count.size):
        count[j] += _U8(left[j] + right[j])


@exact
def _add_levels_reached(row: Bytes, levels: Bytes, count: Bytes) -> None:
    for j in range(count.size):
        count[j] += _U8(row[j] >= levels[j])


@exact
def _add_both_reached(left: Bytes, right: Bytes, levels: Bytes, count: Bytes) -> None:
    for j in range(count.size):
        level = levels[j]
        count[j] += _U8(_U8(left[j] >= level) + _U8(right[j] >= level))


@exact
def _raise_where(count: Bytes, least: np.uint8, step: np.uint8, levels: Bytes) -> None:
    """Raise the levels that at least `least` values reach."""
    for j in range(levels.size):
        levels[j] += step if count[j] >= least else _U8(0)


@exact
def _median(padded: Bytes, size: int, channels: int, out: Bytes) -> None:
    """Medians of size × size, size ≤ 15, by counting how many values reach a level.

    The median is the greatest level that at least half of the values reach. Its upper four bits come from
    counts for the 15 levels 16, 32, …, whose columns are kept from row to row; its lower four by bisection,
    counting anew for each pixel.
    """
    height, width = out.shape
    half = _U8((size * size + 1) // 2)
    columns = np.zeros((15, padded.shape[1]), np.uint8)
    for n in range(15):
        for r in range(size - 1):
            _add_reached(padded[r], _U8(16 * (n + 1)), columns[n])
    # rows of `padded` lie behind each other: a band of them is bisected as one long row
    pitch, flat = padded.shape[1], padded.reshape(padded.size)
    band = min(height, max(1, _BAND // pitch))
    counts, levels, found = np.empty((3, band * pitch), np.uint8)
    for top in range(0, height, band):
        rows = min(band, height - top)
        found[:] = 0
        for y in range(rows):
            count, own = counts[:width], found[y * pitch : y * pitch + width]
            for n in range(15):
                column = columns[n]
                _add_reached(padded[top + y + size - 1], _U8(16 * (n + 1)), column)
                _copy(column[:width], count)
                for k in range(channels, size * channels, 2 * channels):
                    _add_both(column[k : k + width], column[k + channels : k + channels + width], count)
                _raise_where(count, half, _U8(16), own)
                _take_reached(padded[top + y], _U8(16 * (n + 1)), column)
        length = (rows - 1) * pitch + width
        count, level = counts[:length], levels[:length]
        for bit in range(3, -1, -1):
            step = _U8(1 << bit)
            for j in range(length):
                level[j] = found[j] + step
            count[:] = 0
            for r in range(size):
                at = (top + r) * pitch
                _add_levels_reached(flat[at : at + length], level, count)
                for k in range(at + channels, at + size * channels, 2 * channels):
                    left, right = flat[k : k + length], flat[k + channels : k + channels + length]
                    _add_both_reached(left, right, level, count)
            _raise_where(count, half, step, found[:length])
        for y in range(rows):
            _copy(found[y * pitch : y * pitch + width], out[top + y])


@exact
def median(images: Bytes, sizes: NDArray[np.int64], out: Bytes) -> None:
    """Write the medians of odd `sizes` (B,), 1 … 15, of images (B, H, W, C), each channel by itself."""
    count, height, width, channels = images.shape
    for n in range(count):
        size, target = sizes[n], out[n].reshape(height, width * channels)
        reach = size // 2
        padded = np.empty((height + 2 * reach, (width + 2 * reach) * channels), np.uint8)
        _pad(images[n], reach, padded)
        if size == 1:
            target[:] = padded
        elif size == 3:
            _median3(padded, channels, target)
        elif size == 5:
            _median5(padded, channels, target)
        else:
            _median(padded, size, channels, target)


@exact
def _mirrored(at: int, size: int) -> int:
    """The pixel that stands at position `at` of an image that goes on mirrored about its outermost pixels."""
    if size == 1:
        return 0
    period = 2 * size - 2
    at %= period
    return at if at < size else period - at


@exact
def _add_similar(
    rows: Bytes,
    shifted: Bytes,
    channels: int,
    weight: np.float32,
    similar: NDArray[np.float32],
    weights: NDArray[np.float32],
    sums: NDArray[np.float32],
) -> None:
    """Add the values of a shifted row, weighted by `similar` at their distance from the row's own."""
    if channels == 1:
        for j in range(weights.size):
            other = shifted[j]
            w = weight * similar[abs(np.int32(other) - np.int32(rows[j]))]
            weights[j] += w
            sums[j] += w * _F(other)
        return
    for x in range(weights.size):
        j = 3 * x
        a, b, c = shifted[j], shifted[j + 1], shifted[j + 2]
        distance = abs(np.int32(a) - np.int32(rows[j])) + abs(np.int32(b) - np.int32(rows[j + 1]))
        distance += abs(np.int32(c) - np.int32(rows[j + 2]))
        w = weight * similar[distance]
        weights[x] += w
        sums[j] += w * _F(a)
        sums[j + 1] += w * _F(b)
        sums[j + 2] += w * _F(c)


@exact
def bilateral(
    images: Bytes,
    color: NDArray[np.float64],
    space: NDArray[np.float64],
    reaches: NDArray[np.int64],
    out: Bytes,
) -> None:
    """Average images (B, H, W, C) over discs of radius `reaches`, weighted by nearness and likeness."""
    count, height, width, channels = images.shape
    similar = np.empty(256 * channels, np.float32)
    weights, sums = np.empty(width, np.float32), np.empty(width * channels, np.float32)
    for n in range(count):
        for d in range(similar.size):
            t = d * d / (2.0 * color[n] * color[n])
            similar[d] = exp(-t) if t < 80.0 else 0.0
        reach = reaches[n]
        padded = np.empty((height + 2 * reach, (width + 2 * reach) * channels), np.uint8)
        for y in range(padded.shape[0]):
            row = _mirrored(y - reach, height)
            for x in range(width + 2 * reach):
                column = _mirrored(x - reach, width)
                for c in range(channels):
                    padded[y, x * channels + c] = images[n, row, column, c]
        own = reach * channels
        for y in range(height):
            middle = padded[y + reach, own : own + width * channels]
            weights[:] = _F(0.0)
            sums[:] = _F(0.0)
            for i in range(-reach, reach + 1):
                row = padded[y + reach + i]
                for k in range(-reach, reach + 1):
                    t = (i * i + k * k) / (2.0 * space[n] * space[n])
                    if i * i + k * k <= reach * reach and t < 80.0:
                        start = own + k * channels
                        shifted = row[start : start + width * channels]
                        _add_similar(middle, shifted, channels, _F(exp(-t)), similar, weights, sums)
            for x in range(width):
                for c in range(channels):
                    value = sums[x * channels + c] / weights[x] + _F(0.5)
                    out[n, y, x, c] = np.int32(min(value, _F(255.0)))


@exact
def replace(
    images: Bytes,
    others: Bytes,
    probability: NDArray[np.float64],
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    out: Bytes,
) -> None:
    """Take each pixel of images (B, P, C) from `others` with a probability, one draw word a pixel."""
    count, pixels, channels = images.shape
    words = np.empty(CHUNK, np.uint32)
    for n in range(count):
        bound = np.uint64(probability[n] * 4294967296.0)
        for start in range(0, pixels, CHUNK):
            some = min(CHUNK, pixels - start)
            first = np.uint64(start // 4)
            fill_words(seed, np.uint64(index[n]), stream, first, np.uint64(1), words[: 4 * ((some + 3) // 4)])
            own, other, target = images[n, start:], others[n, start:], out[n, start:]
            for i in range(some):
                taken = np.uint64(words[i]) < bound
                for c in range(channels):
                    target[i, c] = other[i, c] if taken else own[i, c]
