"""Convolution of image batches, a strip of rows at a time, in a padded buffer.

Shared conventions. Images are (B, H, W, C), C-contiguous. A row of the buffer holds ``pitch`` values, pixels
interleaved as in the image: to move by one pixel is to move by C values, so all channels are worked at once.
`row_of` and `column_of` map padded coordinates to the image's (−1: outside, a constant); their entries at
``reach`` are the image's first row and column. Floats gain `add`, are clipped to [`low`, `high`], and where
they are stored as bytes are truncated: with an `add` of ½ that rounds half up.

The tap engine works on bytes in integers (weights with 28 bits after the point, exact sums), on floats by
one fused multiply-add a tap in one fixed order. Either way a result depends neither on the processor, nor on
strips, nor on the images beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import any_order, exact
from blurgen.loops.vectors import (
    DIGIT_BITS,
    GROUP,
    LANES,
    copy,
    pair_sums,
    repeat,
    to_pairs,
    weighted_sums,
)

Pixels = NDArray[Any]  # uint8 or float32
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_STRIP_FLOATS = 1 << 17  # of a strip's buffer: 512 KiB, half of the L2 cache
ROWS = 64  # `rows`, which part of an image to work at, begins at a multiple of this
_SLACK = 2 * LANES  # floats that vectors may touch before and after a buffer


@exact
def _strip_rows(height: int, pitch: int, span: int) -> int:
    """How many rows of output a strip takes, given `span` more rows of input; all strips about alike."""
    most = max(16, _STRIP_FLOATS // pitch - span)
    strips = (height + most - 1) // most
    return (height + strips - 1) // strips


@exact
def _vectors_in_row(floats: int) -> int:
    return (floats + LANES - 1) // LANES


@exact
def _vector_starts(rows: int, floats: int, base: int, pitch: int) -> Ints:
    """Where the vectors that cover `rows` rows of `floats` floats begin; the last of a row overlaps.

    GROUP rows of one column of vectors come first: what one reads, the next reads again from the L1 cache.
    At least GROUP entries, repeating the last.
    """
    per_row = _vectors_in_row(floats)
    starts = np.empty(max(GROUP, rows * per_row), np.int64)
    n = 0
    for block in range(0, rows, GROUP):
        for k in range(per_row):
            for r in range(block, min(block + GROUP, rows)):
                starts[n] = base + r * pitch + max(0, min(k * LANES, floats - LANES))
                n += 1
    starts[n:] = starts[n - 1]
    return starts


@exact
def _sum_all(
    buffer: Floats,
    starts: Ints,
    offsets: Ints,
    weights: Floats,
    count: int,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
    out_start: int,
    out_starts: Ints,
) -> None:
    """Weighted sums at every start, a group of vectors at a time; the last group overlaps."""
    for v in range(0, starts.size, GROUP):
        first = min(v, starts.size - GROUP)
        weighted_sums(
            buffer, starts, first, offsets, weights, count, add, low, high, out, out_start, out_starts
        )


@exact
def _fill_side(
    image: Pixels,
    row: int,
    channels: int,
    first: int,
    last: int,
    column_of: Ints,
    outside: Any,
    buffer: Pixels,
    at: int,
) -> None:
    """Fill the padding of one row, which begins at ``image[row]``, from entries `first` … `last` − 1."""
    for x in range(first, last):
        column = column_of[x]
        for c in range(channels):
            buffer[at] = image[row + column * channels + c] if column >= 0 else outside
            at += 1


@exact
def _repeats(column_of: Ints, reach: int, values: int, channels: int) -> bool:
    """Whether `_fill_repeating` serves: one channel, one value a side, rows no shorter than a vector."""
    same = channels == 1 and values >= LANES
    for i in range(reach):
        same = same and column_of[i] == column_of[0]
        same = same and column_of[column_of.size - 1 - i] == column_of[column_of.size - 1]
    return same


@exact
def _fill_repeating(
    image: Pixels,
    base: int,
    values: int,
    first: int,
    last: int,
    left: int,
    right: int,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: Any,
    buffer: Pixels,
    at: int,
) -> None:
    """`_fill` for one channel where all values left of the image are one, and all right of it.

    Whole vectors are written; they run over into what is filled next.
    """
    pitch = left + values + right
    left_column, right_column = column_of[0], column_of[column_of.size - 1]
    before, behind = outside, outside
    line = at
    short = values <= 2 * LANES and left <= LANES and right <= LANES
    for y in range(first, last + 1):
        row = row_of[reach + y]
        if row < 0:
            for i in range(line, line + pitch):
                buffer[i] = outside
            line += pitch
            continue
        row = base + row * values
        if left_column >= 0:
            before = buffer.dtype.type(image[row + left_column])
            behind = buffer.dtype.type(image[row + right_column])
        if short:  # what the loops below come to, in four stores
            repeat(before, buffer, line)
            copy(image, row, buffer, line + left)
            copy(image, row + values - LANES, buffer, line + left + values - LANES)
            repeat(behind, buffer, line + left + values)
            line += pitch
            continue
        # plain whiles: a range with a step divides first
        i = line
        while i < line + left:
            repeat(before, buffer, i)
            i += LANES
        i = line + left
        while i < line + left + values - LANES:
            copy(image, row, buffer, i)
            row += LANES
            i += LANES
        copy(image, row - i + line + left + values - LANES, buffer, line + left + values - LANES)
        i = line + left + values
        while i < line + pitch:
            repeat(behind, buffer, i)
            i += LANES
        line += pitch


@exact
def _fill(
    image: Pixels,
    base: int,
    values: int,
    channels: int,
    first: int,
    last: int,
    left: int,
    right: int,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: Any,
    buffer: Pixels,
    at: int,
) -> None:
    """Copy rows `first` … `last` of the image at ``image[base:]``, padded, to ``buffer[at:]``.

    A row of the image has `values` values.
    """
    pitch = values + (left + right) * channels
    start = column_of.size - reach
    for y in range(first, last + 1):
        line = at + (y - first) * pitch
        inner = line + left * channels
        after = inner + values
        if row_of[reach + y] < 0:
            for i in range(line, line + pitch):
                buffer[i] = outside
            continue
        row = base + row_of[reach + y] * values
        _fill_side(image, row, channels, reach - left, reach, column_of, outside, buffer, line)
        if values >= LANES:
            for x in range(0, values - LANES, LANES):
                copy(image, row + x, buffer, inner + x)
            copy(image, row + values - LANES, buffer, after - LANES)
        else:
            for i in range(values):
                buffer[inner + i] = image[row + i]
        _fill_side(image, row, channels, start, start + right, column_of, outside, buffer, after)


@exact
def _cells(height: int, width: int, pitch: int, channels: int) -> tuple[Ints, Ints]:
    """For each cell of a PSF the row shift and the offset from an output pixel to the input it weighs."""
    shifts, offsets = np.empty(height * width, np.int64), np.empty(height * width, np.int64)
    for i in range(height):
        for j in range(width):
            shifts[i * width + j] = height // 2 - i
            offsets[i * width + j] = (height // 2 - i) * pitch + (width // 2 - j) * channels
    return shifts, offsets


@exact
def _collect(psf: Floats, cell_offsets: Ints, cells: Ints, offsets: Ints, weights: Floats) -> int:
    """List the cells of a PSF that are not zero, with their offsets and weights; their count."""
    n = 0
    for cell in range(psf.size):
        # written in any case, kept by counting: no branch to mispredict
        cells[n] = cell
        offsets[n] = cell_offsets[cell]
        weights[n] = psf[cell]
        n += 1 if psf[cell] != 0.0 else 0
    return n


@exact
def _digits(weight: float) -> tuple[int, int]:
    """The two digits, to base 2^DIGIT_BITS, of a weight with 2 · DIGIT_BITS bits after the point."""
    whole = int(weight * float(1 << (2 * DIGIT_BITS)) + 0.5)
    return whole >> DIGIT_BITS, whole & ((1 << DIGIT_BITS) - 1)


@exact
def _collect_pairs(
    psf: Floats,
    at: int,
    height: int,
    width: int,
    cell_offsets: Ints,
    cells: Ints,
    offsets: Ints,
    high: NDArray[np.int32],
    low: NDArray[np.int32],
) -> int:
    """List the PSF at ``psf[at:]`` as pairs of neighbours in a row, the second of which may be zero.

    The later cell of a pair weighs the earlier pixel: its offset is the pair's, its digits are the lower
    halves. The number of pairs is returned; `cells` receives their first cells.
    """
    n = 0
    for i in range(height):
        cell = i * width
        end = cell + width
        while cell < end:
            if psf[at + cell] == 0.0:
                cell += 1
                continue
            cells[n] = cell
            n += 1
            cell += 2
    for k in range(n):
        cell = cells[k]
        upper_high, upper_low = _digits(float(psf[at + cell]))
        if cell % width == width - 1:
            # no neighbour: the pixel stands in the lower half
            high[k], low[k], offsets[k] = upper_high, upper_low, cell_offsets[cell]
        else:
            lower_high, lower_low = _digits(float(psf[at + cell + 1]))
            high[k] = lower_high | (upper_high << 16)
            low[k] = lower_low | (upper_low << 16)
            offsets[k] = cell_offsets[cell + 1]
    return n


@exact
def _unpack(stage: Pixels, rows: int, floats: int, out: Pixels, at: int) -> None:
    """Copy rows narrower than a vector from where each had a whole vector's room."""
    for r in range(rows):
        for i in range(floats):
            out[at + r * floats + i] = stage[r * LANES + i]


