"""Pen strokes: splines through jittered points, drawn with a round pen of varying width.

The drawing uses nothing but IEEE arithmetic and square roots, so that its bytes are the same everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import sincos
from blurgen.loops.jit import exact
from blurgen.loops.philox import draw_block, unit

SIDE = 28
SMOOTH, CORNER, LAST = 0, 1, 2
MAX_POINTS = 24

_PER_DIGIT = 22  # numbers drawn for a digit as a whole; its points follow, two for each
_STEP = 0.075  # length of a straight piece of a flattened curve, of the digit's height
_MAX_STEPS = 16
_NEAREST, _FARTHEST = 1.5, 25.5  # ink between these leaves the outermost two pixels black


@exact
def _between(low: float, high: float, u: float) -> float:
    return low + (high - low) * u


@exact
def _spread(width: float, u: float, v: float) -> float:
    """Draw a number in ±`width` that is more often small than large."""
    return width * (u + v - 1.0)


@exact
def _digit(u: float) -> int:
    return int(10.0 * u)


@exact
def labels(seed: np.uint64, stream: np.uint64, start: np.uint64, out: NDArray[np.int64]) -> None:
    """Write into `out` the digits that `draw` draws."""
    for i in range(out.shape[0]):
        a, b, _, _ = draw_block(seed, start + np.uint64(i), stream, np.uint64(0))
        out[i] = _digit(unit(a, b))


@exact
def _fill(
    seed: np.uint64, index: np.uint64, stream: np.uint64, begin: int, end: int, u: NDArray[np.float64]
) -> None:
    """Draw the numbers `begin` to ``end − 1`` of a digit, both even, into `u`."""
    for k in range(begin // 2, end // 2):
        a, b, c, d = draw_block(seed, index, stream, np.uint64(k))
        u[2 * k] = unit(a, b)
        u[2 * k + 1] = unit(c, d)


@exact
def _place(
    first: int,
    end: int,
    points: NDArray[np.float64],
    kinds: NDArray[np.int64],
    u: NDArray[np.float64],
    xy: NDArray[np.float64],
) -> None:
    """Shake the points ``first`` to ``end − 1``, and bend, slant and turn them together."""
    width = _between(0.85, 1.4, u[4])
    slant = 0.1 + _spread(0.42, u[5], u[6])
    taper = _spread(0.45, u[7], u[8])
    bow = _spread(0.35, u[9], u[10])
    waist = _spread(0.35, u[18], u[19])
    sine, cosine = sincos(_spread(0.18, u[11], u[12]))
    for k in range(end - first):
        # where the pen is set down or lifted varies more than where it passes
        tip = k == 0 or kinds[first + k] == LAST or kinds[first + k - 1] == LAST
        shake = 0.06 if tip else 0.036
        x = points[first + k, 0] + shake * (2.0 * u[_PER_DIGIT + 2 * k] - 1.0)
        y = points[first + k, 1] + shake * (2.0 * u[_PER_DIGIT + 2 * k + 1] - 1.0)
        x = x * width * (1.0 + taper * y) - slant * y + bow * y * y
        y += waist * (y * y - 0.25)
        xy[k, 0] = cosine * x - sine * y
        xy[k, 1] = sine * x + cosine * y


@exact
def _slope(before: float, here: float, after: float, t: float, t_next: float) -> float:
    """Slope at the middle of three values that lie `t` and `t_next` apart."""
    return (here - before) / t - (after - before) / (t + t_next) + (after - here) / t_next


@exact
def _root_distance(xy: NDArray[np.float64], i: int, j: int) -> float:
    dx = xy[j, 0] - xy[i, 0]
    dy = xy[j, 1] - xy[i, 1]
    return max(math.sqrt(math.sqrt(dx * dx + dy * dy)), 1e-6)


@exact
def _flatten(
    first: int, count: int, kinds: NDArray[np.int64], xy: NDArray[np.float64], nodes: NDArray[np.float64]
) -> int:
    """Write the curve through `xy` into `nodes` as rows (x, y, 1 where the pen comes down); their number.

    The curve is a centripetal Catmull-Rom spline, which neither loops nor overshoots; at a corner and at
    the ends of a stroke it has no curvature.
    """
    nodes[0, 0] = xy[0, 0]
    nodes[0, 1] = xy[0, 1]
    nodes[0, 2] = 1.0
    n = 1
    for i in range(count - 1):
        if kinds[first + i] == LAST:
            nodes[n, 0] = xy[i + 1, 0]
            nodes[n, 1] = xy[i + 1, 1]
            nodes[n, 2] = 1.0
            n += 1
            continue
        t = _root_distance(xy, i, i + 1)
        dx = xy[i + 1, 0] - xy[i, 0]
        dy = xy[i + 1, 1] - xy[i, 1]
        ax, ay, bx, by = dx, dy, dx, dy
        soft_a = i > 0 and kinds[first + i] == SMOOTH and kinds[first + i - 1] != LAST
        soft_b = kinds[first + i + 1] == SMOOTH
        if soft_a:
            before = _root_distance(xy, i - 1, i)
            ax = t * _slope(xy[i - 1, 0], xy[i, 0], xy[i + 1, 0], before, t)
            ay = t * _slope(xy[i - 1, 1], xy[i, 1], xy[i + 1, 1], before, t)
        if soft_b:
            after = _root_distance(xy, i + 1, i + 2)
            bx = t * _slope(xy[i, 0], xy[i + 1, 0], xy[i + 2, 0], t, after)
            by = t * _slope(xy[i, 1], xy[i + 1, 1], xy[i + 2, 1], t, after)
        if soft_b and not soft_a:
            ax = 1.5 * dx - 0.5 * bx
            ay = 1.5 * dy - 0.5 * by
        if soft_a and not soft_b:
            bx = 1.5 * dx - 0.5 * ax
            by = 1.5 * dy - 0.5 * ay
        steps = min(1 + int(t * t / _STEP), _MAX_STEPS)
        for k in range(1, steps + 1):
            s = k / steps
            r = 1.0 - s
            ease = s * s * (3.0 - 2.0 * s)
            nodes[n, 0] = xy[i, 0] + ease * dx + s * r * (r * ax - s * bx)
            nodes[n, 1] = xy[i, 1] + ease * dy + s * r * (r * ay - s * by)
            nodes[n, 2] = 0.0
            n += 1
    return n


@exact
def _press(n: int, u: NDArray[np.float64], radii: NDArray[np.float64]) -> float:
    """Half the pen's width at each of `n` nodes, in pixels; the largest of them."""
    half = 0.8 + 0.5 * (u[13] + u[14])
    at_start = _between(-0.18, 0.18, u[15])
    at_end = _between(-0.25, 0.12, u[16])
    largest = 0.0
    for k in range(n):
        s = k / n
        r = 1.0 - s
        radii[k] = half * (1.0 + at_start * (r * r) + at_end * (s * s))
        largest = max(largest, radii[k])
    return largest


