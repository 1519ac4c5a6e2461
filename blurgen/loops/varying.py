"""Blurs that differ from place to place: windows, paths of a similarity, discs of many radii, moving objects.

Images are (B, H, W, C), C-contiguous. `row_of` and `column_of` map padded coordinates to the image's, whose
first row and column have the entry ``reach``; −1 is outside, where there is no light. What is written is sums
plus `add`, clipped to [`low`, `high`], and truncated where bytes are written.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, log, sincos
from blurgen.loops.jit import exact, in_llvm
from blurgen.loops.vectors import GROUP, LANES, load_floats, pointer_to, spread, store, weighted_sums

Pixels = NDArray[Any]  # uint8 or float32
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

RADII = 4  # discs in a pixel of radius
FIRST_RADIUS = 2  # of these: up to half a pixel a disc is a point
HARMONICS = 4  # of the outline of an object, from the second on

_FLOATS = ir.VectorType(ir.FloatType(), LANES)


@exact
def add_window(part: Floats, top: int, left: int, down: Floats, across: Floats, sums: Floats) -> None:
    """Add the part of an image that begins at (`top`, `left`), weighed by the product of two windows.

    The windows are those of all rows and columns of the image; where they are zero nothing is added.
    """
    count, height, width, channels = part.shape
    first, last = 0, width
    while first < width and across[left + first] == 0.0:
        first += 1
    while last > first and across[left + last - 1] == 0.0:
        last -= 1
    weights = np.empty((last - first) * channels, np.float32)
    for n in range(count):
        for y in range(height):
            if down[top + y] == 0.0:
                continue
            for x in range(first, last):
                for c in range(channels):
                    weights[(x - first) * channels + c] = down[top + y] * across[left + x]
            source = part[n, y].reshape(width * channels)[first * channels : last * channels]
            row = sums[n, top + y].reshape(sums.shape[2] * channels)
            target = row[(left + first) * channels : (left + last) * channels]
            for i in range(weights.size):
                target[i] += weights[i] * source[i]


@exact
def finish(sums: Floats, add: np.float32, low: np.float32, high: np.float32, out: Pixels) -> None:
    """Write sums, of the shape of `out`."""
    values, results = sums.reshape(sums.size), out.reshape(out.size)
    for i in range(values.size):
        results[i] = min(max(values[i] + add, low), high)


def _tile_adder(channels: int) -> Any:
    """The intrinsic for a number of channels; what it does stands in `_plain_tile_adder`."""

    @in_llvm
    def add(
        _typing: Any,
        planes: Any,
        at: Any,
        pitch: Any,
        plane: Any,
        x: Any,
        dx: Any,
        y: Any,
        dy: Any,
        sums: Any,
        to: Any,
    ) -> Any:
        signature = types.void(planes, at, pitch, plane, x, dx, y, dy, sums, to)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            planes_t, *_, sums_t, _ = signature.args
            planes, at, pitch, plane, x, dx, y, dy, sums, to = arguments
            absolute = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(_FLOATS, [_FLOATS]), f"llvm.fabs.v{LANES}f32"
            )
            lanes = ir.Constant(_FLOATS, [float(i) for i in range(LANES)])
            one, none = ir.Constant(_FLOATS, [1.0] * LANES), ir.Constant(_FLOATS, [0.0] * LANES)

            def hats(start: Any, step: Any) -> list[Any]:
                steps = builder.fmul(spread(builder, step, _FLOATS), lanes)
                place = builder.fadd(spread(builder, start, _FLOATS), steps)
                distances = [place, builder.fsub(place, one)]
                heights = [builder.fsub(one, builder.call(absolute, [distance])) for distance in distances]
                return [builder.select(builder.fcmp_ordered(">", h, none), h, none) for h in heights]

            across, down = hats(x, dx), hats(y, dy)
            for c in range(channels):
                place = builder.add(to, ir.Constant(to.type, c * LANES))
                total = load_floats(context, builder, sums_t, sums, place)
                line = builder.add(at, builder.mul(plane, ir.Constant(plane.type, c)))
                for weight in down:
                    following = builder.add(line, ir.Constant(line.type, 1))
                    left, right = (
                        builder.fmul(w, load_floats(context, builder, planes_t, planes, place_))
                        for w, place_ in zip(across, (line, following), strict=True)
                    )
                    total = builder.fadd(total, builder.fmul(weight, builder.fadd(left, right)))
                    line = builder.add(line, pitch)
                store(builder, total, pointer_to(context, builder, sums_t, sums, place), 4)
            return context.get_dummy_value()

        return signature, generate

    return add


def _plain_tile_adder(channels: int) -> Any:
    def add(
        planes: Any, at: Any, pitch: Any, plane: Any, x: Any, dx: Any, y: Any, dy: Any, sums: Any, to: Any
    ) -> None:
        """Add to LANES sums of each plane what the four pixels from ``planes[at:]`` on give to samples.

        Lane l has its four pixels l pixels further right, and its sample at x + l·dx, y + l·dy from the
        first of them. A pixel weighs (1 − |distance|) across times the same down, and nothing from a
        distance of 1 on: the part of bilinear interpolation that falls to these pixels.
        """
        lanes = np.arange(LANES, dtype=np.float32)
        across, down = (
            [
                np.maximum(np.float32(1) - abs(start + step * lanes - np.float32(k)), np.float32(0))
                for k in (0, 1)
            ]
            for start, step in ((x, dx), (y, dy))
        )
        for c in range(channels):
            total = sums[to + c * LANES : to + (c + 1) * LANES]
            for j in (0, 1):
                line = at + c * plane + j * pitch
                left, right = planes[line : line + LANES], planes[line + 1 : line + 1 + LANES]
                total += down[j] * (across[0] * left + across[1] * right)

    return add


_adder = _plain_tile_adder if numba.config.DISABLE_JIT else _tile_adder
_add_tile_of_one, _add_tile_of_three = _adder(1), _adder(3)


@exact
def roll_steps(angles: Doubles, first: Ints, turns: Doubles) -> None:
    """Fill cosine and sine of each image's steps ``first[n] … first[n + 1] − 1``: middles of equal parts."""
    for n in range(angles.size):
        count = first[n + 1] - first[n]
        for i in range(count):
            sine, cosine = sincos(angles[n] * ((i + 0.5) / count - 0.5))
            turns[first[n] + i, 0], turns[first[n] + i, 1] = cosine, sine


