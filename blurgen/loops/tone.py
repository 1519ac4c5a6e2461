"""Tone: shifts, stretches, curves and local equalisation of grey levels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.curves import srgb_light
from blurgen.loops.elementary import exp, power
from blurgen.loops.jit import exact

_F = np.float32
_ROUND = _F(12582912.0)  # 1.5·2²³: added and taken away, it rounds to whole numbers, halves to even


@exact
def add_bytes(images: NDArray[np.uint8], shifts: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Write images (B, n) plus a whole number each, clipped to 0 … 255, to `out`."""
    for i in range(images.shape[0]):
        source, target = images[i], out[i]
        if shifts[i] >= 0:
            up = np.uint8(min(shifts[i], 255))
            most = np.uint8(255 - up)
            for j in range(source.size):
                target[j] = np.uint8(min(source[j], most) + up)
        else:
            down = np.uint8(min(-shifts[i], 255))
            for j in range(source.size):
                target[j] = np.uint8(max(source[j], down) - down)


@exact
def look_up(image: NDArray[np.uint8], levels: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Write the new levels of an image (n, C) to `out`; levels (C, 256)."""
    if image.shape[1] == 1:
        only = levels[0]
        for j in range(image.shape[0]):
            out[j, 0] = only[image[j, 0]]
    else:
        red, green, blue = levels[0], levels[1], levels[2]
        for j in range(image.shape[0]):
            out[j, 0] = red[image[j, 0]]
            out[j, 1] = green[image[j, 1]]
            out[j, 2] = blue[image[j, 2]]


@exact
def _rounded(value: float) -> np.uint8:
    """A byte, clipped and rounded half up."""
    return np.uint8(np.int64(min(max(value + 0.5, 0.0), 255.0)))


@exact
def gamma_bytes(
    images: NDArray[np.uint8], logs: NDArray[np.float64], gammas: NDArray[np.float64], out: NDArray[np.uint8]
) -> None:
    """Write 255·(image/255)^γ of images (B, n), rounded half up, to `out`; `logs` (256,) are ln(b/255)."""
    levels = np.zeros((1, 256), np.uint8)
    for i in range(images.shape[0]):
        for b in range(1, 256):
            levels[0, b] = _rounded(255.0 * exp(gammas[i] * logs[b]))
        look_up(images[i].reshape(-1, 1), levels, out[i].reshape(-1, 1))


@exact
def stretch_bytes(images: NDArray[np.uint8], factors: NDArray[np.float64], out: NDArray[np.uint8]) -> None:
    """Write (image − mean)·factor + mean of images (B, n, C), rounded half up and clipped, to `out`."""
    count, size, channels = images.shape
    levels = np.empty((channels, 256), np.uint8)
    for i in range(count):
        for c in range(channels):
            total = np.int64(0)
            for j in range(size):
                total += np.int64(images[i, j, c])
            mean = float(total) / size
            for b in range(256):
                levels[c, b] = _rounded((b - mean) * factors[i] + mean)
        look_up(images[i], levels, out[i])


@exact
def stretch_floats(
    images: NDArray[np.float32], factors: NDArray[np.float64], out: NDArray[np.float32]
) -> None:
    """Write (image − mean)·factor + mean of images (B, n, C) to `out`."""
    count, size, channels = images.shape
    for i in range(count):
        factor = _F(factors[i])
        for c in range(channels):
            total = 0.0
            for j in range(size):
                total += float(images[i, j, c])
            mean = _F(total / size)
            for j in range(size):
                out[i, j, c] = (images[i, j, c] - mean) * factor + mean


@exact
def fill_powers_of_two(exponents: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Two to the power of each exponent, exact for whole ones; |exponent| < 100."""
    for i in range(exponents.size):
        whole = math.floor(exponents[i])
        out[i] = _F(math.ldexp(power(2.0, exponents[i] - whole), int(whole)))


# CIE L*a*b* in the fixed point of OpenCV's 8-bit conversion, whose results these are: light in units of
# 1/2040, cube roots of 2⁻¹⁵, L*, a* and b* as bytes (L*·255/100, a* + 128, b* + 128); back with light in
# units of 2⁻¹⁴ and 4096 levels before the curve of sRGB. White is D65: the rows of the matrices, times 2¹²,
# are divided or multiplied by its X, Y, Z = 0.950456, 1, 1.088754.
_XR, _XG, _XB = np.int32(1777), np.int32(1541), np.int32(778)
_YR, _YG, _YB = np.int32(871), np.int32(2929), np.int32(296)
_ZR, _ZG, _ZB = np.int32(73), np.int32(448), np.int32(3575)
_RX, _RY, _RZ = np.int32(12615), np.int32(-6296), np.int32(-2223)
_GX, _GY, _GZ = np.int32(-3773), np.int32(7684), np.int32(185)
_BX, _BY, _BZ = np.int32(217), np.int32(-836), np.int32(4715)
_HALF_12, _HALF_14, _HALF_15 = np.int32(1 << 11), np.int32(1 << 13), np.int32(1 << 14)
_12, _14, _15 = np.int32(12), np.int32(14), np.int32(15)
_L_SCALE, _L_SHIFT = np.int32(296), np.int32(1336934 - (1 << 14))
_MIDDLE = np.int32((128 << 15) + (1 << 14))
_ZERO, _BYTE, _LEVEL = np.int32(0), np.int32(255), np.int32(4095)


@exact
def fill_lab_tables(
    light: NDArray[np.int32],
    roots: NDArray[np.int32],
    luminance: NDArray[np.int32],
    bytes_: NDArray[np.uint8],
) -> None:
    """The tables of `to_lab` and `from_lab`: (256,), (3072,), (2, 256), (4096,)."""
    for b in range(256):
        light[b] = np.int32(np.rint(_F(2040.0) * _F(srgb_light(float(_F(b) / _F(255.0))))))
    scale, bend = _F(1.0) / _F(2040.0), _F(216.0) / _F(24389.0)
    slope, offset = float(_F(841.0) / _F(108.0)), float(_F(16.0) / _F(116.0))
    for i in range(3072):
        x = scale * _F(i)
        if x < bend:
            roots[i] = np.int32(np.rint(_F(32768.0) * _F(float(x) * slope + offset)))
        else:
            # the root is cut off, not rounded, to the 24 bits of a float32
            m, k = math.frexp(power(float(x), 1.0 / 3.0))
            roots[i] = np.int32(np.rint(math.ldexp(math.floor(16777216.0 * m), k - 9)))
    for b in range(256):
        if b <= 20:
            y = _F(b * 16384 * 180) / _F(17 * 24389)
            f = _F(16384.0) * (_F(16.0) / _F(116.0) + _F(b * 5) / _F(3 * 17 * 29))
        else:
            f = _F(b * 100 * 16384) / _F(255 * 116) + _F(16 * 16384) / _F(116.0)
            y = f * f * f / _F(268435456.0)
        luminance[0, b], luminance[1, b] = np.int32(np.rint(y)), np.int32(np.rint(f))
    for i in range(4096):
        x64 = i / 4096.0
        encoded = 1.055 * power(x64, 1.0 / 2.4) - 0.055 if x64 > 0.0031308 else 12.92 * x64
        bytes_[i] = np.uint8(np.rint(_F(255.0) * _F(encoded)))


@exact
def to_lab(
    rgb: NDArray[np.uint8],
    light: NDArray[np.int32],
    roots: NDArray[np.int32],
    lightness: NDArray[np.uint8],
    ab: NDArray[np.uint8],
) -> None:
    """Write L* of an image (n, 3) to (n,), a* and b* to (n, 2)."""
    for j in range(rgb.shape[0]):
        r, g, b = light[rgb[j, 0]], light[rgb[j, 1]], light[rgb[j, 2]]
        x = roots[np.uint32(np.int32(r * _XR + g * _XG + b * _XB + _HALF_12) >> _12)]
        y = roots[np.uint32(np.int32(r * _YR + g * _YG + b * _YB + _HALF_12) >> _12)]
        z = roots[np.uint32(np.int32(r * _ZR + g * _ZG + b * _ZB + _HALF_12) >> _12)]
        lightness[j] = np.uint8(np.int32(_L_SCALE * y - _L_SHIFT) >> _15)
        ab[j, 0] = np.uint8(np.int32(np.int32(500) * (x - y) + _MIDDLE) >> _15)
        ab[j, 1] = np.uint8(np.int32(np.int32(200) * (y - z) + _MIDDLE) >> _15)


@exact
def _cube(f: np.int32) -> np.int32:
    """X/white or Z/white from its root, both in units of 2⁻¹⁴; straight below 6/29, like the forward way."""
    if f > np.int32(3390):
        square = np.int32(f * f) >> _14
        return np.int32(square * f) >> _14
    # the quotient is cut off towards 0; 290 is what 16/116 becomes
    quotient = np.int32(np.uint32(np.int32(abs(f) * np.int32(108))) // np.uint32(841))
    return (quotient if f >= _ZERO else -quotient) - np.int32(290)


@exact
def from_lab(
    lightness: NDArray[np.uint8],
    ab: NDArray[np.uint8],
    luminance: NDArray[np.int32],
    bytes_: NDArray[np.uint8],
    rgb: NDArray[np.uint8],
) -> None:
    """Write the image (n, 3) of L* (n,) and a*, b* (n, 2)."""
    for j in range(rgb.shape[0]):
        y, f = luminance[0, lightness[j]], luminance[1, lightness[j]]
        # a*/500 and b*/200 in units of 2⁻¹⁴
        da = (np.int32(np.int32(ab[j, 0]) * np.int32(268435) + np.int32(128)) >> np.int32(13)) - np.int32(
            4194
        )
        db = (np.int32(np.int32(ab[j, 1]) * np.int32(41943) + np.int32(16)) >> np.int32(9)) - np.int32(10484)
        x, z = _cube(f + da), _cube(f - db)
        r = np.int32(_RX * x + _RY * y + _RZ * z + _HALF_14) >> _14
        g = np.int32(_GX * x + _GY * y + _GZ * z + _HALF_14) >> _14
        b = np.int32(_BX * x + _BY * y + _BZ * z + _HALF_14) >> _14
        rgb[j, 0] = bytes_[np.uint32(min(max(r, _ZERO), _LEVEL))]
        rgb[j, 1] = bytes_[np.uint32(min(max(g, _ZERO), _LEVEL))]
        rgb[j, 2] = bytes_[np.uint32(min(max(b, _ZERO), _LEVEL))]


@exact
def _mirrored(place: int, size: int) -> int:
    """The place inside that lies at `place` beyond the far end, mirrored about the outermost pixels."""
    if size == 1:
        return 0
    place %= 2 * size - 2
    return place if place < size else 2 * size - 2 - place


@exact
def _tile_levels(
    counts: NDArray[np.int32], limit: np.int32, scale: np.float32, levels: NDArray[np.float32]
) -> None:
    """The levels that flatten a tile's histogram (256,), which is clipped first where `limit` is above 0."""
    if limit > 0:
        clipped = np.int32(0)
        for b in range(256):
            kept = min(counts[b], limit)
            clipped += counts[b] - kept
            counts[b] = kept
        share, rest = clipped >> np.int32(8), int(clipped) % 256
        for b in range(256):
            counts[b] += share
        if rest > 0:
            step = max(256 // rest, 1)
            for k in range(rest):
                counts[k * step] += np.int32(1)
    total = np.int32(0)
    for b in range(256):
        total += counts[b]
        counts[b] = total
    for b in range(256):
        levels[b] = min((_F(counts[b]) * scale + _ROUND) - _ROUND, _F(255.0))


@exact
def _equalise(
    image: NDArray[np.uint8], clip: float, tiles: int, levels: NDArray[np.float32], out: NDArray[np.uint8]
) -> None:
    """CLAHE of a plane (H, W) by a grid of tiles × tiles, in the arithmetic of OpenCV."""
    height, width = image.shape
    all_height, all_width = height, width
    if height % tiles != 0 or width % tiles != 0:
        all_height += tiles - height % tiles
        all_width += tiles - width % tiles
    tile_height, tile_width = all_height // tiles, all_width // tiles
    area = tile_height * tile_width
    scale = _F(255.0) / _F(area)
    limit = np.int32(max(int(clip * area / 256.0), 1)) if clip > 0.0 else np.int32(0)
    counts = np.empty(256, np.int32)
    for ty in range(tiles):
        for tx in range(tiles):
            counts[:] = 0
            inside = min((tx + 1) * tile_width, width)
            for y in range(ty * tile_height, (ty + 1) * tile_height):
                row = image[_mirrored(y, height)]
                for x in range(tx * tile_width, inside):
                    counts[row[x]] += np.int32(1)
                for x in range(max(tx * tile_width, inside), (tx + 1) * tile_width):
                    counts[row[_mirrored(x, width)]] += np.int32(1)
            _tile_levels(counts, limit, scale, levels[ty * tiles + tx])

    left, right = np.empty(width, np.int32), np.empty(width, np.int32)
    weight = np.empty(width, np.float32)
    inverse = _F(1.0) / _F(tile_width)
    for x in range(width):
        place = _F(x) * inverse - _F(0.5)
        tile = int(np.floor(place))
        weight[x] = place - _F(tile)
        left[x] = max(tile, 0) * 256
        right[x] = min(tile + 1, tiles - 1) * 256
    inverse = _F(1.0) / _F(tile_height)
    for y in range(height):
        place = _F(y) * inverse - _F(0.5)
        tile = int(np.floor(place))
        down = place - _F(tile)
        up = _F(1.0) - down
        first, last = max(tile, 0) * tiles, min(tile + 1, tiles - 1) * tiles
        above = levels[first : first + tiles].reshape(-1)
        below = levels[last : last + tiles].reshape(-1)
        row, target = image[y], out[y]
        for x in range(width):
            a, b = np.uint32(left[x] + np.int32(row[x])), np.uint32(right[x] + np.int32(row[x]))
            on, off = weight[x], _F(1.0) - weight[x]
            value = (above[a] * off + above[b] * on) * up + (below[a] * off + below[b] * on) * down
            target[x] = np.uint8(np.int32((value + _ROUND) - _ROUND))


@exact
def clahe(
    images: NDArray[np.uint8],
    clips: NDArray[np.float64],
    tiles: NDArray[np.int64],
    light: NDArray[np.int32],
    roots: NDArray[np.int32],
    luminance: NDArray[np.int32],
    bytes_: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """Write images (B, H, W, C), their lightness equalised locally, to `out`; tables of `fill_lab_tables`."""
    count, height, width, channels = images.shape
    most = tiles.max() if count > 0 else 1
    levels = np.empty((most * most, 256), np.float32)
    if channels == 1:
        for i in range(count):
            plane, equal = images[i].reshape(height, width), out[i].reshape(height, width)
            _equalise(plane, clips[i], tiles[i], levels, equal)
        return
    size = height * width
    lightness = np.empty(size, np.uint8)
    flat = np.empty(size, np.uint8)
    ab = np.empty((size, 2), np.uint8)
    for i in range(count):
        to_lab(images[i].reshape(size, 3), light, roots, lightness, ab)
        _equalise(lightness.reshape(height, width), clips[i], tiles[i], levels, flat.reshape(height, width))
        from_lab(flat, ab, luminance, bytes_, out[i].reshape(size, 3))