@exact
def _fit(n: int, ink: float, u: NDArray[np.float64], nodes: NDArray[np.float64]) -> None:
    """Scale the curve to pixels and put its centre of mass near the image's, all ink well inside."""
    left = right = nodes[0, 0]
    top = bottom = nodes[0, 1]
    mass = mean_x = mean_y = 0.0
    for k in range(n):
        x, y = nodes[k, 0], nodes[k, 1]
        left, right = min(left, x), max(right, x)
        top, bottom = min(top, y), max(bottom, y)
        if nodes[k, 2] == 0.0:
            dx = x - nodes[k - 1, 0]
            dy = y - nodes[k - 1, 1]
            length = math.sqrt(dx * dx + dy * dy)
            mass += length
            mean_x += length * (x - 0.5 * dx)
            mean_y += length * (y - 0.5 * dy)
    size = _between(18.4, 21.0, u[17])
    scale = (size - 2.0 * ink) / max(bottom - top, right - left)
    middle = 0.5 * (SIDE - 1)
    x0 = middle + _between(-0.7, 0.7, u[2]) - scale * mean_x / mass
    y0 = middle + _between(-0.7, 0.7, u[3]) - scale * mean_y / mass
    margin = ink + 0.5
    x0 = min(max(x0, _NEAREST + margin - scale * left), _FARTHEST - margin - scale * right)
    y0 = min(max(y0, _NEAREST + margin - scale * top), _FARTHEST - margin - scale * bottom)
    for k in range(n):
        nodes[k, 0] = x0 + scale * nodes[k, 0]
        nodes[k, 1] = y0 + scale * nodes[k, 1]