@exact
def zoom_steps(factors: Doubles, first: Ints, turns: Doubles) -> None:
    """Fill the reciprocals of the magnifications ``factor^t``, t the middles of equal parts of [−½, ½]."""
    for n in range(factors.size):
        count = first[n + 1] - first[n]
        for i in range(count):
            power = exp(-log(factors[n]) * ((i + 0.5) / count - 0.5))
            turns[first[n] + i, 0], turns[first[n] + i, 1] = power, 0.0


@exact
def _fill_planes(image: Pixels, row_of: Ints, column_of: Ints, reach: int, planes: Floats) -> None:
    """Fill a plane for each channel, padded by `reach` all round and by LANES more on the right."""
    height, width, channels = image.shape
    pitch = width + 2 * reach + LANES
    for i in range(height + 2 * reach):
        for c in range(channels):
            at = (c * (height + 2 * reach) + i) * pitch
            line = planes[at : at + width + 2 * reach]
            if row_of[i] < 0:
                line[:] = 0.0
                continue
            row = image[row_of[i]].reshape(width * channels)
            for x in range(width):
                line[reach + x] = row[x * channels + c]
            for j in range(reach):
                for k in (j, reach + width + j):
                    line[k] = line[reach + column_of[k]] if column_of[k] >= 0 else np.float32(0.0)


@exact
def _add_row(
    planes: Floats,
    pitch: int,
    plane: int,
    channels: int,
    reach: int,
    x_row: float,
    y_row: float,
    p: float,
    q: float,
    blocks: int,
    sums: Floats,
) -> None:
    """Add the samples at ``(x_row + p·x, y_row + q·x)`` to the sums of a row, LANES pixels at a time."""
    dx, dy = np.float32(p - 1.0), np.float32(q)
    # how far, along a block, samples move against their pixels, and down
    x_drift, y_drift = (p - 1.0) * (LANES - 1), q * (LANES - 1)
    x_least, x_most, y_least, y_most = (
        min(0.0, x_drift),
        max(0.0, x_drift),
        min(0.0, y_drift),
        max(0.0, y_drift),
    )
    for block in range(blocks):
        x, y = x_row + p * (block * LANES), y_row + q * (block * LANES)
        column, row = math.floor(x + x_least), math.floor(y + y_least)
        last_column, last_row = math.floor(x + x_most) + 1, math.floor(y + y_most) + 1
        to = block * channels * LANES
        while row <= last_row:
            y_place, k = np.float32(y - row), column
            line = (row + reach) * pitch + reach
            while k <= last_column:
                if channels == 3:
                    _add_tile_of_three(
                        planes, line + k, pitch, plane, np.float32(x - k), dx, y_place, dy, sums, to
                    )
                else:
                    _add_tile_of_one(
                        planes, line + k, pitch, plane, np.float32(x - k), dx, y_place, dy, sums, to
                    )
                k += 2
            row += 2


