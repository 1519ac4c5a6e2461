"""PSFs of points that move along a path: how long the point stays where, spread on the grid of pixels.

A point between four pixels gives each a share by bilinear weights. They keep the first moments, so that a
path moved beforehand so that its centroid is the origin gives a PSF whose centroid is its centre.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, sincos
from blurgen.loops.jit import exact

PER_PIXEL = 16
"""Into how many pieces a pixel of a smooth path is cut, at least."""

FEWEST = 64
"""Into how many pieces a whole path is cut, at least."""


@exact
def centroid(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float, float]:
    """The centroid of a path, and the sum of its weights, which is positive."""
    # four sums of each, in a fixed order, so that additions need not wait for one another
    w0, w1, w2, w3 = 0.0, 0.0, 0.0, 0.0
    x0, x1, x2, x3 = 0.0, 0.0, 0.0, 0.0
    y0, y1, y2, y3 = 0.0, 0.0, 0.0, 0.0
    whole = x.size - x.size % 4
    for i in range(0, whole, 4):
        w0 += weights[i]
        w1 += weights[i + 1]
        w2 += weights[i + 2]
        w3 += weights[i + 3]
        x0 += weights[i] * x[i]
        x1 += weights[i + 1] * x[i + 1]
        x2 += weights[i + 2] * x[i + 2]
        x3 += weights[i + 3] * x[i + 3]
        y0 += weights[i] * y[i]
        y1 += weights[i + 1] * y[i + 1]
        y2 += weights[i + 2] * y[i + 2]
        y3 += weights[i + 3] * y[i + 3]
    for i in range(whole, x.size):
        w0 += weights[i]
        x0 += weights[i] * x[i]
        y0 += weights[i] * y[i]
    weight = (w0 + w1) + (w2 + w3)
    return ((x0 + x1) + (x2 + x3)) / weight, ((y0 + y1) + (y2 + y3)) / weight, weight


@exact
def farthest(x: NDArray[np.float64], y: NDArray[np.float64], from_x: float, from_y: float) -> float:
    """How far from a point a path gets, to the sides or up and down."""
    found = 0.0
    for i in range(x.size):
        found = max(found, abs(x[i] - from_x), abs(y[i] - from_y))
    return found


@exact
def splat(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    origin_x: float,
    origin_y: float,
    factor: float,
    out: NDArray[np.float64],
) -> None:
    """Add the weights at `factor` times (x, y) from the origin, y down, to the pixels about them.

    The origin lies on the centre of `out`, which is odd, and large enough.
    """
    middle, last = float(out.shape[0] // 2), out.shape[0] - 2
    if last < 0:
        for i in range(x.size):
            out[0, 0] += weights[i]
        return
    # points that follow one another mostly lie between the same four pixels: their moments are added up first
    column, row = np.int64(0), np.int64(0)
    left, top = -middle, -middle
    w, wx, wy, wxy = 0.0, 0.0, 0.0, 0.0
    for i in range(x.size):
        u, v = (x[i] - origin_x) * factor, (y[i] - origin_y) * factor
        right, down = u - left, v - top
        if not (0.0 <= right < 1.0 and 0.0 <= down < 1.0):
            out[row, column] += (w - wx) - (wy - wxy)
            out[row, column + 1] += wx - wxy
            out[row + 1, column] += wy - wxy
            out[row + 1, column + 1] += wxy
            w, wx, wy, wxy = 0.0, 0.0, 0.0, 0.0
            column, row = min(np.int64(u + middle), last), min(np.int64(v + middle), last)
            left, top = column - middle, row - middle
            right, down = u - left, v - top
        w += weights[i]
        part = weights[i] * right
        wx += part
        wy += weights[i] * down
        wxy += part * down
    out[row, column] += (w - wx) - (wy - wxy)
    out[row, column + 1] += wx - wxy
    out[row + 1, column] += wy - wxy
    out[row + 1, column + 1] += wxy


@exact
def finish(scratch: NDArray[np.float64], weight: float, out: NDArray[np.floating]) -> None:
    """Write what was splatted, over the sum of its weights, and clear `scratch`."""
    factor = 1.0 / weight
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # cancellation may leave a negative trace where a path just touches a pixel
            out[i, j] = max(scratch[i, j] * factor, 0.0)
            scratch[i, j] = 0.0


@exact
def _pieces(length: float) -> int:
    """Into how many pieces a path is cut."""
    return max(FEWEST, math.ceil(PER_PIXEL * length))


@exact
def accelerated(
    length: NDArray[np.float64],
    angle: NDArray[np.float64],
    acceleration: NDArray[np.float64],
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]` with the PSF of motion along a line whose speed grows steadily by a factor."""
    most = _pieces(length.max())
    place, weights, x, y = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    scratch = np.zeros(out.shape[1:])
    for b in range(length.size):
        n = _pieces(length[b])
        # the way and the time it takes are 1: speeds v0 and v1, and a = v1 − v0
        v0 = 2.0 / (1.0 + acceleration[b])
        v1 = acceleration[b] * v0
        s, c = sincos(angle[b] % 360.0 / 180.0 * math.pi)
        time, speed = 0.0, v0
        for i in range(n):
            end = (i + 1.0) / n
            next_speed = math.sqrt(v0 * v0 + (v1 * v1 - v0 * v0) * end)
            next_time = 2.0 * end / (v0 + next_speed)
            dt = next_time - time
            # the mean place of a piece in time: its light lies there
            place[i] = length[b] * (i / n + dt * (speed / 2.0 + (v1 - v0) * dt / 6.0))
            weights[i] = dt
            time, speed = next_time, next_speed
        for i in range(n):
            x[i] = place[i] * c
            y[i] = -place[i] * s
        mean_x, mean_y, weight = centroid(x[:n], y[:n], weights[:n])
        splat(x[:n], y[:n], weights[:n], mean_x, mean_y, 1.0, scratch)
        finish(scratch, weight, out[b])


