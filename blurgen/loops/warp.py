"""Images sampled at other places: affine and perspective maps, smooth random displacements.

Coordinates are those of pixels' middles, x to the right, y down, the first pixel at (0, 0). A map gives the
place in the old image for each pixel of the new one, in float64; the place is taken to 1/4096 pixel, and the
four pixels about it are weighted in whole numbers: weights that sum to 4096, one rounding half up at the end.
The three channels of a pixel are packed in one 64-bit word, 21 bits each, so that one product weights all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.draws import inverse_normal
from blurgen.loops.elementary import sincos
from blurgen.loops.jit import exact
from blurgen.loops.philox import draw_block

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Words = NDArray[Any]  # uint32 for one channel, uint64 for three

_BITS = 12
_ONE = 1 << _BITS
_HALF = np.uint64(_ONE // 2)
_SHIFT = np.uint64(_BITS)
_LOW = np.uint64(255)
_LANE = np.uint64(21)
_LANES = np.uint64(42)
_ROUNDING = _HALF | (_HALF << _LANE) | (_HALF << _LANES)


@exact
def _pack(image: Bytes, replicate: bool, grey: np.uint8, packed: Words) -> None:
    """The image (H, W, C) with one more pixel before and two behind each row and column, (H + 3, W + 3)."""
    height, width, channels = image.shape
    flat = image.reshape(image.size)
    around = np.uint64(grey)
    if channels == 3:
        around |= (around << _LANE) | (around << _LANES)
    for y in range(height):
        row, base = packed[y + 1], y * width * channels
        if channels == 1:
            for x in range(width):
                row[x + 1] = flat[base + x]
        else:
            for x in range(width):
                k = base + 3 * x
                row[x + 1] = (
                    np.uint64(flat[k])
                    | (np.uint64(flat[k + 1]) << _LANE)
                    | (np.uint64(flat[k + 2]) << _LANES)
                )
        row[0] = row[1] if replicate else around
        row[width + 1] = row[width] if replicate else around
        row[width + 2] = row[width + 1]
    if replicate:
        packed[0] = packed[1]
        packed[height + 1] = packed[height]
    else:
        packed[0] = around
        packed[height + 1] = around
    packed[height + 2] = packed[height + 1]


@exact
def _sample_row(
    packed: Words, replicate: bool, u: Doubles, v: Doubles, at: NDArray[np.uint32], out: Bytes
) -> None:
    """Row `out` (W, C) from the places (u, v); `at`, (5, W), is scratch."""
    height, width = packed.shape
    pixels = packed.reshape(packed.size)
    edge = 0.0 if replicate else 1.0
    # shifted by the pixel before the first, so that truncation rounds down
    least, most_u, most_v = 1.0 - edge, width - 4 + 1.0 + edge, height - 4 + 1.0 + edge
    place, w00, w01, w10, w11 = at[0], at[1], at[2], at[3], at[4]
    for x in range(u.size):
        s = np.int32(min(max(u[x] + 1.0, least), most_u) * _ONE + 0.5)
        t = np.int32(min(max(v[x] + 1.0, least), most_v) * _ONE + 0.5)
        place[x] = (t >> np.int32(_BITS)) * np.int32(width) + (s >> np.int32(_BITS))
        a, b = s & np.int32(_ONE - 1), t & np.int32(_ONE - 1)
        both = (a * b + np.int32(_ONE // 2)) >> np.int32(_BITS)
        w11[x] = both
        w01[x] = a - both
        w10[x] = b - both
        w00[x] = np.int32(_ONE) - a - b + both
    channels = out.shape[1]
    for x in range(u.size):
        k = np.int64(place[x])
        total = np.uint64(pixels[k]) * np.uint64(w00[x]) + np.uint64(pixels[k + 1]) * np.uint64(w01[x])
        k += width
        total += np.uint64(pixels[k]) * np.uint64(w10[x]) + np.uint64(pixels[k + 1]) * np.uint64(w11[x])
        total += _ROUNDING
        out[x, 0] = (total >> _SHIFT) & _LOW
        if channels == 3:
            out[x, 1] = (total >> (_SHIFT + _LANE)) & _LOW
            out[x, 2] = (total >> (_SHIFT + _LANES)) & _LOW


@exact
def _map_image(image: Bytes, m: Doubles, replicate: bool, grey: np.uint8, packed: Words, out: Bytes) -> None:
    _pack(image, replicate, grey, packed)
    width = out.shape[1]
    u, v, columns = np.empty(width), np.empty(width), np.empty(width)
    for x in range(width):
        columns[x] = x
    at = np.empty((5, width), np.uint32)
    affine = m[6] == 0.0 and m[7] == 0.0 and m[8] == 1.0
    for y in range(out.shape[0]):
        u0, v0, w0 = m[1] * y + m[2], m[4] * y + m[5], m[7] * y + m[8]
        if affine:
            for x in range(width):
                u[x] = m[0] * columns[x] + u0
                v[x] = m[3] * columns[x] + v0
        else:
            for x in range(width):
                w = 1.0 / (m[6] * columns[x] + w0)
                u[x] = (m[0] * columns[x] + u0) * w
                v[x] = (m[3] * columns[x] + v0) * w
        _sample_row(packed, replicate, u, v, at, out[y])


@exact
def warp(images: Bytes, maps: Doubles, replicate: bool, grey: Bytes, out: Bytes) -> None:
    """Sample images (B, H, W, C) by projective maps (B, 9) into `out`, whose size may be another.

    A map takes a new pixel (x, y) to the old place ((m₀x + m₁y + m₂)/w, (m₃x + m₄y + m₅)/w),
    w = m₆x + m₇y + m₈ > 0. Beyond the old image is its outermost pixel, or the level `grey` (B,).
    """
    count, height, width, channels = images.shape
    for n in range(count):
        if channels == 1:
            single = np.empty((height + 3, width + 3), np.uint32)
            _map_image(images[n], maps[n], replicate, grey[n], single, out[n])
        else:
            triple = np.empty((height + 3, width + 3), np.uint64)
            _map_image(images[n], maps[n], replicate, grey[n], triple, out[n])


@exact
def rotations(angles: Doubles, height: int, width: int, maps: Doubles) -> None:
    """Fill `maps` (B, 9): turned anticlockwise by degrees about the image's middle."""
    middle_x, middle_y = (width - 1) / 2.0, (height - 1) / 2.0
    for n in range(angles.size):
        s, c = sincos((angles[n] % 360.0) / 180.0 * np.pi)
        m = maps[n]
        m[:] = 0.0
        m[0], m[1], m[2] = c, -s, middle_x - c * middle_x + s * middle_y
        m[3], m[4], m[5] = s, c, middle_y - s * middle_x - c * middle_y
        m[8] = 1.0


