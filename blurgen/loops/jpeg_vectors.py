"""The arithmetic of JPEG on vectors: transforms of four blocks at a time, colours, chroma.

Blocks lie side by side in planes of 8 rows, so that a vector holds one row of four blocks and a lane of it
one row of one block. The transforms are those of libjpeg ("islow": Loeffler, Ligtenberg and Moschytz, with
constants of 13 bits). Between their roundings they are linear and exact, so each of the four passes is a
product with a matrix of whole numbers and one shift. The horizontal passes take the dot products inside the
lanes, hence nothing is ever transposed; between them the columns of a block stand in the order COLUMNS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jpeg_machine import interleave, program, within_lanes

COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
WIDTH = 32  # pixels of a vector of 16 bits
_LEVEL = 128


def _transform() -> NDArray[np.int64]:
    """The matrix of the one-dimensional transform, 8192 · √8 times the orthonormal one."""
    first, second = np.eye(8, dtype=np.int64)[:4], np.eye(8, dtype=np.int64)[:3:-1]
    plus, minus = first + second, first - second
    out = np.empty((8, 8), np.int64)
    ends, middle = plus[0] + plus[3], plus[1] + plus[2]
    out[0], out[4] = 8192 * (ends + middle), 8192 * (ends - middle)
    ends, middle = plus[0] - plus[3], plus[1] - plus[2]
    shared = 4433 * (ends + middle)
    out[2], out[6] = shared + 6270 * ends, shared - 15137 * middle
    a, b, c, d = minus[::-1]
    shared = 9633 * (a + b + c + d)
    outer, inner = -7373 * (a + d), -20995 * (b + c)
    even, odd = shared - 16069 * (a + c), shared - 3196 * (b + d)
    out[7], out[5] = 2446 * a + outer + even, 16819 * b + inner + odd
    out[3], out[1] = 25172 * c + inner + even, 12299 * d + outer + odd
    return out


_MATRIX = _transform()


def _pairs_of(matrix: NDArray[np.int64], rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.int64]:
    """For the four outputs of a lane, their weights of a pair of inputs."""
    return np.tile(matrix[np.ix_(rows, columns)].reshape(-1), 4)


def _pair_in_lanes(machine: Any, row: Any, pair: int) -> Any:
    """One pair of neighbours of each lane, in all four places of the lane."""
    return machine.shuffle(row, within_lanes([2 * pair, 2 * pair + 1] * 4, 8))


def _forward_row(machine: Any, row: Any) -> Any:
    """Horizontal transform of one row; of pixels 128 is subtracted, which only the first output notices."""
    pairs = [_pair_in_lanes(machine, row, p) for p in range(4)]
    halves = []
    for outputs in (COLUMNS[:4], COLUMNS[4:]):
        start = np.full(4, 1 << 10)
        if outputs[0] == 0:
            start[0] -= _LEVEL * 8 * 8192
        terms = [(pairs[p], _pairs_of(_MATRIX, outputs, (2 * p, 2 * p + 1))) for p in range(4)]
        halves.append(machine.dots(np.tile(start, 4), terms) >> 11)
    return machine.pack(*halves)


def _forward_columns(machine: Any, rows: Sequence[Any]) -> list[Any]:
    """Vertical transform."""
    plus = [rows[j] + rows[7 - j] for j in range(4)]
    minus = [rows[j] - rows[7 - j] for j in range(4)]
    fourth = interleave(machine, plus[0] + plus[3], plus[1] + plus[2], 16)
    second = interleave(machine, plus[0] - plus[3], plus[1] - plus[2], 16)
    odd = [interleave(machine, minus[j], minus[j + 1], 16) for j in (0, 2)]
    out = []
    for k in range(8):
        even = second if k % 4 else fourth
        inputs = [(odd[0], (0, 1)), (odd[1], (2, 3))] if k % 2 else [(even, (0, 1))]
        halves = []
        for half in (0, 1):
            terms = [(pair[half], np.tile(_MATRIX[k, list(at)], 16)) for pair, at in inputs]
            halves.append(machine.dots(1 << 14, terms) >> 15)
        out.append(machine.pack(*halves))
    return out


def _inverse_columns(machine: Any, rows: Sequence[Any]) -> list[Any]:
    """Vertical inverse."""
    pairs = {(a, b): interleave(machine, rows[a], rows[b], 16) for a, b in ((0, 4), (2, 6), (1, 3), (5, 7))}
    out: list[Any] = [None] * 8
    for j in range(4):
        halves = []
        for half in (0, 1):
            terms = [(pair[half], np.tile(_MATRIX[list(at), j], 16)) for at, pair in pairs.items()]
            even, odd = machine.dots(1 << 10, terms[:2]), machine.dots(0, terms[2:])
            halves.append(((even + odd) >> 11, (even - odd) >> 11))
        out[j], out[7 - j] = (machine.pack(*both) for both in zip(*halves, strict=True))
    return out


def _inverse_row(machine: Any, row: Any, level: int) -> Any:
    """Horizontal inverse of one row; the pixels 4 … 7 of each lane come out in reverse."""
    even_pairs, odd_pairs = ((0, 2), (4, 6)), ((1, 3), (5, 7))
    terms = [
        (_pair_in_lanes(machine, row, p), _pairs_of(_MATRIX.T, (0, 1, 2, 3), at))
        for p, at in enumerate(even_pairs + odd_pairs)
    ]
    even, odd = machine.dots((1 << 17) + (level << 18), terms[:2]), machine.dots(0, terms[2:])
    return machine.pack((even + odd) >> 18, (even - odd) >> 18)


def _quantised(machine: Any, values: Any, tables: Any, at: Any) -> Any:
    """Divide by eight times the table's steps, round half away from zero, multiply by the steps."""
    half, reciprocal, scale, step = (machine.load_repeated(tables, at + 8 * k) for k in range(4))
    count = machine.high(machine.high(machine.magnitude(values) + half, reciprocal), scale)
    return machine.with_sign(count * step, values)


