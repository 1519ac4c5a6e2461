"""A camera: saturated light, the sensor's mosaic of colours, its interpolation, and the lens's falloff."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact

_F = np.float32
_ZERO, _HALF, _ONE = _F(0.0), _F(0.5), _F(1.0)


@exact
def raise_highlights(
    images: NDArray[np.float32],
    levels: NDArray[np.float32],
    more: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write images (B, n), with `more` added where they reach `levels`, to `out`."""
    for i in range(images.shape[0]):
        source, target, level, added = images[i], out[i], levels[i], more[i]
        for j in range(source.size):
            target[j] = source[j] + (added if source[j] >= level else _ZERO)


@exact
def mosaic(
    images: NDArray[np.float32],
    matrix: NDArray[np.float32],
    layouts: NDArray[np.int64],
    gains: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write one camera colour a pixel, divided by its gain, of images (B, H, W, 3) to `out` (B, H, W).

    `layouts` (B, 4) name the colour, 0 … 2, at (0, 0), (0, 1), (1, 0) and (1, 1); `gains` (B, 3); `matrix`
    (3, 3) makes camera colours of RGB, unless it is empty.
    """
    count, height, width, _ = images.shape
    for i in range(count):
        for y in range(height):
            row, target = images[i, y], out[i, y]
            for odd in range(2):
                c = layouts[i, 2 * (y % 2) + odd]
                gain = gains[i, c]
                if matrix.size == 0:
                    for x in range(odd, width, 2):
                        target[x] = row[x, c] / gain
                else:
                    red, green, blue = matrix[c, 0], matrix[c, 1], matrix[c, 2]
                    for x in range(odd, width, 2):
                        target[x] = (red * row[x, 0] + green * row[x, 1] + blue * row[x, 2]) / gain


@exact
def _pad(plane: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Copy a plane (H, W) into the middle of (H + 4, W + 4), mirrored about its outermost pixels."""
    height, width = plane.shape
    for y in range(height):
        row = out[y + 2]
        row[2 : width + 2] = plane[y]
        # even beyond a side of two pixels, mirroring keeps each place's colour
        row[1], row[0] = row[3], row[4] if width > 2 else row[2]
        row[width + 2], row[width + 3] = row[width], row[width - 1] if width > 2 else row[width + 1]
    out[1], out[0] = out[3], out[4] if height > 2 else out[2]
    out[height + 2], out[height + 3] = out[height], out[height - 1] if height > 2 else out[height + 1]


@exact
def _estimate(
    rows: NDArray[np.float32],
    refined: bool,
    plus: NDArray[np.float32],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    diagonal: NDArray[np.float32],
) -> None:
    """For each pixel of the middle one of five rows (5, W + 4), what the four groups of neighbours say.

    These are means, which `refined` corrects by the pixel's own colour as Malvar, He and Cutler do. Written
    as differences, the corrections of a flat image are exactly 0.
    """
    far_up, up, own, below, far_below = rows[0], rows[1], rows[2], rows[3], rows[4]
    for x in range(plus.size):
        c = own[x + 2]
        sides, ends = own[x + 1] + own[x + 3], up[x + 2] + below[x + 2]
        corners = (up[x + 1] + up[x + 3]) + (below[x + 1] + below[x + 3])
        a, b = _F(0.25) * (sides + ends), _HALF * sides
        d, e = _HALF * ends, _F(0.25) * corners
        if refined:
            far_sides, far_ends = own[x] + own[x + 4], far_up[x + 2] + far_below[x + 2]
            far = _F(4.0) * c - (far_sides + far_ends)
            near = _F(4.0) * c - corners
            a += _F(0.125) * far
            b += _F(0.125) * (near + ((_F(2.0) * c - far_sides) + _HALF * (far_ends - _F(2.0) * c)))
            d += _F(0.125) * (near + ((_F(2.0) * c - far_ends) + _HALF * (far_sides - _F(2.0) * c)))
            e += _F(0.1875) * far
        plus[x], across[x], down[x], diagonal[x] = a, b, d, e


@exact
def demosaic(
    planes: NDArray[np.float32],
    layouts: NDArray[np.int64],
    gains: NDArray[np.float32],
    refined: bool,
    matrix: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write RGB (B, H, W, 3) of mosaics (B, H, W) to `out`: times the gains, all colours, times `matrix`.

    Arguments as of `mosaic`. The two colours that a pixel lacks are means of its nearest neighbours of them,
    or, `refined`, those by the 5 × 5 filters of Malvar, He and Cutler (ICASSP 2004).
    """
    count, height, width = planes.shape
    scaled = np.empty((height, width), np.float32)
    padded = np.empty((height + 4, width + 4), np.float32)
    plus, across = np.empty(width, np.float32), np.empty(width, np.float32)
    down, diagonal = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(count):
        for y in range(height):
            even, odd = gains[i, layouts[i, 2 * (y % 2)]], gains[i, layouts[i, 2 * (y % 2) + 1]]
            for x in range(width):
                scaled[y, x] = planes[i, y, x] * (odd if x % 2 else even)
        _pad(scaled, padded)
        for y in range(height):
            _estimate(padded[y : y + 5], refined, plus, across, down, diagonal)
            target = out[i, y]
            for place in range(2):
                colour = layouts[i, 2 * (y % 2) + place]
                other = layouts[i, 2 * (y % 2) + 1 - place]
                if colour == 1:  # green: the row's other colour beside it, the third above and below
                    for x in range(place, width, 2):
                        target[x, 1] = scaled[y, x]
                        target[x, other] = across[x]
                        target[x, 2 - other] = down[x]
                else:
                    for x in range(place, width, 2):
                        target[x, colour] = scaled[y, x]
                        target[x, 1] = plus[x]
                        target[x, 2 - colour] = diagonal[x]
            if matrix.size > 0:
                for x in range(width):
                    r, g, b = target[x, 0], target[x, 1], target[x, 2]
                    target[x, 0] = matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b
                    target[x, 1] = matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b
                    target[x, 2] = matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b


@exact
def _falloff(
    y: int,
    shape: tuple[int, int, int],
    curvature: float,
    share: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """The share of light of a row's values: (1 + curvature·(r/R)²)^−2, r from the centre, R the corners'."""
    height, width, channels = shape
    middle = _HALF * _F(width - 1)
    above = _F(y) - _HALF * _F(height - 1)
    corner = _HALF * _F(height - 1) * (_HALF * _F(height - 1)) + middle * middle
    scale = _F(curvature) / (corner if corner > _ZERO else _ONE)
    for x in range(width):
        aside = _F(x) - middle
        root = _ONE + scale * (above * above + aside * aside)
        share[x] = _ONE / (root * root)
    for c in range(channels):
        for x in range(width):
            out[x * channels + c] = share[x]


@exact
def vignette_bytes(
    images: NDArray[np.uint8],
    shape: tuple[int, int, int],
    curvatures: NDArray[np.float64],
    out: NDArray[np.uint8],
) -> None:
    """Write images (B, H, W · C), darkened outwards, rounded half up, to `out`; `shape` is (H, W, C)."""
    share, shares = np.empty(shape[1], np.float32), np.empty(shape[1] * shape[2], np.float32)
    for i in range(images.shape[0]):
        for y in range(shape[0]):
            _falloff(y, shape, curvatures[i], share, shares)
            row, target = images[i, y], out[i, y]
            for x in range(row.size):
                target[x] = np.uint8(np.int32(_F(row[x]) * shares[x] + _HALF))


@exact
def vignette_floats(
    images: NDArray[np.float32],
    shape: tuple[int, int, int],
    curvatures: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Write images (B, H, W · C), darkened outwards, to `out`; `shape` is (H, W, C)."""
    share, shares = np.empty(shape[1], np.float32), np.empty(shape[1] * shape[2], np.float32)
    for i in range(images.shape[0]):
        for y in range(shape[0]):
            _falloff(y, shape, curvatures[i], share, shares)
            row, target = images[i, y], out[i, y]
            for x in range(row.size):
                target[x] = row[x] * shares[x]