@exact
def _margins(size: int) -> tuple[int, int]:
    """How many pixels before and behind a pixel the taps of a profile of `size` reach."""
    # the tap at i weighs the pixel at size // 2 − i
    return size - 1 - size // 2, size // 2


@exact
def taps_of_bytes(
    images: Pixels,
    psfs: Floats,
    which: Ints,
    rows: tuple[int, int],
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: np.uint8,
    out: Pixels,
) -> None:
    """Convolve ``images[which]`` by the non-zero taps of their PSFs (one each, or one for all), in integers.

    Fewer than 2 ^ (31 − 8 − DIGIT_BITS) taps, so that no sum overflows.
    """
    _, height, width, channels = images.shape
    values = width * channels
    repeats = _repeats(column_of, reach, values, channels)
    size = psfs.shape[1] * psfs.shape[2]
    up, down = _margins(psfs.shape[1])
    left, right = _margins(psfs.shape[2])
    pitch = values + (left + right) * channels
    strip = _strip_rows(rows[1] - rows[0], pitch, up + down)

    padded = np.zeros((strip + up + down) * pitch + 2 * _SLACK + channels, np.uint8)
    buffer = np.zeros(padded.size, np.int32)
    starts = _vector_starts(strip, values, _SLACK + up * pitch + left * channels, pitch)
    narrow = values < LANES
    out_starts = _vector_starts(strip, values, 0, LANES if narrow else values)
    stage = np.empty(max(strip, GROUP) * LANES if narrow else 0, np.uint8)
    cell_shifts, cell_offsets = _cells(psfs.shape[1], psfs.shape[2], pitch, channels)
    cells, offsets = np.empty(size, np.int64), np.empty(size, np.int64)
    high, low = np.empty(size, np.int32), np.empty(size, np.int32)
    pixels, results, weights = images.reshape(images.size), out.reshape(out.size), psfs.reshape(psfs.size)

    for n in which:
        psf_at = n * size if psfs.shape[0] > 1 else 0
        count = _collect_pairs(
            weights, psf_at, psfs.shape[1], psfs.shape[2], cell_offsets, cells, offsets, high, low
        )
        above, below = -cell_shifts[cells[count - 1]], cell_shifts[cells[0]]
        base = n * height * values
        for first in range(rows[0], rows[1], strip):
            # the last strip overlaps the one before, so that all have one shape
            y = min(first, rows[1] - strip)
            start = _SLACK + (up - above) * pitch
            top, bottom = y - above, y + strip - 1 + below
            if repeats:
                _fill_repeating(
                    pixels,
                    base,
                    values,
                    top,
                    bottom,
                    left,
                    right,
                    row_of,
                    column_of,
                    reach,
                    outside,
                    padded,
                    start,
                )
            else:
                _fill(
                    pixels,
                    base,
                    values,
                    channels,
                    top,
                    bottom,
                    left,
                    right,
                    row_of,
                    column_of,
                    reach,
                    outside,
                    padded,
                    start,
                )
            p, end = start, start + (above + strip + below) * pitch
            while p < end:
                to_pairs(padded, p, channels, buffer, p)
                p += LANES
            target, to = (stage, 0) if narrow else (results, base + y * values)
            for v in range(0, starts.size, GROUP):
                group = min(v, starts.size - GROUP)
                pair_sums(buffer, starts, group, offsets, high, low, count, target, to, out_starts)
            if narrow:
                _unpack(stage, strip, values, results, base + y * values)