@exact
def onto_corners(corners: Doubles, height: int, width: int, maps: Doubles) -> None:
    """Fill `maps` (B, 9): the image's corners come to lie at `corners` (B, 4, 2).

    Corners are (x, y) in shares of the sides, 0 … 1 from the left and top edges, in the order top left, top
    right, bottom right, bottom left; they span a convex quadrilateral. By P. Heckbert's closed form for the
    map of the unit square to a quadrilateral (1989), inverted.
    """
    for n in range(corners.shape[0]):
        x0, y0, x1, y1 = corners[n, 0, 0], corners[n, 0, 1], corners[n, 1, 0], corners[n, 1, 1]
        x2, y2, x3, y3 = corners[n, 2, 0], corners[n, 2, 1], corners[n, 3, 0], corners[n, 3, 1]
        dx1, dy1, dx2, dy2 = x1 - x2, y1 - y2, x3 - x2, y3 - y2
        sx, sy = (x0 - x1) + (x2 - x3), (y0 - y1) + (y2 - y3)
        area = dx1 * dy2 - dx2 * dy1
        g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
        a, b, c = x1 - x0 + g * x1, x3 - x0 + h * x3, x0
        d, e, f = y1 - y0 + g * y1, y3 - y0 + h * y3, y0
        # the inverse of the matrix up to a factor, from shares of the new image to shares of the old
        i00, i01, i02 = e - f * h, c * h - b, b * f - c * e
        i10, i11, i12 = f * g - d, a - c * g, c * d - a * f
        i20, i21, i22 = d * h - e * g, b * g - a * h, a * e - b * d
        # of pixels: share = (x + ½) / width, and back
        p, q = 1.0 / width, 1.0 / height
        s0, s1, s2 = i20 * p, i21 * q, i22 + 0.5 * (i20 * p + i21 * q)
        u0, u1, u2 = i00 * p, i01 * q, i02 + 0.5 * (i00 * p + i01 * q)
        v0, v1, v2 = i10 * p, i11 * q, i12 + 0.5 * (i10 * p + i11 * q)
        m = maps[n]
        m[0], m[1], m[2] = width * u0 - 0.5 * s0, width * u1 - 0.5 * s1, width * u2 - 0.5 * s2
        m[3], m[4], m[5] = height * v0 - 0.5 * s0, height * v1 - 0.5 * s1, height * v2 - 0.5 * s2
        m[6], m[7], m[8] = s0, s1, s2
        m /= s2


