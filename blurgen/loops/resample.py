"""Images brought to another size, one axis after the other.

Pixels are squares: pixel i covers [i, i + 1], so that new and old image cover the same area. What lies beyond
the image is its outermost pixel. With n old and m new pixels, the new pixel i has

* bilinear, bicubic: the old image interpolated at its middle, (i + ½)·n/m − ½; bicubic with Keys' kernel,
  a = −¾. When shrinking, pixels between the points are skipped (no antialiasing).
* area: the mean of the old image over the new pixel's square.

Positions are taken in whole numbers, so that the weights have one rounding each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact

Pixels = NDArray[Any]  # uint8 or float32
Floats = NDArray[np.float32]

BILINEAR = 0
BICUBIC = 1
AREA = 2

_F = np.float32
_A = -0.75


@exact
def _keys(x: float) -> float:
    """Keys' cubic convolution kernel (1981) at 0 ≤ x ≤ 2."""
    if x <= 1.0:
        return ((_A + 2.0) * x - (_A + 3.0)) * x * x + 1.0
    return ((_A * x - 5.0 * _A) * x + 8.0 * _A) * x - 4.0 * _A


@exact
def _most_taps(kind: int, size: int, new: int) -> int:
    """How many old pixels one new pixel is made of at most, made even."""
    if kind == AREA:
        return (size // new + 3) // 2 * 2
    return 4 if kind == BICUBIC else 2


@exact
def _fill(kind: int, size: int, new: int, channels: int, index: NDArray[np.uint32], weights: Floats) -> None:
    """Which values (taps, new·channels) each new value of a row is made of, and with which weights."""
    taps = index.shape[0]
    for i in range(new):
        twice = (2 * i + 1) * size - new  # 2·new times the position of the middle
        below = twice // (2 * new)
        between = (twice - below * 2 * new) / (2 * new)
        for t in range(taps):
            if kind == AREA:
                at = i * size // new + t
                covered = min((i + 1) * size, (at + 1) * new) - max(i * size, at * new)
                weight = max(0, covered) / size
            elif kind == BICUBIC:
                at = below - 1 + t
                weight = _keys(abs(between + 1.0 - t))
            else:
                at = below + t
                weight = between if t == 1 else 1.0 - between
            at = min(max(at, 0), size - 1)
            for c in range(channels):
                index[t, i * channels + c] = at * channels + c
                weights[t, i * channels + c] = weight


@exact
def _down(rows: Pixels, index: NDArray[np.uint32], weights: Floats, y: int, out: Floats) -> None:
    """Row `y` of what the columns become."""
    for t in range(0, index.shape[0], 2):
        a, b = rows[index[t, y]], rows[index[t + 1, y]]
        v, w = weights[t, y], weights[t + 1, y]
        if t == 0:
            for j in range(out.size):
                out[j] = v * _F(a[j]) + w * _F(b[j])
        elif v != _F(0.0) or w != _F(0.0):
            for j in range(out.size):
                out[j] += v * _F(a[j]) + w * _F(b[j])


@exact
def _across(row: Floats, index: NDArray[np.uint32], weights: Floats, out: Floats) -> None:
    """What one row becomes."""
    for t in range(0, index.shape[0], 2):
        a, b = index[t], index[t + 1]
        v, w = weights[t], weights[t + 1]
        if t == 0:
            for j in range(out.size):
                out[j] = v[j] * row[a[j]] + w[j] * row[b[j]]
        else:
            for j in range(out.size):
                out[j] += v[j] * row[a[j]] + w[j] * row[b[j]]


@exact
def _store(row: Floats, add: np.float32, low: np.float32, high: np.float32, out: Pixels) -> None:
    for j in range(out.size):
        out[j] = min(max(row[j] + add, low), high)


@exact
def resample(
    image: Pixels, kind: int, add: np.float32, low: np.float32, high: np.float32, out: Pixels
) -> None:
    """Bring an image (H, W, C) to the size of `out`, both C-contiguous.

    Values gain `add` and are clipped to [`low`, `high`]; bytes are truncated after that.
    """
    height, width, channels = image.shape
    new_height, new_width = out.shape[0], out.shape[1]
    rows, new_rows = image.reshape(height, width * channels), out.reshape(new_height, new_width * channels)
    if height == new_height and width == new_width:
        new_rows[:] = rows
        return
    down = np.empty((_most_taps(kind, height, new_height), new_height), np.uint32)
    down_weights = np.empty(down.shape, np.float32)
    _fill(kind, height, new_height, 1, down, down_weights)
    across = np.empty((_most_taps(kind, width, new_width), new_width * channels), np.uint32)
    across_weights = np.empty(across.shape, np.float32)
    _fill(kind, width, new_width, channels, across, across_weights)
    done = np.empty(new_width * channels, np.float32)
    if new_height <= height:
        line = np.empty(width * channels, np.float32)
        for y in range(new_height):
            _down(rows, down, down_weights, y, line)
            _across(line, across, across_weights, done)
            _store(done, add, low, high, new_rows[y])
        return
    # the work across is done on the few rows
    middle = np.empty((height, new_width * channels), np.float32)
    line = np.empty(width * channels, np.float32)
    for y in range(height):
        line[:] = rows[y]
        _across(line, across, across_weights, middle[y])
    for y in range(new_height):
        _down(middle, down, down_weights, y, done)
        _store(done, add, low, high, new_rows[y])


@exact
def resample_all(
    images: Pixels, kind: int, add: np.float32, low: np.float32, high: np.float32, out: Pixels
) -> None:
    """`resample` each of the images (B, H, W, C)."""
    for n in range(images.shape[0]):
        resample(images[n], kind, add, low, high, out[n])


@exact
def there_and_back(
    images: Pixels,
    heights: NDArray[np.int64],
    widths: NDArray[np.int64],
    down: NDArray[np.int64],
    up: NDArray[np.int64],
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
) -> None:
    """Bring each image to a size of its own, and back; kinds of resampling `down` and `up`."""
    for n in range(images.shape[0]):
        small = np.empty((heights[n], widths[n], images.shape[3]), images.dtype)
        resample(images[n], down[n], add, low, high, small)
        resample(small, up[n], add, low, high, out[n])


@exact
def _box_ends(i: int, size: int, new: int) -> tuple[int, int]:
    """The first and one past the last of the pixels whose middles lie in the new pixel `i`."""
    scale = size / new
    middle = (i + 0.5) * scale
    first = max(0, int(middle - 0.5 * scale + 0.5))
    last = min(size, int(middle + 0.5 * scale + 0.5))
    # rounding may let in a pixel whose middle lies on the edge
    while (first - middle + 0.5) * (1.0 / scale) <= -0.5:
        first += 1
    while (last - 1 - middle + 0.5) * (1.0 / scale) > 0.5:
        last -= 1
    return first, last


@exact
def _box_mean(total: int, weight: int) -> int:
    return (total * weight + (1 << 21)) >> 22


@exact
def boxes_and_back(
    images: NDArray[np.uint8],
    heights: NDArray[np.int64],
    widths: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Shrink each image by means of whole pixels, and enlarge it by repeating them.

    Pillow's box filter: across, then down, each with weights of 22 bits and rounded to bytes.
    """
    _, height, width, channels = images.shape
    for n in range(images.shape[0]):
        rows, columns = heights[n], widths[n]
        half = np.empty((height, columns, channels), np.uint8)
        for x in range(columns):
            first, last = _box_ends(x, width, columns)
            weight = int(0.5 + 1.0 / (last - first) * (1 << 22))
            for y in range(height):
                for c in range(channels):
                    total = 0
                    for at in range(first, last):
                        total += int(images[n, y, at, c])
                    half[y, x, c] = _box_mean(total, weight)
        line = np.empty((columns, channels), np.uint8)
        column_of = np.empty(width, np.int64)
        for x in range(width):
            column_of[x] = int((x + 0.5) * (columns / width))
        done = -1
        for y in range(height):
            row = int((y + 0.5) * (rows / height))
            if row != done:
                first, last = _box_ends(row, height, rows)
                weight = int(0.5 + 1.0 / (last - first) * (1 << 22))
                for x in range(columns):
                    for c in range(channels):
                        total = 0
                        for at in range(first, last):
                            total += int(half[at, x, c])
                        line[x, c] = _box_mean(total, weight)
                done = row
            for x in range(width):
                for c in range(channels):
                    out[n, y, x, c] = line[column_of[x], c]
