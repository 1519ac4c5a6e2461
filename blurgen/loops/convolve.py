"""Convolution of image batches, a strip of rows at a time, in a padded float32 buffer.

Shared conventions. Images are (B, H, W, C), C-contiguous. A row of the buffer holds ``pitch`` floats,
pixels interleaved as in the image: to move by one pixel is to move by C floats, so all channels are worked
at once. `row_of` and `column_of` map padded coordinates to the image's (−1: outside, a constant); their
entries at ``reach`` are the image's first row and column. Results gain `add`, are clipped to
[`low`, `high`], and where they are stored as bytes are truncated: with an `add` of ½ that rounds half up.

Each sum runs over the PSF's taps in one fixed order, one fused multiply-add a tap, so that a result depends
neither on the processor's vectors, nor on strips, nor on the images beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact
from blurgen.loops.vectors import GROUP, LANES, repeat, to_floats, weighted_sums

Pixels = NDArray[Any]  # uint8 or float32
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_STRIP_FLOATS = 1 << 16  # of a strip's buffer: 256 KiB, half of a small L2 cache
_SLACK = 2 * LANES  # floats that vectors may touch before and after a buffer


@exact
def _strip_rows(height: int, pitch: int, span: int) -> int:
    """How many rows of output a strip takes, given `span` more rows of input."""
    return min(height, max(16, _STRIP_FLOATS // pitch - span))


@exact
def _vectors_in_row(floats: int) -> int:
    return (floats + LANES - 1) // LANES


@exact
def _vector_starts(rows: int, floats: int, base: int, pitch: int) -> Ints:
    """Where the vectors that cover `rows` rows of `floats` floats begin; the last of a row overlaps.

    At least GROUP entries, repeating the last.
    """
    per_row = _vectors_in_row(floats)
    starts = np.empty(max(GROUP, rows * per_row), np.int64)
    n = 0
    for r in range(rows):
        for k in range(per_row):
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
    out_starts: Ints,
) -> None:
    """Weighted sums at every start, a group of vectors at a time; the last group overlaps."""
    for v in range(0, starts.size, GROUP):
        first = min(v, starts.size - GROUP)
        weighted_sums(buffer, starts, first, offsets, weights, count, add, low, high, out, out_starts)


@exact
def _fill_side(
    image: Pixels,
    row: int,
    channels: int,
    first: int,
    last: int,
    column_of: Ints,
    outside: np.float32,
    buffer: Floats,
    at: int,
) -> None:
    """Fill the padding of one row, which begins at ``image[row]``, from entries `first` … `last` − 1."""
    for x in range(first, last):
        column = column_of[x]
        for c in range(channels):
            buffer[at] = image[row + column * channels + c] if column >= 0 else outside
            at += 1


@exact
def _one_value_a_side(column_of: Ints, reach: int) -> bool:
    """Whether all columns left of the image are copies of one, and all right of it."""
    same = True
    for i in range(reach):
        same = same and column_of[i] == column_of[0]
        same = same and column_of[column_of.size - 1 - i] == column_of[column_of.size - 1]
    return same


@exact
def _fill(
    image: Pixels,
    floats: int,
    first: int,
    last: int,
    left: int,
    right: int,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: np.float32,
    buffer: Floats,
    at: int,
) -> None:
    """Copy rows `first` … `last` of an image, flat, with `floats` values a row, padded, to ``buffer[at:]``."""
    width = column_of.size - 2 * reach
    channels = floats // width
    pitch = floats + (left + right) * channels
    # an edge repeated, or a constant, goes in whole vectors; they run over into what is filled next
    in_vectors = channels == 1 and _one_value_a_side(column_of, reach)
    left_column, right_column = column_of[0], column_of[column_of.size - 1]
    for y in range(first, last + 1):
        line = at + (y - first) * pitch
        inner = line + left * channels
        after = inner + floats
        row = row_of[reach + y] * floats
        if row < 0:
            for i in range(line, line + pitch):
                buffer[i] = outside
            continue
        if in_vectors:
            value = np.float32(image[row + left_column]) if left_column >= 0 else outside
            for i in range(line, inner, LANES):
                repeat(value, buffer, i)
        else:
            _fill_side(image, row, channels, reach - left, reach, column_of, outside, buffer, line)
        if floats >= LANES:
            for x in range(0, floats - LANES, LANES):
                to_floats(image, row + x, buffer, inner + x)
            to_floats(image, row + floats - LANES, buffer, after - LANES)
        else:
            for i in range(floats):
                buffer[inner + i] = image[row + i]
        if in_vectors:
            value = np.float32(image[row + right_column]) if right_column >= 0 else outside
            for i in range(after, line + pitch, LANES):
                repeat(value, buffer, i)
        else:
            start = reach + width
            _fill_side(image, row, channels, start, start + right, column_of, outside, buffer, after)


@exact
def _collect(psf: Floats, rows: Ints, columns: Ints, weights: Floats) -> int:
    """List the non-zero taps as offsets (row, column) from the output to the input pixel; their count."""
    middle_row, middle_column = psf.shape[0] // 2, psf.shape[1] // 2
    n = 0
    for i in range(psf.shape[0]):
        for j in range(psf.shape[1]):
            if psf[i, j] != 0.0:
                rows[n] = middle_row - i
                columns[n] = middle_column - j
                weights[n] = psf[i, j]
                n += 1
    return n


@exact
def _unpack(stage: Pixels, rows: int, floats: int, out: Pixels) -> None:
    """Copy rows narrower than a vector from where each had a whole vector's room."""
    for r in range(rows):
        for i in range(floats):
            out[r * floats + i] = stage[r * LANES + i]