@exact
def plate_views(
    tilt: Doubles,
    shrink: Doubles,
    size: tuple[int, int],
    target: tuple[int, int],
    maps: Doubles,
) -> None:
    """Fill `maps` (B, 9): images of `size` (H, W) fitted into `target`, sheared, and shrunk about its middle.

    The fitted image is as large as `target` lets it be, in its middle. The corners of `target` then move
    as if it were sheared by the angle `tilt` (radians): by d = W·tan |tilt| down at the top left and up at
    the bottom right (for negative tilts at the others), and by d/3 inwards everywhere. Then all shrinks by
    the factor `shrink`.
    """
    height, width = target
    fit = max(size[0] / height, size[1] / width)  # old pixels to a new one
    for n in range(tilt.size):
        s, c = sincos(abs(tilt[n]))
        drop = width * (s / c)
        inwards = drop / 3.0
        # about the middle: new = (across·x, down·y + slope·x)
        across, down = (width - 2.0 * inwards) / width, (height - drop) / height
        slope = -drop / width if tilt[n] > 0.0 else drop / width
        x, y = 1.0 / (across * shrink[n]), 1.0 / (down * shrink[n])
        tilted = -slope / (across * down * shrink[n])
        m = maps[n]
        m[:] = 0.0
        m[0] = fit * x
        m[2] = (size[1] - 1) / 2.0 - fit * x * ((width - 1) / 2.0)
        m[3], m[4] = fit * tilted, fit * y
        m[5] = (size[0] - 1) / 2.0 - fit * (tilted * ((width - 1) / 2.0) + y * ((height - 1) / 2.0))
        m[8] = 1.0


_SPREAD = 315.0 / 151.0  # 1 / ∫ B² of the cubic B-spline


@exact
def _spline(size: int, period: float, first: NDArray[np.int64], weights: Doubles) -> None:
    """The first of four control points at each pixel, and the cubic B-spline's weights (4, size)."""
    for i in range(size):
        place = i / period
        first[i] = int(place)
        t = place - first[i]
        r = 1.0 - t
        weights[0, i] = r * r * r / 6.0
        weights[1, i] = (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0
        weights[2, i] = (3.0 * r * r * r - 6.0 * r * r + 4.0) / 6.0
        weights[3, i] = t * t * t / 6.0


@exact
def _displaced(
    image: Bytes,
    points: Doubles,
    period: float,
    replicate: bool,
    grey: np.uint8,
    packed: Words,
    out: Bytes,
) -> None:
    """Sample one image, displaced by the spline through control points (2, rows, columns)."""
    _pack(image, replicate, grey, packed)
    height, width, _ = image.shape
    row_of, column_of = np.empty(height, np.int64), np.empty(width, np.int64)
    down, across = np.empty((4, height)), np.empty((4, width))
    _spline(height, period, row_of, down)
    _spline(width, period, column_of, across)
    places, line = np.empty((2, width)), np.empty(points.shape[2])
    at = np.empty((5, width), np.uint32)
    for y in range(height):
        r = row_of[y]
        for axis in range(2):
            p, place = points[axis], places[axis]
            for k in range(line.size):
                line[k] = (
                    down[0, y] * p[r, k]
                    + down[1, y] * p[r + 1, k]
                    + down[2, y] * p[r + 2, k]
                    + down[3, y] * p[r + 3, k]
                )
            for x in range(width):
                k = column_of[x]
                moved = across[0, x] * line[k] + across[1, x] * line[k + 1]
                moved += across[2, x] * line[k + 2] + across[3, x] * line[k + 3]
                place[x] = moved + (x if axis == 0 else y)
        _sample_row(packed, replicate, places[0], places[1], at, out[y])


@exact
def elastic(
    images: Bytes,
    amplitude: Doubles,
    period: Doubles,
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    replicate: bool,
    grey: Bytes,
    out: Bytes,
) -> None:
    """Displace the pixels of images (B, H, W, C) by smooth random fields; one draw a control point."""
    count, height, width, channels = images.shape
    for n in range(count):
        rows, columns = int((height - 1) / period[n]) + 4, int((width - 1) / period[n]) + 4
        points = np.empty((2, rows, columns))
        scale = amplitude[n] * _SPREAD
        for r in range(rows):
            for k in range(columns):
                a, b, _, _ = draw_block(seed, np.uint64(index[n]), stream, np.uint64(r * columns + k))
                points[0, r, k] = scale * inverse_normal((float(a) + 0.5) / 4294967296.0)
                points[1, r, k] = scale * inverse_normal((float(b) + 0.5) / 4294967296.0)
        if channels == 1:
            single = np.empty((height + 3, width + 3), np.uint32)
            _displaced(images[n], points, period[n], replicate, grey[n], single, out[n])
        else:
            triple = np.empty((height + 3, width + 3), np.uint64)
            _displaced(images[n], points, period[n], replicate, grey[n], triple, out[n])
