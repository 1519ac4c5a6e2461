"""Linear light on the device: byte for byte the CPU's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from blurgen import curves
from blurgen.draws import Draws
from blurgen.stages.base import Columns
from blurgen.stages.camera import Vignetting
from blurgen.stages.light import Highlights, Linear, Saturate
from blurgen.torch.forms import (
    DevicePair,
    apply_all,
    moved,
    number,
    of_images,
    on_device,
    on_device_pairs,
    rounded,
)


@lru_cache(maxsize=8)
def _tables(curve: curves.Curve, device: torch.device) -> tuple[Tensor, Tensor]:
    """The light of each byte, and the least light of each byte from 1 on."""
    tables = curves.tables(curve)
    edges = tables.edges[:-1].view(np.float32)  # the last one is out of reach
    return moved(tables.light, device), moved(edges, device)


@on_device_pairs(Linear)
def linear(stage: Linear, pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
    """The stages on the blurred images in linear light."""
    light_of, edges = _tables(stage.curve, pair.blurred.device)
    light = light_of[pair.blurred.to(torch.int64)]
    done = apply_all(stage.stages, DevicePair(pair.sharp, light), params, draws)
    blurred = torch.bucketize(done.blurred, edges, out_int32=True, right=True).to(torch.uint8)
    return DevicePair(pair.sharp, blurred)


@on_device(Highlights)
def highlights(stage: Highlights, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images with brighter highlights."""
    more = of_images((255.0 * params["gain"]).astype(np.float32), images, torch.float32)
    level = of_images(params["level"], images, torch.float32)
    return torch.where(images >= level, images + more, images)


@on_device(Saturate)
def saturate(stage: Saturate, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The clipped images."""
    return images.clamp(0.0, 255.0)


@on_device(Vignetting)
def vignetting(stage: Vignetting, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images, darker outwards."""
    _, height, width, _ = images.shape
    curvature = of_images(1.0 / np.sqrt(1.0 - params["strength"]) - 1.0, images, torch.float32)
    y, x = (torch.arange(size, dtype=torch.float32, device=images.device) for size in (height, width))
    middle_y, middle_x = 0.5 * (height - 1), 0.5 * (width - 1)
    above, aside = (y - middle_y)[:, None, None], (x - middle_x)[:, None]
    corner = np.float32(middle_y) * np.float32(middle_y) + np.float32(middle_x) * np.float32(middle_x)
    root = 1.0 + curvature / number(float(corner) or 1.0, curvature) * (above * above + aside * aside)
    darkened = images * (1.0 / (root * root))
    return rounded(darkened) if images.dtype == torch.uint8 else darkened