def _round_trip(
    machine: Any, source: Any, at: Any, step: Any, tables: Any, table: Any, target: Any, to: Any, to_step: Any
) -> None:
    """Four blocks there and back.

    `source` holds 0 … 255, in bytes or 16 bits; so does `target` if it is uint8, and if it is int8, 128 less.
    """
    rows = []
    for _ in range(8):
        rows.append(_forward_row(machine, machine.load_wide(source, at)))
        at = at + step
    rows = _forward_columns(machine, rows)
    rows = [_quantised(machine, row, tables, table + 32 * k) for k, row in enumerate(rows)]
    rows = _inverse_columns(machine, rows)
    signed = machine.signed(target)
    for k in range(0, 8, 2):
        both = [_inverse_row(machine, row, 0 if signed else _LEVEL) for row in rows[k : k + 2]]
        packed = machine.pack_bytes(*both, signed)
        straight = (0, 1, 2, 3, 7, 6, 5, 4)
        for second in (0, 8):
            order = within_lanes([second + i for i in straight], 16)
            machine.store(machine.shuffle(packed, order), target, to)
            to = to + to_step


def _padded(machine: Any, source: Any, at: Any, valid: Any, plane: Any, to: Any) -> None:
    """Copy WIDTH bytes to 16 bits; from the place `valid` on the last valid one is repeated."""
    last = machine.load_spread(source, at + valid + (-1), WIDTH)
    values = machine.first(valid, machine.load(source, at, WIDTH), last)
    machine.store(machine.wide(values), plane, to)


def _widened(machine: Any, source: Any, at: Any, target: Any, to: Any) -> None:
    """Copy WIDTH bytes to 16 bits."""
    machine.store(machine.load_wide(source, at), target, to)


def _copied(machine: Any, source: Any, at: Any, target: Any, to: Any) -> None:
    """Copy WIDTH bytes."""
    machine.store(machine.load(source, at, WIDTH), target, to)


def _copied_chunk(machine: Any, source: Any, at: Any, target: Any, to: Any) -> None:
    """Copy WIDTH colour pixels, 3 · WIDTH bytes."""
    for _ in range(3):
        _copied(machine, source, at, target, to)
        at, to = at + WIDTH, to + WIDTH


