"""Dead leaves: shapes that cover one another, drawn from the front to the back until no pixel is left open.

The canvas, float32 of shape ``(S, S, 4)``, holds for each pixel how much light still passes through the
leaves in front of it, and the red, green and blue that they have sent so far: a leaf adds its colour by the
former and by the share of the pixel that it covers. Squares of `_TILE` pixels through which nothing passes
any more are skipped, which is most of the work saved.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, log, sincos
from blurgen.loops.jit import exact
from blurgen.loops.philox import draw_block
from blurgen.loops.sequence import between, restart, sequence, spread, uniform

TEXTURE = 64

_TILE = 8
_LEFT_OPEN = np.float32(1.0 / 16.0)
_FEW_OPEN = 1.0 / 32.0
_LEAVES_A_CHECK = 1024
_COLOURS = 16
_FIRST_LEAF = 1 << 12  # Philox blocks before it are the palette's
_UNIT = 2.0**-32
_TURN = 6.283185307179586
_MOST_SIDES = 6
_DISC, _OVAL, _POLYGON = range(3)
_SMALLEST = 1.0  # radius of the smallest leaves in pixels
_PLAIN = 1.5  # those smaller than this are all discs of one colour: no one could tell


@exact
def texture(seed: np.uint64, out: NDArray[np.float32]) -> None:
    """Fill a square with noise that goes on across its borders: octaves of equal strength, about ±1."""
    side = out.shape[0]
    values = np.empty((side, side))
    numbers = sequence(seed, np.uint64(0))
    out[:] = np.float32(0.0)
    for octave in range(4):
        cell = 1 << octave
        n = side // cell
        for y in range(n):
            for x in range(n):
                values[y, x] = spread(numbers, 1.0)
        for y in range(side):
            top, down = y // cell, (y % cell) / cell
            low = (top + 1) % n
            for x in range(side):
                left, along = x // cell, (x % cell) / cell
                right = (left + 1) % n
                above = values[top, left] + along * (values[top, right] - values[top, left])
                under = values[low, left] + along * (values[low, right] - values[low, left])
                out[y, x] += np.float32(above + down * (under - above))


@exact
def _mix_palette(numbers: NDArray[np.uint64], palette: NDArray[np.float64]) -> None:
    """Draw an image's colours: they differ in lightness most, less from blue to yellow, least in red."""
    light = between(numbers, 0.35, 1.7)
    warmth = spread(numbers, 0.35)
    for k in range(_COLOURS):
        # lightness is skewed, as in nature: many dark colours, few bright ones, none without a limit
        value = light * exp(spread(numbers, 2.2))
        value = 235.0 * value / (1.0 + value)
        vivid = uniform(numbers)
        yellow = warmth + spread(numbers, 0.25 + 1.1 * vivid * vivid)
        red = spread(numbers, 0.12 + 0.8 * vivid * vivid)
        palette[k, 0] = max(value * (1.0 + 0.3 * yellow + 0.45 * red), 1.0)
        palette[k, 1] = max(value * (1.0 + 0.05 * yellow - 0.3 * red), 1.0)
        palette[k, 2] = max(value * (1.0 - 0.6 * yellow + 0.05 * red), 1.0)


@exact
def _radius(u: float, side: float, largest: float) -> float:
    """The radius r of a leaf that meets the image, from `u` in [0, 1).

    Leaves are thrown on the whole plane with density r⁻³; those that meet the image have their centres within
    r of it, so that their density is r⁻³ (side + 2r)² = side² r⁻³ + 4 side r⁻² + 4 r⁻¹.
    """
    span = 1.0 / _SMALLEST - 1.0 / largest
    square = 1.0 / (_SMALLEST * _SMALLEST) - 1.0 / (largest * largest)
    ratio = log(largest / _SMALLEST)
    inner, rim, corner = 0.5 * side * side * square, 4.0 * side * span, 4.0 * ratio
    u *= inner + rim + corner
    if u < inner:
        return 1.0 / math.sqrt(1.0 / (_SMALLEST * _SMALLEST) - square * (u / inner))
    u -= inner
    if u < rim:
        return 1.0 / (1.0 / _SMALLEST - span * (u / rim))
    return _SMALLEST * exp(ratio * min((u - rim) / corner, 1.0))


