"""PSFs rendered from their parameters: the arithmetic of MATLAB's fspecial, in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, sincos
from blurgen.loops.jit import exact

_EPS = 2.220446049250313e-16


@exact
def motion_line(length: float, angle: float) -> tuple[float, float, float, int, int]:
    """Half length, cosine, sine and the support's half height and half width of a motion PSF."""
    length = max(1.0, length)
    half = (length - 1.0) / 2.0
    turn = angle % 180.0
    if turn >= 180.0:  # what the remainder of a tiny negative angle rounds to
        turn = 0.0
    s, c = sincos(turn / 180.0 * math.pi)
    sign = 1.0 if c > 0.0 else (-1.0 if c < 0.0 else 0.0)
    rows = int(half * s + 1.0 - length * _EPS)
    columns = abs(int(half * c + sign - length * _EPS))
    return half, c, s, rows, columns


@exact
def motion_weight(x: float, y: float, half: float, c: float, s: float) -> float:
    """The weight at (x, y) from the centre, y up: 1 on the segment, falling to 0 a pixel away."""
    across = abs(y * c - x * s)
    if across >= 1.0:
        return 0.0
    if math.sqrt(x * x + y * y) >= half:
        beyond = half - abs(x * c + y * s)
        across = math.sqrt(across * across + beyond * beyond)
    return max(0.0, 1.0 + _EPS - across)


@exact
def motion(length: float, half: float, c: float, s: float, out: NDArray[np.float64]) -> None:
    """Fill `out`, odd in both directions, with one motion PSF that sums to 1."""
    rows, columns = out.shape[0] // 2, out.shape[1] // 2
    total = 0.0
    # the PSF is symmetric under a half turn: draw the upper half and the centre row's left half
    for i in range(rows + 1):
        last = columns if i == rows else 2 * columns
        for j in range(last + 1):
            w = motion_weight(float(j - columns), float(rows - i), half, c, s)
            out[i, j] = w
            out[2 * rows - i, 2 * columns - j] = w
            total += w if i == rows and j == columns else 2.0 * w
    scale = 1.0 / (total + _EPS * length * length)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] *= scale


@exact
def motion_batch(length: NDArray[np.float64], angle: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Fill each `out[b]`, odd and large enough, with a motion PSF about its centre."""
    middle_row, middle_column = out.shape[1] // 2, out.shape[2] // 2
    scratch = np.empty((out.shape[1], out.shape[2]))
    for b in range(length.size):
        half, c, s, rows, columns = motion_line(length[b], angle[b])
        psf = scratch[: 2 * rows + 1, : 2 * columns + 1]
        motion(max(1.0, length[b]), half, c, s, psf)
        out[b] = 0.0
        top, left = middle_row - rows, middle_column - columns
        for i in range(psf.shape[0]):
            for j in range(psf.shape[1]):
                out[b, top + i, left + j] = psf[i, j]


@exact
def gaussian_profile(sigma: float, out: NDArray[np.float64]) -> None:
    """Fill `out` with exp(−x²/2σ²) on the centred grid, its largest value scaled to 1."""
    middle = (out.size - 1) / 2.0
    # the middle of an even grid lies between pixels: their exponent is taken off, or all could vanish
    nearest = 0.5 * (0.5 / sigma) * (0.5 / sigma) if out.size % 2 == 0 else 0.0
    for i in range(out.size):
        x = (i - middle) / sigma
        t = 0.5 * x * x - nearest if abs(i - middle) > 0.5 else 0.0
        out[i] = exp(-t) if t < 700.0 else 0.0


@exact
def gaussian_batch(sizes: NDArray[np.int64], sigmas: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Fill the middle ``sizes[b]``² pixels of each `out[b]`, zeroed, with a Gaussian of sum 1."""
    for b in range(sizes.size):
        profile = np.empty(sizes[b])
        gaussian_profile(sigmas[b], profile)
        profile /= profile.sum()
        start = (out.shape[1] - sizes[b]) // 2
        for i in range(profile.size):
            for j in range(profile.size):
                out[b, start + i, start + j] = profile[i] * profile[j]


@exact
def _disk_corner(x: float, y: float, radius: float) -> float:
    """Area of the disc within [0, x] × [0, y], for 0 ≤ x, y: the integral of min(y, √(r² − u²))."""
    x = min(x, radius)
    y = min(y, radius)
    if x * x + y * y <= radius * radius:
        return x * y
    # the arc lies below y to the right of u = a
    a = math.sqrt(max(0.0, radius * radius - y * y))
    return a * y + _disk_primitive(x, radius) - _disk_primitive(a, radius)


@exact
def _disk_primitive(u: float, radius: float) -> float:
    """The integral of √(r² − u²) from 0 to u."""
    v = math.sqrt(max(0.0, radius * radius - u * u))
    return 0.5 * (u * v + radius * radius * arctangent(u, v))


@exact
def arctangent(y: float, x: float) -> float:
    """The angle of (x, y) in the first quadrant, by its series after halving the angle three times."""
    r = math.sqrt(x * x + y * y)
    if r == 0.0:
        return 0.0
    # tan(θ/2) = y / (r + x); two more halvings bring it below 0.1
    t = y / (r + x)
    t = t / (1.0 + math.sqrt(1.0 + t * t))
    t = t / (1.0 + math.sqrt(1.0 + t * t))
    z = t * t
    series = 0.0
    for k in range(25, 0, -2):
        series = 1.0 / k - z * series
    return 8.0 * t * series


@exact
def disk(radius: float, out: NDArray[np.float64]) -> None:
    """Fill `out`, odd, with the area of each pixel that a centred disc of `radius` covers, over πr²."""
    middle = out.shape[0] // 2
    area = math.pi * radius * radius
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # by symmetry, look at the first quadrant; the centre row and column straddle the axes
            x, y = float(abs(j - middle)), float(abs(i - middle))
            right, left = x + 0.5, x - 0.5
            top, bottom = y + 0.5, y - 0.5
            mirror = 1.0
            if x == 0.0:
                left, mirror = 0.0, mirror * 2.0
            if y == 0.0:
                bottom, mirror = 0.0, mirror * 2.0
            covered = (
                _disk_corner(right, top, radius)
                - _disk_corner(left, top, radius)
                - _disk_corner(right, bottom, radius)
                + _disk_corner(left, bottom, radius)
            )
            out[i, j] = max(0.0, mirror * covered) / area


@exact
def disk_batch(radii: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Fill each `out[b]`, zeroed, odd and large enough, with a disc of sum 1 about its centre."""
    for b in range(radii.size):
        reach = max(0, math.ceil(radii[b] - 0.5))
        psf = np.ones((2 * reach + 1, 2 * reach + 1))
        if reach > 0:
            disk(radii[b], psf)
        psf /= psf.sum()
        start = out.shape[1] // 2 - reach
        out[b, start : start + psf.shape[0], start : start + psf.shape[1]] = psf