@exact
def _ink(
    n: int, nodes: NDArray[np.float64], radii: NDArray[np.float64], level: float, image: NDArray[np.uint8]
) -> None:
    """Draw the curve: full ink inside the pen's trace, a ramp one pixel wide across its edge."""
    for k in range(1, n):
        if nodes[k, 2] == 1.0:
            continue
        ax, ay = nodes[k - 1, 0], nodes[k - 1, 1]
        dx, dy = nodes[k, 0] - ax, nodes[k, 1] - ay
        shorter = 1.0 / max(dx * dx + dy * dy, 1e-12)
        radius = 0.5 + radii[k - 1]
        growth = radii[k] - radii[k - 1]
        reach = radius + max(growth, 0.0)
        x_begin = int(min(ax, ax + dx) - reach) + 1
        x_end = int(max(ax, ax + dx) + reach) + 1
        y_begin = int(min(ay, ay + dy) - reach) + 1
        y_end = int(max(ay, ay + dy) + reach) + 1
        for y in range(y_begin, y_end):
            py = y - ay
            for x in range(x_begin, x_end):
                px = x - ax
                s = min(max((px * dx + py * dy) * shorter, 0.0), 1.0)
                ex = px - s * dx
                ey = py - s * dy
                cover = min(max(radius + s * growth - math.sqrt(ex * ex + ey * ey), 0.0), 1.0)
                value = np.uint8(level * cover + 0.5)
                image[y, x] = max(image[y, x], value)


@exact
def draw(
    seed: np.uint64,
    stream: np.uint64,
    start: np.uint64,
    variants: NDArray[np.int64],
    limits: NDArray[np.float64],
    begins: NDArray[np.int64],
    points: NDArray[np.float64],
    kinds: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Draw one digit into each image of `out`, which is black.

    Parameters
    ----------
    seed, stream, start : uint64
        Image ``i`` is drawn from the numbers of `seed`, `stream` and index ``start + i``.
    variants : ndarray
        Digit ``d`` is written in the ways ``variants[d]`` to ``variants[d + 1] − 1``.
    limits : ndarray
        For each way the share of its digit's images that are written in it or one before it.
    begins : ndarray
        Way ``v`` passes through the points ``begins[v]`` to ``begins[v + 1] − 1``.
    points : ndarray
        Points (x, y), y downwards, in units of the digit's height and from its centre.
    kinds : ndarray
        For each point `SMOOTH`, `CORNER` or `LAST` of a stroke.
    out : ndarray
        Images, uint8, shape ``(B, SIDE, SIDE)``.
    """
    u = np.empty(_PER_DIGIT + 2 * MAX_POINTS)
    xy = np.empty((MAX_POINTS, 2))
    nodes = np.empty((MAX_POINTS * _MAX_STEPS, 3))
    radii = np.empty(MAX_POINTS * _MAX_STEPS)
    for i in range(out.shape[0]):
        index = start + np.uint64(i)
        _fill(seed, index, stream, 0, _PER_DIGIT, u)
        v = variants[_digit(u[0])]
        while u[1] >= limits[v]:
            v += 1
        first, end = begins[v], begins[v + 1]
        _fill(seed, index, stream, _PER_DIGIT, _PER_DIGIT + 2 * (end - first), u)
        _place(first, end, points, kinds, u, xy)
        n = _flatten(first, end - first, kinds, xy, nodes)
        ink = _press(n, u, radii)
        _fit(n, ink, u, nodes)
        level = _between(236.0, 255.0, u[20])
        _ink(n, nodes, radii, level, out[i])
