"""Changes of geometry on the device: byte for byte the CPU's."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops import warp as loops
from blurgen.loops.psf import arctangent
from blurgen.stages.base import Columns
from blurgen.stages.geometry import Flip, Pad, Perspective, PlateView, Rotate, Turn
from blurgen.torch.forms import moved, of_images, on_device, parts

_ONE = 1 << 12  # a pixel, in the units in which places are taken
_MOST = 1 << 24  # values that are sampled at a time


@on_device(Turn)
def turn(stage: Turn, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The turned images."""
    out = images.clone()
    for quarters in (1, 2, 3):
        turning = np.flatnonzero(params["quarters"] == quarters)
        if turning.size:
            rows = moved(turning, images.device)
            out[rows] = images[rows].rot90(quarters, (1, 2))
    return out


@on_device(Flip)
def flip(stage: Flip, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The mirrored images."""
    for name, axis in (("vertical", 1), ("horizontal", 2)):
        mirrored = of_images(params[name], images, torch.bool)
        images = torch.where(mirrored, images.flip(axis), images)
    return images


@on_device(Pad)
def pad(stage: Pad, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The larger images."""
    _, height, width, channels = images.shape
    if stage.border == "replicate":
        rows = np.clip(np.arange(-stage.top, height + stage.bottom), 0, height - 1)
        columns = np.clip(np.arange(-stage.left, width + stage.right), 0, width - 1)
        return images[:, moved(rows, images.device)][:, :, moved(columns, images.device)]
    grey = of_images(params["grey"], images, torch.uint8)
    new_height, new_width, _ = stage.output_shape((height, width, channels))
    out = grey.expand(-1, new_height, new_width, channels).contiguous()
    out[:, stage.top : stage.top + height, stage.left : stage.left + width] = images
    return out


def _warped(
    images: Tensor,
    maps: NDArray[np.float64],
    replicate: bool,
    grey: NDArray[np.float64],
    size: tuple[int, int],
) -> Tensor:
    """Images sampled by projective maps (B, 9); the arithmetic is that of `blurgen.loops.warp`."""
    count, height, width, channels = images.shape
    out = images.new_empty((count, *size, channels))
    rows, columns = (np.arange(-1, side + 2) for side in (height, width))
    padded = images[:, moved(np.clip(rows, 0, height - 1), images.device)]
    padded = padded[:, :, moved(np.clip(columns, 0, width - 1), images.device)]
    if not replicate:
        inside = [(places >= 0) & (places < side) for places, side in ((rows, height), (columns, width))]
        kept = moved(inside[0][:, None] & inside[1], images.device)[..., None]
        padded = torch.where(kept, padded, of_images(grey, images, torch.uint8))
    for part in parts(len(images), size[0] * size[1] * channels, _MOST):
        out[part] = _sampled(padded[part], maps[part], replicate, size)
    return out


def _sampled(padded: Tensor, maps: NDArray[np.float64], replicate: bool, size: tuple[int, int]) -> Tensor:
    """Samples of images that have one pixel more before and two behind each row and column."""
    _, height, width, channels = padded.shape
    device = padded.device
    m = moved(maps, device).T[..., None, None]
    y = torch.arange(size[0], dtype=torch.float64, device=device)[:, None]
    x = torch.arange(size[1], dtype=torch.float64, device=device)
    w = 1.0 / (m[6] * x + (m[7] * y + m[8]))
    edge = 0.0 if replicate else 1.0
    places, shares = [], []
    for row, side in ((0, width), (3, height)):
        at = (m[row] * x + (m[row + 1] * y + m[row + 2])) * w
        fixed = ((at + 1.0).clamp_(1.0 - edge, side - 3.0 + edge) * _ONE + 0.5).to(torch.int64)
        places.append(fixed // _ONE)
        shares.append(fixed % _ONE)
    (column, line), (a, b) = places, shares
    both = (a * b + _ONE // 2) // _ONE
    flat, first = padded.flatten(1, 2), (line * width + column).flatten(1)
    total = torch.full((len(flat), first.shape[1], channels), _ONE // 2, dtype=torch.int32, device=device)
    for offset, weight in ((0, _ONE - a - b + both), (1, a - both), (width, b - both), (width + 1, both)):
        pixels = flat.gather(1, (first + offset)[..., None].expand(-1, -1, channels))
        total += pixels.to(torch.int32) * weight.flatten(1)[..., None].to(torch.int32)
    return (total // _ONE).to(torch.uint8).reshape(len(flat), *size, channels)


@on_device(Rotate)
def rotate(stage: Rotate, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The turned images."""
    height, width = images.shape[1:3]
    maps = np.empty((len(images), 9))
    loops.rotations(params["angle"], height, width, maps)
    return _warped(images, maps, stage.border == "replicate", params["grey"], (height, width))


@on_device(Perspective)
def perspective(stage: Perspective, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images seen from aside."""
    height, width = images.shape[1:3]
    corners = np.empty((len(images), 4, 2))
    for corner, name in enumerate(("top_left", "top_right", "bottom_right", "bottom_left")):
        x, y = params[f"{name}_x"], params[f"{name}_y"]
        corners[:, corner, 0] = 1.0 - x if "right" in name else x
        corners[:, corner, 1] = 1.0 - y if "bottom" in name else y
    maps = np.empty((len(images), 9))
    loops.onto_corners(corners, height, width, maps)
    return _warped(images, maps, stage.border == "replicate", params["grey"], (height, width))


@on_device(PlateView)
def plate_view(stage: PlateView, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images in the frame."""
    frame = (stage.height, stage.width)
    tilt = params["pov"] * arctangent(float(stage.height), float(stage.width)) / 2.0
    maps = np.empty((len(images), 9))
    loops.plate_views(tilt, 0.5 + params["magnitude"] / 2.0, tuple(images.shape[1:3]), frame, maps)
    return _warped(images, maps, False, params["grey"], frame)