@exact
def along_paths(
    images: Pixels,
    centres: Doubles,
    first: Ints,
    turns: Doubles,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
) -> None:
    """Average bilinear samples of each image over its steps.

    Of a step (p, q), the pixel at (dx, dy) from the centre takes the light from (p·dx − q·dy, q·dx + p·dy).
    The samples of a row's first ⌈W / LANES⌉ · LANES places lie no more than `reach` − 1 outside.
    """
    _, height, width, channels = images.shape
    pitch = width + 2 * reach + LANES
    plane = (height + 2 * reach) * pitch
    planes = np.zeros(channels * plane, np.float32)
    blocks = (width + LANES - 1) // LANES
    sums = np.empty(blocks * channels * LANES, np.float32)
    for n in range(images.shape[0]):
        _fill_planes(images[n], row_of, column_of, reach, planes)
        count = np.float32(first[n + 1] - first[n])
        for y in range(height):
            sums[:] = 0.0
            for i in range(first[n], first[n + 1]):
                p, q = turns[i, 0], turns[i, 1]
                dx, dy = -centres[n, 0], y - centres[n, 1]
                # where the first pixel of the row takes its light from
                x_row = centres[n, 0] + p * dx - q * dy
                y_row = centres[n, 1] + q * dx + p * dy
                _add_row(planes, pitch, plane, channels, reach, x_row, y_row, p, q, blocks, sums)
            results = out[n, y].reshape(width * channels)
            for x in range(width):
                place = x // LANES * LANES * channels + x % LANES
                for c in range(channels):
                    value = sums[place + c * LANES] / count + add
                    results[x * channels + c] = min(max(value, low), high)


@exact
def _taps(discs: Floats, pitch: int, channels: int, first: Ints, offsets: Ints, weights: Floats) -> None:
    """List what is not zero of disc k, point-symmetric, as the entries ``first[k] … first[k + 1] − 1``."""
    middle = discs.shape[1] // 2
    entry = 0
    for k in range(discs.shape[0]):
        first[k] = entry
        for i in range(discs.shape[1]):
            for j in range(discs.shape[2]):
                if discs[k, i, j] != 0.0:
                    offsets[entry] = (i - middle) * pitch + (j - middle) * channels
                    weights[entry] = discs[k, i, j]
                    entry += 1
    first[discs.shape[0]] = entry


@exact
def _fill_padded(image: Pixels, row_of: Ints, column_of: Ints, padded: Floats) -> None:
    """Fill the padded image, channels interleaved."""
    channels = image.shape[2]
    for i in range(row_of.size):
        for j in range(column_of.size):
            at = (i * column_of.size + j) * channels
            for c in range(channels):
                inside = row_of[i] >= 0 and column_of[j] >= 0
                padded[at + c] = np.float32(image[row_of[i], column_of[j], c]) if inside else np.float32(0.0)


