"""JPEG on the device, byte for byte what `blurgen.jpeg` makes.

Between their roundings the transforms of libjpeg are linear, and exact: products with one matrix of whole
numbers, and shifts. No number exceeds 2³⁶, so all of it is done in float64, which holds them
exactly. A plane is (B, H, W), its blocks are (B, H / 8, W / 8, 8, 8).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops.jpeg import steps
from blurgen.stages.base import Columns
from blurgen.stages.jpeg import Jpeg
from blurgen.torch.forms import moved, on_device, parts

# The one-dimensional transform, 8192 · √8 times the orthonormal one, as libjpeg's sums of products of 13 bits
# come to: the left halves of its rows. Even rows go on in mirror image, odd ones with the other sign.
_HALF_ROWS = (
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)

_MOST = 1 << 24  # values that are worked on at a time
_LEVEL = 128
_FEW_COLUMNS = 4  # libjpeg does not interpolate chroma in images so narrow

# Y, Cb and Cr from R, G and B, in units of 2⁻¹⁶
_TO_YCC = (
    (19595.0, 38470.0, 7471.0),
    (-11059.0, -21709.0, 32768.0),
    (32768.0, -27439.0, -5329.0),
)
_HALF = float(1 << 15)
_CHROMA_START = float((_LEVEL << 16) + (1 << 15) - 1)


def _transform() -> NDArray[np.float64]:
    """The transform's matrix."""
    left = np.array(_HALF_ROWS, np.float64)
    right = left[:, ::-1].copy()
    right[1::2] *= -1.0
    return np.concatenate([left, right], axis=1)


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The transform's matrix, the quantisers' steps (2, 100, 8, 8), the colours' matrix and its start."""
    tables = np.array([[steps(quality, chroma) for quality in range(1, 101)] for chroma in (False, True)])
    numbers: tuple[NDArray[np.float64], ...] = (
        _transform(),
        tables.astype(np.float64),
        np.array(_TO_YCC),
        np.array([_HALF, _CHROMA_START, _CHROMA_START]),
    )
    matrix, quantisers, colours, start = (moved(values, device) for values in numbers)
    return matrix, quantisers, colours, start


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Whole numbers divided by 2ᵇⁱᵗˢ, rounded half up; `values` are overwritten."""
    return values.add_(float(1 << (bits - 1))).mul_(2.0**-bits).floor_()


def _times(blocks: Tensor, matrix: Tensor) -> Tensor:
    """The rows of all blocks times a matrix."""
    return (blocks.reshape(-1, 8) @ matrix).reshape(blocks.shape)


def _round_trip(plane: Tensor, quantiser: Tensor) -> Tensor:
    """A plane of whole blocks there and back, 0 … 255; `quantiser` is (B, 8, 8)."""
    matrix = _constants(plane.device)[0]
    count, height, width = plane.shape
    blocks = (plane - _LEVEL).reshape(count, height // 8, 8, width // 8, 8).transpose(2, 3)
    rows = _shifted(_times(blocks, matrix.T), 11)
    # from here to the vertical inverse the blocks are transposed
    values = _shifted(_times(rows.transpose(3, 4), matrix.T), 15)
    step = quantiser.transpose(1, 2)[:, None, None]
    # divided by eight times the step, as the transform is eight times the orthonormal one
    levels = ((values.abs() + 4.0 * step) / (8.0 * step)).floor_() * step
    columns = _shifted(_times(levels.copysign_(values), matrix), 11).clamp_(-32768.0, 32767.0)
    pixels = _shifted(_times(columns.transpose(3, 4), matrix), 18).add_(_LEVEL).clamp_(0.0, 255.0)
    return pixels.transpose(2, 3).reshape(count, height, width)


def _extended(planes: Tensor, down: int, across: int) -> Tensor:
    """Planes (B, H, W) whose last row and column are repeated until `down` and `across` divide the sides."""
    for axis, multiple in ((1, down), (2, across)):
        missing = -planes.shape[axis] % multiple
        if missing:
            last = planes.narrow(axis, planes.shape[axis] - 1, 1)
            planes = torch.cat([planes, *[last] * missing], dim=axis)
    return planes


def _averaged(chroma: Tensor, across: int, down: int) -> Tensor:
    """Chroma (B, H, W) at its part of the sides; sums of pairs are rounded down and up by turns."""
    if across == 1:
        return chroma
    total = chroma[:, :, ::2] + chroma[:, :, 1::2]
    bias = torch.arange(total.shape[2], device=chroma.device) % 2
    if down == 2:
        return ((total[:, ::2] + total[:, 1::2] + (1 + bias)) * 0.25).floor_()
    return ((total + bias) * 0.5).floor_()


def _neighbours(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Of each value along an axis that before it and that behind it; the ends are repeated."""
    size = values.shape[axis]
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, size - 1, 1)
    before = torch.cat([first, values.narrow(axis, 0, size - 1)], dim=axis)
    behind = torch.cat([values.narrow(axis, 1, size - 1), last], dim=axis)
    return before, behind


