"""JPEG there and back without its entropy coding: planes of blocks from images, and images from planes.

A plane is 8 rows long `step` numbers apart: the blocks of the image's first 8 rows lie side by side, behind
them those of its next 8 rows, and so on. Rows are copied by whole vectors, from the upper ones to the lower
ones: what is written beyond a row's end is overwritten by the rows below it, or lies in the plane's slack.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact
from blurgen.loops.jpeg_vectors import (
    COLUMNS,
    WIDTH,
    colours_420,
    colours_422,
    colours_444,
    copied,
    copied_chunk,
    padded,
    pixels_420,
    pixels_422,
    pixels_444,
    round_trip,
    weighted_rows,
    widened,
)

_BAND = 1 << 17  # pixels that are worked on at a time, so that their planes stay in the second cache
_GRAY_BAND = 1 << 12  # the first cache, as no band needs rows of another
TABLE = 256  # numbers for each quality

_SLACK = 128
_OUT = 2 * WIDTH  # pixels that are converted back at a time
_ROWS = 8  # for which chroma is prepared at a time
_END = 4 * WIDTH  # bytes from one row's end to the next one's

# Annex K of the standard
_LUMA = """
    16 11 10 16 24 40 51 61
    12 12 14 19 26 58 60 55
    14 13 16 24 40 57 69 56
    14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77
    24 35 55 64 81 104 113 92
    49 64 78 87 103 121 120 101
    72 92 95 98 112 100 103 99
"""
_CHROMA = """
    17 18 24 47 99 99 99 99
    18 21 26 66 99 99 99 99
    24 26 56 99 99 99 99 99
    47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
"""


def steps(quality: int, chroma: bool) -> NDArray[np.int64]:
    """The quantiser's steps at a quality, (8, 8)."""
    base = np.array((_CHROMA if chroma else _LUMA).split(), np.int64).reshape(8, 8)
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * percent + 50) // 100, 1, 255)