def _twice(a: int, b: int) -> NDArray[np.int64]:
    """A pair of weights for every pair of a vector."""
    return np.tile([a, b], 16)


def _colours(machine: Any, pixels: Any, at: Any) -> tuple[Any, Any, Any]:
    """Y, Cb and Cr (0 … 255, 16 bits) of WIDTH pixels.

    The coefficients are of 16 bits after the point. 38470 and 32768, which 16 bits with a sign do not hold,
    are taken as 22086 + 16384 and, subtracted, as −32768.
    """
    out: list[list[Any]] = [[], [], []]
    start = (_LEVEL << 16) + (1 << 15) - 1
    # the pixels 0 … 3 of each 8, then their pixels 4 … 7: packing brings them together; the latter's lanes
    # begin 4 bytes before them, so that nothing beyond is read
    for begin, skipped in ((0, 0), (8, 4)):
        four = machine.load_lanes(pixels, [at + (24 * k + begin) for k in range(4)])
        red_green, blue_green = (
            machine.bits(
                machine.shuffle(
                    four,
                    within_lanes(
                        [i for p in range(4) for i in (skipped + 3 * p + c, 16, skipped + 3 * p + 1, 16)], 16
                    ),
                ),
                16,
            )
            for c in (0, 2)
        )
        luma = machine.dots(1 << 15, [(red_green, _twice(19595, 22086)), (blue_green, _twice(7471, 16384))])
        blue = machine.dots(start, [(red_green, _twice(-11059, -21709))])
        blue = blue - machine.dots(0, [(blue_green, _twice(-32768, 0))])
        red = machine.dots(start, [(blue_green, _twice(-5329, -27439))])
        red = red - machine.dots(0, [(red_green, _twice(-32768, 0))])
        for halves, values in zip(out, (luma, blue, red), strict=True):
            halves.append(values >> 16)
    luma, blue, red = (machine.pack(*halves) for halves in out)
    return luma, blue, red


def _colours_444(
    machine: Any, pixels: Any, at: Any, luma: Any, to: Any, chroma: Any, blue_to: Any, red_to: Any
) -> None:
    """WIDTH pixels to the planes."""
    values, blue, red = _colours(machine, pixels, at)
    machine.store(values, luma, to)
    machine.store(blue, chroma, blue_to)
    machine.store(red, chroma, red_to)


def _colours_422(
    machine: Any, pixels: Any, at: Any, luma: Any, to: Any, chroma: Any, blue_to: Any, red_to: Any
) -> None:
    """WIDTH pixels to the planes, of chroma the means of pairs."""
    values, *both = _colours(machine, pixels, at)
    machine.store(values, luma, to)
    for full, place in zip(both, (blue_to, red_to), strict=True):
        machine.store(machine.dots(np.tile([0, 1], 8), [(full, 1)]) >> 1, chroma, place)


def _colours_420(
    machine: Any,
    pixels: Any,
    at: Any,
    next_at: Any,
    luma: Any,
    to: Any,
    next_to: Any,
    chroma: Any,
    blue_to: Any,
    red_to: Any,
) -> None:
    """WIDTH pixels of two rows to the planes, of chroma the means of fours."""
    values, *both = _colours(machine, pixels, at)
    machine.store(values, luma, to)
    values, *next_both = _colours(machine, pixels, next_at)
    machine.store(values, luma, next_to)
    for upper, lower, place in zip(both, next_both, (blue_to, red_to), strict=True):
        machine.store(machine.dots(np.tile([1, 2], 8), [(upper + lower, 1)]) >> 2, chroma, place)


def _weighted_rows(machine: Any, source: Any, near: Any, far: Any, target: Any, to: Any) -> None:
    """Three times WIDTH samples of chroma of the near row plus those of the far row, in 16 bits."""
    values = machine.load_wide(source, near) * 3 + machine.load_wide(source, far)
    machine.store(values, target, to)


