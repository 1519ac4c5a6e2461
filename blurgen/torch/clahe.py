"""Local equalisation on the device, byte for byte the CPU's; what is done is told in `blurgen.loops.tone`."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops import tone as loops
from blurgen.stages.base import Columns
from blurgen.stages.tone import Clahe
from blurgen.torch.forms import moved, on_device, parts

_MOST = 1 << 24  # pixels, or counts of histograms, that are worked on at a time
_WHITE = 255.0
_NO_LIMIT = 1 << 30

# the rows of the matrices of CIE L*a*b*, times 2¹²
_TO_XYZ = ((1777, 1541, 778), (871, 2929, 296), (73, 448, 3575))
_FROM_XYZ = ((12615, -6296, -2223), (-3773, 7684, 185), (217, -836, 4715))


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Light of bytes, cube roots, luminance of lightness and its root, bytes of light."""
    light, roots, luminance = (np.empty(shape, np.int32) for shape in (256, 3072, (2, 256)))
    levels = np.empty(4096, np.uint8)
    loops.fill_lab_tables(light, roots, luminance, levels)
    first, second, third, fourth = (moved(t, device) for t in (light, roots, luminance, levels))
    return first, second, third, fourth


def _to_lab(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L*, a*, b* of images (B, H, W, 3), each (B, H, W), int32 that hold bytes."""
    light, roots, _, _ = _tables(images.device)
    r, g, b = light[images.to(torch.int64)].unbind(-1)
    x, y, z = (
        roots[((r * row[0] + g * row[1] + b * row[2] + (1 << 11)) >> 12).to(torch.int64)] for row in _TO_XYZ
    )
    lightness = (296 * y - (1336934 - (1 << 14))) >> 15
    middle = (128 << 15) + (1 << 14)
    # as bytes they would wrap around
    return lightness & 255, ((500 * (x - y) + middle) >> 15) & 255, ((200 * (y - z) + middle) >> 15) & 255


def _cube(f: Tensor) -> Tensor:
    """X/white or Z/white from its root, both in units of 2⁻¹⁴."""
    quotient = (f.abs() * 108).div(841, rounding_mode="floor")
    return torch.where(f > 3390, (((f * f) >> 14) * f) >> 14, torch.where(f >= 0, quotient, -quotient) - 290)


def _from_lab(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Images (B, H, W, 3)."""
    _, _, luminance, levels = _tables(lightness.device)
    y, f = (row[lightness.to(torch.int64)] for row in luminance)
    x = _cube(f + ((a * 268435 + 128) >> 13) - 4194)
    z = _cube(f - (((b * 41943 + 16) >> 9) - 10484))
    light = [(row[0] * x + row[1] * y + row[2] * z + (1 << 13)) >> 14 for row in _FROM_XYZ]
    return levels[torch.stack(light, dim=-1).clamp_(0, 4095).to(torch.int64)]


class _Grid(NamedTuple):
    """The tiles of each image: their number a side, and their sides in pixels; (B,), on the CPU."""

    tiles: NDArray[np.int64]
    tall: NDArray[np.int64]
    wide: NDArray[np.int64]


def _grid(tiles: NDArray[np.int64], height: int, width: int) -> _Grid:
    """The grids of images of a size; where tiles do not fit either side, both grow to where they do."""
    even = (height % tiles == 0) & (width % tiles == 0)
    return _Grid(tiles, *(np.where(even, side // tiles, side // tiles + 1) for side in (height, width)))


def _counted(planes: Tensor, grid: _Grid) -> Tensor:
    """The histograms of the tiles of planes (B, H, W), mirrored beyond their ends: int32 (B, tiles², 256)."""
    count, device, most = len(planes), planes.device, int(grid.tiles.max())
    tiles = moved(grid.tiles, device)[:, None, None]
    tile_of = []
    for axis, length in ((1, grid.tall), (2, grid.wide)):
        size, places = planes.shape[axis], np.arange((grid.tiles * length).max())
        period = max(1, 2 * size - 2)
        folded = places % period
        planes = planes.index_select(axis, moved(np.minimum(folded, period - folded), device))
        tile_of.append(moved(places // length[:, None], device).unsqueeze(3 - axis))
    row, column = tile_of
    inside = (row < tiles) & (column < tiles)
    image = torch.arange(count, device=device)[:, None, None]
    bins = ((image * most + row.clamp(max=most - 1)) * most + column.clamp(max=most - 1)) * 256 + planes
    counts = torch.zeros(count * most * most * 256, dtype=torch.int32, device=device)
    counts.scatter_add_(0, bins.flatten(), inside.to(torch.int32).flatten())
    return counts.reshape(count, most * most, 256)


def _levels(counts: Tensor, grid: _Grid, clips: NDArray[np.float64]) -> Tensor:
    """The levels that flatten each histogram, which is clipped first: float32, (B, tiles², 256)."""
    area = grid.tall * grid.wide
    limits = np.where(clips > 0.0, np.maximum((clips * area / 256.0).astype(np.int64), 1), _NO_LIMIT)
    scales = np.float32(_WHITE) / area.astype(np.float32)
    limit, scale = (moved(values, counts.device)[:, None, None] for values in (limits, scales))
    kept = torch.minimum(counts, limit).to(torch.int32)
    clipped = (counts - kept).sum(dim=2, keepdim=True, dtype=torch.int32)
    rest = clipped & 255
    step = (256 // rest.clamp(min=1)).clamp_(min=1)
    level = torch.arange(256, dtype=torch.int32, device=counts.device)
    raised = kept + (clipped >> 8) + ((level % step == 0) & (level // step < rest)).to(torch.int32)
    return (raised.cumsum(dim=2).to(torch.float32) * scale).round_().clamp_(max=_WHITE)


def _between(
    size: int, length: NDArray[np.int64], tiles: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row the tiles before and behind it, and how much the latter counts: (B, size)."""
    inverse = np.float32(1.0) / length.astype(np.float32)
    place = np.arange(size, dtype=np.float32) * inverse[:, None] - np.float32(0.5)
    tile = np.floor(place)
    before = tile.astype(np.int64)
    first, last = np.maximum(before, 0), np.minimum(before + 1, tiles[:, None] - 1)
    return moved(first, device), moved(last, device), moved(place - tile, device)


def _equalised(planes: Tensor, clips: NDArray[np.float64], tiles: NDArray[np.int64]) -> Tensor:
    """CLAHE of planes (B, H, W), int32 that hold bytes."""
    count, height, width = planes.shape
    grid, most, device = _grid(tiles, height, width), int(tiles.max()), planes.device
    levels = _levels(_counted(planes, grid), grid, clips).flatten()
    upper, lower, down = (part[:, :, None] for part in _between(height, grid.tall, tiles, device))
    left, right, across = (part[:, None, :] for part in _between(width, grid.wide, tiles, device))
    image = torch.arange(count, device=device)[:, None, None]

    def looked_up(row: Tensor, column: Tensor) -> Tensor:
        return levels[((image * most + row) * most + column) * 256 + planes]

    above = looked_up(upper, left) * (1.0 - across) + looked_up(upper, right) * across
    below = looked_up(lower, left) * (1.0 - across) + looked_up(lower, right) * across
    return (above * (1.0 - down) + below * down).round_().to(torch.int32)


@on_device(Clahe)
def clahe(stage: Clahe, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The equalised images."""
    out = torch.empty_like(images)
    for part in parts(len(images), max(images[0].numel(), 256 * int(params["tiles"].max()) ** 2), _MOST):
        grid = params["clip_limit"][part], params["tiles"][part]
        if images.shape[3] == 1:
            equal = _equalised(images[part, ..., 0].to(torch.int32), *grid)
            out[part] = equal[..., None].to(torch.uint8)
        else:
            lightness, a, b = _to_lab(images[part])
            out[part] = _from_lab(_equalised(lightness, *grid), a, b)
    return out
