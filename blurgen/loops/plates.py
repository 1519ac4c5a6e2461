"""Licence plates on cars, as polygons and letters seen through one homography each.

Lengths on a plate are in millimetres from its upper left corner. A plate is painted into `albedo`, float32 of
shape ``(3, HEIGHT, WIDTH)``, layer by layer; what is raised above the sheet also goes to `relief`, float32 of
shape ``(HEIGHT + 2, WIDTH + 2)``; light, shadow and dirt come last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import sincos
from blurgen.loops.jit import exact
from blurgen.loops.outlines import add_edge, cover_row
from blurgen.loops.sequence import below, between, restart, sequence, spread, uniform

WIDTH, HEIGHT = 270, 90
# The codes of characters that can be read are their places here, plus 1 in a label.
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-·abcdefghijklmnopqrstuvwxyz"
LETTER, DIGIT, GAP, WIDE_GAP = -1, -2, -3, -4
RECTANGLE, RING, DISC = range(3)
MAX_TEXT = 12

_READABLE = 36
_HYPHEN = CHARACTERS.index("-")
_TALL = CHARACTERS.index("H")
_DESCENDS = CHARACTERS.index("J")
_BASE = np.int64(37)
_CELL = 6  # pixels from one node of the dirt's lattice to the next
_COARSE = 4  # its nodes from one to the next of a coarser one
_MARGIN = 3.0


class Designs(NamedTuple):
    """The designs of plates and the letters; design d has the rows ``begins[d]`` to ``begins[d + 1] − 1``.

    Attributes
    ----------
    chosen : ndarray
        int64: designs, each as often as it is to be drawn.
    sheets : ndarray
        float64, shape (D, 10): width, height and corner radius, colour at the top, colour at the bottom, and
        how far the letters are raised.
    spots, spot_begins : ndarray
        float64, shape (N, 10): kind, x0, y0, x1, y1, radius, colour, height of each patch of colour. A ring
        is a rectangle's rim, x0 from the sheet's edge and x1 wide; a disc's centre is (x0, y0).
    bolts, bolt_begins : ndarray
        float64, shape (K, 2): where bolts may be.
    runs, run_begins : ndarray
        float64, shape (M, 9): centre x and y, height, pitch (0 where letters have their own widths), colour,
        font, and the letters' width as a share of the font's.
    patterns, pattern_begins : ndarray
        int64: the characters of each run, or `LETTER`, `DIGIT`, `GAP`, `WIDE_GAP`.
    letters : ndarray
        int64, shape (D, 27): how many letters a design may draw, and which.
    segments, begins, advances, boxes : ndarray
        The fonts' outlines.
    """

    chosen: NDArray[np.int64]
    sheets: NDArray[np.float64]
    spots: NDArray[np.float64]
    spot_begins: NDArray[np.int64]
    bolts: NDArray[np.float64]
    bolt_begins: NDArray[np.int64]
    runs: NDArray[np.float64]
    run_begins: NDArray[np.int64]
    patterns: NDArray[np.int64]
    pattern_begins: NDArray[np.int64]
    letters: NDArray[np.int64]
    segments: NDArray[np.float64]
    begins: NDArray[np.int64]
    advances: NDArray[np.float64]
    boxes: NDArray[np.float64]


# Plate to image: x goes to (a·x + b·y + c) / (g·x + h·y + 1), y to (d·x + e·y + f) / (g·x + h·y + 1).
View = tuple[float, float, float, float, float, float, float, float]
Colour = tuple[float, float, float]


class Canvas(NamedTuple):
    """What is painted on, and what that needs.

    Attributes
    ----------
    albedo, relief : ndarray
        As said above.
    area : ndarray
        float32, shape ``(HEIGHT, WIDTH + 1)``: edges of the outline that is being filled.
    box : ndarray
        float64, shape (4,): least x and y, greatest x and y of that outline.
    cover : ndarray
        float32, shape ``(WIDTH,)``: one row of its coverage.
    rim : ndarray
        float64, shape (C, 4): what `_round_corners` gives.
    """

    albedo: NDArray[np.float32]
    relief: NDArray[np.float32]
    area: NDArray[np.float32]
    box: NDArray[np.float64]
    cover: NDArray[np.float32]
    rim: NDArray[np.float64]


@exact
def _choose_text(designs: Designs, numbers: NDArray[np.uint64], text: NDArray[np.int64]) -> tuple[int, int]:
    """Draw a design and the characters to be read on it; the design, and their number."""
    design = designs.chosen[below(numbers, designs.chosen.size)]
    n = 0
    first, end = designs.run_begins[design], designs.run_begins[design + 1]
    for k in range(designs.pattern_begins[first], designs.pattern_begins[end]):
        if designs.patterns[k] == LETTER:
            text[n] = designs.letters[design, 1 + below(numbers, designs.letters[design, 0])]
            n += 1
        elif designs.patterns[k] == DIGIT:
            text[n] = below(numbers, 10)
            n += 1
    return design, n


@exact
def labels(
    seed: np.uint64, stream: np.uint64, start: np.uint64, designs: Designs, out: NDArray[np.int64]
) -> None:
    """Write into `out` what stands on the plates: the codes are the digits of a number, base 37."""
    text = np.empty(MAX_TEXT, np.int64)
    numbers = sequence(seed, stream)
    for i in range(out.shape[0]):
        restart(numbers, start + np.uint64(i))
        _, n = _choose_text(designs, numbers, text)
        label = np.int64(0)
        for k in range(n):
            label = label * _BASE + text[k] + 1
        out[i] = label


@exact
def _project(x: float, y: float, view: View) -> tuple[float, float]:
    a, b, c, d, e, f, g, h = view
    w = 1.0 / (g * x + h * y + 1.0)
    return (a * x + b * y + c) * w, (d * x + e * y + f) * w


@exact
def _open_box(box: NDArray[np.float64]) -> None:
    box[0] = box[1] = 1e9
    box[2] = box[3] = -1e9


@exact
def _add(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    view: View,
    area: NDArray[np.float32],
    box: NDArray[np.float64],
) -> None:
    """Add a segment of an outline on the plate."""
    px, py = _project(x0, y0, view)
    qx, qy = _project(x1, y1, view)
    add_edge(px, py, qx, qy, area)
    box[0] = min(box[0], px)
    box[1] = min(box[1], py)
    box[2] = max(box[2], px)
    box[3] = max(box[3], py)


@exact
def _paint(colour: Colour, change: Colour, strength: float, height: float, canvas: Canvas) -> None:
    """Fill the outline with a colour, which changes from row to row, and start the next outline."""
    albedo, area, box, cover = canvas.albedo, canvas.area, canvas.box, canvas.cover
    first, end = max(int(box[0]), 0), min(int(box[2]) + 2, WIDTH)
    if first >= end:
        _open_box(box)
        return
    share = cover[first:end]
    for row in range(max(int(box[1]), 0), min(int(box[3]) + 1, HEIGHT)):
        cover_row(area, row, first, end, cover)
        thick = np.float32(strength)
        for c in range(3):
            value = np.float32(colour[c] + row * change[c])
            line = albedo[c, row, first:end]
            for x in range(line.size):
                line[x] += thick * share[x] * (value - line[x])
        if height != 0.0:
            line = canvas.relief[row + 1, first + 1 : end + 1]
            thick = np.float32(height)
            for x in range(line.size):
                line[x] += thick * share[x]
    _open_box(box)


@exact
def _round_corners(rim: NDArray[np.float64]) -> None:
    """Write the points of a round rectangle's rim: (cosine, sine, 1 at the right, 1 at the bottom)."""
    quarter = rim.shape[0] // 4
    for k in range(rim.shape[0]):
        corner = k // quarter
        turn = (corner + (k % quarter) / (quarter - 1)) / 4.0
        sine, cosine = sincos(6.283185307179586 * turn)
        rim[k, 0] = cosine
        rim[k, 1] = sine
        rim[k, 2] = 1.0 if corner in (0, 3) else 0.0
        rim[k, 3] = 1.0 if corner in (0, 1) else 0.0


