"""Roll and zoom during the exposure on the device: the mean of the images at the steps of each."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.convolution import border_map
from blurgen.draws import Draws
from blurgen.loops import varying as loops
from blurgen.stages.base import Columns
from blurgen.stages.varying import Roll, ZoomMotion
from blurgen.torch.forms import moved, of_images, on_device, parts, rounded

_STEP = 0.5  # pixels that the outermost pixel moves at most between two samples
_RADIAN = 0.017453292519943295
_MOST = 1 << 24  # pixels of which samples are taken at a time


def _steps(
    stage: Roll | ZoomMotion, params: Columns, centres: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Each image's similarities (B, steps, 2), their shares (B, steps), and how far beyond it they reach."""
    height, width = size
    dx = np.maximum(centres[:, 0], width - 1 - centres[:, 0])
    dy = np.maximum(centres[:, 1], height - 1 - centres[:, 1])
    distance = np.sqrt(dx * dx + dy * dy)
    if isinstance(stage, Roll):
        drawn = params["angle"] * _RADIAN
        length, farthest = drawn, 0.5 * drawn
    else:
        drawn = params["factor"]
        root = np.sqrt(drawn)
        length, farthest = root - 1.0 / root, root - 1.0
    counts = 1 + np.ceil(distance * length / _STEP).astype(np.int64)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    turns = np.empty((first[-1], 2))
    (loops.roll_steps if isinstance(stage, Roll) else loops.zoom_steps)(drawn, first, turns)
    taken = np.arange(counts.max()) < counts[:, None]
    # images of fewer steps stay where they are, with no weight
    similarities = np.zeros((*taken.shape, 2))
    similarities[..., 0] = 1.0
    similarities[taken] = turns
    return similarities, np.where(taken, 1.0, 0.0), int(np.ceil(np.max(distance * farthest))) + 2


def _gathered(flat: Tensor, rows: Tensor, columns: Tensor, pitch: int) -> Tensor:
    """The pixels (B, H, W, C) at `rows` and `columns` of padded images (B, n, C), float32."""
    places = (rows * pitch + columns).flatten(1)[..., None].expand(-1, -1, flat.shape[2])
    return flat.gather(1, places).reshape(*rows.shape, flat.shape[2])


def _sampled(padded: Tensor, reach: int, x: Tensor, y: Tensor) -> Tensor:
    """The images at the places (x, y), (B, H, W), interpolated bilinearly."""
    left, top = x.floor(), y.floor()
    right_share, lower_share = ((at - low).to(torch.float32)[..., None] for at, low in ((x, left), (y, top)))
    column, row = ((low + reach).to(torch.int64) for low in (left, top))
    flat, pitch = padded.flatten(1, 2), padded.shape[2]
    above, below = (
        _gathered(flat, at, column, pitch) * (1.0 - right_share)
        + _gathered(flat, at, column + 1, pitch) * right_share
        for at in (row, row + 1)
    )
    return above * (1.0 - lower_share) + below * lower_share


def _with_border(images: Tensor, reach: int, border: str) -> Tensor:
    """The images (B, H, W, C) as float32, with `reach` pixels more on each side."""
    out = images.to(torch.float32)
    for axis in (1, 2):
        places = border_map(images.shape[axis], reach, border)
        indices = moved(np.maximum(places, 0), images.device)
        out = out.index_select(axis, indices)
        inside = moved(places >= 0, images.device)
        out = out * inside.reshape([-1 if other == axis else 1 for other in range(4)])
    return out


@on_device(Roll)
@on_device(ZoomMotion)
def along_paths(stage: Roll | ZoomMotion, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images, averaged over the exposure."""
    _, height, width, _ = images.shape
    centres = np.stack([params["centre_x"] * width - 0.5, params["centre_y"] * height - 0.5], axis=1)
    similarities, shares, reach = _steps(stage, params, centres, (height, width))
    centre_x, centre_y = (of_images(c, images, torch.float64)[..., 0] for c in centres.T)
    dy = torch.arange(height, dtype=torch.float64, device=images.device)[:, None] - centre_y
    dx = torch.arange(width, dtype=torch.float64, device=images.device) - centre_x
    out = torch.empty_like(images)
    for part in parts(len(images), images[0].numel(), _MOST):
        padded = _with_border(images[part], reach, stage.border)
        sums = torch.zeros_like(images[part], dtype=torch.float32)
        for step in range(shares.shape[1]):
            p, q = (of_images(similarities[part, step, k], images, torch.float64)[..., 0] for k in (0, 1))
            x = centre_x[part] + p * dx[part] - q * dy[part]
            y = centre_y[part] + q * dx[part] + p * dy[part]
            sums += of_images(shares[part, step], images, torch.float32) * _sampled(padded, reach, x, y)
        sums /= of_images(shares[part].sum(axis=1), images, torch.float32)
        out[part] = rounded(sums) if images.dtype == torch.uint8 else sums
    return out