@exact
def taps_of_floats(
    images: Floats,
    psfs: Floats,
    which: Ints,
    rows: tuple[int, int],
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: np.float32,
    out: Floats,
) -> None:
    """Convolve ``images[which]`` by the non-zero taps of their PSFs (one each, or one for all)."""
    _, height, width, channels = images.shape
    floats = width * channels
    size = psfs.shape[1] * psfs.shape[2]
    up, down = _margins(psfs.shape[1])
    left, right = _margins(psfs.shape[2])
    pitch = floats + (left + right) * channels
    strip = _strip_rows(rows[1] - rows[0], pitch, up + down)

    buffer = np.zeros((strip + up + down) * pitch + 2 * _SLACK, np.float32)
    starts = _vector_starts(strip, floats, _SLACK + up * pitch + left * channels, pitch)
    narrow = floats < LANES
    out_starts = _vector_starts(strip, floats, 0, LANES if narrow else floats)
    stage = np.empty(max(strip, GROUP) * LANES if narrow else 0, np.float32)
    cell_shifts, cell_offsets = _cells(psfs.shape[1], psfs.shape[2], pitch, channels)
    cells, offsets = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    weights = np.empty(size + 1, np.float32)
    pixels, results = images.reshape(images.size), out.reshape(out.size)
    none, most = np.float32(0.0), np.float32(np.inf)

    for n in which:
        psf = psfs[n if psfs.shape[0] > 1 else 0].reshape(size)
        count = _collect(psf, cell_offsets, cells, offsets, weights)
        above, below = -cell_shifts[cells[count - 1]], cell_shifts[cells[0]]
        base = n * height * floats
        for first in range(rows[0], rows[1], strip):
            y = min(first, rows[1] - strip)
            _fill(
                pixels,
                base,
                floats,
                channels,
                y - above,
                y + strip - 1 + below,
                left,
                right,
                row_of,
                column_of,
                reach,
                outside,
                buffer,
                _SLACK + (up - above) * pitch,
            )
            target, to = (stage, 0) if narrow else (results, base + y * floats)
            _sum_all(buffer, starts, offsets, weights, count, none, -most, most, target, to, out_starts)
            if narrow:
                _unpack(stage, strip, floats, results, base + y * floats)


