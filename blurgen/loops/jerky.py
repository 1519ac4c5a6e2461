"""Jerky paths of straight steps, after Borodenko."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, log, sincos
from blurgen.loops.jit import exact
from blurgen.loops.lanes import LEAST
from blurgen.loops.paths import centroid, farthest, finish, splat
from blurgen.loops.philox import draw_block

MOST_CORNERS = 4096
_PIECES = 8.0  # of a pixel's length


@exact
def _unit(word: np.uint64) -> float:
    """A number in (0, 1) from one word."""
    return (float(word) + 0.5) * 2.3283064365386963e-10


@exact
def _heading(u: float, mode: float, most: float) -> float:
    """A number from the triangular law on [0, `most`], likeliest at `mode`."""
    if u * most < mode:
        return math.sqrt(u * most * mode)
    return most - math.sqrt((1.0 - u) * most * (most - mode))


@exact
def jerky(
    seed: np.uint64,
    index: np.uint64,
    stream: np.uint64,
    shake: NDArray[np.float64],
    size: float,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> int:
    """Write the corners of one of Borodenko's paths to `x` and `y`, and return how many there are.

    `shake` holds intensity, length (pixels), bend (radians), flips, angle (radians). Step n takes its
    length, heading and flip from block n.
    """
    intensity, length, bend = shake[0], shake[1], shake[2]
    diagonal = 1.4142135623730951 * size
    longest = (1.1 - intensity) * diagonal
    # steps at least as long as the whole path are refused: the law below that, Beta(1, 30) cut off
    rest = max(0.0, 1.0 - length / longest)
    square = rest * rest
    fourth = square * square
    sixteenth = fourth * fourth * fourth * fourth
    allowed = 1.0 - sixteenth * fourth * fourth * fourth * square
    sine, cosine = sincos(shake[4])
    along, across, travelled, heading = 0.0, 0.0, 0.0, 0.0
    count = 0
    while count < x.size and (travelled < length or count == 0):
        a, b, c, _ = draw_block(seed, index, stream, np.uint64(count))
        step = longest * (1.0 - exp(log(1.0 - _unit(a) * allowed) / 30.0))
        if count == 0:
            heading = bend * (2.0 * _unit(b) - 1.0)
        else:
            sign = 1.0 if heading > 0.0 else (-1.0 if heading < 0.0 else 0.0)
            if _unit(c) < shake[3]:
                sign = -sign
            heading = sign * _heading(_unit(b), intensity * bend, bend + 0.1)
        s, c2 = sincos(heading)
        along += step * c2
        across += step * s
        travelled += step
        x[count] = along * cosine - across * sine
        y[count] = along * sine + across * cosine
        count += 1
    return count


@exact
def _along(
    corners_x: NDArray[np.float64],
    corners_y: NDArray[np.float64],
    count: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> int:
    """Write points along a polyline, their weights the length that each stands for; how many there are."""
    x[0], y[0], weights[0] = corners_x[0], corners_y[0], 1e-9
    used = 1
    for i in range(1, count):
        dx, dy = corners_x[i] - corners_x[i - 1], corners_y[i] - corners_y[i - 1]
        length = math.sqrt(dx * dx + dy * dy)
        pieces = max(1, math.ceil(_PIECES * length))
        for j in range(pieces):
            x[used] = corners_x[i - 1] + dx * (j + 0.5) / pieces
            y[used] = corners_y[i - 1] + dy * (j + 0.5) / pieces
            weights[used] = length / pieces
            used += 1
    return used


@exact
def _soften(sigma: float, reach: int, image: NDArray[np.float64], spare: NDArray[np.float64]) -> None:
    """Convolve the middle ±`reach` pixels of an odd square with a Gaussian cut off at ⌈3σ⌉."""
    cut = math.ceil(3.0 * sigma)
    taps = np.empty(2 * cut + 1)
    whole = 0.0
    for i in range(-cut, cut + 1):
        taps[i + cut] = exp(-0.5 * (i / sigma) * (i / sigma))
        whole += taps[i + cut]
    for i in range(taps.size):
        taps[i] /= whole
    middle = image.shape[0] // 2
    first, last = middle - reach, middle + reach
    for i in range(first, last + 1):
        for j in range(first, last + 1):
            value = 0.0
            for t in range(max(-cut, first - j), min(cut, last - j) + 1):
                value += taps[t + cut] * image[i, j + t]
            spare[i, j] = value
    for i in range(first, last + 1):
        for j in range(first, last + 1):
            value = 0.0
            for t in range(max(-cut, first - i), min(cut, last - i) + 1):
                value += taps[t + cut] * spare[i + t, j]
            image[i, j] = value


@exact
def jerky_psfs(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    shake: NDArray[np.float64],
    size: NDArray[np.int64],
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]`, odd, with the softened PSF of the path that row b of `shake` describes."""
    corners_x, corners_y = np.empty(MOST_CORNERS), np.empty(MOST_CORNERS)
    # no path is longer than twice 0.75 diagonals and the longest step, 1.1 diagonals
    most = MOST_CORNERS + 1 + math.ceil(_PIECES * 3.7 * size.max())
    x, y, weights = np.empty(most), np.empty(most), np.empty(most)
    scratch, spare = np.zeros(out.shape[1:]), np.zeros(out.shape[1:])
    for b in range(index.size):
        count = jerky(seed, np.uint64(index[b]), stream, shake[b], float(size[b]), corners_x, corners_y)
        n = _along(corners_x, corners_y, count, x, y, weights)
        mean_x, mean_y, weight = centroid(x[:n], y[:n], weights[:n])
        sigma = 0.014142135623730951 * size[b]
        half = size[b] // 2
        reach = float(half - math.ceil(3.0 * sigma))
        factor = min(1.0, reach / max(farthest(x[:n], y[:n], mean_x, mean_y), LEAST))
        splat(x[:n], y[:n], weights[:n], mean_x, mean_y, factor, scratch)
        _soften(sigma, half, scratch, spare)
        finish(scratch, weight, out[b])


@exact
def evenly(
    corners_x: NDArray[np.float64], corners_y: NDArray[np.float64], count: int, out: NDArray[np.float64]
) -> None:
    """Fill `out`, (N, 2), with equidistant points along a polyline, from its first corner to its last."""
    length = 0.0
    for i in range(1, count):
        dx, dy = corners_x[i] - corners_x[i - 1], corners_y[i] - corners_y[i - 1]
        length += math.sqrt(dx * dx + dy * dy)
    corner, before, piece = 0, 0.0, 0.0
    for n in range(out.shape[0]):
        target = length * n / (out.shape[0] - 1)
        while corner < count - 1 and before + piece <= target:
            before += piece
            corner += 1
            dx, dy = corners_x[corner] - corners_x[corner - 1], corners_y[corner] - corners_y[corner - 1]
            piece = math.sqrt(dx * dx + dy * dy)
        share = min((target - before) / max(piece, LEAST), 1.0)
        last = max(corner - 1, 0)
        out[n, 0] = corners_x[last] + share * (corners_x[corner] - corners_x[last])
        out[n, 1] = corners_y[last] + share * (corners_y[corner] - corners_y[last])