def tables() -> NDArray[np.uint16]:
    """What the quantiser needs, TABLE numbers for luma at each quality from 1, then for chroma.

    For each row of a block, 8 numbers each: half of the divisor 8 · step; its reciprocal · 2ᵏ, rounded up, k
    such that it has 16 bits; 2³² / 2ᵏ; the step. The quotients are exact for dividends below 2¹⁵.
    """
    out = np.empty((2, 100, 8, 4, 8), np.uint16)
    for chroma in (False, True):
        for quality in range(1, 101):
            step = steps(quality, chroma)[:, COLUMNS]
            divisor = 8 * step
            power = np.full_like(step, 1 << 18)
            while (short := power // divisor < 1 << 15).any():
                power[short] *= 2
            reciprocal = -(-power // divisor)
            out[int(chroma), quality - 1] = np.stack(
                [divisor // 2, reciprocal, (1 << 32) // power, step], axis=1
            )
    return out.reshape(-1)


@exact
def _place(row: int, step: int, row_blocks: int) -> int:
    """Where a row of the image begins in a plane."""
    return (row & 7) * step + (row >> 3) * 8 * row_blocks


@exact
def _repeat_last_row(plane: Any, base: int, step: int, row_blocks: int, rows: int) -> None:
    """Repeat the last of `rows` rows to the end of its blocks."""
    at = base + _place(rows - 1, step, row_blocks)
    for y in range(rows, (rows + 7) // 8 * 8):
        to = base + _place(y, step, row_blocks)
        for x in range(8 * row_blocks):
            plane[to + x] = plane[at + x]


@exact
def gray(
    images: Any,
    height: int,
    width: int,
    tables: Any,
    qualities: Any,
    start: int,
    stop: int,
    top: int,
    bottom: int,
    out: Any,
) -> None:
    """The images `start` … `stop` − 1, and of them the rows of blocks `top` … `bottom` − 1; flat bytes."""
    row_blocks = (width + 7) // 8
    band = max(1, _GRAY_BAND // (64 * row_blocks))
    step = 8 * row_blocks * min(band, bottom - top) + _SLACK
    plane, back = np.empty(8 * step, np.int16), np.empty(8 * step, np.uint8)
    # the end of what may be written
    end = ((stop - 1) * height + min(8 * bottom, height)) * width
    for n in range(start, stop):
        table = (qualities[n] - 1) * TABLE
        for first in range(top, bottom, band):
            last = min(first + band, bottom)
            begin, rows = n * height + 8 * first, min(8 * last, height) - 8 * first
            _gray_to_plane(images, begin, rows, width, plane, step)
            for place in range(0, 8 * row_blocks * (last - first), WIDTH):
                round_trip(plane, place, step, tables, table, back, place, step)
            _gray_from_plane(back, step, begin, rows, width, end, out)


@exact
def _gray_to_plane(images: Any, begin: int, rows: int, width: int, plane: Any, step: int) -> None:
    """Copy rows of pixels, from the row `begin` on, and repeat the last ones at the right and the bottom."""
    row_blocks = (width + 7) // 8
    whole = width - width % WIDTH
    rest = width - whole
    for y in range((rows + 7) // 8 * 8):
        at, to = (begin + min(y, rows - 1)) * width, _place(y, step, row_blocks)
        for x in range(0, whole, WIDTH):
            widened(images, at + x, plane, to + x)
        if rest == 0:
            continue
        at, to = at + whole, to + whole
        if at + WIDTH <= images.size:
            padded(images, at, rest, plane, to)
        else:
            for x in range(WIDTH):
                plane[to + x] = images[at + min(x, rest - 1)]


@exact
def _gray_from_plane(plane: Any, step: int, begin: int, rows: int, width: int, end: int, out: Any) -> None:
    """Copy rows of pixels to where they belong; behind them anything may be written, up to `end`."""
    row_blocks = (width + 7) // 8
    covered = (width + WIDTH - 1) // WIDTH * WIDTH
    for y in range(rows):
        at, to = _place(y, step, row_blocks), (begin + y) * width
        if to + covered <= end:
            for x in range(0, width, WIDTH):
                copied(plane, at + x, out, to + x)
        else:
            for x in range(width):
                out[to + x] = plane[at + x]


@exact
def colour(
    images: Any,
    height: int,
    width: int,
    tables: Any,
    qualities: Any,
    across: int,
    down: int,
    start: int,
    stop: int,
    top: int,
    bottom: int,
    out: Any,
) -> None:
    """The images `start` … `stop` − 1, and of them the rows of units `top` … `bottom` − 1; flat bytes.

    A unit is 8 · `across` pixels wide and 8 · `down` high, where so many pixels share a sample of chroma.
    Both planes of chroma lie in one array.
    """
    row_blocks, chroma_row_blocks = (width + 7) // 8, (width + 8 * across - 1) // (8 * across)
    units = (height + 8 * down - 1) // (8 * down)
    band = max(1, _BAND // (64 * down * row_blocks))
    # upsampling takes chroma from the rows above and below the band
    beyond = down - 1
    most = min(band, bottom - top) + 2 * beyond
    step, chroma_step = 8 * row_blocks * down * most + _SLACK, 8 * chroma_row_blocks * most + _SLACK
    luma, luma_back = np.empty(8 * step, np.int16), np.empty(8 * step, np.uint8)
    chroma, chroma_back = np.empty(16 * chroma_step, np.int16), np.empty(16 * chroma_step, np.int8)
    ends = np.empty(8 * down * most * _END, np.uint8)
    chroma_rows = np.empty(2 * _ROWS * (8 * chroma_row_blocks + _SLACK), np.int16)
    covered = (width + _OUT - 1) // _OUT * _OUT
    # the end of what may be written, and room for the rows before it
    end = ((stop - 1) * height + min(8 * down * bottom, height)) * width
    apart = np.empty(6 * (covered + width), np.uint8)
    for n in range(start, stop):
        table = (qualities[n] - 1) * TABLE
        for first in range(top, bottom, band):
            last = min(first + band, bottom)
            upper, lower = max(first - beyond, 0), min(last + beyond, units)
            # rows counted from the first one in the planes
            base = n * height + 8 * down * upper
            rows = min(8 * down * lower, height) - 8 * down * upper
            low, high = 8 * down * (first - upper), min(8 * down * last, height) - 8 * down * upper
            _to_planes(images, base, rows, width, across, down, ends, luma, step, chroma, chroma_step)
            for place in range(low * row_blocks, (high + 7) // 8 * 8 * row_blocks, WIDTH):
                round_trip(luma, place, step, tables, table, luma_back, place, step)
            for plane in (0, 8 * chroma_step):
                for place in range(plane, plane + 8 * chroma_row_blocks * (lower - upper), WIDTH):
                    round_trip(
                        chroma,
                        place,
                        chroma_step,
                        tables,
                        table + 100 * TABLE,
                        chroma_back,
                        place,
                        chroma_step,
                    )
            if across == 2 and width <= 4:
                _few_pixels(
                    luma_back,
                    step,
                    chroma_back,
                    chroma_step,
                    base,
                    low,
                    high,
                    width,
                    down,
                    chroma_rows,
                    apart,
                    out,
                )
                continue
            # these rows may be written by whole vectors, the rest is put together apart
            safe = max(low, min(high, (end - covered) // width - base + 1))
            _from_planes(
                luma_back,
                step,
                chroma_back,
                chroma_step,
                rows,
                low,
                safe,
                width,
                across,
                down,
                chroma_rows,
                out,
                3 * base * width,
            )
            if safe < high:
                _from_planes(
                    luma_back,
                    step,
                    chroma_back,
                    chroma_step,
                    rows,
                    safe,
                    high,
                    width,
                    across,
                    down,
                    chroma_rows,
                    apart,
                    -3 * safe * width,
                )
                to = 3 * (base + safe) * width
                for i in range(3 * (high - safe) * width):
                    out[to + i] = apart[i]


@exact
def _to_planes(
    images: Any,
    base: int,
    rows: int,
    width: int,
    across: int,
    down: int,
    ends: Any,
    luma: Any,
    step: int,
    chroma: Any,
    chroma_step: int,
) -> None:
    """Convert rows of pixels, `base` the first of them.

    At the right, pixels are repeated before chroma is averaged; at the bottom, averages are, but for one row
    that makes the number of rows even.
    """
    row_blocks, chroma_row_blocks = (width + 7) // 8, (width + 8 * across - 1) // (8 * across)
    chroma_rows = (rows + down - 1) // down
    second = 8 * chroma_step
    last_x = (width - 1) // WIDTH * WIDTH
    # where the last pixels of a row fill no vector, they are taken from copies
    copies = width % WIDTH != 0
    whole = last_x if copies else width
    if copies:
        _copy_ends(images, base, rows, width, last_x, ends)
    for row in range(chroma_rows):
        y = down * row
        at, to = 3 * (base + y) * width, _place(y, step, row_blocks)
        chroma_to = _place(row, chroma_step, chroma_row_blocks)
        if down == 2:
            next_y = min(y + 1, rows - 1)
            next_at, next_to = 3 * (base + next_y) * width, _place(y + 1, step, row_blocks)
            for x in range(0, whole, WIDTH):
                colours_420(
                    images,
                    at + 3 * x,
                    next_at + 3 * x,
                    luma,
                    to + x,
                    next_to + x,
                    chroma,
                    chroma_to + x // 2,
                    second + chroma_to + x // 2,
                )
            if copies:
                to, next_to, chroma_to = to + last_x, next_to + last_x, chroma_to + last_x // 2
                colours_420(
                    ends, y * _END, next_y * _END, luma, to, next_to, chroma, chroma_to, second + chroma_to
                )
        elif across == 2:
            for x in range(0, whole, WIDTH):
                to_x = chroma_to + x // 2
                colours_422(images, at + 3 * x, luma, to + x, chroma, to_x, second + to_x)
            if copies:
                to, chroma_to = to + last_x, chroma_to + last_x // 2
                colours_422(ends, y * _END, luma, to, chroma, chroma_to, second + chroma_to)
        else:
            for x in range(0, whole, WIDTH):
                colours_444(images, at + 3 * x, luma, to + x, chroma, to + x, second + to + x)
            if copies:
                to += last_x
                colours_444(ends, y * _END, luma, to, chroma, to, second + to)
    _repeat_last_row(luma, 0, step, row_blocks, rows)
    _repeat_last_row(chroma, 0, chroma_step, chroma_row_blocks, chroma_rows)
    _repeat_last_row(chroma, second, chroma_step, chroma_row_blocks, chroma_rows)


@exact
def _copy_ends(images: Any, base: int, rows: int, width: int, first: int, ends: Any) -> None:
    """Copy the pixels of each row from the column `first` on and repeat the last one, WIDTH in all."""
    count = width - first
    for y in range(rows):
        at, to = 3 * ((base + y) * width + first), y * _END
        if at + 3 * WIDTH <= images.size:
            copied_chunk(images, at, ends, to)
        else:
            for i in range(3 * count):
                ends[to + i] = images[at + i]
        last = at + 3 * (count - 1)
        red, green, blue = images[last], images[last + 1], images[last + 2]
        for x in range(count, WIDTH):
            ends[to + 3 * x] = red
            ends[to + 3 * x + 1] = green
            ends[to + 3 * x + 2] = blue


@exact
def _chroma_row(plane: Any, near: int, far: int, down: int, width: int, rows: Any, to: int) -> None:
    """A row of chroma with its ends repeated; where `down` is 2, weighted with that which is farther."""
    for x in range(0, width, WIDTH):
        if down == 2:
            weighted_rows(plane, near + x, far + x, rows, to + x)
        else:
            widened(plane, near + x, rows, to + x)
    rows[to - 1] = rows[to]
    rows[to + width] = rows[to + width - 1]


@exact
def _from_planes(
    luma: Any,
    step: int,
    chroma: Any,
    chroma_step: int,
    rows: int,
    low: int,
    high: int,
    width: int,
    across: int,
    down: int,
    chroma_rows: Any,
    out: Any,
    begin: int,
) -> None:
    """Convert the rows `low` … `high` − 1 of `rows` in the planes; the first of all belongs at `begin`."""
    row_blocks, chroma_width = (width + 7) // 8, (width + across - 1) // across
    chroma_row_blocks = (chroma_width + 7) // 8
    last = (rows + down - 1) // down - 1
    second = 8 * chroma_step
    length = 8 * chroma_row_blocks + _SLACK
    second_row = _ROWS * length + WIDTH
    if across == 1:
        for y in range(low, high):
            at, to = _place(y, step, row_blocks), begin + 3 * y * width
            for x in range(0, width, _OUT):
                pixels_444(luma, at + x, chroma, at + x, second + at + x, out, to + 3 * x)
        return
    for first in range(low, high, _ROWS):
        stop = min(first + _ROWS, high)
        # some rows at a time: what was just written can be read only after a while
        for y in range(first, stop):
            near = y // down
            far = near
            if down == 2:
                far = max(near - 1, 0) if y % 2 == 0 else min(near + 1, last)
            near = _place(near, chroma_step, chroma_row_blocks)
            far = _place(far, chroma_step, chroma_row_blocks)
            row = (y - first) * length
            _chroma_row(chroma, near, far, down, chroma_width, chroma_rows, row + WIDTH)
            _chroma_row(
                chroma, second + near, second + far, down, chroma_width, chroma_rows, row + second_row
            )
        for y in range(first, stop):
            at, to, row = _place(y, step, row_blocks), begin + 3 * y * width, (y - first) * length
            blue_at, red_at = row + WIDTH, row + second_row
            if down == 2:
                for x in range(0, width, _OUT):
                    place = x // 2
                    pixels_420(luma, at + x, chroma_rows, blue_at + place, red_at + place, out, to + 3 * x)
            else:
                for x in range(0, width, _OUT):
                    place = x // 2
                    pixels_422(luma, at + x, chroma_rows, blue_at + place, red_at + place, out, to + 3 * x)


@exact
def _few_pixels(
    luma: Any,
    step: int,
    chroma: Any,
    chroma_step: int,
    base: int,
    low: int,
    high: int,
    width: int,
    down: int,
    chroma_rows: Any,
    apart: Any,
    out: Any,
) -> None:
    """Convert rows of at most 4 pixels, whose chroma libjpeg does not interpolate: each two have the same."""
    for y in range(low, high):
        at, to = _place(y, step, 1), 3 * (base + y) * width
        for x in range(0, width, 2):
            for plane in (0, 1):
                sample = chroma[8 * plane * chroma_step + _place(y // down, chroma_step, 1) + x // 2]
                # as weighted rows are: four times the sample
                chroma_rows[3 * plane : 3 * plane + 3] = 4 * int(sample)
            pixels_420(luma, at + x, chroma_rows, 1, 4, apart, 0)
            for i in range(3 * min(2, width - x)):
                out[to + 3 * x + i] = apart[i]