@exact
def arc(
    length: NDArray[np.float64],
    angle: NDArray[np.float64],
    bend: NDArray[np.float64],
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]` with the PSF of uniform motion along an arc of a circle, or a line."""
    most = _pieces(length.max())
    x, y, weights = np.empty(most), np.empty(most), np.ones(most)
    scratch = np.zeros(out.shape[1:])
    for b in range(length.size):
        n = _pieces(length[b])
        s, c = sincos(angle[b] % 360.0 / 180.0 * math.pi)
        turn = bend[b] / 180.0 * math.pi
        for i in range(n):
            along = (i + 0.5) / n - 0.5
            # the chord from the middle of the arc: it leaves at half the angle that the arc has turned by
            half = along * turn / 2.0
            sine, cosine = sincos(half)
            chord = length[b] * along * (sine / half if half != 0.0 else 1.0)
            u, v = chord * cosine, chord * sine
            x[i] = u * c - v * s
            y[i] = -(u * s + v * c)
        mean_x, mean_y, weight = centroid(x[:n], y[:n], weights[:n])
        splat(x[:n], y[:n], weights[:n], mean_x, mean_y, 1.0, scratch)
        finish(scratch, weight, out[b])


@exact
def _swing(length: float, radius: float, frequency: float) -> float:
    """A bound of how long a swinging path is."""
    return length * (1.0 + 1.4142135623730951 * radius * frequency)


@exact
def swinging(
    length: NDArray[np.float64],
    angle: NDArray[np.float64],
    radius: NDArray[np.float64],
    frequency: NDArray[np.float64],
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]` with the PSF of motion along i with the swing r·(sin f·i + cos f·i) across it."""
    most = FEWEST
    for b in range(length.size):
        most = max(most, _pieces(_swing(length[b], radius[b], frequency[b])))
    x, y, weights = np.empty(most), np.empty(most), np.ones(most)
    scratch = np.zeros(out.shape[1:])
    for b in range(length.size):
        n = _pieces(_swing(length[b], radius[b], frequency[b]))
        s, c = sincos(angle[b] % 360.0 / 180.0 * math.pi)
        for i in range(n):
            along = length[b] * (i + 0.5) / n
            sine, cosine = sincos(frequency[b] * along)
            across = radius[b] * (sine + cosine)
            x[i] = along * c - across * s
            y[i] = -(along * s + across * c)
        mean_x, mean_y, weight = centroid(x[:n], y[:n], weights[:n])
        splat(x[:n], y[:n], weights[:n], mean_x, mean_y, 1.0, scratch)
        finish(scratch, weight, out[b])


@exact
def thick_line(size: NDArray[np.int64], angle: NDArray[np.float64], out: NDArray[np.floating]) -> None:
    """Fill each `out[b]`, zeroed, with a turned bar of a quarter of its odd size in width."""
    middle = out.shape[1] // 2
    for b in range(size.size):
        half, thick = size[b] // 2, float(size[b] // 8)
        s, c = sincos(angle[b] % 360.0 / 180.0 * math.pi)
        whole = 0.0
        for i in range(-half, half + 1):
            for j in range(-half, half + 1):
                # where the pixel comes from; there the bar, seen with bilinear interpolation
                u, v = j * c - i * s, j * s + i * c
                along = min(max(half + 1.0 - abs(u), 0.0), 1.0)
                across = min(max(thick + 1.0 - abs(v), 0.0), 1.0)
                out[b, middle + i, middle + j] = along * across
                whole += along * across
        for i in range(middle - half, middle + half + 1):
            for j in range(middle - half, middle + half + 1):
                out[b, i, j] /= whole


@exact
def one_sided(
    radius: NDArray[np.float64],
    sigma: NDArray[np.float64],
    angle: NDArray[np.float64],
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]`, zeroed, with half a Gaussian along a line of pixels that begins at the centre."""
    middle = out.shape[1] // 2
    for b in range(radius.size):
        width = 2 * math.ceil(radius[b]) + 1
        weights = np.empty(width)
        whole = 0.0
        for i in range(width):
            t = 0.5 * (i / sigma[b]) * (i / sigma[b])
            weights[i] = exp(-t) if t < 700.0 else 0.0
            whole += weights[i]
        s, c = sincos(angle[b] % 360.0 / 180.0 * math.pi)
        for i in range(width):
            row = middle - math.ceil(i * s - 0.5)
            column = middle - math.ceil(i * c - 0.5)
            out[b, row, column] += weights[i] / whole