@exact
def _add_rounded(
    x0: float, y0: float, x1: float, y1: float, radius: float, hole: bool, view: View, canvas: Canvas
) -> None:
    """Add a rectangle with round corners, a disc where the radius is half its side."""
    rim, area, box = canvas.rim, canvas.area, canvas.box
    last = rim.shape[0] - 1
    wide, high = x1 - x0 - 2.0 * radius, y1 - y0 - 2.0 * radius
    px = x0 + radius * (1.0 + rim[last, 0]) + wide * rim[last, 2]
    py = y0 + radius * (1.0 + rim[last, 1]) + high * rim[last, 3]
    for k in range(last + 1):
        x = x0 + radius * (1.0 + rim[k, 0]) + wide * rim[k, 2]
        y = y0 + radius * (1.0 + rim[k, 1]) + high * rim[k, 3]
        if hole:
            _add(x, y, px, py, view, area, box)
        else:
            _add(px, py, x, y, view, area, box)
        px, py = x, y


@exact
def _paint_rounded(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    radius: float,
    colour: Colour,
    strength: float,
    view: View,
    canvas: Canvas,
) -> None:
    _add_rounded(x0, y0, x1, y1, radius, False, view, canvas)
    _paint(colour, (0.0, 0.0, 0.0), strength, 0.0, canvas)