@exact
def _cut_polygon(radius: float, turn: float, words: NDArray[np.float64], sides: NDArray[np.float32]) -> int:
    """Write a convex polygon's sides as rows (normal x, normal y, distance from the centre); their number."""
    n = 3 + int(4.0 * words[4])
    sine, cosine = sincos(_TURN * turn)
    first_x, first_y = radius * cosine, radius * sine
    ax, ay = first_x, first_y
    for k in range(n):
        if k == n - 1:
            bx, by = first_x, first_y
        else:
            # corners stay apart: the polygon is neither thin nor without its centre
            sine, cosine = sincos(_TURN * (turn + (k + 1 + 0.6 * (words[6 + k % 2] - 0.5)) / n))
            bx, by = radius * cosine, radius * sine
        length = math.sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay))
        normal_x, normal_y = (by - ay) / length, (ax - bx) / length
        sides[k, 0] = normal_x
        sides[k, 1] = normal_y
        sides[k, 2] = normal_x * ax + normal_y * ay
        ax, ay = bx, by
    return n


@exact
def _depth_in_oval(x: np.float32, y: np.float32, shape: NDArray[np.float32]) -> np.float32:
    """How deep a point lies in an ellipse, in pixels, to first order; `shape`: cosine, sine, 1/a, 1/b."""
    p = (x * shape[0] + y * shape[1]) * shape[2]
    q = (y * shape[0] - x * shape[1]) * shape[3]
    tiny = np.float32(1e-6)  # keeps the centre from being 0 / 0
    rho = np.float32(math.sqrt(p * p + q * q + tiny))
    p *= shape[2]
    q *= shape[3]
    slope = np.float32(math.sqrt(p * p + q * q + tiny * shape[2] * shape[2]))
    return (np.float32(1.0) - rho) * rho / slope


@exact
def _depth_in_polygon(x: np.float32, y: np.float32, n: int, sides: NDArray[np.float32]) -> np.float32:
    """How deep a point lies in a convex polygon, in pixels."""
    depth: np.float32 = sides[0, 2] - sides[0, 0] * x - sides[0, 1] * y
    for k in range(1, n):
        depth = min(depth, sides[k, 2] - sides[k, 0] * x - sides[k, 1] * y)
    return depth