def _store_rgb(
    machine: Any, lumas: Sequence[Any], blues: Sequence[Any], reds: Sequence[Any], out: Any, to: Any
) -> None:
    """Convert 64 pixels and write their 192 bytes; chroma is 128 less than in the standard's formulas.

    1.402 v and 1.772 u of 16 bits after the point, rounded, are those of the multiplications here at every v
    and u from −128 to 127.
    """
    colours: list[list[Any]] = [[], [], []]
    for y, u, v in zip(lumas, blues, reds, strict=True):
        colours[0].append(y + machine.rounded_high(v + v, 22970))
        colours[2].append(y + machine.rounded_high(u + u, 29033))
        # 46802 = 65536 − 18734
        pairs = interleave(machine, u, v, 16)
        green = machine.pack(
            *[machine.dots(1 << 15, [(half, _twice(-22554, 18734))]) >> 16 for half in pairs]
        )
        colours[1].append(y - v + green)
    packed = [machine.pack_bytes(*halves, False) for halves in colours]
    thirds = []
    for third in range(3):
        places = range(16 * third, 16 * third + 16)
        parts = [
            machine.shuffle(packed[c], within_lanes([i // 3 if i % 3 == c else 16 for i in places], 16))
            for c in range(3)
        ]
        thirds.append(parts[0] | parts[1] | parts[2])
    for lane in range(4):
        for vector in thirds:
            machine.store(machine.shuffle(vector, range(16 * lane, 16 * lane + 16)), out, to)
            to = to + 16


def _halves_of_bytes(machine: Any, vector: Any, signed: bool) -> list[Any]:
    """64 bytes in 16 bits: the first 8 of each lane, and the last 8."""
    if signed:
        zero = machine.constant(0, 8)
        return [machine.bits(half, 16) >> 8 for half in interleave(machine, zero, vector, 8)]
    return [machine.bits(half, 16) for half in interleave(machine, vector, machine.constant(0, 8), 8)]


def _pixels_444(
    machine: Any, luma: Any, at: Any, chroma: Any, blue_at: Any, red_at: Any, out: Any, to: Any
) -> None:
    """64 pixels from the planes."""
    lumas = _halves_of_bytes(machine, machine.load(luma, at, 64), False)
    blues, reds = (
        _halves_of_bytes(machine, machine.load(chroma, place, 64), True) for place in (blue_at, red_at)
    )
    _store_rgb(machine, lumas, blues, reds, out, to)


def _doubled(machine: Any, row: Any, at: Any, rounding: tuple[int, int], shift: int) -> list[Any]:
    """WIDTH samples to 2 · WIDTH: three parts of the nearer one, one part of the farther one."""
    near = machine.load(row, at, WIDTH) * 3
    left = (near + machine.load(row, at + (-1), WIDTH) + rounding[0]) >> shift
    right = (near + machine.load(row, at + 1, WIDTH) + rounding[1]) >> shift
    return interleave(machine, left, right, 16)


def _pixels_422(
    machine: Any, luma: Any, at: Any, rows: Any, blue_at: Any, red_at: Any, out: Any, to: Any
) -> None:
    """64 pixels from the luma plane and from rows of chroma that are half as long."""
    lumas = _halves_of_bytes(machine, machine.load(luma, at, 64), False)
    blues, reds = (_doubled(machine, rows, place, (1, 2), 2) for place in (blue_at, red_at))
    _store_rgb(machine, lumas, blues, reds, out, to)


def _pixels_420(
    machine: Any, luma: Any, at: Any, rows: Any, blue_at: Any, red_at: Any, out: Any, to: Any
) -> None:
    """64 pixels from the luma plane and from weighted rows of chroma that are half as long."""
    lumas = _halves_of_bytes(machine, machine.load(luma, at, 64), False)
    blues, reds = (_doubled(machine, rows, place, (8, 7), 4) for place in (blue_at, red_at))
    _store_rgb(machine, lumas, blues, reds, out, to)


round_trip = program(_round_trip)
padded, copied, copied_chunk = program(_padded), program(_copied), program(_copied_chunk)
colours_444, colours_422, colours_420 = program(_colours_444), program(_colours_422), program(_colours_420)
widened, weighted_rows = program(_widened), program(_weighted_rows)
pixels_444, pixels_422, pixels_420 = program(_pixels_444), program(_pixels_422), program(_pixels_420)
