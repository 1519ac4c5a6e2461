"""PSFs of apertures, and the analytic kernels of restoration papers, rendered in float64.

Each is drawn about the middle of a square scratch array, within ``reach`` pixels of it, and then divided by
its sum. `out` is (B, k, k), k odd and large enough, float32 or float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, log, power, sincos
from blurgen.loops.jit import exact
from blurgen.loops.special import erfc, j1

Column = NDArray[np.float64]
Plane = NDArray[np.float64]
Planes = NDArray[Any]  # float32 or float64

GAUSSIAN, GENERALIZED, PLATEAU = 0, 1, 2

_EPS = 2.220446049250313e-16
_RESIDUE = 1e-12  # of a pixel's area: what rounding may leave where a polygon does not reach
_LEAST_SIGMA = 0.01  # a Gaussian this narrow is a point already


@exact
def finish(drawn: Plane, reach: int, out: Any) -> None:
    """Write `drawn` over its sum to the middle of `out`, and zeros around it.

    Weights below 2⁻⁵² of the greatest become 0.
    """
    first, size = drawn.shape[0] // 2 - reach, 2 * reach + 1
    to = out.shape[0] // 2 - reach
    # column by column, so that neighbours are worked at together in one fixed order
    columns = np.zeros(size)
    for i in range(size):
        for j in range(size):
            columns[j] = max(columns[j], abs(drawn[first + i, first + j]))
    least = 0.0
    for j in range(size):
        least = max(least, _EPS * columns[j])
        columns[j] = 0.0
    for i in range(size):
        for j in range(size):
            weight = drawn[first + i, first + j]
            columns[j] += weight if abs(weight) >= least else 0.0
    total = 0.0
    for j in range(size):
        total += columns[j]
    scale = 1.0 / total
    out[:] = 0.0
    for i in range(size):
        for j in range(size):
            weight = drawn[first + i, first + j]
            out[to + i, to + j] = weight * scale if abs(weight) >= least else 0.0


@exact
def _spread_octant(value: float, i: int, j: int, middle: int, drawn: Plane) -> None:
    """Write a value at (±i, ±j) and (±j, ±i) from the middle."""
    drawn[middle + i, middle + j] = value
    drawn[middle + i, middle - j] = value
    drawn[middle - i, middle + j] = value
    drawn[middle - i, middle - j] = value
    drawn[middle + j, middle + i] = value
    drawn[middle + j, middle - i] = value
    drawn[middle - j, middle + i] = value
    drawn[middle - j, middle - i] = value


@exact
def _cover_edge(x0: float, y0: float, x1: float, y1: float, cover: Plane) -> None:
    """Add the area to the right of one edge: summed along a row, `cover` is the area of each pixel."""
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
        sign = -1.0
    slope = (x1 - x0) / (y1 - y0)
    low, high = min(x0, x1), max(x0, x1)
    for i in range(math.floor(y0), math.ceil(y1)):
        top, bottom = max(y0, float(i)), min(y1, float(i + 1))
        a = min(high, max(low, x0 + (top - y0) * slope))
        b = min(high, max(low, x0 + (bottom - y0) * slope))
        left, right = min(a, b), max(a, b)
        height = sign * (bottom - top)
        first, last = math.floor(left), math.floor(right)
        for j in range(first, last + 1):
            if first == last:
                part, inside = height, 0.5 * (left + right) - j
            else:
                start, end = max(left, float(j)), min(right, float(j + 1))
                part, inside = height * (end - start) / (right - left), 0.5 * (start + end) - j
            cover[i, j] += part * (1.0 - inside)
            cover[i, j + 1] += part * inside


@exact
def polygons(radii: Column, blades: NDArray[np.int64], rotations: Column, out: Planes) -> None:
    """Fill each `out[b]` with the area of each pixel that a regular polygon covers, over its whole area."""
    largest = out.shape[1]
    middle = largest // 2
    drawn, cover = np.empty((largest, largest)), np.empty((largest, largest + 2))
    for b in range(radii.size):
        reach = max(0, math.ceil(radii[b] - 0.5))
        if reach == 0:
            drawn[middle, middle] = 1.0
            finish(drawn, 0, out[b])
            continue
        size = 2 * reach + 1
        cover[:size, : size + 2] = 0.0
        centre = reach + 0.5
        turn = rotations[b] % 360.0
        s, c = sincos(turn / 180.0 * math.pi)
        x, y = centre + radii[b] * c, centre - radii[b] * s
        for k in range(1, blades[b] + 1):
            s, c = sincos((turn + 360.0 * (k % blades[b]) / blades[b]) / 180.0 * math.pi)
            after_x, after_y = centre + radii[b] * c, centre - radii[b] * s
            _cover_edge(
                min(float(size), max(0.0, x)),
                min(float(size), max(0.0, y)),
                min(float(size), max(0.0, after_x)),
                min(float(size), max(0.0, after_y)),
                cover,
            )
            x, y = after_x, after_y
        for i in range(size):
            area = 0.0
            for j in range(size):
                area += cover[i, j]
                drawn[middle - reach + i, middle - reach + j] = abs(area) if abs(area) > _RESIDUE else 0.0
        finish(drawn, reach, out[b])


@exact
def soft_disks(radii: Column, edges: Column, out: Planes) -> None:
    """Fill each `out[b]` with ½·erfc((r − radius)/(√2·edge)) at the pixels' centres."""
    middle = out.shape[1] // 2
    drawn = np.empty((out.shape[1], out.shape[1]))
    for b in range(radii.size):
        end = radii[b] + 4.0 * edges[b]
        reach = math.ceil(end)
        scale = 1.0 / (math.sqrt(2.0) * edges[b])
        for i in range(reach + 1):
            for j in range(i + 1):
                r = math.sqrt(float(i * i + j * j))
                value = 0.5 * erfc((r - radii[b]) * scale) if r <= end else 0.0
                _spread_octant(value, i, j, middle, drawn)
        finish(drawn, reach, out[b])