def _enlarged(chroma: Tensor, across: int, down: int, height: int, width: int) -> Tensor:
    """Chroma at full size: three parts of the nearer sample, one part of the farther one."""
    if across == 1:
        return chroma
    if width <= _FEW_COLUMNS:
        return chroma.repeat_interleave(down, 1)[:, :height].repeat_interleave(2, 2)[:, :, :width]
    bias, scale = (1.0, 2.0), 0.25
    if down == 2:
        above, below = _neighbours(chroma, 1)
        both = torch.stack([3.0 * chroma + above, 3.0 * chroma + below], dim=2)
        chroma = both.flatten(1, 2)[:, :height]
        bias, scale = (8.0, 7.0), 0.0625
    left, right = _neighbours(chroma, 2)
    pairs = [(3.0 * chroma + left + bias[0]) * scale, (3.0 * chroma + right + bias[1]) * scale]
    return torch.stack(pairs, dim=3).floor_().flatten(2, 3)[:, :, :width]


def _gray(images: Tensor, quantiser: Tensor) -> Tensor:
    _, height, width, _ = images.shape
    plane = _extended(images[..., 0].to(torch.float64), 8, 8)
    return _round_trip(plane, quantiser)[:, :height, :width, None].to(torch.uint8)


def _rgb(luma: Tensor, blue: Tensor, red: Tensor) -> Tensor:
    """Colours (B, H, W, 3) of planes; chroma is 128 less than stored."""
    green = ((-22554.0 * blue + 18734.0 * red + _HALF) * 2.0**-16).floor_()
    channels = [
        luma + ((45940.0 * red + 16384.0) * 2.0**-15).floor_(),
        luma - red + green,
        luma + ((58066.0 * blue + 16384.0) * 2.0**-15).floor_(),
    ]
    return torch.stack(channels, dim=-1).clamp_(0.0, 255.0).to(torch.uint8)


def _colour(images: Tensor, quantisers: Tensor, across: int, down: int) -> Tensor:
    """Colour images there and back; `quantisers`, (2, B, 8, 8), are luma's and chroma's."""
    _, _, colours, start = _constants(images.device)
    _, height, width, _ = images.shape
    ycc = ((images.to(torch.float64) @ colours.T).add_(start) * 2.0**-16).floor_()
    luma = _round_trip(_extended(ycc[..., 0], 8, 8), quantisers[0])[:, :height, :width]
    planes = []
    for c in (1, 2):
        # at the right pixels are repeated, below averages are, but for one row that makes their number even
        small = _averaged(_extended(ycc[..., c], down, 8 * across), across, down)
        back = _round_trip(_extended(small, 8, 8), quantisers[1])
        back = back[:, : small.shape[1], : -(-width // across)] - _LEVEL
        planes.append(_enlarged(back, across, down, height, width))
    return _rgb(luma, *planes)


_SHARED = {"4:2:0": (2, 2), "4:2:2": (2, 1), "4:4:4": (1, 1)}


@on_device(Jpeg)
def jpeg(stage: Jpeg, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images as they come back."""
    quality = moved(params["quality"] - 1, images.device)
    quantisers = _constants(images.device)[1][:, quality]
    out = torch.empty_like(images)
    for part in parts(len(images), images[0].numel(), _MOST):
        if images.shape[3] == 1:
            out[part] = _gray(images[part], quantisers[0, part])
        else:
            out[part] = _colour(images[part], quantisers[:, part], *_SHARED[stage.subsampling])
    return out