@exact
def _profile_taps(profile: Floats, step: int, offsets: Ints, weights: Floats) -> tuple[int, int, int]:
    """List a one-dimensional PSF's taps as offsets in floats; their count, first and last input shift."""
    middle = profile.size // 2
    n = 0
    for i in range(profile.size):
        if profile[i] != 0.0:
            offsets[n] = (middle - i) * step
            weights[n] = profile[i]
            n += 1
    return n, offsets[n - 1] // step, offsets[0] // step


@exact
def separable(
    images: Pixels,
    down_profiles: Floats,
    across_profiles: Floats,
    which: Ints,
    rows: tuple[int, int],
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: np.float32,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
) -> None:
    """Convolve ``images[which]`` first along the rows, then along the columns."""
    _, height, width, channels = images.shape
    floats = width * channels
    size = across_profiles.shape[1]
    left, right = _margins(size)
    span = down_profiles.shape[1] - 1
    pitch = floats + (left + right) * channels
    strip = _strip_rows(rows[1] - rows[0], pitch, span)
    together = min(8, strip + span)  # rows that are padded and summed along at a time

    buffer = np.zeros(together * pitch + 2 * _SLACK, np.float32)
    starts = _vector_starts(together, floats, _SLACK + left * channels, pitch)
    middle = np.zeros((strip + span) * floats + 2 * _SLACK, np.float32)
    middle_starts = _vector_starts(together, floats, 0, floats)
    narrow = floats < LANES
    out_starts = _vector_starts(strip, floats, 0, LANES if narrow else floats)
    stage = np.empty(max(strip, GROUP) * LANES if narrow else 0, out.dtype)
    across, across_weights = np.empty(size, np.int64), np.empty(size, np.float32)
    down, down_weights = np.empty(span + 1, np.int64), np.empty(span + 1, np.float32)
    none, most = np.float32(0.0), np.float32(np.inf)
    pixels, results = images.reshape(images.size), out.reshape(out.size)

    for n in which:
        p = n if down_profiles.shape[0] > 1 else 0
        across_count, _, _ = _profile_taps(across_profiles[p], channels, across, across_weights)
        down_count, first_shift, last_shift = _profile_taps(down_profiles[p], floats, down, down_weights)
        needed = strip + last_shift - first_shift
        down_starts = _vector_starts(strip, floats, _SLACK - first_shift * floats, floats)
        base = n * height * floats
        done = 0  # rows of `middle` that hold what this strip needs
        for first in range(rows[0], rows[1], strip):
            y = min(first, rows[1] - strip)
            if y == first and first > rows[0]:
                done = needed - strip
                kept = middle[_SLACK + strip * floats : _SLACK + needed * floats]
                middle[_SLACK : _SLACK + done * floats] = kept.copy()
            else:
                done = 0
            while done < needed:
                at = max(0, min(done, needed - together))
                top = y + first_shift + at
                _fill(
                    pixels,
                    base,
                    floats,
                    channels,
                    top,
                    top + together - 1,
                    left,
                    right,
                    row_of,
                    column_of,
                    reach,
                    outside,
                    buffer,
                    _SLACK,
                )
                _sum_all(
                    buffer,
                    starts,
                    across,
                    across_weights,
                    across_count,
                    none,
                    -most,
                    most,
                    middle,
                    _SLACK + at * floats,
                    middle_starts,
                )
                done = at + together
            target, to = (stage, 0) if narrow else (results, base + y * floats)
            _sum_all(
                middle,
                down_starts,
                down,
                down_weights,
                down_count,
                add,
                low,
                high,
                target,
                to,
                out_starts,
            )
            if narrow:
                _unpack(stage, strip, floats, results, base + y * floats)