@exact
def taps(
    images: Pixels,
    psfs: Floats,
    which: Ints,
    row_of: Ints,
    column_of: Ints,
    reach: int,
    outside: np.float32,
    add: np.float32,
    low: np.float32,
    high: np.float32,
    out: Pixels,
) -> None:
    """Convolve ``images[which]`` by the non-zero taps of their PSFs (one each, or one for all)."""
    _, height, width, channels = images.shape
    floats = width * channels
    size = psfs.shape[1] * psfs.shape[2]
    # a tap in row i of the PSF reads from row y + middle − i
    up, down = psfs.shape[1] - 1 - psfs.shape[1] // 2, psfs.shape[1] // 2
    left, right = psfs.shape[2] - 1 - psfs.shape[2] // 2, psfs.shape[2] // 2
    pitch = floats + (left + right) * channels
    strip = _strip_rows(height, pitch, up + down)

    buffer = np.zeros((strip + up + down) * pitch + 2 * _SLACK, np.float32)
    starts = _vector_starts(strip, floats, _SLACK + up * pitch + left * channels, pitch)
    narrow = floats < LANES
    out_starts = _vector_starts(strip, floats, 0, LANES if narrow else floats)
    stage = np.empty(max(strip, GROUP) * LANES if narrow else 0, out.dtype)
    rows, columns = np.empty(size, np.int64), np.empty(size, np.int64)
    offsets, weights = np.empty(size, np.int64), np.empty(size, np.float32)

    for n in which:
        count = _collect(psfs[n if psfs.shape[0] > 1 else 0], rows, columns, weights)
        for t in range(count):
            offsets[t] = rows[t] * pitch + columns[t] * channels
        above, below = -rows[count - 1], rows[0]
        image = images[n].reshape(height * floats)
        result = out[n].reshape(height * floats)
        for first in range(0, height, strip):
            # the last strip overlaps the one before, so that all have one shape
            y = min(first, height - strip)
            _fill(
                image,
                floats,
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
            if narrow:
                _sum_all(buffer, starts, offsets, weights, count, add, low, high, stage, out_starts)
                _unpack(stage, strip, floats, result[y * floats :])
            else:
                target = result[y * floats :]
                _sum_all(buffer, starts, offsets, weights, count, add, low, high, target, out_starts)


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
    left, right = size - 1 - size // 2, size // 2
    span = down_profiles.shape[1] - 1
    pitch = floats + (left + right) * channels
    strip = _strip_rows(height, pitch, span)
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
    none, all_floats = np.float32(0.0), np.float32(np.inf)

    for n in which:
        p = n if down_profiles.shape[0] > 1 else 0
        across_count, _, _ = _profile_taps(across_profiles[p], channels, across, across_weights)
        down_count, first_shift, last_shift = _profile_taps(down_profiles[p], floats, down, down_weights)
        needed = strip + last_shift - first_shift
        down_starts = _vector_starts(strip, floats, _SLACK - first_shift * floats, floats)
        image = images[n].reshape(height * floats)
        result = out[n].reshape(height * floats)
        done = 0  # rows of `middle` that hold what this strip needs
        for first in range(0, height, strip):
            y = min(first, height - strip)
            if y == first and first > 0:
                done = needed - strip
                kept = middle[_SLACK + strip * floats : _SLACK + needed * floats]
                middle[_SLACK : _SLACK + done * floats] = kept.copy()
            else:
                done = 0
            while done < needed:
                at = max(0, min(done, needed - together))
                top = y + first_shift + at
                _fill(
                    image,
                    floats,
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
                target = middle[_SLACK + at * floats :]
                _sum_all(
                    buffer,
                    starts,
                    across,
                    across_weights,
                    across_count,
                    none,
                    -all_floats,
                    all_floats,
                    target,
                    middle_starts,
                )
                done = at + together
            if narrow:
                _sum_all(
                    middle, down_starts, down, down_weights, down_count, add, low, high, stage, out_starts
                )
                _unpack(stage, strip, floats, result[y * floats :])
            else:
                target_rows = result[y * floats :]
                _sum_all(
                    middle,
                    down_starts,
                    down,
                    down_weights,
                    down_count,
                    add,
                    low,
                    high,
                    target_rows,
                    out_starts,
                )


@exact
def _add_rows(total: Floats, new: Floats) -> None:
    for i in range(total.size):
        total[i] += new[i]


@exact
def _slide_rows(total: Floats, new: Floats, old: Floats) -> None:
    for i in range(total.size):
        total[i] += new[i] - old[i]


@exact
def _double(sums: Floats, step: int, doubled: Floats) -> None:
    """Sums over twice as many pixels."""
    for i in range(sums.size - step):
        doubled[i] = sums[i] + sums[i + step]


@exact
def _running_sum(total: Floats, count: int, channels: int, one: Floats, other: Floats, sums: Floats) -> None:
    """Sums over `count` neighbouring pixels, put together from sums over 1, 2, 4 … of them.

    No subtraction, hence no drift along the row.
    """
    sums[:] = 0.0
    one[:] = total
    covered, power = 0, 1
    n = sums.size
    while True:
        if count & power:
            shifted = one[covered * channels : covered * channels + n]
            for i in range(n):
                sums[i] += shifted[i]
            covered += power
        power *= 2
        if power > count:
            return
        _double(one, (power // 2) * channels, other)
        one, other = other, one


@exact
def boxes(
    images: Pixels,
    extents: Ints,
    which: Ints,
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
    slide down a strip and start afresh in each; of bytes they are exact as long as they stay below 2²⁴.
    """
    _, height, width, channels = images.shape
    floats = width * channels
    for n in which:
        top, bottom, leftmost, rightmost = extents[n if extents.shape[0] > 1 else 0]
        left, right = max(0, -leftmost), max(0, rightmost)
        pitch = floats + (left + right) * channels
        rows, columns = bottom - top + 1, rightmost - leftmost + 1
        strip = _strip_rows(height, pitch, rows)
        buffer = np.zeros((strip + rows) * pitch + 2 * _SLACK, np.float32)
        total = np.zeros(pitch, np.float32)
        one, other = np.zeros(pitch, np.float32), np.zeros(pitch, np.float32)
        sums = np.zeros(floats, np.float32)
        weight = np.float32(1.0 / (rows * columns))
        image = images[n].reshape(height * floats)
        for y in range(0, height, strip):
            last = min(y + strip, height) - 1
            _fill(
                image,
                floats,
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
            padded = buffer[_SLACK : _SLACK + (strip + rows) * pitch].reshape(strip + rows, pitch)
            total[:] = 0.0
            for r in range(rows - 1):
                _add_rows(total, padded[r])
            for r in range(last - y + 1):
                if r == 0:
                    _add_rows(total, padded[rows - 1])
                else:
                    _slide_rows(total, padded[r + rows - 1], padded[r - 1])
                begin = (left + leftmost) * channels
                _running_sum(total[begin:], columns, channels, one[begin:], other[begin:], sums)
                target = out[n, y + r].reshape(floats)
                for i in range(floats):
                    target[i] = min(max(sums[i] * weight + add, low), high)


TAPS, SEPARABLE, BOX, FFT = 0, 1, 2, 3


@exact
def _profiles(psf: Floats, down: Floats, across: Floats) -> bool:
    """Whether a PSF is an outer product, to a millionth of its maximum; if so, its two factors."""
    height, width = psf.shape
    peak, peak_row, peak_column = np.float32(0.0), 0, 0
    for i in range(height):
        for j in range(width):
            if abs(psf[i, j]) > peak:
                peak, peak_row, peak_column = abs(psf[i, j]), i, j
    scale = 1.0 / float(psf[peak_row, peak_column])
    for i in range(height):
        factor = float(psf[i, peak_column]) * scale
        for j in range(width):
            if abs(psf[i, j] - factor * psf[peak_row, j]) > 4e-7 * peak:
                return False
    for i in range(height):
        down[i] = psf[i, peak_column] * scale
    for j in range(width):
        across[j] = psf[peak_row, j]
    return True


@exact
def classify(
    psfs: Floats, fft_cost: float, engines: Ints, extents: Ints, down: Floats, across: Floats
) -> None:
    """Choose for each PSF the engine that takes the fewest operations a pixel.

    `extents` receives the input shifts that the non-zero taps span; `down` and `across`, zeroed, the
    factors of those PSFs whose engine is SEPARABLE.
    """
    height, width = psfs.shape[1:]
    for p in range(psfs.shape[0]):
        count = 0
        top, bottom, left, right = height, -1, width, -1
        equal, value = True, np.float32(0.0)
        for i in range(height):
            for j in range(width):
                if psfs[p, i, j] != 0.0:
                    if count == 0:
                        value = psfs[p, i, j]
                    equal = equal and psfs[p, i, j] == value
                    count += 1
                    top, bottom = min(top, i), max(bottom, i)
                    left, right = min(left, j), max(right, j)
        rows, columns = bottom - top + 1, right - left + 1
        extents[p, 0], extents[p, 1] = height // 2 - bottom, height // 2 - top
        extents[p, 2], extents[p, 3] = width // 2 - right, width // 2 - left
        engine, cost = TAPS, float(count)
        if equal and count == rows * columns and count > 16 and count <= 65536:
            engine, cost = BOX, 16.0
        elif 1.25 * (rows + columns) + 6.0 < cost and _profiles(psfs[p], down[p], across[p]):
            engine, cost = SEPARABLE, 1.25 * (rows + columns) + 6.0
        if fft_cost < cost:
            engine = FFT
        engines[p] = engine
