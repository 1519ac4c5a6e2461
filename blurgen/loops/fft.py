"""Convolution of real tiles by Fourier transforms, sixteen transforms side by side in vectors.

Complex vectors are stored as LANES real parts, then LANES imaginary parts. A transform of length n = r₁·r₂·…
is done in place in steps of radix 8, 4, 3 and 2: forward by decimation in frequency, which leaves the
spectrum in digit-reversed order, back by the same steps undone. The product of two spectra does not mind
the order, so nothing is ever reordered.

Two real tiles are one complex one: the PSF is real, so the real part of the result is the one convolved, the
imaginary part the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numpy.typing import NDArray

from blurgen.loops.elementary import sincos
from blurgen.loops.jit import exact, in_llvm
from blurgen.loops.vectors import LANES, clipped, copy, load_floats, pointer_to, spread, store, transpose

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

COMPLEX = 2 * LANES  # floats of a complex vector
RADICES = (8, 4, 3, 2)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)

Complex = tuple[Any, Any]  # real and imaginary vector


class _Vectors:
    """Arithmetic of vectors in LLVM."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.add, self.sub = builder.fadd, builder.fsub
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")

    def scaled(self, vector: Any, factor: float) -> Any:
        return self.builder.fmul(vector, ir.Constant(_FLOATS, [float(np.float32(factor))] * LANES))

    def times(self, a: Complex, b: Complex) -> Complex:
        real = self._call(self.builder.fneg(a[1]), b[1], self.builder.fmul(a[0], b[0]))
        return real, self._call(a[0], b[1], self.builder.fmul(a[1], b[0]))

    def times_conjugate(self, a: Complex, b: Complex) -> Complex:
        real = self._call(a[1], b[1], self.builder.fmul(a[0], b[0]))
        return real, self._call(self.builder.fneg(a[0]), b[1], self.builder.fmul(a[1], b[0]))

    def _call(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.call(self._fma, [a, b, c])


class _Arrays:
    """The same arithmetic of NumPy arrays, for loops that are not compiled."""

    add, sub = staticmethod(np.add), staticmethod(np.subtract)

    @staticmethod
    def scaled(vector: Any, factor: float) -> Any:
        return vector * np.float32(factor)

    @staticmethod
    def times(a: Complex, b: Complex) -> Complex:
        return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]

    @staticmethod
    def times_conjugate(a: Complex, b: Complex) -> Complex:
        return a[0] * b[0] + a[1] * b[1], a[1] * b[0] - a[0] * b[1]


def _dft(math_of: Any, values: Sequence[Complex], inverse: bool) -> list[Complex]:
    """The discrete Fourier transform of 1, 2, 3, 4 or 8 complex vectors, unnormalised."""
    add, sub, scaled = math_of.add, math_of.sub, math_of.scaled

    def plus(a: Complex, b: Complex) -> Complex:
        return add(a[0], b[0]), add(a[1], b[1])

    def minus(a: Complex, b: Complex) -> Complex:
        return sub(a[0], b[0]), sub(a[1], b[1])

    def plus_turned(a: Complex, b: Complex) -> Complex:
        """A − i·b forward, a + i·b inverse."""
        return (sub(a[0], b[1]), add(a[1], b[0])) if inverse else (add(a[0], b[1]), sub(a[1], b[0]))

    def minus_turned(a: Complex, b: Complex) -> Complex:
        return (add(a[0], b[1]), sub(a[1], b[0])) if inverse else (sub(a[0], b[1]), add(a[1], b[0]))

    if len(values) == 1:
        return list(values)
    if len(values) == 3:
        total, difference = plus(values[1], values[2]), minus(values[1], values[2])
        middle = minus(values[0], (scaled(total[0], 0.5), scaled(total[1], 0.5)))
        side = tuple(scaled(part, math.sqrt(0.75)) for part in difference)
        return [plus(values[0], total), plus_turned(middle, side), minus_turned(middle, side)]
    even, odd = _dft(math_of, values[::2], inverse), _dft(math_of, values[1::2], inverse)
    half = len(values) // 2
    low, high = [], []
    for k in range(half):
        b = odd[k]
        if 8 * k == len(values) or 8 * k == 3 * len(values):
            # an eighth of a turn: (1 ∓ i)/√2; three eighths are that, turned once more
            turn = (sub(b[0], b[1]), add(b[0], b[1])) if inverse else (add(b[0], b[1]), sub(b[1], b[0]))
            b = (scaled(turn[0], math.sqrt(0.5)), scaled(turn[1], math.sqrt(0.5)))
        turned = 4 * k >= len(values)
        low.append((plus_turned if turned else plus)(even[k], b))
        high.append((minus_turned if turned else minus)(even[k], b))
    return low + high