@exact
def _paint_spots(design: int, designs: Designs, view: View, canvas: Canvas) -> None:
    """Paint borders, bands and discs."""
    spots = designs.spots
    width, height, corner = designs.sheets[design, 0], designs.sheets[design, 1], designs.sheets[design, 2]
    for k in range(designs.spot_begins[design], designs.spot_begins[design + 1]):
        kind = int(spots[k, 0])
        x0, y0, x1, y1, radius = spots[k, 1], spots[k, 2], spots[k, 3], spots[k, 4], spots[k, 5]
        if kind == RING:
            r = max(corner - x0, x1 + 1.0)
            _add_rounded(x0, x0, width - x0, height - x0, r, False, view, canvas)
            inner = x0 + x1
            _add_rounded(inner, inner, width - inner, height - inner, r - x1, True, view, canvas)
        elif kind == DISC:
            _add_rounded(x0 - radius, y0 - radius, x0 + radius, y0 + radius, radius, False, view, canvas)
        else:
            _add_rounded(x0, y0, x1, y1, radius, False, view, canvas)
        _paint((spots[k, 6], spots[k, 7], spots[k, 8]), (0.0, 0.0, 0.0), 1.0, spots[k, 9], canvas)


@exact
def _cell(code: int, pitch: float) -> float:
    """How wide a character's cell is."""
    if code == GAP:
        return 0.5 * pitch
    if code == WIDE_GAP:
        return 0.8 * pitch
    if code >= _HYPHEN:
        return 0.6 * pitch
    return pitch


@exact
def _add_run(
    run: int, text: NDArray[np.int64], used: int, designs: Designs, view: View, canvas: Canvas
) -> int:
    """Add a line of characters; `used` of the text were used before, and how many were after is returned."""
    runs, boxes, segments = designs.runs, designs.boxes, designs.segments
    pitch = runs[run, 3]
    font = int(runs[run, 7])
    high = runs[run, 2] / -boxes[font, _TALL, 1]
    wide = high * runs[run, 8]
    characters = boxes.shape[1]
    total = 0.0
    begin, end = designs.pattern_begins[run], designs.pattern_begins[run + 1]
    for k in range(begin, end):
        code = designs.patterns[k]
        if pitch > 0.0:
            total += _cell(code, pitch)
        else:
            total += 0.35 * wide if code < 0 else wide * designs.advances[font, code]
    x = runs[run, 0] - 0.5 * total
    y = runs[run, 1] + 0.5 * runs[run, 2]
    for k in range(begin, end):
        code = designs.patterns[k]
        cell = _cell(code, pitch) if pitch > 0.0 else 0.35 * wide
        if code in (LETTER, DIGIT):
            code = text[used]
            used += 1
        if code >= 0:
            left, right = boxes[font, code, 0], boxes[font, code, 2]
            scale, tall, base = wide, high, y
            start = x
            if code == _DESCENDS:
                # J ends on the baseline, as on plates
                tall = runs[run, 2] / (boxes[font, code, 3] - boxes[font, code, 1])
                base = y - tall * boxes[font, code, 3]
            if pitch > 0.0:
                # too wide letters are drawn narrower, all stand in the middle of their cells
                scale = min(wide, 0.88 * cell / (right - left))
                start += 0.5 * cell - 0.5 * scale * (left + right)
            else:
                cell = wide * designs.advances[font, code]
            glyph = font * characters + code
            for s in range(designs.begins[glyph], designs.begins[glyph + 1]):
                _add(
                    start + scale * segments[s, 0],
                    base + tall * segments[s, 1],
                    start + scale * segments[s, 2],
                    base + tall * segments[s, 3],
                    view,
                    canvas.area,
                    canvas.box,
                )
        x += cell
    return used