@exact
def mixed_discs(
    images: Pixels,
    near: Doubles,
    far: Doubles,
    angles: Doubles,
    discs: Floats,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
) -> None:
    """Gather each pixel's light by the mix of the two discs next to its radius.

    ``discs[k]`` has the radius ``(FIRST_RADIUS + k) / RADII`` pixels. A pixel's radius is the size of a
    linear function of its place. GROUP rows of LANES values are worked at a time.
    """
    count, height, width, channels = images.shape
    values = width * channels
    pitch = column_of.size * channels
    size = discs.shape[1] * discs.shape[2]
    first = np.empty(discs.shape[0] + 1, np.int64)
    offsets, weights = np.empty(discs.shape[0] * size, np.int64), np.empty(discs.shape[0] * size, np.float32)
    _taps(discs, pitch, channels, first, offsets, weights)
    padded = np.zeros(row_of.size * pitch + LANES, np.float32)
    places, part = np.empty(GROUP * LANES), np.empty(GROUP * LANES, np.float32)
    sums = np.empty(GROUP * LANES, np.float32)
    starts, part_starts = np.empty(GROUP, np.int64), np.arange(GROUP) * LANES
    none, most = np.float32(0.0), np.float32(np.inf)
    for n in range(count):
        _fill_padded(images[n], row_of, column_of, padded)
        sine, cosine = sincos(angles[n])
        extent = max((width - 1) * abs(cosine) + (height - 1) * abs(sine), 1.0)
        largest = max(abs(near[n]), abs(far[n]))  # rounding may lead beyond
        for top in range(0, height, GROUP):
            for left in range(0, values, LANES):
                least, greatest = np.inf, 0.0
                for i in range(GROUP * LANES):
                    # beyond the image its last row and column are worked at again
                    y, x = min(top + i // LANES, height - 1), min((left + i % LANES) // channels, width - 1)
                    along = (x - 0.5 * (width - 1)) * cosine - (y - 0.5 * (height - 1)) * sine
                    radius = abs(near[n] + (far[n] - near[n]) * (0.5 + along / extent))
                    place = max(min(radius, largest) * RADII - FIRST_RADIUS, 0.0)
                    places[i] = place
                    least, greatest = min(least, place), max(greatest, place)
                for r in range(GROUP):
                    starts[r] = (min(top + r, height - 1) + reach) * pitch + reach * channels + left
                sums[:] = none
                for k in range(math.floor(least), math.ceil(greatest) + 1):
                    weighted_sums(
                        padded,
                        starts,
                        0,
                        offsets[first[k] : first[k + 1]],
                        weights[first[k] : first[k + 1]],
                        first[k + 1] - first[k],
                        none,
                        -most,
                        most,
                        part,
                        0,
                        part_starts,
                    )
                    for i in range(GROUP * LANES):
                        sums[i] += np.float32(max(0.0, 1.0 - abs(places[i] - k))) * part[i]
                for r in range(min(GROUP, height - top)):
                    results = out[n, top + r].reshape(values)
                    for i in range(min(LANES, values - left)):
                        results[left + i] = min(max(sums[r * LANES + i] + add, low), high)


@exact
def _mask(dx: float, dy: float, distance: float, radius: float, waves: Doubles, softness: float) -> Any:
    """The mask of an object at (`dx`, `dy`) from its centre, at a `distance`."""
    cosine, sine = (dx / distance, dy / distance) if distance > 0.0 else (1.0, 0.0)
    # (cos kφ, sin kφ) by turning on by φ
    c, s = cosine, sine
    wave = 1.0
    for k in range(HARMONICS):
        c, s = c * cosine - s * sine, s * cosine + c * sine
        wave += waves[2 * k] * c + waves[2 * k + 1] * s
    return np.float32(min(max(0.5 + (radius * wave - distance) / softness, 0.0), 1.0))


@exact
def object_layers(
    images: Pixels, centres: Doubles, radii: Doubles, waves: Doubles, softness: Doubles, layers: Floats
) -> None:
    """Fill ``(mask · image, mask)``, (B, H, W, C + 1), of objects with wavy outlines.

    The outline's radius is ``radius · (1 + Σ_k a_k cos kφ + b_k sin kφ)``, k = 2 … 1 + HARMONICS; `waves`
    holds a_2, b_2, a_3, … of each image. Across it the mask falls linearly over `softness` pixels.
    """
    _, height, width, channels = images.shape
    for n in range(images.shape[0]):
        bound = 0.0
        for k in range(2 * HARMONICS):
            bound += abs(waves[n, k])
        inner = max(0.0, radii[n] * (1.0 - bound) - 0.5 * softness[n])
        outer = radii[n] * (1.0 + bound) + 0.5 * softness[n]
        inner, outer = inner * inner, outer * outer
        for y in range(height):
            dy = y - centres[n, 1]
            row, layer = images[n, y].reshape(width * channels), layers[n, y].reshape(width * (channels + 1))
            for x in range(width):
                dx = x - centres[n, 0]
                square = dx * dx + dy * dy
                mask = np.float32(0.0)
                if square < inner:
                    mask = np.float32(1.0)
                elif square < outer:
                    mask = _mask(dx, dy, math.sqrt(square), radii[n], waves[n], softness[n])
                for c in range(channels):
                    layer[x * (channels + 1) + c] = mask * np.float32(row[x * channels + c])
                layer[x * (channels + 1) + channels] = mask


@exact
def compose(
    images: Pixels, layers: Floats, add: np.float32, low: np.float32, high: np.float32, out: Pixels
) -> None:
    """Write the object's blurred light before what its blurred mask leaves of the image."""
    channels = images.shape[3]
    pixels, results, light = images.reshape(images.size), out.reshape(out.size), layers.reshape(layers.size)
    for i in range(images.size // channels):
        mask = light[i * (channels + 1) + channels]
        for c in range(channels):
            sharp = np.float32(pixels[i * channels + c])
            value = sharp + (light[i * (channels + 1) + c] - mask * sharp)
            results[i * channels + c] = min(max(value + add, low), high)