@exact
def boxes(
    images: Pixels,
    extents: Ints,
    which: Ints,
    rows: tuple[int, int],
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: np.float32,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
) -> None:
    """Convolve ``images[which]`` by equal weights over input shifts ``extents[p]``.

    `extents` holds first row, last row, first column, last column of the shifts. The sums over columns
    slide down ROWS rows and then start afresh. Along a row, sums over 2, 4, 8 … pixels are put together from
    those over half as many, and the wanted number from these: nothing is taken off again, so nothing drifts.
    Of bytes all sums are exact as long as they stay below 2²⁴.
    """
    _, height, width, channels = images.shape
    floats = width * channels
    pixels, results = images.reshape(images.size), out.reshape(out.size)
    none, most = np.float32(0.0), np.float32(np.inf)
    for n in which:
        top, bottom, leftmost, rightmost = extents[n if extents.shape[0] > 1 else 0]
        left, right = max(0, -leftmost), max(0, rightmost)
        pitch = floats + (left + right) * channels
        tall, wide = bottom - top + 1, rightmost - leftmost + 1
        levels = 1
        while wide >> levels:
            levels += 1
        # behind the padded rows: two lines of sums over columns, then a line for each doubling
        line = pitch + wide * channels + 2 * _SLACK
        sums, other = (ROWS + tall) * pitch + 2 * _SLACK, (ROWS + tall) * pitch + 2 * _SLACK + line
        doubled = other + line
        buffer = np.zeros(doubled + levels * line, np.float32)
        starts, out_starts = _vector_starts(1, pitch, 0, pitch), _vector_starts(1, floats, 0, floats)
        narrow = floats < LANES
        stage = np.empty(LANES, out.dtype)
        offsets, weights = np.empty(tall + levels + 3, np.int64), np.empty(tall + levels + 3, np.float32)
        weight = np.float32(1.0 / (tall * wide))
        for y in range(rows[0], rows[1], ROWS):
            last = min(y + ROWS, rows[1]) - 1
            _fill(
                pixels,
                n * height * floats,
                floats,
                channels,
                y + top,
                last + bottom,
                left,
                right,
                row_of,
                column_of,
                reach,
                outside,
                buffer,
                _SLACK,
            )
            for r in range(last - y + 1):
                if r == 0:
                    count = tall
                    for i in range(tall):
                        offsets[i], weights[i] = _SLACK + i * pitch, 1.0
                else:
                    count = 3
                    offsets[0], weights[0] = other, 1.0
                    offsets[1], weights[1] = _SLACK + (r + tall - 1) * pitch, 1.0
                    offsets[2], weights[2] = _SLACK + (r - 1) * pitch, -1.0
                _sum_all(buffer, starts, offsets, weights, count, none, -most, most, buffer, sums, starts)
                for k in range(1, levels):
                    before = sums if k == 1 else doubled + (k - 1) * line
                    offsets[0], offsets[1] = before, before + (1 << (k - 1)) * channels
                    weights[0], weights[1] = 1.0, 1.0
                    to = doubled + k * line
                    _sum_all(buffer, starts, offsets, weights, 2, none, -most, most, buffer, to, starts)
                count, covered = 0, left + leftmost
                for k in range(levels):
                    if wide & (1 << k):
                        level = sums if k == 0 else doubled + k * line
                        offsets[count], weights[count] = level + covered * channels, weight
                        covered += 1 << k
                        count += 1
                target, to = (stage, 0) if narrow else (results, (n * height + y + r) * floats)
                _sum_all(buffer, out_starts, offsets, weights, count, add, low, high, target, to, out_starts)
                if narrow:
                    _unpack(stage, 1, floats, results, (n * height + y + r) * floats)
                sums, other = other, sums