@exact
def automatic_sizes(sigmas: Column, betas: Column, out: NDArray[np.int64]) -> None:
    """Sizes that hold exp(−½·(r/σ)^2β) down to e⁻⁸, as far as 4·σ of a Gaussian."""
    for b in range(sigmas.size):
        # what rounding adds to a whole number must not make it one more
        out[b] = 2 * math.ceil(sigmas[b] * power(4.0, 1.0 / betas[b]) - 1e-9) + 1


@exact
def _bell(law: int, q: float, beta: float) -> float:
    """The weight where xᵀΣ⁻¹x is q."""
    if law != GAUSSIAN and beta != 1.0 and q != 0.0:
        q = exp(beta * log(q))
    if law == PLATEAU:
        return 1.0 / (q + 1.0)
    return exp(-0.5 * q) if q < 80.0 else 0.0


@exact
def bells(
    law: int,
    sizes: NDArray[np.int64],
    sigma_x: Column,
    sigma_y: Column,
    thetas: Column,
    betas: Column,
    out: Planes,
) -> None:
    """Fill the middle ``sizes[b]``² pixels of each `out[b]` with a bell whose axes are turned by theta."""
    middle = out.shape[1] // 2
    drawn = np.empty((out.shape[1], out.shape[1]))
    for b in range(sizes.size):
        reach = sizes[b] // 2
        s, c = sincos(thetas[b] % 180.0 / 180.0 * math.pi)
        along, across = 1.0 / max(_LEAST_SIGMA, sigma_x[b]), 1.0 / max(_LEAST_SIGMA, sigma_y[b])
        # symmetric under a half turn: the rows above, and the middle one up to its middle
        for i in range(reach + 1):
            y = float(reach - i)
            for j in range(2 * reach + 1 if i < reach else reach + 1):
                x = float(j - reach)
                p, q = (x * c + y * s) * along, (y * c - x * s) * across
                value = _bell(law, p * p + q * q, betas[b])
                drawn[middle - reach + i, middle - reach + j] = value
                drawn[middle + reach - i, middle + reach - j] = value
        finish(drawn, reach, out[b])


@exact
def sincs(cutoffs: Column, sizes: NDArray[np.int64], out: Planes) -> None:
    """Fill the middle ``sizes[b]``² pixels of each `out[b]` with ω·J₁(ω·r)/(2π·r)."""
    middle = out.shape[1] // 2
    drawn = np.empty((out.shape[1], out.shape[1]))
    for b in range(sizes.size):
        reach = sizes[b] // 2
        w = cutoffs[b]
        drawn[middle, middle] = w * w / (4.0 * math.pi)
        for i in range(1, reach + 1):
            for j in range(i + 1):
                r = math.sqrt(float(i * i + j * j))
                _spread_octant(w * j1(w * r) / (2.0 * math.pi * r), i, j, middle, drawn)
        finish(drawn, reach, out[b])


@exact
def _folded(at: int, half: int) -> int:
    """The distance from the middle of the pixel at `at` ≥ 0, of a line mirrored at its ends ±`half`."""
    return 2 * half - at if at > half else at


@exact
def smoothed_disks(radii: Column, sigmas: Column, out: Planes) -> None:
    """Fill each `out[b]` with the pixels whose centres a disc holds, smoothed by 3 or 5 taps."""
    middle = out.shape[1] // 2
    drawn = np.empty((out.shape[1], out.shape[1]))
    for b in range(radii.size):
        small = radii[b] <= 8.0
        # the line of pixels that the smoothing is mirrored at, and how far the weights reach
        half = 8 if small else math.floor(radii[b])
        reach = min(8, math.floor(radii[b]) + 1) if small else half
        most = 1 if small else 2
        one = exp(-0.5 / (sigmas[b] * sigmas[b]))
        two = 0.0 if small else one * one * one * one
        none = 1.0 / (1.0 + 2.0 * one + 2.0 * two)
        one, two = one * none, two * none
        square = radii[b] * radii[b]
        for i in range(reach + 1):
            for j in range(i + 1):
                value = 0.0
                for u in range(-most, most + 1):
                    for v in range(-most, most + 1):
                        y, x = _folded(abs(i + u), half), _folded(abs(j + v), half)
                        if float(x * x + y * y) <= square:
                            down = none if u == 0 else (one if abs(u) == 1 else two)
                            across = none if v == 0 else (one if abs(v) == 1 else two)
                            value += down * across
                _spread_octant(value, i, j, middle, drawn)
        finish(drawn, reach, out[b])