def _butterfly(radix: int, inverse: bool) -> Any:
    """One butterfly on vectors that lie `step` floats apart; its twiddles begin at ``twiddles[at_twiddle]``.

    Forward, all outputs but the first are multiplied by twiddles; inverse, all inputs by their conjugates.
    """

    def plain(data: Any, at: Any, step: Any, twiddles: Any, at_twiddle: Any) -> None:
        places = [at + j * step for j in range(radix)]
        values = [(data[p : p + LANES].copy(), data[p + LANES : p + COMPLEX].copy()) for p in places]
        factors = [(twiddles[at_twiddle + 2 * q], twiddles[at_twiddle + 2 * q + 1]) for q in range(radix - 1)]
        for p, value in zip(places, _step(_Arrays, values, factors, inverse), strict=True):
            data[p : p + LANES], data[p + LANES : p + COMPLEX] = value

    if numba.config.DISABLE_JIT:
        return plain

    def typed(_typing: Any, data: Any, at: Any, step: Any, twiddles: Any, at_twiddle: Any) -> Any:
        signature = types.void(data, at, step, twiddles, at_twiddle)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data_t, _, _, twiddles_t, _ = signature.args
            data, at, step, twiddles, at_twiddle = arguments
            int64 = ir.IntType(64)

            def shifted(index: Any, by: int) -> Any:
                return builder.add(index, ir.Constant(int64, by))

            places: list[Any] = []
            for j in range(radix):
                places.append(at if j == 0 else builder.add(places[-1], step))
            values = [
                tuple(load_floats(context, builder, data_t, data, shifted(p, part)) for part in (0, LANES))
                for p in places
            ]
            factors = []
            for q in range(radix - 1):
                pair = []
                for part in (0, 1):
                    index = shifted(at_twiddle, 2 * q + part)
                    scalar = builder.load(pointer_to(context, builder, twiddles_t, twiddles, index))
                    pair.append(spread(builder, scalar, _FLOATS))
                factors.append(tuple(pair))
            results = _step(_Vectors(builder), values, factors, inverse)
            for p, result in zip(places, results, strict=True):
                for part, value in zip((0, LANES), result, strict=True):
                    store(builder, value, pointer_to(context, builder, data_t, data, shifted(p, part)), 4)
            return context.get_dummy_value()

        return signature, generate

    return in_llvm(typed)


def _step(math_of: Any, values: Sequence[Any], factors: Sequence[Any], inverse: bool) -> list[Complex]:
    if inverse:
        rest = zip(values[1:], factors, strict=True)
        values = [values[0], *(math_of.times_conjugate(v, f) for v, f in rest)]
        return _dft(math_of, values, True)
    first, *others = _dft(math_of, values, False)
    return [first, *(math_of.times(v, f) for v, f in zip(others, factors, strict=True))]


_forward_8, _inverse_8 = _butterfly(8, False), _butterfly(8, True)
_forward_4, _inverse_4 = _butterfly(4, False), _butterfly(4, True)
_forward_3, _inverse_3 = _butterfly(3, False), _butterfly(3, True)
_forward_2, _inverse_2 = _butterfly(2, False), _butterfly(2, True)


def factors(n: int) -> Ints:
    """The radices of a transform of length `n`, which has no prime factors but 2 and 3."""
    found = []
    for radix in RADICES:
        while n % radix == 0:
            found.append(radix)
            n //= radix
    return np.array(found, np.int64)


@exact
def twiddles(n: int, radices: Ints) -> Floats:
    """The twiddles of all steps: for each step, k, and q from 1 on, cos and −sin of 2π·q·k/length."""
    out = np.empty(2 * n * 8, np.float32)
    at, length = 0, n
    for radix in radices:
        part = length // radix
        for k in range(part):
            for q in range(1, radix):
                s, c = sincos(2.0 * math.pi * float(q * k) / float(length))
                out[at] = c
                out[at + 1] = -s
                at += 2
        length = part
    return out[:at]


@exact
def forward(data: Floats, at: int, n: int, radices: Ints, table: Floats) -> None:
    """Transform `n` complex vectors from ``data[at:]`` on, in place, into digit-reversed order."""
    length, twiddle = n, 0
    for radix in radices:
        part = length // radix
        step = part * COMPLEX
        for first in range(0, n, length):
            place, factor = at + first * COMPLEX, twiddle
            for _ in range(part):
                if radix == 8:
                    _forward_8(data, place, step, table, factor)
                elif radix == 4:
                    _forward_4(data, place, step, table, factor)
                elif radix == 3:
                    _forward_3(data, place, step, table, factor)
                else:
                    _forward_2(data, place, step, table, factor)
                place += COMPLEX
                factor += 2 * (radix - 1)
        twiddle += 2 * (radix - 1) * part
        length = part