@exact
def _look(width: float, height: float, numbers: NDArray[np.uint64]) -> View:
    """Draw from where the plate is seen; all of it is in the image, a little margin included."""
    sine, cosine = sincos(spread(numbers, 0.07))
    lean = spread(numbers, 0.1)
    shorter = between(numbers, 0.86, 1.0)
    g, h = spread(numbers, 0.07) / width, spread(numbers, 0.08) / height
    a, b = shorter * cosine, lean * cosine - sine
    d, e = shorter * sine, lean * sine + cosine
    # about the plate's centre, of a size yet to be found
    u, v = 0.5 * width, 0.5 * height
    view = (a, b, -a * u - b * v, d, e, -d * u - e * v, g, h)
    rest = 1.0 - g * u - h * v
    view = (a / rest, b / rest, view[2] / rest, d / rest, e / rest, view[5] / rest, g / rest, h / rest)
    left = top = 1e9
    right = bottom = -1e9
    for k in range(4):
        x, y = _project(width * (k & 1), height * (k >> 1), view)
        left, right = min(left, x), max(right, x)
        top, bottom = min(top, y), max(bottom, y)
    room_x, room_y = WIDTH - 2.0 * _MARGIN, HEIGHT - 2.0 * _MARGIN
    scale = min(room_x / (right - left), room_y / (bottom - top)) * between(numbers, 0.84, 1.0)
    x = _MARGIN - scale * left + (room_x - scale * (right - left)) * (0.5 + spread(numbers, 0.5))
    y = _MARGIN - scale * top + (room_y - scale * (bottom - top)) * (0.5 + spread(numbers, 0.5))
    a, b, c, d, e, f, g, h = view
    return (
        scale * a + x * g,
        scale * b + x * h,
        scale * c + x,
        scale * d + y * g,
        scale * e + y * h,
        scale * f + y,
        g,
        h,
    )


@exact
def _fill_noise(numbers: NDArray[np.uint64], coarse: NDArray[np.float32], nodes: NDArray[np.float32]) -> None:
    """Fill a lattice with noise of two scales, in [0, 1], mostly near ½."""
    for y in range(coarse.shape[0]):
        for x in range(coarse.shape[1]):
            coarse[y, x] = uniform(numbers)
    quarter = np.float32(1.0 / _COARSE)
    for y in range(nodes.shape[0]):
        top, down = y // _COARSE, np.float32(np.int32(y % _COARSE)) * quarter
        for x in range(nodes.shape[1]):
            left, along = x // _COARSE, np.float32(np.int32(x % _COARSE)) * quarter
            above = coarse[top, left] + along * (coarse[top, left + 1] - coarse[top, left])
            under = coarse[top + 1, left] + along * (coarse[top + 1, left + 1] - coarse[top + 1, left])
            smooth = above + down * (under - above)
            nodes[y, x] = np.float32(0.7) * smooth + np.float32(0.3 * uniform(numbers))