@exact
def _is_seen(
    x_first: int,
    x_end: int,
    y_first: int,
    y_end: int,
    is_open: NDArray[np.bool_],
    canvas: NDArray[np.float32],
) -> bool:
    """Whether anything passes through a pixel of a rectangle."""
    for row in range(y_first // _TILE, (y_end + _TILE - 1) // _TILE):
        for column in range(x_first // _TILE, (x_end + _TILE - 1) // _TILE):
            if not is_open[row, column]:
                continue
            for y in range(max(y_first, _TILE * row), min(y_end, _TILE * (row + 1))):
                for x in range(max(x_first, _TILE * column), min(x_end, _TILE * (column + 1))):
                    if canvas[y, x, 0] > _LEFT_OPEN:
                        return True
    return False


@exact
def _fill_square(
    begin: int,
    end: int,
    top: int,
    bottom: int,
    place: tuple[float, float, float],
    kind: int,
    n: int,
    look: tuple[np.float32, np.float32, np.float32],
    shift: tuple[int, int],
    shape: NDArray[np.float32],
    sides: NDArray[np.float32],
    colour: tuple[np.float32, np.float32, np.float32],
    grains: NDArray[np.float32],
    canvas: NDArray[np.float32],
) -> None:
    """Add a leaf's colour to those of a square's pixels that are open, and dim what still passes."""
    slope_x, slope_y, rough = look
    red, green, blue = colour
    nothing, half, one = np.float32(0.0), np.float32(0.5), np.float32(1.0)
    radius = np.float32(place[2])
    for line in range(top, bottom):
        y = np.float32(line + 0.5 - place[1])
        grain = (line + shift[1]) & (TEXTURE - 1)
        for column in range(begin, end):
            through = canvas[line, column, 0]
            if through <= _LEFT_OPEN:
                continue
            x = np.float32(column + 0.5 - place[0])
            if kind == _DISC:
                depth = radius - np.float32(math.sqrt(x * x + y * y))
            elif kind == _OVAL:
                depth = _depth_in_oval(x, y, shape)
            else:
                depth = _depth_in_polygon(x, y, n, sides)
            share = through * min(max(depth + half, nothing), one)
            canvas[line, column, 0] = through - share
            share *= (
                one + slope_x * x + slope_y * y + rough * grains[grain, (column + shift[0]) & (TEXTURE - 1)]
            )
            canvas[line, column, 1] += share * red
            canvas[line, column, 2] += share * green
            canvas[line, column, 3] += share * blue


@exact
def _draw_leaf(
    place: tuple[float, float, float],
    box: tuple[int, int, int, int],
    words: NDArray[np.float64],
    palette: NDArray[np.float64],
    grains: NDArray[np.float32],
    shape: NDArray[np.float32],
    sides: NDArray[np.float32],
    is_open: NDArray[np.bool_],
    canvas: NDArray[np.float32],
) -> None:
    """Draw the leaf at `place`, (x, y, radius), behind all those before; eight `words` say how it looks."""
    radius = place[2]
    x_first, x_end, y_first, y_end = box
    c = int(_COLOURS * words[0])
    light = 0.8 + 0.4 * words[1]
    red, green, blue = light * palette[c, 0], light * palette[c, 1], light * palette[c, 2]
    colour = (np.float32(red), np.float32(green), np.float32(blue))
    kind, n = _DISC, 0
    slope_x = slope_y = 0.0
    if radius >= _PLAIN:
        sine, cosine = sincos(_TURN * words[3])
        # lightness changes along the leaf's own direction
        slope_x, slope_y = 0.35 * (words[5] - 0.5) / radius * cosine, 0.35 * (words[5] - 0.5) / radius * sine
        if words[2] >= 0.7:
            kind, n = _POLYGON, _cut_polygon(radius, words[3], words, sides)
        elif words[2] >= 0.4:
            kind = _OVAL
            shape[0], shape[1] = cosine, sine
            shape[2] = 1.0 / radius
            shape[3] = 1.0 / (radius * (0.4 + 0.6 * words[4]))
    rough = 0.16 * max(words[1] - 0.4, 0.0) if radius > 3.0 else 0.0
    look = (np.float32(slope_x), np.float32(slope_y), np.float32(rough))
    shift = (int(TEXTURE * words[3]), int(TEXTURE * words[4]))
    for row in range(y_first // _TILE, (y_end + _TILE - 1) // _TILE):
        for column in range(x_first // _TILE, (x_end + _TILE - 1) // _TILE):
            if is_open[row, column]:
                begin, end = max(x_first, _TILE * column), min(x_end, _TILE * (column + 1))
                top, bottom = max(y_first, _TILE * row), min(y_end, _TILE * (row + 1))
                _fill_square(
                    begin, end, top, bottom, place, kind, n, look, shift, shape, sides, colour, grains, canvas
                )


@exact
def _throw_leaves(
    seed: np.uint64,
    index: np.uint64,
    stream: np.uint64,
    first: int,
    palette: NDArray[np.float64],
    grains: NDArray[np.float32],
    is_open: NDArray[np.bool_],
    canvas: NDArray[np.float32],
) -> None:
    """Throw the leaves `first` and so on; only of those that can be seen is it drawn how they look."""
    side = canvas.shape[0]
    words = np.empty(8)
    shape = np.empty(4, np.float32)
    sides = np.empty((_MOST_SIDES, 3), np.float32)
    for k in range(first, first + _LEAVES_A_CHECK):
        block = np.uint64(_FIRST_LEAF + 3 * k)
        a, b, c, _ = draw_block(seed, index, stream, block)
        radius = _radius(float(a) * _UNIT, side + 2.0, max(0.5 * side, 2.0))
        reach = radius + 1.0
        x = (side + 2.0 * reach) * (float(b) * _UNIT) - reach
        y = (side + 2.0 * reach) * (float(c) * _UNIT) - reach
        x_first, x_end = max(int(x - reach), 0), min(int(x + reach) + 1, side)
        y_first, y_end = max(int(y - reach), 0), min(int(y + reach) + 1, side)
        if not _is_seen(x_first, x_end, y_first, y_end, is_open, canvas):
            continue
        for w in range(0, 8 if radius >= _PLAIN else 4, 4):
            block += np.uint64(1)
            p, q, r, s = draw_block(seed, index, stream, block)
            words[w], words[w + 1] = float(p) * _UNIT, float(q) * _UNIT
            words[w + 2], words[w + 3] = float(r) * _UNIT, float(s) * _UNIT
        box = (x_first, x_end, y_first, y_end)
        _draw_leaf((x, y, radius), box, words, palette, grains, shape, sides, is_open, canvas)


@exact
def _find_open(canvas: NDArray[np.float32], is_open: NDArray[np.bool_]) -> int:
    """Close the squares through which nothing passes any more; how many are left."""
    side = canvas.shape[0]
    left = 0
    for row in range(is_open.shape[0]):
        for column in range(is_open.shape[1]):
            if not is_open[row, column]:
                continue
            begin, end = _TILE * column, min(_TILE * (column + 1), side)
            top, bottom = _TILE * row, min(_TILE * (row + 1), side)
            is_open[row, column] = _is_seen(begin, end, top, bottom, is_open, canvas)
            left += int(is_open[row, column])
    return left


@exact
def _develop(canvas: NDArray[np.float32], background: NDArray[np.float64], image: NDArray[np.uint8]) -> None:
    """Let the little that still passes fall on a background, and round to bytes."""
    half, white = np.float32(0.5), np.float32(255.5)
    in_red, in_green, in_blue = np.float32(0.299), np.float32(0.587), np.float32(0.114)
    back = background.astype(np.float32)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            through = canvas[y, x, 0]
            red = canvas[y, x, 1] + through * back[0]
            green = canvas[y, x, 2] + through * back[1]
            blue = canvas[y, x, 3] + through * back[2]
            if image.shape[2] == 1:
                gray = in_red * red + in_green * green + in_blue * blue
                image[y, x, 0] = np.uint8(min(gray + half, white))
            else:
                image[y, x, 0] = np.uint8(min(red + half, white))
                image[y, x, 1] = np.uint8(min(green + half, white))
                image[y, x, 2] = np.uint8(min(blue + half, white))


@exact
def draw(
    seed: np.uint64,
    stream: np.uint64,
    start: np.uint64,
    grains: NDArray[np.float32],
    out: NDArray[np.uint8],
) -> None:
    """Fill each image of `out` with leaves.

    Parameters
    ----------
    seed, stream, start : uint64
        Image ``i`` is drawn from the numbers of `seed`, `stream` and index ``start + i``.
    grains : ndarray
        float32, shape ``(TEXTURE, TEXTURE)``: what `texture` gives.
    out : ndarray
        Images, uint8, shape ``(B, S, S, C)``, C 1 or 3.
    """
    side = out.shape[1]
    squares = (side + _TILE - 1) // _TILE
    canvas = np.empty((side, side, 4), np.float32)
    is_open = np.empty((squares, squares), np.bool_)
    palette = np.empty((_COLOURS, 3))
    numbers = sequence(seed, stream)
    for i in range(out.shape[0]):
        index = start + np.uint64(i)
        restart(numbers, index)
        _mix_palette(numbers, palette)
        canvas[:] = np.float32(0.0)
        canvas[:, :, 0] = np.float32(1.0)
        is_open[:] = True
        leaves = 0
        while _find_open(canvas, is_open) > _FEW_OPEN * is_open.size:
            _throw_leaves(seed, index, stream, leaves, palette, grains, is_open, canvas)
            leaves += _LEAVES_A_CHECK
        _develop(canvas, palette[0], out[i])