@exact
def inverse(data: Floats, at: int, n: int, radices: Ints, table: Floats) -> None:
    """Undo `forward`, times `n`."""
    length, twiddle = 1, table.size
    for s in range(radices.size - 1, -1, -1):
        radix, part = radices[s], length
        length *= radix
        step = part * COMPLEX
        twiddle -= 2 * (radix - 1) * part
        for first in range(0, n, length):
            place, factor = at + first * COMPLEX, twiddle
            for _ in range(part):
                if radix == 8:
                    _inverse_8(data, place, step, table, factor)
                elif radix == 4:
                    _inverse_4(data, place, step, table, factor)
                elif radix == 3:
                    _inverse_3(data, place, step, table, factor)
                else:
                    _inverse_2(data, place, step, table, factor)
                place += COMPLEX
                factor += 2 * (radix - 1)


def _product() -> Any:
    """Multiply the complex vector at ``data[at:]`` by the one at ``other[other_at:]``."""

    def plain(data: Any, at: Any, other: Any, other_at: Any) -> None:
        a, b = (
            (array[i : i + LANES], array[i + LANES : i + COMPLEX])
            for array, i in ((data, at), (other, other_at))
        )
        data[at : at + COMPLEX] = np.concatenate(_Arrays.times(a, b))

    if numba.config.DISABLE_JIT:
        return plain

    def typed(_typing: Any, data: Any, at: Any, other: Any, other_at: Any) -> Any:
        signature = types.void(data, at, other, other_at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data_t, _, other_t, _ = signature.args
            data, at, other, other_at = arguments
            step = ir.Constant(ir.IntType(64), LANES)
            places = at, builder.add(at, step)
            a = tuple(load_floats(context, builder, data_t, data, p) for p in places)
            other_places = other_at, builder.add(other_at, step)
            b = tuple(load_floats(context, builder, other_t, other, p) for p in other_places)
            for p, value in zip(places, _Vectors(builder).times(a, b), strict=True):
                store(builder, value, pointer_to(context, builder, data_t, data, p), 4)
            return context.get_dummy_value()

        return signature, generate

    return in_llvm(typed)


_multiply_at = _product()


@exact
def _multiply(line: Floats, other: Floats, at: int) -> None:
    """Multiply complex vectors by those from ``other[at:]`` on."""
    for v in range(0, line.size, COMPLEX):
        _multiply_at(line, v, other, at + v)


@exact
def _transpose_blocks(
    planes: Floats, group: int, height: int, blocks: int, line: Floats, at: int, back: bool
) -> None:
    """Turn LANES rows of the column blocks in `planes` into a line of vectors, one a column; or back."""
    for b in range(blocks):
        in_planes = (b * height + group * LANES) * COMPLEX
        in_line = at + b * LANES * COMPLEX
        for part in (0, LANES):
            if back:
                transpose(line, in_line + part, COMPLEX, planes, in_planes + part, COMPLEX)
            else:
                transpose(planes, in_planes + part, COMPLEX, line, in_line + part, COMPLEX)


@exact
def psf_columns(psf: Floats, height: int, width: int, radices: Ints, table: Floats) -> Floats:
    """The column blocks of a tile that holds a PSF, over the number of its points, transformed down."""
    planes = np.zeros(height * width * 2, np.float32)
    scale = np.float32(1.0 / (height * width))
    for i in range(psf.shape[0]):
        for j in range(psf.shape[1]):
            planes[((j // LANES) * height + i) * COMPLEX + j % LANES] = psf[i, j] * scale
    for b in range((psf.shape[1] + LANES - 1) // LANES):
        forward(planes, b * height * COMPLEX, height, radices, table)
    return planes


@exact
def psf_rows(
    planes: Floats,
    groups: tuple[int, int],
    height: int,
    width: int,
    radices: Ints,
    table: Floats,
    out: Floats,
) -> None:
    """Transform `groups` of LANES rows of what `psf_columns` gave across: the spectrum in the tile.

    `out` receives, for each group, a complex vector of its rows for each column.
    """
    for group in range(groups[0], groups[1]):
        at = group * width * COMPLEX
        _transpose_blocks(planes, group, height, width // LANES, out, at, False)
        forward(out, at, width, radices, table)


@exact
def _load_block(
    image: Any,
    shape: tuple[int, int, int],
    channel: int,
    top: int,
    left: int,
    row_of: Ints,
    column_of: Ints,
    outside: Any,
    planes: Floats,
    at: int,
    height: int,
) -> None:
    """Put LANES columns of a channel, from map entries (top, left) on, into vectors from ``planes[at:]``."""
    _, width, channels = shape
    columns = min(LANES, column_of.size - left)
    inside = channels == 1 and columns == LANES
    for i in range(columns):
        inside = inside and column_of[left + i] >= 0 and column_of[left + i] == column_of[left] + i
    for y in range(height):
        place = at + y * COMPLEX
        row = row_of[top + y] if top + y < row_of.size else -1
        if inside and row >= 0:
            copy(image, row * width + column_of[left], planes, place)
            continue
        for i in range(LANES):
            value = np.float32(0.0)
            if i < columns and top + y < row_of.size:
                column = column_of[left + i]
                value = np.float32(outside)
                if row >= 0 and column >= 0:
                    value = np.float32(image[(row * width + column) * channels + channel])
            planes[place + i] = value


@exact
def _store_block(
    planes: Floats,
    at: int,
    rows: int,
    first: int,
    last: int,
    shape: tuple[int, int, int],
    channel: int,
    y: int,
    x: int,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Any,
) -> None:
    """Write lanes `first` … `last` − 1 of vectors from ``planes[at:]`` on to a channel from (y, x) on."""
    _, width, channels = shape
    for r in range(rows):
        place = at + r * COMPLEX
        to = ((y + r) * width + x) * channels + channel
        if channels == 1 and last - first == LANES:
            clipped(planes, place, add, low, high, out, to)
            continue
        for i in range(first, last):
            out[to + (i - first) * channels] = min(max(planes[place + i] + add, low), high)


@exact
def tiles(
    image: Any,
    shape: tuple[int, int, int],
    pairs: tuple[int, int],
    psf_shape: tuple[int, int],
    transformed: Floats,
    height: int,
    width: int,
    down: Ints,
    down_table: Floats,
    across: Ints,
    across_table: Floats,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: Any,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Any,
) -> None:
    """Convolve pairs of tiles ``pairs[0]`` … ``pairs[1]`` − 1 of one image, flat, by overlap and save.

    Of a tile of `height` × `width` all but the first h − 1 rows and w − 1 columns are right.
    """
    blocks = width // LANES
    rows_of_tile, columns_of_tile = height - psf_shape[0] + 1, width - psf_shape[1] + 1
    tall = (shape[0] + rows_of_tile - 1) // rows_of_tile
    wide = (shape[1] + columns_of_tile - 1) // columns_of_tile
    # from an output to the first input that its sum needs
    up, back = psf_shape[0] - 1 - psf_shape[0] // 2, psf_shape[1] - 1 - psf_shape[1] // 2
    planes = np.zeros(height * width * 2, np.float32)
    line = np.empty(width * COMPLEX, np.float32)

    for pair in range(pairs[0], pairs[1]):
        for half in range(2):
            tile = 2 * pair + half
            channel, place = tile // (tall * wide), tile % (tall * wide)
            y, x = place // wide * rows_of_tile, place % wide * columns_of_tile
            for b in range(blocks):
                at = b * height * COMPLEX + half * LANES
                left = reach + x - back + b * LANES
                if channel < shape[2] and left < column_of.size:
                    top = reach + y - up
                    _load_block(
                        image, shape, channel, top, left, row_of, column_of, outside, planes, at, height
                    )
                else:
                    for r in range(height):
                        planes[at + r * COMPLEX : at + r * COMPLEX + LANES] = 0.0
        for b in range(blocks):
            forward(planes, b * height * COMPLEX, height, down, down_table)
        for group in range(height // LANES):
            _transpose_blocks(planes, group, height, blocks, line, 0, False)
            forward(line, 0, width, across, across_table)
            _multiply(line, transformed, group * width * COMPLEX)
            inverse(line, 0, width, across, across_table)
            _transpose_blocks(planes, group, height, blocks, line, 0, True)
        for b in range(blocks):
            inverse(planes, b * height * COMPLEX, height, down, down_table)
        for half in range(2):
            tile = 2 * pair + half
            channel, place = tile // (tall * wide), tile % (tall * wide)
            y, x = place // wide * rows_of_tile, place % wide * columns_of_tile
            if channel == shape[2]:
                continue
            rows, columns = min(rows_of_tile, shape[0] - y), min(columns_of_tile, shape[1] - x)
            for b in range(blocks):
                first = max(0, psf_shape[1] - 1 - b * LANES)
                last = min(LANES, psf_shape[1] - 1 + columns - b * LANES)
                if first < last:
                    at = (b * height + psf_shape[0] - 1) * COMPLEX + half * LANES
                    to = x + b * LANES + first - (psf_shape[1] - 1)
                    _store_block(planes, at, rows, first, last, shape, channel, y, to, add, low, high, out)