@exact
def _noise_row(row: int, nodes: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """The lattice's noise in one row of pixels."""
    top = row // _CELL
    down = np.float32((row % _CELL) / _CELL)
    step = np.float32(1.0 / _CELL)
    left = nodes[top, 0] + down * (nodes[top + 1, 0] - nodes[top, 0])
    for node in range(WIDTH // _CELL):
        right = nodes[top, node + 1] + down * (nodes[top + 1, node + 1] - nodes[top, node + 1])
        change = step * (right - left)
        for k in range(_CELL):
            out[_CELL * node + k] = left + np.float32(np.int32(k)) * change
        left = right


@exact
def _paint_body(
    numbers: NDArray[np.uint64],
    bodies: NDArray[np.float64],
    noise: NDArray[np.float32],
    nodes: NDArray[np.float32],
    albedo: NDArray[np.float32],
) -> None:
    """Paint the car around the plate: lacquer that reflects the sky above and the road below."""
    body = bodies[below(numbers, bodies.shape[0])]
    glossy = between(numbers, 4.0, 40.0)
    horizon = between(numbers, -0.5, 1.5) * HEIGHT
    soft = 1.0 / between(numbers, 15.0, 120.0)
    fall = between(numbers, -0.35, 0.1)
    mottled = np.float32(between(numbers, 0.0, 25.0) * uniform(numbers))
    half = np.float32(0.5)
    for row in range(HEIGHT):
        _noise_row(row, nodes, noise)
        sky = glossy * min(max((horizon - row) * soft + 0.5, 0.0), 1.0)
        dim = 1.0 + fall * row / HEIGHT
        for c in range(3):
            value = np.float32(body[c] * dim + sky)
            for x in range(WIDTH):
                albedo[c, row, x] = value + mottled * (noise[x] - half)


@exact
def _paint_surroundings(
    width: float, height: float, corner: float, numbers: NDArray[np.uint64], view: View, canvas: Canvas
) -> None:
    """Paint what the plate lies in: the shadow it casts, a recess of the body, a frame of dark plastic."""
    if uniform(numbers) < 0.35:
        rim = between(numbers, 10.0, 40.0)
        dark = between(numbers, 5.0, 40.0)
        deep = between(numbers, 0.3, 0.8)
        r = corner + between(numbers, 0.2, 1.0) * rim
        _paint_rounded(-rim, -rim, width + rim, height + rim, r, (dark, dark, dark), deep, view, canvas)
    thick = 0.0
    if uniform(numbers) < 0.45:
        thick = between(numbers, 4.0, 11.0)
    shadow = between(numbers, 2.0, 6.0)
    sideways = spread(numbers, 4.0)
    for k in range(3):
        more = thick + 1.5 * k
        _paint_rounded(
            sideways - more,
            shadow - more,
            width + sideways + more,
            height + shadow + more,
            corner + more,
            (8.0, 8.0, 10.0),
            0.22,
            view,
            canvas,
        )
    if thick > 0.0:
        dark = between(numbers, 12.0, 60.0)
        _paint_rounded(
            -thick,
            -thick,
            width + thick,
            height + thick,
            corner + thick,
            (dark, dark, dark),
            1.0,
            view,
            canvas,
        )
        edge = dark + 28.0
        _paint_rounded(
            -0.4 * thick,
            -0.4 * thick,
            width + 0.4 * thick,
            height + 0.4 * thick,
            corner,
            (edge, edge, edge),
            0.5,
            view,
            canvas,
        )


@exact
def _paint_bolts(
    design: int, designs: Designs, numbers: NDArray[np.uint64], view: View, canvas: Canvas
) -> None:
    """Paint bolts or their caps: gray, black, or of the sheet's own colour."""
    if uniform(numbers) < 0.3:
        return
    radius = between(numbers, 4.0, 6.5)
    u = uniform(numbers)
    sheet = designs.sheets[design]
    red, green, blue = 0.92 * sheet[3], 0.92 * sheet[4], 0.92 * sheet[5]
    if u < 0.5:
        red = green = blue = between(numbers, 120.0, 190.0)
    elif u < 0.65:
        red = green = blue = 25.0
    for k in range(designs.bolt_begins[design], designs.bolt_begins[design + 1]):
        x = designs.bolts[k, 0] + spread(numbers, 3.0)
        y = designs.bolts[k, 1] + spread(numbers, 2.0)
        # a shadow below, the head, a light spot above, a slot
        for layer in range(3):
            r = radius * (1.2 if layer == 0 else 1.0 if layer == 1 else 0.45)
            at = y + radius * (0.25 if layer == 0 else 0.0 if layer == 1 else -0.35)
            light = 0.3 if layer == 0 else 1.0 if layer == 1 else 1.2
            colour = (red * light, green * light, blue * light)
            strength = 0.55 if layer == 0 else 1.0 if layer == 1 else 0.6
            _paint_rounded(x - r, at - r, x + r, at + r, r, colour, strength, view, canvas)
        if u < 0.5:
            slot = 0.75 * radius
            _paint_rounded(x - slot, y - 0.7, x + slot, y + 0.7, 0.6, (50.0, 50.0, 50.0), 0.8, view, canvas)


@exact
def _paint_specks(
    width: float, height: float, numbers: NDArray[np.uint64], view: View, canvas: Canvas
) -> None:
    """Splash mud, mostly on the lower half."""
    if uniform(numbers) < 0.55:
        return
    for _ in range(int(30.0 * uniform(numbers) * uniform(numbers)) + 1):
        x = width * uniform(numbers)
        y = height * max(uniform(numbers), uniform(numbers))
        size = uniform(numbers)
        r = 1.0 + 4.0 * size * size * size
        light = between(numbers, 0.5, 1.1)
        strength = between(numbers, 0.3, 0.9)
        wide = r * between(numbers, 0.7, 1.4)
        colour = (95.0 * light, 80.0 * light, 62.0 * light)
        _paint_rounded(x - wide, y - r, x + wide, y + r, min(wide, r), colour, strength, view, canvas)


@exact
def _expose(
    numbers: NDArray[np.uint64],
    canvas: Canvas,
    nodes: NDArray[np.float32],
    image: NDArray[np.uint8],
) -> None:
    """Add dirt, the raised letters' flanks, light from one side, a shadow or a reflection; round to bytes."""
    albedo, relief = canvas.albedo, canvas.relief
    mud = np.empty(WIDTH, np.float32)
    shines = np.empty(WIDTH, np.float32)
    raised = np.empty(WIDTH, np.float32)
    dirty = uniform(numbers)
    dirty *= dirty * dirty
    threshold = np.float32(between(numbers, 0.3, 0.55))
    steep = np.float32(2.2 * dirty)
    film = np.float32(0.2 * dirty * uniform(numbers))
    most = np.float32(0.25 + 0.4 * dirty)
    dust = between(numbers, 0.7, 1.3)
    dusts = (np.float32(118.0 * dust), np.float32(106.0 * dust), np.float32(88.0 * dust))
    level = between(numbers, 0.68, 1.08)
    across = spread(numbers, 0.3) / WIDTH
    down = spread(numbers, 0.25) / HEIGHT
    from_left = np.float32(1.0 if uniform(numbers) < 0.5 else -1.0)
    flank = np.float32(between(numbers, 15.0, 45.0))
    # a half plane in shadow, or a little brighter
    u = uniform(numbers)
    shade = np.float32(between(numbers, 0.25, 0.55) if u < 0.3 else -0.2 * u if u > 0.8 else 0.0)
    sine, cosine = sincos(6.283185307179586 * uniform(numbers))
    soft = between(numbers, 1.0, 25.0)
    edge_x = WIDTH * between(numbers, 0.1, 0.9)
    edge_y = HEIGHT * between(numbers, 0.1, 0.9)
    warm = spread(numbers, 0.08)
    tints = (np.float32(1.0 + warm), np.float32(1.0), np.float32(1.0 - warm))
    nothing, half, one, white = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(255.5)
    light_step, edge_step = np.float32(across), np.float32(cosine / soft)
    for row in range(HEIGHT):
        _noise_row(row, nodes, mud)
        above, under = relief[row], relief[row + 2]
        light_start = np.float32(level * (1.0 + down * (row - 0.5 * HEIGHT) - 0.5 * across * WIDTH))
        edge_start = np.float32((sine * (row - edge_y) - cosine * edge_x) / soft + 0.5)
        for x in range(WIDTH):
            k = np.float32(np.int32(x))
            light = light_start + k * light_step
            shines[x] = light - light * shade * min(max(edge_start + k * edge_step, nothing), one)
            mud[x] = min(max(steep * (mud[x] - threshold), nothing) + film, most)
            raised[x] = flank * ((under[x + 1] - above[x + 1]) + from_left * (under[x + 2] - above[x]))
        for c in range(3):
            colour, dusty = albedo[c, row], dusts[c]
            for x in range(WIDTH):
                value = colour[x] + mud[x] * (dusty - colour[x]) + raised[x]
                colour[x] = min(max(value * shines[x] * tints[c] + half, nothing), white)
        red, green, blue = albedo[0, row], albedo[1, row], albedo[2, row]
        for x in range(WIDTH):
            image[row, x, 0] = np.uint8(red[x])
            image[row, x, 1] = np.uint8(green[x])
            image[row, x, 2] = np.uint8(blue[x])


@exact
def _paint_plate(
    design: int,
    text: NDArray[np.int64],
    designs: Designs,
    numbers: NDArray[np.uint64],
    canvas: Canvas,
) -> None:
    sheet = designs.sheets[design]
    width, height, corner, raised = sheet[0], sheet[1], sheet[2], sheet[9]
    view = _look(width, height, numbers)
    _paint_surroundings(width, height, corner, numbers, view, canvas)
    _add_rounded(0.0, 0.0, width, height, corner, False, view, canvas)
    worn = between(numbers, 0.88, 1.02)
    high = max(canvas.box[3] - canvas.box[1], 1.0)
    colour = (worn * sheet[3], worn * sheet[4], worn * sheet[5])
    change = (
        worn * (sheet[6] - sheet[3]) / high,
        worn * (sheet[7] - sheet[4]) / high,
        worn * (sheet[8] - sheet[5]) / high,
    )
    top = canvas.box[1]
    start = (colour[0] - top * change[0], colour[1] - top * change[1], colour[2] - top * change[2])
    _paint(start, change, 1.0, 0.4 * raised, canvas)
    _paint_spots(design, designs, view, canvas)
    faded = uniform(numbers)
    faded = 30.0 * faded * faded * faded
    used = 0
    for run in range(designs.run_begins[design], designs.run_begins[design + 1]):
        used = _add_run(run, text, used, designs, view, canvas)
        ink = (designs.runs[run, 4] + faded, designs.runs[run, 5] + faded, designs.runs[run, 6] + faded)
        _paint(ink, (0.0, 0.0, 0.0), 1.0, raised if designs.runs[run, 3] > 0.0 else 0.0, canvas)
    _paint_bolts(design, designs, numbers, view, canvas)
    _paint_specks(width, height, numbers, view, canvas)


@exact
def draw(
    seed: np.uint64,
    stream: np.uint64,
    start: np.uint64,
    designs: Designs,
    bodies: NDArray[np.float64],
    out: NDArray[np.uint8],
) -> None:
    """Draw a plate into each image of `out`.

    Parameters
    ----------
    seed, stream, start : uint64
        Image ``i`` is drawn from the numbers of `seed`, `stream` and index ``start + i``.
    designs : Designs
        Designs and letters.
    bodies : ndarray
        float64, shape (K, 3): colours of cars.
    out : ndarray
        Images, uint8, shape ``(B, HEIGHT, WIDTH, 3)``.
    """
    canvas = Canvas(
        np.empty((3, HEIGHT, WIDTH), np.float32),
        np.empty((HEIGHT + 2, WIDTH + 2), np.float32),
        np.zeros((HEIGHT, WIDTH + 1), np.float32),
        np.empty(4),
        np.empty(WIDTH, np.float32),
        np.empty((28, 4)),
    )
    _open_box(canvas.box)
    _round_corners(canvas.rim)
    noise = np.empty(WIDTH, np.float32)
    nodes = np.empty((HEIGHT // _CELL + 2, WIDTH // _CELL + 2), np.float32)
    coarse = np.empty((nodes.shape[0] // _COARSE + 2, nodes.shape[1] // _COARSE + 2), np.float32)
    text = np.empty(MAX_TEXT, np.int64)
    numbers = sequence(seed, stream)
    for i in range(out.shape[0]):
        restart(numbers, start + np.uint64(i))
        design, _ = _choose_text(designs, numbers, text)
        canvas.relief[:] = np.float32(0.0)
        _fill_noise(numbers, coarse, nodes)
        _paint_body(numbers, bodies, noise, nodes, canvas.albedo)
        _paint_plate(design, text, designs, numbers, canvas)
        _expose(numbers, canvas, nodes, out[i])