TAPS, SEPARABLE, BOX, FFT = 0, 1, 2, 3

# costs of a pixel, in multiply-adds of the tap engine
_FEW = 16
_BOX_COST = 16.0


@exact
def _profiles(psf: Floats, down: Floats, across: Floats) -> bool:
    """Whether a PSF is an outer product, all errors together below a millionth of its sum; its factors."""
    height, width = psf.shape
    peak, peak_row, peak_column = np.float32(0.0), 0, 0
    for i in range(height):
        for j in range(width):
            if abs(psf[i, j]) > peak:
                peak, peak_row, peak_column = abs(psf[i, j]), i, j
    scale = 1.0 / float(psf[peak_row, peak_column])
    total, wrong = 0.0, 0.0
    for i in range(height):
        factor = float(psf[i, peak_column]) * scale
        for j in range(width):
            total += abs(float(psf[i, j]))
            wrong += abs(float(psf[i, j]) - factor * float(psf[peak_row, j]))
        if wrong > 1e-6 * max(total, float(peak)):
            return False
    for i in range(height):
        down[i] = psf[i, peak_column] * scale
    for j in range(width):
        across[j] = psf[peak_row, j]
    return True


@any_order
def survey(psfs: Floats, sums: NDArray[np.float64], negatives: Ints, counts: Ints) -> None:
    """Sum, number of negative and of non-zero weights of each PSF, given as (B, n)."""
    for p in range(psfs.shape[0]):
        total, negative, count = 0.0, np.int32(0), np.int32(0)
        for i in range(psfs.shape[1]):
            weight = psfs[p, i]
            total += float(weight)
            negative += np.int32(weight < 0.0)
            count += np.int32(weight != 0.0)
        sums[p], negatives[p], counts[p] = total, negative, count


@exact
def classify(
    psfs: Floats,
    counts: Ints,
    fft_cost: float,
    engines: Ints,
    extents: Ints,
    down: Floats,
    across: Floats,
) -> None:
    """Choose for each PSF, with `counts` taps, the engine that takes the fewest operations a pixel.

    Where the engine is BOX, `extents` receives the input shifts that the taps span; where it is SEPARABLE,
    `down` and `across`, zeroed, receive the factors.
    """
    height, width = psfs.shape[1:]
    for p in range(psfs.shape[0]):
        engines[p] = TAPS
        if counts[p] <= _FEW:
            continue
        top, bottom, left, right = height, -1, width, -1
        equal, value = True, np.float32(0.0)
        for i in range(height):
            for j in range(width):
                weight = psfs[p, i, j]
                if weight != 0.0:
                    value = weight if value == 0.0 else value
                    equal = equal and weight == value
                    top, bottom = min(top, i), max(bottom, i)
                    left, right = min(left, j), max(right, j)
        rows, columns = bottom - top + 1, right - left + 1
        cost = float(counts[p])
        separable_cost = 1.25 * (rows + columns) + 6.0
        if equal and counts[p] == rows * columns and counts[p] <= 65536:
            engines[p], cost = BOX, _BOX_COST
            extents[p, 0], extents[p, 1] = height // 2 - bottom, height // 2 - top
            extents[p, 2], extents[p, 3] = width // 2 - right, width // 2 - left
        elif separable_cost < cost and _profiles(psfs[p], down[p], across[p]):
            engines[p], cost = SEPARABLE, separable_cost
        if fft_cost < cost:
            engines[p] = FFT
