"""Polygons filled with exact area coverage: each pixel holds the share of its square that lies inside.

An edge adds to each pixel that it passes the signed area to its right, as a difference from the pixel to the
left, so that the running sum along a row is the coverage (the method of FreeType's and font-rs's
rasterisers). Edges of any number of closed contours may be added in any order; opposite directions cut holes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact


@exact
def _add_in_row(x0: float, x1: float, d: float, row: int, area: NDArray[np.float32]) -> None:
    """Add a piece of an edge that lies within one row and is `d` high, negative where it runs upwards."""
    left, right = min(x0, x1), max(x0, x1)
    first = min(int(left), area.shape[1] - 2)
    if right <= first + 1:
        # within one pixel: a trapezium
        share = d * (0.5 * (left + right) - first)
        area[row, first] += np.float32(d - share)
        area[row, first + 1] += np.float32(share)
        return
    # a triangle in the first pixel and in the last one, slices of equal height between
    end = math.ceil(right)
    per_pixel = d / (right - left)
    inside = first + 1.0 - left
    over = right - (end - 1)
    passed = 0.5 * per_pixel * inside * inside
    area[row, first] += np.float32(passed)
    if end > first + 2:
        before = per_pixel * (inside + 0.5)
        area[row, first + 1] += np.float32(before - passed)
        for column in range(first + 2, end - 1):
            area[row, column] += np.float32(per_pixel)
        passed = before + per_pixel * (end - first - 3)
    rest = 0.5 * per_pixel * over * over
    area[row, end - 1] += np.float32(d - rest - passed)
    area[row, end] += np.float32(rest)


@exact
def _add_inside(x0: float, y0: float, x1: float, y1: float, sign: float, area: NDArray[np.float32]) -> None:
    """Add an edge that runs downwards and lies within the image."""
    row = int(y0)
    if y1 <= row + 1:
        _add_in_row(x0, x1, sign * (y1 - y0), row, area)
        return
    slope = (x1 - x0) / (y1 - y0)
    low, high = min(x0, x1), max(x0, x1)
    x, y = x0, y0
    while y < y1:
        y_next = min(row + 1.0, y1)
        x_next = min(max(x + slope * (y_next - y), low), high)
        _add_in_row(x, x_next, sign * (y_next - y), row, area)
        x, y = x_next, y_next
        row += 1


@exact
def _add_clipped(x0: float, y0: float, x1: float, y1: float, sign: float, area: NDArray[np.float32]) -> None:
    """Add what lies within the image of an edge that runs downwards.

    Left of the image an edge counts as one along its left side, right of it not at all.
    """
    height = float(area.shape[0])
    width = float(area.shape[1] - 1)
    slope = (x1 - x0) / (y1 - y0)
    if y0 < 0.0:
        x0, y0 = x0 - slope * y0, 0.0
    if y1 > height:
        x1, y1 = x0 + slope * (height - y0), height
    if x0 <= 0.0 and x1 <= 0.0:
        x0 = x1 = 0.0
    elif min(x0, x1) < 0.0:
        y = min(max(y0 - x0 / slope, y0), y1)
        top, bottom = (y0, y) if x0 < 0.0 else (y, y1)
        if top < bottom:
            _add_inside(0.0, top, 0.0, bottom, sign, area)
        if x0 < 0.0:
            x0, y0 = 0.0, y
        else:
            x1, y1 = 0.0, y
    if min(x0, x1) < width < max(x0, x1):
        y = min(max(y0 + (width - x0) / slope, y0), y1)
        if x0 > width:
            x0, y0 = width, y
        else:
            x1, y1 = width, y
    if y0 < y1 and max(x0, x1) <= width:
        _add_inside(x0, y0, x1, y1, sign, area)


@exact
def add_edge(x0: float, y0: float, x1: float, y1: float, area: NDArray[np.float32]) -> None:
    """Add one edge of a closed contour.

    Parameters
    ----------
    x0, y0, x1, y1 : float
        Its ends in pixels, y downwards; the image's upper left corner is (0, 0). It may lie anywhere.
    area : ndarray
        float32, shape ``(H, W + 1)``; the running sum of a row's first W values is its signed coverage.
    """
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
    height = float(area.shape[0])
    width = float(area.shape[1] - 1)
    left, right = min(x0, x1), max(x0, x1)
    if not y0 < y1 or y1 <= 0.0 or y0 >= height or left >= width:
        return
    if y0 >= 0.0 and y1 <= height and left >= 0.0 and right <= width:
        _add_inside(x0, y0, x1, y1, sign, area)
    else:
        _add_clipped(x0, y0, x1, y1, sign, area)


@exact
def add_outline(
    segments: NDArray[np.float64],
    first: int,
    end: int,
    place: tuple[float, float, float, float, float, float],
    area: NDArray[np.float32],
) -> None:
    """Add the segments ``first`` to ``end − 1``, moved by an affine map.

    Parameters
    ----------
    segments : ndarray
        float64, shape (N, 4): x0, y0, x1, y1 of each.
    first, end : int
        Which of them; together they are closed contours.
    place : tuple of float
        (a, b, c, d, e, f): x goes to a·x + b·y + c, y to d·x + e·y + f.
    area : ndarray
        As for `add_edge`.
    """
    a, b, c, d, e, f = place
    for k in range(first, end):
        x0, y0, x1, y1 = segments[k, 0], segments[k, 1], segments[k, 2], segments[k, 3]
        add_edge(a * x0 + b * y0 + c, d * x0 + e * y0 + f, a * x1 + b * y1 + c, d * x1 + e * y1 + f, area)


@exact
def cover_row(area: NDArray[np.float32], row: int, first: int, end: int, cover: NDArray[np.float32]) -> None:
    """Write the coverage of a row's pixels ``first`` to ``end − 1`` into `cover`, and clear the row.

    Left of `first` nothing may have been added. Where contours overlap the coverage stays at 1.
    """
    one = np.float32(1.0)
    total = np.float32(0.0)
    steps = area[row, first : min(end + 1, area.shape[1])]
    sums = cover[first:end]
    # four at a time, so that a sum need not wait for the one before
    fours = sums.size // 4 * 4
    for x in range(0, fours, 4):
        a = steps[x]
        b = a + steps[x + 1]
        c = b + steps[x + 2]
        d = c + steps[x + 3]
        sums[x] = min(abs(total + a), one)
        sums[x + 1] = min(abs(total + b), one)
        sums[x + 2] = min(abs(total + c), one)
        total += d
        sums[x + 3] = min(abs(total), one)
    for x in range(fours, sums.size):
        total += steps[x]
        sums[x] = min(abs(total), one)
    steps[:] = np.float32(0.0)
